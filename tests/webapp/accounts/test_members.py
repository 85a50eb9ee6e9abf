"""One's own account; and what an admin does with members: add, change, link. There is always an admin left."""

from urllib.parse import urlsplit

import pytest
from django.test import Client
from django.urls import reverse

from webapp.accounts import member_actions
from webapp.accounts.models import AuditEvent, Role, User

USERS = "/account/users/"


@pytest.fixture
def as_admin(client, admin):
    client.force_login(admin)
    return client


def change(client, user, role, *, active=True):
    data = {"role": role} | ({"is_active": "on"} if active else {})
    return client.post(reverse("accounts:user_change", args=[user.pk]), data, follow=True)


def test_a_new_user_gets_a_link_that_works_and_no_password(as_admin):
    page = as_admin.post(USERS, {"username": "nina", "role": "editor"})
    nina = User.objects.get(username="nina")
    assert (nina.role, nina.has_usable_password()) == ("editor", False)
    link = page.context["link"]
    assert link in page.content.decode()
    other = Client()
    other.post(urlsplit(link).path)
    assert other.get(reverse("accounts:profile")).context["user"] == nina


def test_the_link_is_shown_once_and_kept_nowhere(as_admin):
    token = as_admin.post(USERS, {"username": "nina", "role": "editor"}).context["link"].rstrip("/").rsplit("/", 1)[1]
    assert token not in as_admin.get(USERS).content.decode()
    assert token not in str(list(AuditEvent.objects.values()))


def test_a_taken_name_is_refused_whatever_its_case(as_admin, viewer):
    page = as_admin.post(USERS, {"username": "VERA", "role": "viewer"})
    assert page.status_code == 422
    assert "There is a user named VERA already" in page.content.decode()
    assert User.objects.count() == 2


@pytest.mark.parametrize(
    "data",
    [{"username": "a b", "role": "viewer"}, {"username": "", "role": "viewer"}, {"username": "nina", "role": "king"}],
)
def test_a_bad_name_or_role_adds_nobody(as_admin, data):
    assert as_admin.post(USERS, data).status_code == 422
    assert User.objects.count() == 1


def test_changing_a_role_is_written_down(as_admin, admin, viewer):
    change(as_admin, viewer, "editor")
    viewer.refresh_from_db()
    assert viewer.role == "editor"
    event = AuditEvent.objects.get(action="user.changed")
    assert (event.by, event.subject) == (admin, "user vera")
    assert event.detail == {
        "before": {"role": "viewer", "is_active": True},
        "after": {"role": "editor", "is_active": True},
    }


def test_the_same_role_again_changes_and_records_nothing(as_admin, viewer):
    change(as_admin, viewer, "viewer")
    assert not AuditEvent.objects.filter(action="user.changed").exists()


@pytest.mark.parametrize(("role", "active"), [("editor", True), ("admin", False)])
def test_the_last_admin_stays(as_admin, admin, role, active):
    page = change(as_admin, admin, role, active=active)
    admin.refresh_from_db()
    assert (admin.role, admin.is_active) == ("admin", True)
    assert "ada is the last active admin" in page.content.decode()


def test_one_of_two_admins_may_go(as_admin, admin, viewer):
    change(as_admin, viewer, "admin")
    change(as_admin, admin, "viewer")
    admin.refresh_from_db()
    assert admin.role == "viewer"


def test_an_admin_who_is_deactivated_does_not_count(admin, viewer):
    User.objects.filter(pk=viewer.pk).update(role="admin", is_active=False)
    with pytest.raises(ValueError, match="last active admin"):
        member_actions.change_user(admin.pk, role=Role.VIEWER, is_active=True, by=admin)


def test_a_deactivated_user_gets_no_link(as_admin, viewer):
    User.objects.filter(pk=viewer.pk).update(is_active=False)
    page = as_admin.post(reverse("accounts:user_link", args=[viewer.pk]), follow=True)
    assert "Activate the user first" in page.content.decode()
    assert "link" not in page.context


@pytest.mark.parametrize("name", ["accounts:user_change", "accounts:user_link"])
def test_an_unknown_user_is_not_found(as_admin, name):
    assert as_admin.post(reverse(name, args=[4711]), {"role": "viewer"}).status_code == 404


def test_a_hostile_name_in_the_audit_trail_is_text(as_admin, admin):
    AuditEvent.objects.create(
        at=admin.date_joined, by=admin, action="x", subject="<script>alert(1)</script>", detail={"a": "<b>"}
    )
    text = as_admin.get(reverse("accounts:audit")).content.decode()
    assert "<script>alert(1)" not in text
    assert "&lt;script&gt;" in text


def test_the_audit_trail_filters_by_what_and_who(as_admin, admin, viewer):
    change(as_admin, viewer, "editor")
    as_admin.post(reverse("accounts:user_link", args=[viewer.pk]))
    page = as_admin.get(reverse("accounts:audit"), {"action": "user.changed", "who": "ada"})
    assert [event.action for event in page.context["page"]] == ["user.changed"]
    assert not list(as_admin.get(reverse("accounts:audit"), {"who": "-"}).context["page"])


def test_a_password_is_set_after_coming_in_by_link(client, db):
    user = User.objects.create_user("nina", role="viewer")
    client.force_login(user)
    page = client.post(
        reverse("accounts:password"), {"new_password1": "plums and 9 pears", "new_password2": "plums and 9 pears"}
    )
    assert page.url == reverse("accounts:profile")
    user.refresh_from_db()
    assert user.check_password("plums and 9 pears")
    assert client.get(reverse("accounts:profile")).status_code == 200  # still in


@pytest.mark.parametrize("word", ["short", "password123", "99999999"])
def test_a_weak_password_is_refused_with_a_reason(client, db, word):
    client.force_login(User.objects.create_user("nina", role="viewer"))
    page = client.post(reverse("accounts:password"), {"new_password1": word, "new_password2": word})
    assert page.status_code == 422
    assert "errorlist" in page.content.decode()


def test_changing_a_password_needs_the_old_one(client, viewer):
    client.force_login(viewer)
    data = {"old_password": "wrong", "new_password1": "plums and 9 pears", "new_password2": "plums and 9 pears"}
    assert client.post(reverse("accounts:password"), data).status_code == 422


def test_changing_a_password_ends_other_sessions(client, viewer):
    other = Client()
    client.force_login(viewer)
    other.force_login(viewer)
    old = "correct horse battery staple"
    client.post(
        reverse("accounts:password"),
        {"old_password": old, "new_password1": "plums and 9 pears", "new_password2": "plums and 9 pears"},
    )
    assert other.get(reverse("accounts:profile")).status_code == 302
