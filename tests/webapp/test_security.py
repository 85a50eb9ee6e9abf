"""Headers, cookies, error pages, templates: what holds on every page."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from django.core.management import call_command
from django.template import loader
from django.test import Client
from django.urls import reverse

ROOT = Path(__file__).resolve().parents[2]
PAGES = [
    "home",
    "accounts:profile",
    "accounts:users",
    "accounts:audit",
    "problems:list",
    "engines:list",
    "jobs:list",
    "traces:list",
]
TEMPLATES = sorted(str(path.relative_to(ROOT / "templates")) for path in (ROOT / "templates").rglob("*.html"))


@pytest.mark.parametrize("name", [*PAGES, "accounts:login"])
def test_page_carries_the_headers(name, client, admin):
    if name != "accounts:login":
        client.force_login(admin)
    headers = client.get(reverse(name)).headers
    policy = headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'self';" in policy + ";"
    assert "style-src 'self';" in policy + ";"
    assert "frame-ancestors 'none'" in policy
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "same-origin"


def test_error_pages_carry_the_headers_too(client, viewer):
    client.force_login(viewer)
    page = client.get("/nowhere/")
    assert page.status_code == 404
    assert "script-src 'self'" in page.headers["Content-Security-Policy"]
    assert "There is nothing here" in page.content.decode()


def test_session_cookie_is_out_of_reach_of_scripts_and_other_sites(client, viewer, monkeypatch):
    client.post(reverse("accounts:login"), {"username": "vera", "password": "correct horse battery staple"})
    cookie = client.cookies["sessionid"]
    assert cookie["httponly"]
    assert cookie["samesite"] == "Lax"


def test_cookies_are_secure_with_https(settings):
    settings.SESSION_COOKIE_SECURE = settings.CSRF_COOKIE_SECURE = True
    page = Client().get(reverse("accounts:login"), secure=True)
    assert page.cookies["csrftoken"]["secure"]


def test_a_form_of_another_session_is_refused_in_words(viewer):
    page = Client(enforce_csrf_checks=True).post(reverse("accounts:login"), {"username": "vera", "password": "x"})
    assert page.status_code == 403
    assert "This form is too old" in page.content.decode()


def test_a_fault_of_ours_shows_a_page_and_no_trace(client, viewer, monkeypatch):
    from webapp.engines import queries

    client.force_login(viewer)
    client.raise_request_exception = False
    monkeypatch.setattr(queries, "listed", lambda: 1 / 0)
    page = client.get(reverse("engines:list"))
    text = page.content.decode()
    assert page.status_code == 500
    assert "no fault of yours" in text
    assert "ZeroDivisionError" not in text


def test_deployment_check_passes_with_https(tmp_path):
    env = os.environ | {
        "DJANGO_SETTINGS_MODULE": "webapp.settings", "SLUICE_HTTPS": "true", "SLUICE_HSTS_SECONDS": "31536000",
        "SLUICE_ALLOWED_HOSTS": "sluice.example", "SLUICE_TRUSTED_ORIGINS": "https://sluice.example", "SLUICE_DATA": str(tmp_path),
    }  # fmt: skip
    command = [sys.executable, "manage.py", "check", "--deploy", "--fail-level", "WARNING"]
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", TEMPLATES)
def test_template_compiles(name):
    loader.get_template(name)


def test_templates_hold_no_inline_script_or_style():
    bad = re.compile(
        r"<script(?![^>]*\bsrc=)|<style|\bstyle=|\son[a-z]+=|\|safe\b|autoescape off|hx-on|javascript:", re.IGNORECASE
    )
    pages = [
        name for name in TEMPLATES if name != "traces/standalone.html"
    ]  # a file to hand on, with a policy of its own
    found = {name: match[0] for name in pages if (match := bad.search((ROOT / "templates" / name).read_text()))}
    assert found == {}


def test_words_of_templates_can_be_translated():
    """Text between tags goes through gettext; what stays bare is signs, figures, names of files and what has no translation."""
    names = {"Sluice", "top", "pass", "MaxVio", "CSV", "SVG"}  # top-p, pass@k, a measure and two formats
    bare = {}
    for name in TEMPLATES:
        text = (ROOT / "templates" / name).read_text()
        text = re.sub(
            r"{% block main_class %}.*?{% endblock.*?%}|{% blocktranslate.*?{% endblocktranslate %}|{#.*?#}|{%.*?%}|{{.*?}}|<(code|kbd)[^>]*>.*?</\1>",
            " ",
            text,
            flags=re.DOTALL,
        )
        text = re.sub(r"<[^>]+>|&\w+;", "\n", text)
        words = [word for word in re.findall(r"[A-Za-z]{3,}", re.sub(r"\w+\.json", "", text)) if word not in names]
        if words:
            bare[name] = words
    assert bare == {}


@pytest.mark.django_db
def test_migrations_are_complete():
    call_command("makemigrations", check=True, dry_run=True, verbosity=0)
