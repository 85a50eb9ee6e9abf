"""Engine: what can answer. In this version a local checkpoint directory that our own torch engine loads."""

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _


class EngineKind(models.TextChoices):
    LOCAL = "local", _("local checkpoint")


class Engine(models.Model):
    """`facts` is what `inference.Engine.facts()` said at registration: layers, router_layers, n_routed_experts, top_k, ..."""

    name = models.CharField(max_length=200, unique=True)
    kind = models.CharField(max_length=16, choices=EngineKind.choices, default=EngineKind.LOCAL)
    location = models.CharField(max_length=1000)  # directory of a local checkpoint
    description = models.TextField(default="", blank=True)  # plain words: what it can and cannot do
    examples = models.JSONField(default=list, blank=True)  # [{"family", "prompt", "note"}]
    facts = models.JSONField(default=dict, blank=True)
    checkpoint_hash = models.CharField(max_length=64, default="", blank=True)
    can_logprobs = models.BooleanField(default=True)
    can_routing_ids = models.BooleanField(default=True)
    can_routing_weights = models.BooleanField(default=True)
    created_at = models.DateTimeField()
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")

    class Meta:
        constraints = [models.CheckConstraint(condition=models.Q(kind__in=EngineKind.values), name="engine_kind_known")]

    def __str__(self) -> str:
        return self.name
