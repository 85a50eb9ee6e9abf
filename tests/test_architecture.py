"""What the import contracts cannot see: fresh processes, task names, sizes of files."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


def tracked(*patterns: str) -> list[Path]:
    names = subprocess.run(
        ["git", "ls-files", "--", *patterns], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split()
    return [ROOT / name for name in names if (ROOT / name).exists()]


def test_web_process_never_loads_torch():
    program = (
        "import os, sys; os.environ['DJANGO_SETTINGS_MODULE'] = 'tests.settings'\n"
        "import django; django.setup()\n"
        "from django.urls import get_resolver\n"
        "def walk(patterns):\n"
        "    for p in patterns:\n"
        "        walk(p.url_patterns) if hasattr(p, 'url_patterns') else p.callback\n"
        "walk(get_resolver().url_patterns)\n"
        "import webapp.asgi\n"
        "heavy = {'torch', 'transformers', 'inference', 'workers.tasks'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True, timeout=120)


def test_default_worker_never_loads_torch():
    program = (
        "import os, sys; os.environ['DJANGO_SETTINGS_MODULE'] = 'tests.settings'\n"
        "import django; django.setup()\n"
        "import workers.tasks\n"
        "assert 'torch' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True, timeout=120)


def test_dispatch_names_are_the_registered_tasks():
    import workers.tasks  # noqa: F401  # registers them
    from webapp import dispatch
    from webapp.celery import app

    registered = {name for name in app.tasks if not name.startswith("celery.")}
    assert registered == {dispatch.RUN_JOB, dispatch.RUN_INFERENCE_JOB, dispatch.REAP}


@pytest.mark.parametrize(
    ("patterns", "limit"),
    [(("*.py",), 300), (("templates/*.html",), 150), (("webapp/static/js/*.js", "webapp/static/js/**/*.js"), 250)],
    ids=["python", "templates", "scripts"],
)
def test_files_are_short(patterns, limit):
    files = [path for path in tracked(*patterns) if "/migrations/" not in str(path)]
    long = {
        str(path.relative_to(ROOT)): lines for path in files if (lines := len(path.read_text().splitlines())) > limit
    }
    assert files
    assert long == {}


def test_functions_are_short():
    long = {}
    for path in tracked("webapp/*.py", "inference/*.py", "workers/*.py"):
        if "/migrations/" in str(path):
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                body = node.body[1:] if ast.get_docstring(node) and len(node.body) > 1 else node.body
                lines = (node.end_lineno or 0) - body[0].lineno + 1
                if lines > 40:
                    long[f"{path.relative_to(ROOT)}:{node.name}"] = lines
    assert long == {}


def test_no_module_shadows_the_standard_library():
    for path in tracked("webapp/*.py", "inference/*.py", "workers/*.py"):
        relative = path.relative_to(ROOT)
        if len(relative.parts) == 2:
            assert relative.stem not in sys.stdlib_module_names, relative


def test_tasks_are_thin():
    tree = ast.parse((ROOT / "workers" / "tasks.py").read_text())
    tasks = [n for n in tree.body if isinstance(n, ast.FunctionDef) and n.decorator_list]
    assert tasks
    for task in tasks:
        assert (task.end_lineno or 0) - task.lineno + 1 <= 15, task.name
