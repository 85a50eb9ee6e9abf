"""Child processes that can be killed: SymPy may run for ever, and a signal-based timeout works in main threads alone.

Plain subprocesses with a pipe, not multiprocessing: a Celery prefork child is daemonic and may not have multiprocessing
children (so neither pebble's pool). Works in threads, in prefork children and in commands. A child that misses its time is
killed and another starts when needed. Left out: a sandbox. Children get no environment and may write no file, no more.
"""

import atexit
import json
import os
import queue
import select
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import IO, Any, cast

SECONDS = 5.0  # wall clock for one answer
REQUESTS = 2_000  # a child is replaced after as many: SymPy's caches only grow
START_SECONDS = 60.0  # for a child's imports, on a busy machine
CHILD = Path(__file__).with_name("child.py")
_POLL = 1 << 16


class ChildTimeoutError(Exception):
    """The child did not answer in time and was killed."""


class ChildDiedError(Exception):
    """The child ended without an answer: out of memory, as a rule."""


class Child:
    """One process of child.py."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(  # noqa: S603  our own interpreter and file
            [sys.executable, "-I", "-B", str(CHILD)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL, env=_environment(), cwd="/", start_new_session=True,
        )  # fmt: skip
        self.is_warm: set[str] = set()  # kinds of request whose imports are done
        self.answered = 0
        self._rest = b""

    def ask(self, kind: str, request: dict[str, Any], seconds: float) -> dict[str, Any]:
        """Send a request and wait for its reply. Raises ChildTimeoutError or ChildDiedError; whatever is raised, the child is gone then."""
        try:
            if kind not in self.is_warm:
                self._exchange("warm", {"kind": kind}, START_SECONDS)
                self.is_warm.add(kind)
            reply = self._exchange(kind, request, seconds)
        except (OSError, ValueError) as error:
            self.close()
            raise ChildDiedError(str(error)) from error
        except BaseException:  # a task's own time limit strikes here too: half a reply must not meet the next request
            self.close()
            raise
        self.answered += 1
        return reply

    def _exchange(self, kind: str, request: dict[str, Any], seconds: float) -> dict[str, Any]:
        line = json.dumps({"kind": kind, "with": request, "seconds": seconds + 1.0}).encode() + b"\n"
        until = time.monotonic() + seconds
        stdin, stdout = cast("IO[bytes]", self.process.stdin), cast("IO[bytes]", self.process.stdout)  # both are pipes
        stdin.write(line)
        stdin.flush()
        poll = select.poll()
        poll.register(stdout, select.POLLIN | select.POLLHUP)
        while b"\n" not in self._rest:
            left = until - time.monotonic()
            if left <= 0 or not poll.poll(left * 1000):
                raise ChildTimeoutError
            data = os.read(stdout.fileno(), _POLL)
            if not data:
                raise ChildDiedError(f"exit {self.process.wait()}")
            self._rest += data
        reply, self._rest = self._rest.split(b"\n", 1)
        return dict(json.loads(reply))

    def close(self) -> None:
        """End the process now."""
        self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                try:
                    pipe.close()
                except OSError:  # unsent bytes of a request to a process that is gone
                    continue


class Pool:
    """At most `size` children, started when first needed and kept."""

    def __init__(self, size: int) -> None:
        self._slots: queue.LifoQueue[Child | None] = queue.LifoQueue()
        for _ in range(size):
            self._slots.put(None)
        self.size = size

    def ask(self, kind: str, request: dict[str, Any], seconds: float = SECONDS) -> dict[str, Any]:
        """Have a child answer a request of a kind that child.py knows. Raises ChildTimeoutError or ChildDiedError."""
        child = self._slots.get()
        try:
            if child is not None and child.answered >= REQUESTS:
                child.close()
                child = None
            child = child or Child()
            return child.ask(kind, request, seconds)
        except BaseException:
            child = None
            raise
        finally:
            self._slots.put(child)

    def close(self) -> None:
        """End all children that are not at work."""
        idle = []
        while not self._slots.empty():
            idle.append(self._slots.get_nowait())
        for child in idle:
            if child is not None:
                child.close()
            self._slots.put(None)


_lock = threading.Lock()
_pool: Pool | None = None
_inherited: list[Pool] = []  # of the process that this one was forked from: not ours to use or to reap


def shared() -> Pool:
    """The pool of this process."""
    global _pool  # noqa: PLW0603  one a process, made when first needed
    with _lock:
        if _pool is None:
            _pool = Pool(size=min(4, os.cpu_count() or 1))
            atexit.register(_pool.close)
        return _pool


def _forget_after_fork() -> None:
    global _lock, _pool  # noqa: PLW0603
    _lock = threading.Lock()
    if _pool is not None:
        atexit.unregister(_pool.close)
        _inherited.append(_pool)
        _pool = None


os.register_at_fork(after_in_child=_forget_after_fork)


def _environment() -> dict[str, str]:
    kept = {name: os.environ[name] for name in ("LD_LIBRARY_PATH",) if name in os.environ}  # where libpython may be
    return {**kept, "PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", "HOME": "/nonexistent", "OMP_NUM_THREADS": "1",
            "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}  # fmt: skip
