"""Traces to label and select from; a second annotator, so that two can meet; a browser for the pages that move."""

import pytest
from django.conf import settings
from django.test import Client
from django.utils import timezone
from playwright.sync_api import sync_playwright

from webapp.accounts.models import User
from webapp.problems.actions import NewProblem, add_problems, get_or_create_set
from webapp.traces.actions import add_traces, create_run
from webapp.traces.models import RunKind, Trace
from webapp.traces.records import NewTrace

CHROMIUM_ARGS = ["--disable-quic", "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1 , EXCLUDE localhost"]
HOSTILE = [  # of data/bad_inputs 22-26: what a model may write
    "<script>alert(1)</script><img src=x onerror=alert(2)>",
    "<div hx-get='/account/' hx-trigger='load'>x</div>",
    "{{ settings.SECRET_KEY }}{% include 'x' %}",
    "\u202egnorw\u202c \u200bzero\x1b[31mred",
]


@pytest.fixture
def other_annotator(db):
    return User.objects.create_user("olga", password="correct horse battery staple", role="annotator")


def make_run(name, texts, by=None):
    """A run with one problem and one sample a text: think, then answer."""
    problem_set = get_or_create_set(f"set of {name}", by=by)
    run = create_run(name=name, kind=RunKind.IMPORT, problem_set=problem_set, by=by, planned=len(texts))
    ids = add_problems(
        problem_set, [NewProblem(prompt=f"Question {n} of {name}?", answer="4") for n in range(len(texts))]
    )
    samples = []
    for problem_id, text in zip(ids, texts, strict=True):
        completion = f"<think>{text}</think>the answer"
        end = len("<think>") + len(text)
        samples.append(
            NewTrace(
                problem_id=problem_id, sample_index=0, prompt="Question?", completion=completion, created_at=timezone.now(),
                segments=[
                    {"kind": "prompt", "field": "prompt", "start": 0, "end": 9, "token_start": None, "token_end": None},
                    {"kind": "other", "field": "completion", "start": 0, "end": 7, "token_start": None, "token_end": None},
                    {"kind": "think", "field": "completion", "start": 7, "end": end, "token_start": None, "token_end": None},
                    {"kind": "other", "field": "completion", "start": end, "end": end + 8, "token_start": None, "token_end": None},
                    {"kind": "answer", "field": "completion", "start": end + 8, "end": len(completion), "token_start": None, "token_end": None},
                ],
            )
        )  # fmt: skip
    add_traces(run, samples)
    return run


@pytest.fixture
def run(db):
    return make_run("first", [f"thought {n}" for n in range(5)])


@pytest.fixture
def traces(run):
    return list(Trace.objects.filter(run=run).order_by("pk"))


@pytest.fixture
def chromium(monkeypatch):
    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "1")  # Playwright's loop runs in the thread of the test
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path="/usr/bin/chromium", headless=True, chromium_sandbox=False, args=CHROMIUM_ARGS
        )
        yield browser
        browser.close()


@pytest.fixture
def open_as(chromium, live_server):
    """A page of the browser, logged in as someone; what goes wrong in it fails the test."""
    faults = []

    def opened(user):
        client = Client()
        client.force_login(user)
        context = chromium.new_context(base_url=live_server.url)
        cookie = client.cookies[settings.SESSION_COOKIE_NAME].value
        context.add_cookies([{"name": settings.SESSION_COOKIE_NAME, "value": cookie, "url": live_server.url}])
        page = context.new_page()
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("console", lambda message: faults.append(message.text) if message.type == "error" else None)
        return page

    yield opened
    assert faults == []
