"""The trace page's speed: `python -m tests.bench.bench_viewer [--tokens 32768]` (`make bench-viewer`).

A trace of DeepSeek-V3's shape (58 router layers, top 8 of 256) is served by uvicorn from a folder of its own and opened in headless Chromium, 1440
wide. The same text alone, plain, in the same browser is the floor. Both sides take turns; medians are printed. Run it on an idle machine.

Time to interactive: from the start of the navigation until the overlay beneath the first screen is painted and every key works. A change: from the
key until the next frame after the repaint, with what the server needs for a layer that the page has not seen. Memory: private bytes of the page's
process after all of that. "Processor": what the page's main thread worked for one of them, which other work on the machine disturbs little.
"""

# ruff: noqa: T201  # a script that prints its figures

import argparse
import html
import os
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from contextlib import contextmanager
from pathlib import Path

from tests.bench import quiet
from tests.browsing import launched
from tests.services.ports import free_port

TARGETS = {"interactive": 1000, "layer": 100, "overlay": 100, "frame": 16.7, "memory": 200}  # ms, and MB
UNIT = {"memory": "MB"}
OVERLAYS = ["topk", "gate", "change", "group", "logprob", "entropy", "script", "segment", "loop", "none", "expert"]
SETTLE = """() => new Promise((done) => requestAnimationFrame(() => setTimeout(done)))"""
PRESS = """([key, value]) => new Promise((done) => {
  const begin = performance.now();
  const watch = new PerformanceObserver(() => {
    watch.disconnect();
    requestAnimationFrame(() => setTimeout(() => done(performance.now() - begin)));
  });
  watch.observe({ entryTypes: ["mark"] });
  if (key) document.body.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true }));
  else { const list = document.getElementById("overlay"); list.value = value; list.dispatchEvent(new Event("change", { bubbles: true })); }
})"""
SCROLL = """() => new Promise((done) => {
  const frames = [];
  let before = performance.now();
  scrollTo(0, 0);
  const step = () => {
    const now = performance.now();
    frames.push(now - before);
    before = now;
    scrollBy(0, 120);
    if (frames.length < 240) requestAnimationFrame(step); else done(frames.slice(5));
  };
  requestAnimationFrame(step);
})"""


@contextmanager
def served(folder):
    """The address of a web server over the data in `folder`."""
    port = free_port()
    command = [
        sys.executable,
        "-m",
        "uvicorn",
        "webapp.asgi:application",
        "--port",
        str(port),
        "--log-level",
        "warning",
    ]
    process = subprocess.Popen(command, env=os.environ | {"SLUICE_TEST_DATA": str(folder), "PYTHONWARNINGS": "ignore"})
    try:
        for _ in range(200):
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/health/").close()  # our own
                break
            except OSError:
                time.sleep(0.1)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(20)


def prepare(folder, tokens):
    """A migrated database with the trace, and the plain page among the static files: (session cookie, trace's path, plain page's path)."""
    os.environ |= {"SLUICE_TEST_DATA": str(folder), "DJANGO_SETTINGS_MODULE": "tests.settings"}
    import django

    django.setup()
    from django.core.management import call_command
    from django.test import Client
    from django.urls import reverse

    from tests.bench import viewer_trace
    from webapp.accounts.models import User

    call_command("migrate", verbosity=0)
    call_command("collectstatic", interactive=False, verbosity=0)
    trace, text = viewer_trace.save(tokens)
    page = (
        "<!doctype html><title>plain</title><link rel=stylesheet href=css/tokens.css><link rel=stylesheet href=css/trace.css>"
        f"<main class=reader><div class=words>{html.escape(text)}</div></main>"
    )
    (Path(folder) / "static" / "plain.html").write_text(page)
    client = Client()
    client.force_login(User.objects.create_user("bench", password="a long enough one", role="viewer"))
    return client.cookies["sessionid"].value, reverse("traces:detail", args=[trace.pk]), "/static/plain.html"


def private_megabytes(browser):
    """Private memory of the largest renderer: the page's, as only one is open."""
    session = browser.new_browser_cdp_session()
    found = session.send("SystemInfo.getProcessInfo")["processInfo"]
    session.detach()
    sizes = []
    for process in found:
        if process["type"] == "renderer":
            lines = Path(f"/proc/{process['id']}/smaps_rollup").read_text().splitlines()
            sizes.append(sum(int(line.split()[1]) for line in lines if line.startswith("Private_")) / 1024)
    return max(sizes)


class Thread:
    """How long the page's main thread has worked, in processor time."""

    def __init__(self, page):
        self._session = page.context.new_cdp_session(page)
        self._session.send("Performance.enable", {"timeDomain": "threadTicks"})
        self._before = self._now()

    def _now(self):
        metrics = self._session.send("Performance.getMetrics")["metrics"]
        return 1000 * next(metric["value"] for metric in metrics if metric["name"] == "TaskDuration")

    def spent(self, times=1):
        """Milliseconds since the last call, divided by `times`."""
        before, self._before = self._before, self._now()
        return (self._before - before) / times


def p95(values):
    return sorted(values)[int(0.95 * len(values))]


@contextmanager
def opened(browser, base, cookie):
    context = browser.new_context(base_url=base, viewport={"width": 1440, "height": 900})
    context.add_cookies([{"name": "sessionid", "value": cookie, "url": base}])
    yield context.new_page()
    context.close()


def measure_plain(browser, page, path):
    thread = Thread(page)
    page.goto(path)
    page.evaluate(SETTLE)
    found = {"interactive": page.evaluate("performance.now()"), "interactive, processor": thread.spent()}
    frames = page.evaluate(SCROLL)
    return found | {
        "frame": p95(frames),
        "frame, processor": thread.spent(len(frames)),
        "memory": private_megabytes(browser),
    }


def measure_trace(browser, page, path):
    thread = Thread(page)
    page.goto(path)
    page.wait_for_function("() => performance.getEntriesByName('viewer-painted').length > 0")
    ready = page.evaluate("performance.getEntriesByName('viewer-painted')[0].startTime")
    found = {"interactive": ready, "interactive, processor": thread.spent()}
    page.wait_for_timeout(2500)  # the rest of the layer, and the map
    thread.spent()
    for name, presses in (("layer", [["]", None]] * 12), ("overlay", [[None, overlay] for overlay in OVERLAYS])):
        times = [page.evaluate(PRESS, press) for press in presses]
        found |= {
            name: statistics.median(times),
            f"{name}, slowest": max(times),
            f"{name}, processor": thread.spent(len(times)),
        }
    page.wait_for_timeout(1500)
    thread.spent()
    frames = page.evaluate(SCROLL)
    return found | {
        "frame": p95(frames),
        "frame, processor": thread.spent(len(frames)),
        "memory": private_megabytes(browser),
    }


def table(rounds):
    print(f"{'':24}{'trace page':>14}{'plain text':>14}{'target':>10}")
    for name in rounds[0][0]:
        trace = statistics.median(of_trace[name] for of_trace, _ in rounds)
        plain = [of_plain[name] for _, of_plain in rounds if name in of_plain]
        unit, target = UNIT.get(name, "ms"), TARGETS.get(name)
        said = "" if target is None else f"{target:>7} {'ok' if trace <= target else 'MISSED'}"
        floor = f"{statistics.median(plain):11.1f} {unit}" if plain else ""
        print(f"{name:24}{trace:11.1f} {unit}{floor:>14}{said:>12}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tokens", type=int, default=32_768)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        cookie, trace, plain = prepare(folder, options.tokens)
        watch = quiet.Watch()
        rounds = []
        with served(folder) as base, launched() as browser:
            for _ in range(options.rounds):
                with opened(browser, base, cookie) as page:
                    of_trace = measure_trace(browser, page, trace)
                with opened(browser, base, cookie) as page:
                    rounds.append((of_trace, measure_plain(browser, page, plain)))
        print(
            f"{options.tokens} tokens x 58 layers x 8 experts, {options.rounds} rounds, others used {watch.others():.0%} of the machine"
        )
        table(rounds)


if __name__ == "__main__":
    main()
