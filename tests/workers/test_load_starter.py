"""The bundled checkpoint as an engine, over the versions of an installation."""

import pytest

from tests.workers.checkpoint import make
from webapp.engines.models import Engine
from workers.management.commands.load_starter import ENGINE_NAME, register_bundled

pytestmark = pytest.mark.django_db


def test_other_weights_of_a_new_version_renew_the_engine(tmp_path):
    make(tmp_path / "tiny", seed=1)
    register_bundled(tmp_path / "tiny")
    before = Engine.objects.get().checkpoint_hash
    make(tmp_path / "tiny", seed=2)
    register_bundled(tmp_path / "tiny")
    assert Engine.objects.get().checkpoint_hash != before


def test_an_engine_of_ones_own_under_the_name_stays(tmp_path):
    make(tmp_path / "mine", seed=1)
    make(tmp_path / "tiny", seed=2)
    from workers.registering import register

    register(tmp_path / "mine", ENGINE_NAME, by=None)
    register_bundled(tmp_path / "tiny")
    assert Engine.objects.get().location == str(tmp_path / "mine")
