"""Reads of members and the audit trail."""

from django.db.models import QuerySet

from webapp.accounts.models import AuditEvent, User


def members() -> QuerySet[User]:
    """All members, the active ones first."""
    return User.objects.order_by("-is_active", "username")


def audit(*, action: str = "", who: str = "") -> QuerySet[AuditEvent]:
    """What was done, the newest first; `who` is a user's name, "-" for what nobody did by hand."""
    events = AuditEvent.objects.select_related("by").order_by("-at", "-pk")
    if action:
        events = events.filter(action=action)
    if who:
        events = events.filter(by__isnull=True) if who == "-" else events.filter(by__username=who)
    return events


def audit_actions() -> list[str]:
    """The kinds of things that were done so far, sorted."""
    return list(AuditEvent.objects.order_by("action").values_list("action", flat=True).distinct())
