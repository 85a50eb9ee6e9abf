"""Processes of an embedded installation: started, watched, ended to the last one; refusals in words."""

import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from workers.supervisor import StartError, Supervisor, check_port, redis_command, socket_answers

STUBBORN = (  # ignores SIGTERM and has a child that does so too
    "import signal, subprocess, sys, time; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
    "child = subprocess.Popen([sys.executable, '-c', 'import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(60)'])\n"
    "print(child.pid, flush=True); time.sleep(60)"
)


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def wait_for(condition, seconds=10.0):
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.05)


def test_stop_ends_what_ignores_it_and_its_children(tmp_path, monkeypatch):
    monkeypatch.setattr("workers.supervisor.GRACE_SECONDS", 0.5)
    supervisor = Supervisor(tmp_path)
    supervisor.start("stubborn", [sys.executable, "-c", STUBBORN])
    wait_for((tmp_path / "stubborn.log").read_text)
    pids = [supervisor.children["stubborn"].pid, int((tmp_path / "stubborn.log").read_text())]
    supervisor.stop()
    wait_for(lambda: not any(map(is_alive, pids)))


def test_children_end_when_their_starter_is_killed(tmp_path):
    program = (
        "import sys, time; from pathlib import Path; from workers.supervisor import Supervisor\n"
        f"s = Supervisor(Path({str(tmp_path)!r})); s.start('child', [sys.executable, '-c', 'import time; time.sleep(60)'])\n"
        "print(s.children['child'].pid, flush=True); time.sleep(60)"
    )
    starter = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    pid = int(starter.stdout.readline())
    starter.send_signal(signal.SIGKILL)
    starter.wait()
    starter.stdout.close()
    wait_for(lambda: not is_alive(pid))


def test_a_child_that_dies_while_starting_is_named_with_its_last_words(tmp_path):
    supervisor = Supervisor(tmp_path)
    supervisor.start("web", [sys.executable, "-c", "raise SystemExit('the words')"])
    with pytest.raises(StartError, match=r"web ended while starting[\s\S]*the words"):
        supervisor.wait_until(lambda: False, "the web server")
    supervisor.stop()


def test_a_port_in_use_is_refused_with_another():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(StartError, match=f"port {port} is in use. Choose another: make run PORT={port + 1}"):
            check_port("127.0.0.1", port)


def test_a_folder_too_deep_for_a_socket_is_refused():
    with pytest.raises(StartError, match="set SLUICE_DATA to a shorter folder"):
        redis_command(Path("/" + "deep/" * 30 + "redis.sock"))


def test_redis_answers_on_its_socket_and_opens_no_port(tmp_path):
    path = tmp_path / "r.sock"
    supervisor = Supervisor(tmp_path)
    supervisor.start("redis", redis_command(path))
    try:
        supervisor.wait_until(lambda: socket_answers(path), "Redis")
        assert oct(path.stat().st_mode)[-3:] == "700"
    finally:
        supervisor.stop()
    assert not socket_answers(path)
