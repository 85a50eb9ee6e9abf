"""What a view asks before it does anything: is someone there, and may they do this."""

from collections.abc import Callable
from functools import wraps
from typing import Concatenate, ParamSpec, cast

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponseBase
from django.utils.translation import gettext as _
from django_htmx.middleware import HtmxDetails

from webapp.accounts.models import Role, User

P = ParamSpec("P")
View = Callable[Concatenate["MemberRequest", P], HttpResponseBase]


class PageRequest(HttpRequest):
    """A request as our middleware hands it on; there may be nobody behind it."""

    htmx: HtmxDetails  # set by HtmxMiddleware


class MemberRequest(PageRequest):
    """A request whose user is known: LoginRequiredMiddleware has let nobody else through."""

    user: User  # narrower than Django's User | AnonymousUser, see above


def role_required(role: Role) -> Callable[[View[P]], View[P]]:
    """Let a view run only for members whose role reaches `role`; others get 403, in words."""

    def decorate(view: View[P]) -> View[P]:
        @wraps(view)
        def checked(request: MemberRequest, *args: P.args, **kwargs: P.kwargs) -> HttpResponseBase:
            if not request.user.may(role):
                message = _("This needs the role %(role)s; yours is %(yours)s. Ask an admin of this installation.")
                raise PermissionDenied(message % {"role": role.value, "yours": request.user.role})
            return view(request, *args, **kwargs)

        return cast("View[P]", checked)  # wraps() keeps the signature, its type does not

    return decorate
