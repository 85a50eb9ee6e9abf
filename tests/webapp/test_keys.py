"""The secret key: made once, private, and one for processes that race."""

import stat
from concurrent.futures import ThreadPoolExecutor

from webapp.keys import read_or_create_secret


def test_it_is_made_once_and_readable_by_its_owner_alone(tmp_path):
    path = tmp_path / "secret_key"
    first = read_or_create_secret(path)
    assert len(first) >= 50
    assert read_or_create_secret(path) == first
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_racing_processes_agree(tmp_path):
    with ThreadPoolExecutor(8) as threads:
        keys = set(threads.map(lambda _: read_or_create_secret(tmp_path / "k"), range(32)))
    assert len(keys) == 1
    assert [file.name for file in tmp_path.iterdir()] == ["k"]
