"""Shared by the tests of the pages of runs."""

import pytest
from django.core.cache import cache

from tests.webapp.runs import EXAMPLES, FACTS
from tests.webapp.traces import factories as make


@pytest.fixture
def quiet(sent):
    cache.clear()
    return sent


@pytest.fixture
def engine(db):
    return make.engine(facts=FACTS, examples=EXAMPLES, description="Sums only.\n\nNothing else.")


@pytest.fixture
def asker(client, editor):
    client.force_login(editor)
    return client
