"""Writes about people: audit rows and login links."""

import hashlib
import secrets
from datetime import timedelta

from django.utils import timezone

from webapp.accounts.models import AuditEvent, LoginLink, Role, User


def record(action: str, subject: str, *, by: User | None, detail: dict[str, object] | None = None) -> None:
    """Add one row to the audit trail; call it inside the transaction that does the thing."""
    AuditEvent.objects.create(at=timezone.now(), by=by, action=action, subject=subject[:200], detail=detail or {})


def create_login_link(user: User, *, valid_for: timedelta) -> str:
    """Make a one-time login link for `user`; returns the token, of which only the hash is kept."""
    token = secrets.token_urlsafe(32)
    now = timezone.now()
    LoginLink.objects.create(user=user, token_hash=_hash(token), created_at=now, expires_at=now + valid_for)
    return token


def use_login_link(token: str) -> User | None:
    """Return the link's user and spend the link; None when it is unknown, spent or expired."""
    now = timezone.now()
    spent = LoginLink.objects.filter(
        token_hash=_hash(token), used_at__isnull=True, expires_at__gt=now, user__is_active=True
    ).update(used_at=now)
    return LoginLink.objects.select_related("user").get(token_hash=_hash(token)).user if spent else None


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def first_admin() -> User:
    """The first active admin; on a fresh installation the user `owner`, who has no password and comes in by link."""
    admin = User.objects.filter(role=Role.ADMIN, is_active=True).order_by("pk").first()
    if admin is None:
        admin = User.objects.create_user("owner", role=Role.ADMIN)
        record("user.created", "user owner", by=None, detail={"role": Role.ADMIN})
    return admin
