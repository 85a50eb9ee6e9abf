"""Shared by all tests: the fixed cast, the folder of real data, the broker kept out of unit tests."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

SHARED_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real problems and traces beside the checkout; its absence fails the test, nothing is skipped."""
    assert SHARED_DATA.is_dir(), f"real data expected in {SHARED_DATA}"
    return SHARED_DATA


@pytest.fixture
def now():
    return datetime(2026, 11, 24, 12, 0, tzinfo=UTC)


@pytest.fixture
def sent(monkeypatch):
    """What would have gone to the broker: a list of (job id, queue). Unit tests that need a broker start a real one."""
    from webapp import dispatch

    messages = []
    monkeypatch.setattr(dispatch, "send_job", lambda job_id, queue: messages.append((job_id, queue)) or True)
    return messages


@pytest.fixture(scope="module")
def chromium():
    """One browser a file: Playwright's loop would stand in the way of tests in other files that start their own."""
    from tests.browsing import launched_beside_django

    with launched_beside_django() as browser:
        yield browser


@pytest.fixture
def browsing(chromium, live_server):
    """Pages of the live server, opened as a member; what they complain of or ask of others fails the test."""
    from tests.browsing import Browsing

    pages = Browsing(chromium, live_server.url)
    yield pages
    pages.close()
    assert pages.trouble == []


def _user(name, role):
    from webapp.accounts.models import User

    return User.objects.create_user(name, password="correct horse battery staple", role=role)


@pytest.fixture
def admin(db):
    return _user("ada", "admin")


@pytest.fixture
def editor(db):
    return _user("emmy", "editor")


@pytest.fixture
def annotator(db):
    return _user("alan", "annotator")


@pytest.fixture
def viewer(db):
    return _user("vera", "viewer")
