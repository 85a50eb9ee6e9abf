"""How much of the machine others use, and waiting until they do not: a figure taken beside other work says little, so each table says so.

Read from Linux's own counters: what all processors did, less what this process group did (the engine measured beside ours is a child).
"""

import os
import time
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")
QUIET = 0.06  # of the machine: what an idle system's own services may use, and a little more
LOOK = 1.0  # seconds


class Watch:
    """The share of the machine that others have used since this was made."""

    def __init__(self) -> None:
        self._began, self._busy, self._own = time.perf_counter(), _busy(), _own()

    def others(self) -> float:
        """0 to 1."""
        spent = (_busy() - self._busy) - (_own() - self._own)
        return max(0.0, spent / (time.perf_counter() - self._began) / (os.cpu_count() or 1))


def wait(seconds: float) -> bool:
    """Wait until others have been quiet for a moment, `seconds` at most. Whether they are."""
    end = time.perf_counter() + seconds
    while True:
        watch = Watch()
        time.sleep(LOOK)
        if watch.others() < QUIET:
            return True
        if time.perf_counter() > end:
            return False


def _busy() -> float:
    """Seconds that all processors have worked, or a hypervisor has kept them from working."""
    user, nice, system, _idle, _waiting, irq, softirq, steal = map(
        int, Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]
    )
    return (user + nice + system + irq + softirq + steal) / TICKS


def _own() -> float:
    """Seconds that the living processes of this group have worked, and their children that ended."""
    spent, group = 0, os.getpgrp()
    for process in Path("/proc").glob("[0-9]*"):
        try:
            fields = (process / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue  # it has ended
        if int(fields[2]) == group:
            spent += sum(map(int, fields[11:15]))
    return spent / TICKS
