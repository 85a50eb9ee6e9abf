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
    engine, created = Engine.objects.update_or_create(
        name=name,
        defaults={
            "kind": EngineKind.LOCAL, "location": location, "facts": facts, "checkpoint_hash": checkpoint_hash,
            "description": description, "examples": examples or [],
        },
        create_defaults={
            "kind": EngineKind.LOCAL, "location": location, "facts": facts, "checkpoint_hash": checkpoint_hash,
            "description": description, "examples": examples or [], "created_at": timezone.now(), "created_by": by,
        },
    )  # fmt: skip
    record("engine.registered" if created else "engine.renewed", f"engine {engine.pk}", by=by, detail={"name": name})
    return engine
