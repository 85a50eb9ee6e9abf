"""Facts of the repository: documents, templates and settings say the same."""

import re
import subprocess
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text()


def tracked(*patterns: str) -> list[Path]:
    names = subprocess.run(
        ["git", "ls-files", "--", *patterns], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split()
    return [ROOT / name for name in names if (ROOT / name).exists()]


def test_every_setting_is_in_the_readme():
    named = set(re.findall(r'"(SLUICE_[A-Z_]+)"', (ROOT / "webapp" / "settings.py").read_text()))
    documented = set(re.findall(r"`(SLUICE_[A-Z_]+)`", README))
    assert named == documented


def test_every_make_target_in_the_readme_exists():
    targets = set(re.findall(r"^([a-z-]+):.*##", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"make ([a-z]+)", README)) <= targets


def test_every_command_in_the_readme_exists():
    commands = {path.stem for path in tracked("*/management/commands/*.py")}
    assert set(re.findall(r"manage\.py ([a-z_]+)", README)) <= commands


@pytest.mark.parametrize(
    "room",
    [
        "webapp",
        "inference",
        "workers",
        "workers/parsing",
        "workers/formats",
        "workers/verification",
        "workers/trainers",
    ],
)
def test_room_readme_names_its_files(room):
    text = (ROOT / room / "README.md").read_text()
    files = [path for path in tracked(f"{room}/*.py") if path.parent == ROOT / room and path.name != "__init__.py"]
    missing = [path.name for path in files if path.name not in text]
    assert missing == []


def test_templates_hold_no_inline_script_or_style():
    bad = re.compile(r"<script(?![^>]*\bsrc=)|<style|\bstyle=|\son[a-z]+=|\|safe\b|autoescape off|hx-on", re.IGNORECASE)
    found = [
        f"{path.relative_to(ROOT)}: {match[0]}"
        for path in tracked("templates/*.html")
        if path.name != "standalone.html"  # a file to hand on; its policy allows this style sheet by its hash alone
        if (match := bad.search(path.read_text()))
    ]
    assert found == []


def test_nothing_reaches_outside_for_assets():
    pages = tracked("templates/*.html", "webapp/static/css/*.css", "webapp/static/js/*.js")
    found = [
        str(path.relative_to(ROOT))
        for path in pages
        if re.search(r"(src|href|url\()\s*=?\s*[\"']?(https?:)?//", path.read_text())
    ]
    assert found == []


def test_product_code_never_names_the_shared_folder():
    found = [
        str(path)
        for path in tracked("webapp/*.py", "inference/*.py", "workers/*.py", "templates/*")
        if "shared/data" in path.read_text()
    ]
    assert found == []


def test_pickle_is_never_loaded():
    bad = re.compile(r"\bpickle\b.*\bloads?\(|torch\.load\(|allow_pickle=True|np\.load\(")
    found = [
        str(path) for path in tracked("webapp/*.py", "inference/*.py", "workers/*.py") if bad.search(path.read_text())
    ]
    assert found == []


def test_every_dependency_says_why():
    lines = (ROOT / "pyproject.toml").read_text().splitlines()
    text = "\n".join(lines)
    declared = tomllib.loads(text)["project"]
    for requirement in declared["dependencies"] + declared["optional-dependencies"]["worker"]:
        line = next(line for line in lines if f'"{requirement}"' in line)
        assert "#" in line, requirement


def test_locks_hold_every_declared_dependency():
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    names = [
        re.match(r"[A-Za-z0-9_-]+", r)[0].lower()
        for r in declared["dependencies"] + declared["optional-dependencies"]["worker"]
    ]
    locked = {
        line.split("==")[0] for line in (ROOT / "requirements" / "run.txt").read_text().splitlines() if "==" in line
    }
    assert [name for name in names if name not in locked] == []


def test_compose_and_documents_are_well_formed():
    environment = {"SLUICE_SECRET_KEY": "a", "POSTGRES_PASSWORD": "b", "STORE_PASSWORD": "c", "PATH": "/usr/bin:/bin"}
    subprocess.run(
        ["docker-compose", "--profile", "vllm", "config", "--quiet"], cwd=ROOT, env=environment, check=True, timeout=60
    )
