"""A token store of its own for each test, members who are logged in, and the page's modules run outside a browser."""

import json
import subprocess
from pathlib import Path

import pytest
from playwright._impl._driver import compute_driver_executable

from tests.webapp.traces import factories as make

MODULES = Path(__file__).resolve().parents[3] / "webapp" / "static" / "js" / "viewer"


@pytest.fixture(autouse=True)
def store(settings, tmp_path):
    settings.STORE_URL = f"file://{tmp_path}/store"
    return tmp_path / "store"


@pytest.fixture
def member(client, viewer):
    client.force_login(viewer)
    return client


@pytest.fixture
def in_node():
    """Run `code` (an ES module body that may use `given` and must set `result`) with Playwright's own Node."""
    node = str(compute_driver_executable()[0])

    def run(imports, code, given=None):
        script = "\n".join([
            *(f"import {{ {', '.join(names)} }} from {json.dumps((MODULES / module).as_uri())};" for module, names in imports.items()),
            f"const given = {json.dumps(given)};",
            "let result;",
            code,
            "console.log(JSON.stringify(result));",
        ])  # fmt: skip
        done = subprocess.run(
            [node, "--no-warnings", "--input-type=module"], input=script, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return run


@pytest.fixture
def group_of_three(db):
    """Three samples of one problem: with tokens and two verdicts, cut off in its think, without think."""
    run, problem = make.run(engine=make.engine()), make.problem()
    made = [
        make.trace(run, problem, "<think>12 and 30</think>\\boxed{42}", tokens=True, seed=7, duration_seconds=2.0),
        make.trace(run, problem, "<think>12 and", sample_index=3, finish="length"),
        make.trace(run, problem, "43", sample_index=4),
    ]
    make.verdict(made[0], "wrong", extracted="old reading")
    make.verdict(made[0], "correct", minutes=5, message="equal after simplification")
    return made
