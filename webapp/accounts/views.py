"""Coming in and going out, one's own account, and for admins the members and the audit trail."""

import logging
from typing import Any

from django.contrib import messages
from django.contrib.auth import authenticate, login, logout, update_session_auth_hash
from django.contrib.auth.decorators import login_not_required
from django.contrib.auth.forms import PasswordChangeForm, SetPasswordForm
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme, urlencode
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST, require_safe
from django_htmx.http import HttpResponseClientRedirect
from redis.exceptions import RedisError

from webapp.accounts import member_actions, queries, throttle
from webapp.accounts.access import MemberRequest, PageRequest, role_required
from webapp.accounts.actions import record, use_login_link
from webapp.accounts.forms import MemberForm, NewUserForm, SignInForm
from webapp.accounts.models import Role, User

BACKEND = "django.contrib.auth.backends.ModelBackend"
AUDIT_PER_PAGE = 100
logger = logging.getLogger(__name__)


@sensitive_post_parameters("password")
@login_not_required
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def sign_in(request: PageRequest) -> HttpResponseBase:
    """Come in with name and password."""
    if request.htmx:  # a fragment of a page whose session has ended: the whole page goes to sign in
        query = urlencode({"next": request.htmx.current_url_abs_path or "/"})
        return HttpResponseClientRedirect(f"{reverse('accounts:login')}?{query}")
    target = _target(request)
    if request.user.is_authenticated:
        return redirect(target)
    form = SignInForm(request.POST or None)
    status = 200
    if request.method == "POST":
        status = 422
        if form.is_valid():
            user, why, status = _check(request, **form.cleaned_data)
            if user is not None:
                login(request, user, backend=BACKEND)
                return redirect(target)
            form.add_error(None, why)
    return render(request, "accounts/login.html", {"form": form}, status=status)


def _check(request: HttpRequest, username: str, password: str) -> tuple[User | None, str, int]:
    """The user, or why not, and the status of that answer."""
    address = request.META.get("REMOTE_ADDR", "")
    try:
        if throttle.is_blocked(username, address):
            words = _("Too many attempts that failed. Wait 15 minutes, or ask an admin for a login link.")
            return None, words, 429
        user = authenticate(request, username=username, password=password)
        if user is None:
            throttle.count_failure(username, address)
            logger.warning("sign-in failed from %s", address)
            return None, _("Name and password do not belong together, or the user is deactivated."), 422
        throttle.forget(username, address)
    except (RedisError, OSError):
        logger.exception("sign-in: the cache that counts attempts cannot be reached")
        return None, _("Signing in by password is off while the broker cannot be reached. A login link works."), 503
    assert isinstance(user, User)  # noqa: S101  # AUTH_USER_MODEL
    return user, "", 200


def _target(request: HttpRequest) -> str:
    """Where to go after signing in: the address that was asked for, if it is one of ours."""
    target = request.GET.get("next", "")
    ours = url_has_allowed_host_and_scheme(target, {request.get_host()}, require_https=request.is_secure())
    return target if ours else reverse("home")


@login_not_required
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def link(request: HttpRequest, token: str) -> HttpResponseBase:
    """A one-time login link. Only the button's POST spends it: programs that preview links send a GET."""
    if request.method != "POST":
        return render(request, "accounts/link.html", {"token": token})
    user = use_login_link(token)
    if user is None:
        return render(request, "accounts/link.html", {"token": token, "refused": True}, status=410)
    login(request, user, backend=BACKEND)
    record("user.came_by_link", f"user {user.username}", by=user)
    return redirect("home")


@require_POST
def sign_out(request: MemberRequest) -> HttpResponseBase:
    """Go out."""
    logout(request)
    messages.success(request, _("You are signed out."))
    return redirect("accounts:login")


@require_safe
def profile(request: MemberRequest) -> HttpResponse:
    """One's own account."""
    roles = [(role.label, request.user.may(role)) for role in Role]
    context = {"form": _password_form(request), "roles": roles, "is_admin": request.user.may(Role.ADMIN)}
    return render(request, "accounts/profile.html", context)


@sensitive_post_parameters()
@require_http_methods(["GET", "HEAD", "POST"])
def password(request: MemberRequest) -> HttpResponseBase:
    """Set or change one's own password; other sessions of the same user end."""
    form = _password_form(request, request.POST if request.method == "POST" else None)
    if request.method == "POST" and form.is_valid():
        member_actions.set_password(request.user, form.cleaned_data["new_password1"])
        update_session_auth_hash(request, request.user)
        messages.success(request, _("The password is set. Other sessions of yours have ended."))
        return redirect("accounts:profile")
    return render(request, "accounts/password.html", {"form": form}, status=422 if form.errors else 200)


def _password_form(request: MemberRequest, data: Any = None) -> "SetPasswordForm[User]":
    """With the old password where there is one."""
    kind = PasswordChangeForm if request.user.has_usable_password() else SetPasswordForm
    form: SetPasswordForm[User] = kind(request.user, data)
    for field in form.fields.values():
        field.widget.attrs.pop("autofocus", None)
    return form


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@role_required(Role.ADMIN)
def users(request: MemberRequest) -> HttpResponseBase:
    """All members; a POST adds one and shows a login link to hand over."""
    form = NewUserForm(request.POST if request.method == "POST" else None)
    if request.method == "POST" and form.is_valid():
        data = form.cleaned_data
        try:
            user, token = member_actions.add_user(data["username"], role=Role(data["role"]), by=request.user)
        except ValueError as error:
            form.add_error("username", str(error))
        else:
            return _users(request, NewUserForm(), handed=(user, token))
    return _users(request, form, status=422 if form.errors else 200)


@never_cache
@require_POST
@role_required(Role.ADMIN)
def user_link(request: MemberRequest, user_id: int) -> HttpResponseBase:
    """A new login link for a member, shown once."""
    user = get_object_or_404(User, pk=user_id)
    try:
        token = member_actions.new_link(user, by=request.user)
    except ValueError as error:
        messages.error(request, str(error))
        return redirect("accounts:users")
    return _users(request, NewUserForm(), handed=(user, token))


@require_POST
@role_required(Role.ADMIN)
def user_change(request: MemberRequest, user_id: int) -> HttpResponseBase:
    """Change a member's role, or whether they may come in."""
    user = get_object_or_404(User, pk=user_id)
    form = MemberForm(request.POST)
    if not form.is_valid():
        messages.error(request, _("Choose one of the four roles."))
        return redirect("accounts:users")
    data = form.cleaned_data
    try:
        changed = member_actions.change_user(
            user.pk, role=Role(data["role"]), is_active=data["is_active"], by=request.user
        )
    except ValueError as error:
        messages.error(request, str(error))
    else:
        if changed:
            messages.success(request, _("%(name)s is changed.") % {"name": user.username})
    return redirect("accounts:users")


def _users(
    request: MemberRequest, form: NewUserForm, *, handed: tuple[User, str] | None = None, status: int = 200
) -> HttpResponse:
    context: dict[str, object] = {"form": form, "members": queries.members(), "roles": Role.choices}
    if handed is not None:
        address = request.build_absolute_uri(reverse("accounts:link", args=[handed[1]]))
        context |= {"link_user": handed[0], "link": address, "link_days": member_actions.LINK_VALID.days}
    return render(request, "accounts/users.html", context, status=status)


@require_safe
@role_required(Role.ADMIN)
def audit(request: MemberRequest) -> HttpResponse:
    """What was done, by whom, the newest first."""
    action, who = request.GET.get("action", ""), request.GET.get("who", "")
    page = Paginator(queries.audit(action=action, who=who), AUDIT_PER_PAGE).get_page(request.GET.get("page"))
    context = {
        "page": page, "action": action, "who": who, "actions": queries.audit_actions(), "members": queries.members(),
    }  # fmt: skip
    return render(request, "accounts/audit.html", context)
