"""A real installation as `make run` starts it, and a browser that is logged in by its link."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.browsing import WINDOW, collect_trouble, launched
from tests.services.ports import free_port

ROOT = Path(__file__).resolve().parents[2]
START_SECONDS = 120


@pytest.fixture(scope="module")
def installation(tmp_path_factory):
    """`manage.py up` in a folder of its own; its link, its address, and that nothing of it is left afterwards."""
    folder = tmp_path_factory.mktemp("up")
    log = folder / "up.log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "manage.py", "up", "--port", str(free_port())], cwd=ROOT, stdout=out, stderr=subprocess.STDOUT,
            env={**os.environ, "SLUICE_DATA": str(folder / "data"), "DJANGO_SETTINGS_MODULE": "webapp.settings"}, start_new_session=True,
        )  # fmt: skip
    try:
        yield SimpleNamespace(folder=folder, link=wait_for_link(process, log), process=process, data=folder / "data")
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(40)
    left = subprocess.run(["pgrep", "-f", str(folder)], capture_output=True, text=True, check=False).stdout
    assert left == "", f"processes outlived Ctrl-C: {left}"


def wait_for_link(process, log: Path) -> str:
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until:
        if found := re.search(r"http://\S+/account/link/\S+", log.read_text()):
            return found[0]
        assert process.poll() is None, log.read_text()
        time.sleep(0.2)
    raise AssertionError(f"no link within {START_SECONDS} s:\n{log.read_text()}")


@pytest.fixture(scope="module")
def browser():
    """Without Django beside it: the installation must inherit no setting made for tests."""
    with launched() as browser:
        yield browser


@pytest.fixture(scope="module")
def owner(browser, installation):
    """A logged-in page. What any page complains of, or asks of another host, is collected in `owner.trouble`."""
    base = installation.link.split("/account/")[0]
    context = browser.new_context(viewport=WINDOW, accept_downloads=True)
    trouble: list[str] = []
    collect_trouble(context, (base, "blob:", "data:"), trouble)
    page = context.new_page()
    page.goto(installation.link)
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("heading", name="Home").wait_for()
    yield SimpleNamespace(page=page, base=base, context=context, trouble=trouble)
    context.close()
