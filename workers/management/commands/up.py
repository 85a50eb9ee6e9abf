"""`manage.py up`: the embedded installation that `make run` starts, from an empty folder to a link that logs in."""

import hashlib
import os
import shutil
import signal
import sys
import time
import urllib.error
import urllib.request
from argparse import ArgumentParser
from datetime import timedelta
from pathlib import Path
from types import FrameType
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError

from webapp.accounts.actions import create_login_link, first_admin
from workers.supervisor import StartError, Supervisor, check_port, redis_command, socket_answers

HOST = "127.0.0.1"
MIN_FREE_MIB = 200


class Command(BaseCommand):
    help = (
        "Start web server, broker and workers on this machine, print a link that logs in, and stop all of it on Ctrl-C."
    )
    requires_system_checks: list[str] = []  # the page of a fresh clone needs no second check, and a restart is quick

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--port", type=int, default=8000)

    def handle(self, *args: Any, port: int, **options: Any) -> None:
        data: Path = settings.DATA_DIR
        logs = data / "logs"
        supervisor = Supervisor(logs)
        for number in (signal.SIGTERM, signal.SIGINT):  # a shell that starts us in the background has SIGINT ignored
            signal.signal(number, _interrupt)
        try:
            _check_disk(data)
            logs.mkdir(parents=True, exist_ok=True)
            check_port(HOST, port)
            self._start(supervisor, port)
            self._follow(supervisor)
        except StartError as error:
            raise CommandError(f"Sluice cannot start: {error}") from error
        except PermissionError as error:
            raise CommandError(
                f"Sluice cannot start: no permission for {error.filename}. Make it yours, or set SLUICE_DATA."
            ) from error
        except KeyboardInterrupt:
            print("\nStopping ...", file=sys.stderr)
        finally:
            signal.signal(signal.SIGINT, signal.SIG_IGN)  # a second Ctrl-C must not leave a process behind
            supervisor.stop()

    def _start(self, supervisor: Supervisor, port: int) -> None:
        began = time.monotonic()
        socket_path = settings.DATA_DIR / "redis.sock"
        if socket_answers(socket_path):
            raise StartError(f"another Sluice uses {settings.DATA_DIR}. Stop it, or set SLUICE_DATA to another folder.")
        supervisor.start("redis", redis_command(socket_path))
        call_command("migrate", verbosity=0, interactive=False)
        _collect_static()
        supervisor.start(
            "web",
            [
                sys.executable,
                "-m",
                "uvicorn",
                "webapp.asgi:application",
                "--host",
                HOST,
                "--port",
                str(port),
                "--no-access-log",
            ],
        )
        supervisor.wait_until(lambda: socket_answers(socket_path), "Redis")
        for name, command, env in worker_commands():
            supervisor.start(name, command, env)
        call_command("load_starter")
        supervisor.wait_until(lambda: _answers(port), "the web server")
        (settings.DATA_DIR / "address").write_text(
            f"http://{HOST}:{port}", encoding="ascii"
        )  # for manage.py login_link
        token = create_login_link(first_admin(), valid_for=timedelta(hours=12))
        print(f"\n  Sluice is ready ({time.monotonic() - began:.1f} s). This link logs in, once:\n")
        print(f"  http://{HOST}:{port}/account/link/{token}/\n")
        print(f"  Data: {settings.DATA_DIR}   Logs: {supervisor.log_folder}   Stop: Ctrl-C", flush=True)

    def _follow(self, supervisor: Supervisor) -> None:
        while True:
            if name := supervisor.dead():
                raise StartError(f"{name} ended; all is stopped. The end of its log:\n{supervisor.tail(name)}")
            time.sleep(0.5)


def worker_commands() -> list[tuple[str, list[str], dict[str, str]]]:
    """Name, command and extra environment of the workers: one for jobs, with the clock; one for inference, alone with torch."""
    celery = [
        sys.executable,
        "-m",
        "celery",
        "-A",
        "webapp",
        "worker",
        "--loglevel",
        "INFO",
        "--without-gossip",
        "--without-mingle",
    ]
    soon_asleep = {"GOMP_SPINCOUNT": "20000"}  # waiting threads spin for microseconds, then sleep: see inference/LOG.md
    return [
        ("worker", [*celery, "-Q", "default", "-c", "1", "-B", "-n", "worker@sluice"], {"OMP_NUM_THREADS": "1"}),
        ("inference", [*celery, "-Q", "inference", "--pool", "solo", "-n", "inference@sluice"], soon_asleep),
    ]


def _check_disk(data: Path) -> None:
    if not os.access(data, os.W_OK):
        raise StartError(f"no permission to write in {data}. Make it yours, or set SLUICE_DATA to a folder of yours.")
    free = shutil.disk_usage(data).free // 2**20
    if free < MIN_FREE_MIB:
        raise StartError(
            f"{free} MiB free in {data}; at least {MIN_FREE_MIB} MiB are needed. Make room, or set SLUICE_DATA."
        )


def _collect_static() -> None:
    """Collect static files when one changed since the last time."""
    digest = hashlib.sha256()
    for folder in map(Path, settings.STATICFILES_DIRS):
        for file in sorted(folder.rglob("*")):
            state = file.stat()
            digest.update(f"{file} {state.st_size} {state.st_mtime_ns}\n".encode())
    stamp = settings.DATA_DIR / "static.stamp"
    if not stamp.exists() or stamp.read_text() != digest.hexdigest():
        call_command("collectstatic", verbosity=0, interactive=False, clear=True)
        stamp.write_text(digest.hexdigest())


def _answers(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://{HOST}:{port}/healthz", timeout=5) as response:
            return bool(response.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt
