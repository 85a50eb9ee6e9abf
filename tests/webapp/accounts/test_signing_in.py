"""Coming in: by password, slowed down against guessing; by a link that only its button spends."""

from datetime import timedelta
from io import StringIO
from urllib.parse import urlsplit

import pytest
from django.core.cache import cache
from django.core.management import CommandError, call_command
from django.test import Client
from django.urls import reverse
from redis.exceptions import ConnectionError as RedisConnectionError

from webapp.accounts import throttle
from webapp.accounts.actions import create_login_link
from webapp.accounts.models import AuditEvent, LoginLink, User

PASSWORD = "correct horse battery staple"
LOGIN = "/account/login/"


@pytest.fixture(autouse=True)
def _counts_from_nothing():
    cache.clear()
    yield
    cache.clear()


def sign_in(client, name="vera", password=PASSWORD, **more):
    return client.post(LOGIN, {"username": name, "password": password}, **more)


def is_in(client):
    return client.get(reverse("accounts:profile")).status_code == 200


def test_a_right_password_comes_in(client, viewer):
    assert sign_in(client).url == reverse("home")
    assert is_in(client)


def test_a_wrong_password_is_refused_in_words_that_name_neither(client, viewer):
    known, unknown = sign_in(client, password="wrong"), sign_in(client, "nobody", "wrong")
    assert known.status_code == unknown.status_code == 422
    for page in (known, unknown):
        assert "Name and password do not belong together" in page.content.decode()
    assert not is_in(client)


def test_a_deactivated_user_is_refused(client, viewer):
    User.objects.filter(pk=viewer.pk).update(is_active=False)
    assert sign_in(client).status_code == 422


def test_a_user_deactivated_meanwhile_is_out_at_once(client, viewer):
    sign_in(client)
    User.objects.filter(pk=viewer.pk).update(is_active=False)
    assert not is_in(client)


def test_guessing_is_stopped_even_when_the_guess_is_right_at_last(client, viewer):
    for _ in range(throttle.PER_NAME_AND_ADDRESS):
        assert sign_in(client, password="wrong").status_code == 422
    page = sign_in(client)
    assert page.status_code == 429
    assert "Wait 15 minutes" in page.content.decode()
    assert not is_in(client)


def test_upper_case_is_no_way_round_the_count(client, viewer):
    for name in ("vera", "Vera", "VERA", "vErA", "verA"):
        sign_in(client, name, "wrong")
    assert sign_in(client).status_code == 429


def test_another_address_is_not_kept_out(client, viewer):
    for _ in range(throttle.PER_NAME_AND_ADDRESS):
        sign_in(client, password="wrong")
    assert sign_in(Client(REMOTE_ADDR="192.0.2.9")).status_code == 302


def test_one_address_that_tries_many_names_is_stopped(client, viewer):
    for n in range(throttle.PER_ADDRESS):
        sign_in(client, f"name{n}", "wrong")
    assert sign_in(client).status_code == 429


def test_a_right_password_ends_the_count(client, viewer):
    for _ in range(throttle.PER_NAME_AND_ADDRESS - 1):
        sign_in(client, password="wrong")
    sign_in(client)
    client.post(reverse("accounts:logout"))
    sign_in(client, password="wrong")
    assert sign_in(client).status_code == 302


def test_without_the_cache_no_password_is_tried(client, viewer, monkeypatch):
    def away(*_):
        raise RedisConnectionError

    monkeypatch.setattr(throttle, "is_blocked", away)
    page = sign_in(client)
    assert page.status_code == 503
    assert "A login link works" in page.content.decode()


@pytest.mark.parametrize(
    "target", ["https://evil.example/", "//evil.example", "/\\evil.example", "javascript:alert(1)"]
)
def test_next_never_leads_away(client, viewer, target):
    assert sign_in(client, QUERY_STRING=f"next={target}").url == reverse("home")


def test_next_leads_back_to_the_page_asked_for(client, viewer):
    wanted = client.get("/jobs/?state=failed").url
    assert client.post(wanted, {"username": "vera", "password": PASSWORD}).url == "/jobs/?state=failed"


def test_a_fragment_of_an_ended_session_sends_the_whole_page_to_sign_in(client, viewer):
    page = client.get(LOGIN, headers={"HX-Request": "true", "HX-Current-URL": "http://testserver/jobs/?state=failed"})
    assert page.headers["HX-Redirect"] == "/account/login/?next=%2Fjobs%2F%3Fstate%3Dfailed"


def test_signing_out_needs_a_post_and_ends_the_session(client, viewer):
    client.force_login(viewer)
    assert client.get(reverse("accounts:logout")).status_code == 405
    assert client.post(reverse("accounts:logout")).url == reverse("accounts:login")
    assert not is_in(client)


@pytest.fixture
def address(viewer):
    return reverse("accounts:link", args=[create_login_link(viewer, valid_for=timedelta(hours=1))])


def test_looking_at_a_link_does_not_spend_it(client, address):
    for _ in range(3):
        assert client.get(address).status_code == 200
    assert client.head(address).status_code == 200
    assert LoginLink.objects.get().used_at is None


def test_the_links_button_comes_in_once(client, address):
    assert client.post(address).url == reverse("home")
    assert is_in(client)
    again = Client().post(address)
    assert again.status_code == 410
    assert "This link no longer works" in again.content.decode()


def test_an_expired_link_is_refused(client, viewer):
    address = reverse("accounts:link", args=[create_login_link(viewer, valid_for=timedelta(seconds=-1))])
    assert client.post(address).status_code == 410
    assert not is_in(client)


def test_an_unknown_link_and_one_of_a_deactivated_user_are_refused(client, viewer, address):
    assert client.post(reverse("accounts:link", args=["nonsense"])).status_code == 410
    User.objects.filter(pk=viewer.pk).update(is_active=False)
    assert client.post(address).status_code == 410


def test_a_link_page_is_never_kept_by_a_cache(client, address):
    assert "no-store" in client.get(address).headers["Cache-Control"]


def printed(*args):
    out = StringIO()
    call_command("login_link", *args, stdout=out)
    return out.getvalue().strip()


def test_the_command_makes_the_first_admin_who_has_no_password(client, db):
    assert client.post(urlsplit(printed()).path).url == reverse("home")
    owner = User.objects.get()
    assert (owner.username, owner.role, owner.has_usable_password()) == ("owner", "admin", False)
    assert AuditEvent.objects.filter(action="user.link_created", by=None).exists()


def test_the_command_prints_a_link_for_a_named_user(client, viewer):
    client.post(urlsplit(printed("--user", "vera", "--base", "https://sluice.example/")).path)
    assert client.get(reverse("accounts:profile")).context["user"] == viewer


def test_the_command_names_the_users_there_are(viewer):
    with pytest.raises(CommandError, match="no active user named 'nobody'; there are: vera"):
        printed("--user", "nobody")
