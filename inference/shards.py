"""The safetensors files of a checkpoint, open for reading: which tensor lies where, and its bytes.

Files stay open from the check of their headers to the end, so what was checked is what is read, even if a download replaces them meanwhile.
Plain reads and no memory map: mapped pages count as resident memory beside the weights, and a file that shrinks under a map kills the process.
"""

from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO, NamedTuple

from inference.config import read_json
from inference.header import TensorInfo, parse_header, shown

INDEX = "model.safetensors.index.json"
SINGLE = "model.safetensors"
PICKLED = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle")
COMPARED = 1 << 24  # bytes at a time


class Place(NamedTuple):
    """Where a tensor is."""

    file: BinaryIO
    path: Path
    info: TensorInfo


class Shards:
    """The open files of a checkpoint; `places` has every tensor in them by name. Close it, or use it as a context."""

    def __init__(self, path: Path) -> None:
        """Open the files that the index names, else model.safetensors, and check their headers. Raises ValueError saying what is wrong where."""
        self.path = path
        self.places: dict[str, Place] = {}
        self._open = ExitStack()
        try:
            promised = _index(path)
            for file in _files(path, promised):
                self._add(file)
            self._keep(promised)
        except BaseException:
            self.close()
            raise

    def _add(self, path: Path) -> None:
        file = self._open.enter_context(path.open("rb", buffering=0))
        for name, info in parse_header(path, file).items():
            if name in self.places:
                raise ValueError(f"{shown(name)} stands in {self.places[name].path.name} and in {path.name}")
            self.places[name] = Place(file, path, info)

    def _keep(self, promised: dict[str, str]) -> None:
        """Refuse an index whose tensors are not where it says."""
        wrong = [
            f"{shown(name)} in {shown(file)}"
            + (f" (it is in {self.places[name].path.name})" if name in self.places else "")
            for name, file in promised.items()
            if name not in self.places or self.places[name].path.name != file
        ]
        if wrong:
            raise ValueError(
                f"{self.path / INDEX} names tensors that are not there: {some(wrong)}. Index and shards do not belong together: fetch them again."
            )

    def read(self, name: str, buffer: memoryview) -> None:
        """Fill `buffer` with a tensor's bytes. Raises ValueError if the file ends before."""
        place = self.places[name]
        place.file.seek(place.info.begin)
        at = 0
        while at < len(buffer):  # one call gives 2 GiB at most
            count = place.file.readinto(buffer[at:])  # type: ignore[attr-defined]  # unbuffered files have it
            if not count:
                raise ValueError(f"{place.path} became shorter while {shown(name)} was read")
            at += count

    def same(self, one: str, other: str) -> bool:
        """Whether two tensors have the same dtype, shape and bytes."""
        a, b = self.places[one], self.places[other]
        if (a.info.dtype, a.info.shape) != (b.info.dtype, b.info.shape):
            return False
        for at in range(0, a.info.end - a.info.begin, COMPARED):
            count, pieces = min(COMPARED, a.info.end - a.info.begin - at), []
            for place in (a, b):
                place.file.seek(place.info.begin + at)
                pieces.append(place.file.read(count))
            if pieces[0] != pieces[1]:
                return False
        return True

    def close(self) -> None:
        """Close the files; doing it again does nothing."""
        self._open.close()


def some(names: Iterable[str]) -> str:
    """The first eight of `names` and how many more there are."""
    names = list(names)
    return ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")


def _index(path: Path) -> dict[str, str]:
    """What the index says: tensor to file name. Empty for a checkpoint of one file."""
    if not (path / INDEX).exists():
        return {}
    places = read_json(path / INDEX).get("weight_map")
    if not isinstance(places, dict) or not places or not all(isinstance(name, str) for name in places.values()):
        raise ValueError(f"{path / INDEX} has no weight_map of tensor names to file names")
    if outside := {name for name in places.values() if Path(name).name != name or "\0" in name or name in ("", "..")}:
        raise ValueError(f"{path / INDEX} names a file outside its directory: {some(map(repr, sorted(outside)))}")
    if (path / SINGLE).exists() and SINGLE not in places.values():
        raise ValueError(f"{path} holds {SINGLE} and an index of other files; remove the one that is not meant")
    return places


def _files(path: Path, promised: dict[str, str]) -> list[Path]:
    files = [path / name for name in sorted(set(promised.values()) or {SINGLE})]
    absent = [file.name for file in files if not file.is_file() or file.suffix in PICKLED]
    if not absent:
        return files
    pickled = sorted(file.name for file in path.iterdir() if file.suffix in PICKLED)
    if pickled:
        raise ValueError(
            f"{path} holds pickled weights ({some(map(shown, pickled))}), which can run code when loaded. Convert them to safetensors first."
        )
    if promised:
        raise ValueError(f"{path} lacks {some(map(shown, absent))}, which its index names; fetch the missing files")
    others = sorted(file.name for file in path.glob("*.safetensors"))
    if others:
        raise ValueError(f"{path} holds {some(map(shown, others))} but neither {SINGLE} nor {INDEX}; fetch the index")
    raise ValueError(f"{path} lacks {SINGLE} and {INDEX}")
