"""Shared by the tests of the stages: a random checkpoint, registered as an engine."""

import pytest
from django.core.cache import cache

from tests.workers import checkpoint
from workers.registering import register


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    return checkpoint.make(tmp_path_factory.mktemp("random") / "model")


@pytest.fixture
def nothing_sent(sent, settings):
    """No broker here, no live text of an earlier test's run, and one thread: two that share a busy core wait for each other."""
    settings.TORCH_THREADS = 1
    cache.clear()


@pytest.fixture
def engine(folder, db):
    return register(folder, "random", by=None)
