"""Compile the native kernels once for this machine: `python -m inference.native.build`.

The library's name carries a hash of the sources, torch's version, the compiler and the processor's abilities, so that a change of any builds
anew and two machines can share a folder. It is built in a temporary folder and renamed: two processes may build at once, a killed build
leaves nothing behind that another would wait for. Left out: ninja and torch's extension builder, which parse torch's whole C++ face; the
stable headers compile in seconds.
"""

import hashlib
import logging
import os
import platform
import shutil
import subprocess
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import torch

log = logging.getLogger(__name__)

SOURCES = Path(__file__).parent
# no -ffast-math: a router's closed groups are -inf, and results must not depend on how a compiler likes to sum
FLAGS = (
    "-std=c++17",
    "-O3",
    "-march=native",
    "-fno-math-errno",
    "-fno-trapping-math",
    "-fopenmp",
    "-fPIC",
    "-fvisibility=hidden",
)
TIMEOUT = 300  # seconds a compiler may take
INSTALL = (
    "install a C++ compiler (Debian: apt-get install g++) or name one in CXX; until then the engine runs on plain torch"
)


class BuildError(RuntimeError):
    """No library, and why."""


def folder() -> Path:
    """Where libraries are kept: SLUICE_NATIVE_DIR, else var/native of the repository."""
    named = os.environ.get("SLUICE_NATIVE_DIR")
    return Path(named) if named else SOURCES.parents[1] / "var" / "native"


def build(into: Path | None = None) -> Path:
    """The library for this machine, built unless it is there. Raises BuildError that says what is missing."""
    compiler = _compiler()
    version = _run([compiler, "--version"]).splitlines()[0]
    target = (into or folder()) / f"sluice-{_digest(version)}.so"
    if target.exists():
        return target
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=".build-") as room:
            log.info("building the native kernels with %s", version)
            library = _compile(compiler, Path(room))
            library.replace(target)  # whoever comes second replaces a library by its equal
    except OSError as error:
        raise BuildError(f"cannot write {target.parent}: {error}; name another folder in SLUICE_NATIVE_DIR") from error
    return target


def _compiler() -> str:
    named = os.environ.get("CXX")
    for name in (named,) if named else ("g++", "c++", "clang++"):
        if found := shutil.which(name):
            return found
    raise BuildError(f"no C++ compiler ({named or 'g++, c++, clang++'}); {INSTALL}")


def _digest(compiler: str) -> str:
    parts = [torch.__version__, compiler, " ".join(FLAGS), platform.machine(), _processor()]
    parts += [f"{file.name}\n{file.read_text()}" for file in sorted(SOURCES.glob("*")) if file.suffix in (".cpp", ".h")]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]


def _processor() -> str:
    """What the processor can do, in Linux's words; elsewhere its name."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return "\n".join(sorted({line for line in lines if line.startswith(("flags", "Features", "model name"))}))


def _compile(compiler: str, room: Path) -> Path:
    torch_root = Path(torch.__file__).parent
    include = ("-isystem", str(torch_root / "include"))

    def one(source: Path) -> str:
        result = room / f"{source.stem}.o"
        _run([compiler, *FLAGS, *include, "-c", str(source), "-o", str(result)])
        return str(result)

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        objects = list(pool.map(one, sorted(SOURCES.glob("*.cpp"))))
    library = room / "sluice.so"
    libraries = (f"-L{torch_root / 'lib'}", "-ltorch_cpu", "-lc10", "-fopenmp")  # found again in the running process
    _run([compiler, "-shared", "-o", str(library), *objects, *libraries])
    return library


def _run(command: list[str]) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT, check=False)  # noqa: S603  # our own arguments
    except (OSError, subprocess.TimeoutExpired) as error:
        raise BuildError(f"{Path(command[0]).name} did not run: {error}; {INSTALL}") from error
    if done.returncode:
        raise BuildError(f"{Path(command[0]).name} failed: {done.stderr.strip()[-2000:]}; {INSTALL}")
    return done.stdout


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    try:
        log.info("native kernels: %s", build())
    except BuildError as error:  # the engine works without them, so making the environment goes on
        log.warning("no native kernels: %s", error)
