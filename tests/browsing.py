"""A real browser for tests of pages: its start, pages of a live server opened as a member, and what went wrong in them.

Left out: how a real installation is started and entered (`tests/browser/conftest.py`), and which member a file's pages
belong to: each file says that in a fixture of its own on top of `browsing` (`tests/conftest.py`).
"""

from contextlib import contextmanager

import pytest
from django.conf import settings
from django.test import Client
from playwright.sync_api import expect, sync_playwright

expect.set_options(timeout=20_000)  # milliseconds; the machine may be busy with other tests
# No name resolves but this machine's: a page that asks another host fails at once, with or without a network.
ARGS = ["--disable-quic", "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1 , EXCLUDE localhost"]
WINDOW = {"width": 1440, "height": 900}  # CSS pixels


@contextmanager
def launched():
    """Chromium without a window; it ends with the block."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path="/usr/bin/chromium", headless=True, chromium_sandbox=False, args=ARGS
        )
        yield browser
        browser.close()


@contextmanager
def launched_beside_django():
    """Chromium in a process that also asks the database: Playwright keeps a loop running in the thread of the test."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "1")
        with launched() as browser:
            yield browser


def collect_trouble(context, own, trouble, *, forgiven=()):
    """Add to `trouble` what any page of `context` complains of, and each address it asks that is not its own.

    `own`: how its own addresses begin, a string or a tuple of several. `forgiven`: pieces of console messages that are meant.
    """

    def heard(said):
        if said.type in {"error", "warning"} and not any(piece in said.text for piece in forgiven):
            trouble.append(said.text)

    def asked(request):
        if not request.url.startswith(own):
            trouble.append(request.url)

    context.on("console", heard)
    context.on("weberror", lambda raised: trouble.append(str(raised.error)))
    context.on("request", asked)


class Browsing:
    """Pages of a live server at `base`, each in a context of its own; `trouble` gathers what goes wrong in any."""

    def __init__(self, browser, base):
        self.browser, self.base = browser, base
        self.contexts, self.trouble = [], []

    def open(self, user, address=None, *, width=WINDOW["width"], height=WINDOW["height"], forgiven=(), **options):
        """A page logged in as `user`, at `address` if one is given; `options` are those of a Playwright context."""
        context = self.browser.new_context(base_url=self.base, viewport={"width": width, "height": height}, **options)
        self.contexts.append(context)
        collect_trouble(context, self.base, self.trouble, forgiven=forgiven)
        context.add_cookies([self._session(user)])
        page = context.new_page()
        if address is not None:
            page.goto(address)
        return page

    def _session(self, user):
        client = Client()
        client.force_login(user)
        name = settings.SESSION_COOKIE_NAME
        return {"name": name, "value": client.cookies[name].value, "url": self.base}

    def close(self):
        for context in self.contexts:
            context.close()
