"""An installation in a folder of its own: a real Redis, real Celery workers, and a process that has Django set up for the test to ask."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

from workers.supervisor import Supervisor, redis_command, socket_answers

ROOT = Path(__file__).resolve().parents[2]
ASKED = """
import contextlib, json, os, sys
os.environ["DJANGO_SETTINGS_MODULE"] = "webapp.settings"
import django
django.setup()
out = os.fdopen(os.dup(1), "w")
for line in sys.stdin:
    with contextlib.redirect_stdout(sys.stderr):
        space = {}
        exec(json.loads(line), space)
    print(json.dumps(space.get("answer")), file=out, flush=True)
"""


class Installation:
    """Start with `with`; everything it started is gone afterwards."""

    def __init__(self, folder: Path, **settings: str):
        self.data = folder / "data"
        self.data.mkdir()
        self.env = {
            "SLUICE_DATA": str(self.data), "OMP_NUM_THREADS": "1", "SLUICE_TORCH_THREADS": "1", "PYTHONPATH": str(ROOT),
            "SLUICE_JOB_LEASE_SECONDS": "3", **settings,
        }  # fmt: skip
        self.supervisor = Supervisor(folder)
        self.socket = self.data / "redis.sock"

    def __enter__(self):
        self.supervisor.start("redis", redis_command(self.socket))
        self.supervisor.wait_until(lambda: socket_answers(self.socket), "Redis")
        environment = {**os.environ, **self.env}
        environment.pop("DJANGO_SETTINGS_MODULE", None)
        migrate = [sys.executable, "manage.py", "migrate", "--verbosity", "0"]
        subprocess.run(migrate, cwd=ROOT, env=environment, check=True, timeout=120)
        self.asked = subprocess.Popen(
            [sys.executable, "-c", ASKED],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        return self

    def __exit__(self, *_):
        self.asked.stdin.close()
        self.asked.wait(20)
        self.asked.stdout.close()
        self.supervisor.stop()

    def ask(self, code: str):
        """Run Python in the installation; returns what it left in `answer`."""
        self.asked.stdin.write(json.dumps(code) + "\n")
        self.asked.stdin.flush()
        line = self.asked.stdout.readline()
        assert line, "the process that was asked has died"
        return json.loads(line)

    def start_worker(self, name: str, queue: str, *options: str):
        """A Celery worker of `queue`, solo and without a clock: the test itself reaps."""
        command = [
            sys.executable, "-m", "celery", "-A", "webapp", "worker", "-Q", queue, "--pool", "solo", "-n", f"{name}@test", "--without-gossip",
            "--without-mingle", *options,
        ]  # fmt: skip
        environment = {**self.env, "DJANGO_SETTINGS_MODULE": "webapp.settings"}
        self.supervisor.start(name, command, environment)

    def kill(self, name: str):
        """The machine takes the process away."""
        child = self.supervisor.children.pop(name)
        child.kill()
        child.wait()

    def until(self, code: str, seconds: float = 90.0):
        """Ask again and again until the answer is true; returns it."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if answer := self.ask(code):
                return answer
            if name := self.supervisor.dead():
                raise AssertionError(f"{name} died:\n{self.supervisor.tail(name)}")
            time.sleep(0.2)
        logs = "\n".join(f"-- {name}\n{self.supervisor.tail(name)}" for name in self.supervisor.children)
        raise AssertionError(f"not so within {seconds} s: {code}\n{logs}")
