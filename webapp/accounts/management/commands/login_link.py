"""`manage.py login_link [--user NAME]`: print a one-time link that logs in; the way in when there is no password yet."""

from argparse import ArgumentParser
from datetime import timedelta

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.urls import reverse

from webapp.accounts.actions import create_login_link, first_admin, record
from webapp.accounts.models import User


class Command(BaseCommand):
    help = "Print a one-time link that logs in. Without --user it is for the first admin, made when there is none."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """The command's options."""
        parser.add_argument("--user", metavar="NAME", help="whom the link logs in (default: the first admin)")
        parser.add_argument(
            "--base", default=_address(), help="address of the installation (default: where `up` last started it)"
        )
        parser.add_argument("--hours", type=int, default=12, help="how long it is valid (default: 12)")

    def handle(self, *_args: object, **options: object) -> None:
        """Make the link and print it, alone on its line."""
        name, base, hours = options["user"], str(options["base"]), int(str(options["hours"]))
        if not 1 <= hours <= 24 * 30:
            raise CommandError(f"--hours must be between 1 and 720, not {hours}")
        user = first_admin() if name is None else User.objects.filter(username=name, is_active=True).first()
        if user is None:
            known = ", ".join(
                User.objects.filter(is_active=True).order_by("username").values_list("username", flat=True)
            )
            raise CommandError(f"no active user named {name!r}; there are: {known or 'none'}")
        record("user.link_created", f"user {user.username}", by=None, detail={"from": "command line"})
        token = create_login_link(user, valid_for=timedelta(hours=hours))
        self.stdout.write(f"{base.rstrip('/')}{reverse('accounts:link', args=[token])}")


def _address() -> str:
    """Where the embedded installation was last started; its usual port where it never was."""
    file = settings.DATA_DIR / "address"
    return file.read_text(encoding="ascii") if file.exists() else "http://127.0.0.1:8000"
