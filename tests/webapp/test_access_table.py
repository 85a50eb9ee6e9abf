"""Who gets in where: every address with the least role that reaches it. A URL without a row here fails."""

import uuid

import pytest
from django.urls import URLPattern, URLResolver, get_resolver, reverse

from webapp.accounts.models import User

ANYONE, VIEWER, ANNOTATOR, EDITOR, ADMIN = "anyone", "viewer", "annotator", "editor", "admin"
ROLES = [VIEWER, ANNOTATOR, EDITOR, ADMIN]
TABLE = {  # name of the address -> [(method, least role)]
    "home": [("get", VIEWER)],
    "health": [("get", ANYONE)],
    "accounts:login": [("get", ANYONE), ("post", ANYONE)],
    "accounts:link": [("get", ANYONE), ("post", ANYONE)],
    "accounts:profile": [("get", VIEWER)],
    "accounts:password": [("get", VIEWER), ("post", VIEWER)],
    "accounts:logout": [("post", VIEWER)],
    "accounts:users": [("get", ADMIN), ("post", ADMIN)],
    "accounts:user_change": [("post", ADMIN)],
    "accounts:user_link": [("post", ADMIN)],
    "accounts:audit": [("get", ADMIN)],
    "problems:list": [("get", VIEWER)],
    "problems:set": [("get", VIEWER)],
    "problems:detail": [("get", VIEWER)],
    "problems:import": [("get", EDITOR), ("post", EDITOR)],
    "problems:import_procedural": [("post", EDITOR)],
    "problems:import_preview": [("get", EDITOR), ("post", EDITOR)],
    "problems:import_report": [("get", EDITOR)],
    "problems:import_report_file": [("get", EDITOR)],
    "engines:list": [("get", VIEWER)],
    "engines:detail": [("get", VIEWER)],
    "jobs:list": [("get", VIEWER)],
    "jobs:detail": [("get", VIEWER)],
    "jobs:fragment": [("get", VIEWER)],
    "jobs:cancel": [("post", VIEWER)],  # the one who started it, and editors: tests/webapp/jobs_pages
    "jobs:resume": [("post", VIEWER)],
    "traces:runs": [("get", VIEWER)],
    "traces:run": [("get", VIEWER)],
    "traces:run_fragment": [("get", VIEWER)],
    "traces:run_verify": [("post", EDITOR)],
    "traces:run_replay": [("get", EDITOR), ("post", EDITOR)],
    "traces:replay": [("post", EDITOR)],
    "traces:replay_state": [("get", VIEWER)],
    "traces:submit": [("get", EDITOR), ("post", EDITOR)],
    "traces:import": [("get", EDITOR), ("post", EDITOR)],
    "traces:import_preview": [("get", EDITOR), ("post", EDITOR)],
    "traces:import_report": [("get", EDITOR)],
    "traces:import_report_file": [("get", EDITOR)],
    "traces:list": [("get", VIEWER)],
    "traces:detail": [("get", VIEWER)],
    "traces:standalone": [("get", VIEWER)],
    "traces:tokens": [("get", VIEWER)],
    "traces:map": [("get", VIEWER)],
    "traces:group": [("get", VIEWER)],
    "traces:diff": [("get", VIEWER)],
    "traces:compare": [("get", VIEWER)],
    "traces:routing": [("get", VIEWER)],
    "traces:expert": [("get", VIEWER)],
    "traces:run_chart": [("get", VIEWER)],
    "curation:next": [("get", ANNOTATOR)],
    "curation:label": [("get", VIEWER)],  # a POST, with a trace that exists: tests/webapp/curation/test_labels.py
    "curation:saved_filters": [("get", VIEWER), ("post", ANNOTATOR)],
    "curation:delete_filter": [("post", ANNOTATOR)],
    "curation:selections": [("get", VIEWER)],
    "curation:selection_new": [("get", EDITOR), ("post", EDITOR)],
    "curation:selection_preview": [("get", VIEWER)],
    "curation:selection": [("get", VIEWER)],
    "curation:datasets": [("get", VIEWER)],
    "curation:dataset": [("get", VIEWER)],
    "curation:version": [("get", VIEWER)],
    "curation:manifest": [("get", VIEWER)],
    "curation:export_new": [("post", EDITOR)],
    "curation:export": [("get", VIEWER)],
    "curation:download": [("get", VIEWER)],
    "curation:download_all": [("get", VIEWER)],
}
CASES = [(name, method, least) for name, rows in TABLE.items() for method, least in rows]
EXAMPLES = {"uuid": str(uuid.UUID(int=7)), "int": 987654, "str": "x", "path": "x.jsonl", "slug": "x"}


def named(patterns=None, namespace=""):
    """Every URLPattern below `patterns` by its full name."""
    found = {}
    for pattern in get_resolver().url_patterns if patterns is None else patterns:
        if isinstance(pattern, URLResolver):
            inner = f"{namespace}{pattern.namespace}:" if pattern.namespace else namespace
            found |= named(pattern.url_patterns, inner)
        elif isinstance(pattern, URLPattern):
            found[f"{namespace}{pattern.name}"] = pattern
    return found


def address(name):
    converters = named()[name].pattern.converters
    kinds = {
        key: type(converter).__name__.removesuffix("Converter").lower().replace("string", "str")
        for key, converter in converters.items()
    }
    return reverse(name, kwargs={key: EXAMPLES[kind] for key, kind in kinds.items()})


def test_every_address_has_a_row_and_every_row_an_address():
    assert set(named()) == set(TABLE)


@pytest.mark.parametrize(("name", "method", "least"), CASES, ids=[f"{method} {name}" for name, method, _ in CASES])
def test_only_the_least_role_and_above_get_in(name, method, least, client, db):
    def ask():
        return getattr(client, method)(address(name))

    answer = ask()
    to_login = answer.status_code == 302 and answer.url.startswith("/account/login/")
    assert to_login is (least != ANYONE)
    if least == ANYONE:
        return
    for role in ROLES:
        client.force_login(User.objects.create_user(role, role=role))
        refused = ask().status_code == 403
        assert refused is (ROLES.index(role) < ROLES.index(least)), role


@pytest.mark.parametrize(
    "name", sorted(name for name, rows in TABLE.items() if all(method == "post" for method, _ in rows))
)
def test_what_only_writes_answers_no_get(name, client, admin):
    client.force_login(admin)
    assert client.get(address(name)).status_code == 405


def test_a_refusal_says_which_role_it_needs(client, viewer):
    client.force_login(viewer)
    page = client.get(reverse("accounts:users"))
    assert page.status_code == 403
    assert "role admin; yours is viewer" in page.content.decode()
