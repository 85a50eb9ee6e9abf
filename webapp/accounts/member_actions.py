"""Writes of members by an admin. An installation always keeps an active admin."""

from datetime import timedelta

from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _

from webapp.accounts.actions import create_login_link, record
from webapp.accounts.models import Role, User

LINK_VALID = timedelta(days=3)  # one that is handed over to a colleague


@transaction.atomic
def add_user(username: str, *, role: Role, by: User) -> tuple[User, str]:
    """Add a member without a password; returns them and the token of a login link. Raises ValueError when the name is taken."""
    if User.objects.filter(username__iexact=username).exists():
        raise ValueError(_("There is a user named %(name)s already. Choose another name.") % {"name": username})
    try:
        with transaction.atomic():
            user = User.objects.create_user(username, role=role)
    except IntegrityError as error:  # added by someone else just now
        raise ValueError(
            _("There is a user named %(name)s already. Choose another name.") % {"name": username}
        ) from error
    record("user.created", f"user {user.username}", by=by, detail={"role": role})
    return user, new_link(user, by=by)


@transaction.atomic
def new_link(user: User, *, by: User) -> str:
    """Make a login link for `user` to hand over; returns its token. Raises ValueError for a user who may not come in."""
    if not user.is_active:
        raise ValueError(_("%(name)s is deactivated. Activate the user first.") % {"name": user.username})
    record("user.link_created", f"user {user.username}", by=by)
    return create_login_link(user, valid_for=LINK_VALID)


@transaction.atomic
def change_user(user_id: int, *, role: Role, is_active: bool, by: User) -> bool:
    """Set role and activity; False when nothing changed. Raises ValueError when no active admin would be left."""
    admins = set(User.objects.select_for_update().filter(role=Role.ADMIN, is_active=True).values_list("pk", flat=True))
    user = User.objects.select_for_update().get(pk=user_id)
    stays_admin = role == Role.ADMIN and is_active
    if admins == {user.pk} and not stays_admin:
        raise ValueError(
            _("%(name)s is the last active admin. Make somebody else an admin first.") % {"name": user.username}
        )
    before = {"role": user.role, "is_active": user.is_active}
    after = {"role": role.value, "is_active": is_active}
    if before == after:
        return False
    User.objects.filter(pk=user.pk).update(**after)
    record("user.changed", f"user {user.username}", by=by, detail={"before": before, "after": after})
    return True


@transaction.atomic
def set_password(user: User, password: str) -> None:
    """Set a member's own password."""
    user.set_password(password)
    user.save(update_fields=["password"])
    record("user.password_set", f"user {user.username}", by=user)
