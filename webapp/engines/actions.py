"""Writes of engines."""

from django.db import transaction
from django.utils import timezone

from webapp.accounts.actions import record
from webapp.accounts.models import User
from webapp.engines.models import Engine, EngineKind


@transaction.atomic
def register_local(
    *,
    name: str,
    location: str,
    facts: dict[str, object],
    checkpoint_hash: str,
    by: User | None,
    description: str = "",
    examples: list[dict[str, str]] | None = None,
) -> Engine:
    """Add a local checkpoint as an engine, or renew the facts of the one that has this name."""
    routes = bool(facts.get("n_routed_experts"))  # a dense model has no routing to return
    values = {
        "kind": EngineKind.LOCAL, "location": location, "facts": facts, "checkpoint_hash": checkpoint_hash, "description": description,
        "examples": examples or [], "can_routing_ids": routes, "can_routing_weights": routes,
    }  # fmt: skip
    engine, created = Engine.objects.update_or_create(
        name=name, defaults=values, create_defaults={**values, "created_at": timezone.now(), "created_by": by}
    )
    record("engine.registered" if created else "engine.renewed", f"engine {engine.pk}", by=by, detail={"name": name})
    return engine
