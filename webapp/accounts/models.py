"""Who may do what, and what was done: users with a role, login links, the audit trail.

Left out: self-registration and per-object ownership. An installation is one team; a role says what a member may change.
"""

from django.contrib.auth.models import AbstractUser
from django.db import models
from django.utils.translation import gettext_lazy as _


class Role(models.TextChoices):
    """Each role may do all that the one before it may."""

    VIEWER = "viewer", _("viewer: reads")
    ANNOTATOR = "annotator", _("annotator: labels")
    EDITOR = "editor", _("editor: runs, imports, selects, exports")
    ADMIN = "admin", _("admin: manages members")


ROLE_ORDER = [Role.VIEWER, Role.ANNOTATOR, Role.EDITOR, Role.ADMIN]


class User(AbstractUser):
    """A member of the team."""

    role = models.CharField(max_length=16, choices=Role.choices, default=Role.VIEWER)

    class Meta(AbstractUser.Meta):
        constraints = [models.CheckConstraint(condition=models.Q(role__in=Role.values), name="user_role_known")]

    def may(self, role: Role) -> bool:
        """Whether this user's role reaches `role`."""
        return ROLE_ORDER.index(Role(self.role)) >= ROLE_ORDER.index(role)


class LoginLink(models.Model):
    """A link that logs its user in, once, before it expires. Only the hash of its token is stored."""

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="login_links")
    token_hash = models.CharField(max_length=64, unique=True)  # SHA-256, hexadecimal
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    used_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return f"login link of {self.user_id}"


class AuditEvent(models.Model):
    """One thing that someone did. Rows are only added."""

    at = models.DateTimeField()
    by = models.ForeignKey(User, null=True, on_delete=models.SET_NULL, related_name="+")
    action = models.CharField(max_length=64)  # "run.created", "export.written", ...
    subject = models.CharField(max_length=200)  # "run 12", "dataset cold-start v2"
    detail = models.JSONField(default=dict)

    class Meta:
        indexes = [models.Index(fields=["-at"], name="audit_newest")]

    def __str__(self) -> str:
        return f"{self.action} {self.subject}"
