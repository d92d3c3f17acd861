"""How a file is written, whole or not at all, and how text, JSON, YAML and CSV are read: sound or refused by name."""

import csv
import errno
import io
import json
import os
import platform
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import yaml

from lit_hardcl.errors import Refusal

MOST_ALIASED = 100_000  # nodes of a YAML that aliases may add: a run's configuration has some hundred in all
Read = TypeVar("Read")


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """Make the folder, and give another name to write to, which becomes ``path`` if the block comes to its end.

    Until then the file that was there stays. The other name is of this process alone, and lies beside ``path``: a
    rename is all or nothing within a file system only. The folder is tidied, see `tidy`.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    tidy(path.parent)
    part = path.with_name(f"{path.name}.{platform.node()}.{os.getpid()}.part")
    try:
        yield part
        with part.open("rb+") as file:
            os.fsync(file.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    if hasattr(os, "O_DIRECTORY"):  # a rename lasts once its folder is on the disk
        folder = os.open(path.parent, os.O_DIRECTORY)
        os.fsync(folder)
        os.close(folder)


def tidy(folder: Path) -> None:
    """Remove what processes of this machine that are no more have left of `whole` files in a folder."""
    for left in folder.glob(f"*.{platform.node()}.*.part"):
        if (process := left.suffixes[-2][1:]).isdecimal() and not _lives(int(process)):
            left.unlink(missing_ok=True)


def _lives(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


def write_json(path: Path, numbers: dict[str, Any]) -> None:
    """Write the numbers, indented, as a `whole` file."""
    with whole(path) as part:
        part.write_text(json.dumps(numbers, indent=2) + "\n")


def check_place(place: str | Path, name: str = "output", folder: bool = False) -> Path:
    """Return where a file, or a folder, can be written; refuse before the work what cannot be.

    Raises:
        Refusal: if the place has no name, is a folder where a file is meant or a file where a folder is, or lies below
            a file.
        PermissionError: if its folder may not be written.
    """
    path, kind = Path(place), "folder" if folder else "file"
    if not str(place).strip():
        raise Refusal(f"{name} must name a {kind}, got {str(place)!r}")
    there = next(p for p in (path, *path.parents, Path()) if os.path.lexists(p))
    if there == path and not folder and path.is_dir():
        raise Refusal(f"{name} must be a file, but {path} is a folder")
    if not there.is_dir() and (folder or there != path):
        raise Refusal(f"{name} must {'be' if there == path else 'lie in'} a folder, but {there} is a file")
    if not os.access(there, os.W_OK):
        raise PermissionError(errno.EACCES, f"{name} must be where files may be written", str(there))
    return path


def read_text(path: Path, what: str) -> str:
    """The text of a file in UTF-8; see `read`."""
    return read(path, what, str)


def read_json(path: Path, what: str) -> Any:
    """What a JSON file holds; see `read`."""
    return read(path, what, json.loads)


def read_csv(path: Path, what: str) -> list[dict[Any, Any]]:
    """The rows of a CSV file by the names in its first one; see `read`."""
    return read(path, what, lambda text: list(csv.DictReader(io.StringIO(text, newline=""), restval="")))


def read_yaml(path: Path, what: str) -> Any:
    """What a YAML file holds, without tags of Python; see `read`.

    Raises:
        Refusal: also if an alias stands inside what it names, or aliases written out would make a file that nobody
            walks to its end.
    """
    return read(path, what, _yaml)


def read(path: Path, what: str, parse: Callable[[str], Read]) -> Read:
    """What somebody else's parser makes of a file in UTF-8.

    Raises:
        Refusal: naming the file and ``what`` it should be, if there is none or it is something else.
    """
    try:
        return parse(path.read_text(encoding="utf-8"))
    except Exception as error:  # whatever a foreign file makes a parser raise
        reason = " ".join(str(error).split()) or type(error).__name__
        raise Refusal(f"{what} cannot be read: {path} ({reason})") from error


def _yaml(text: str) -> Any:
    loader, known = yaml.SafeLoader(text), dict[yaml.Node, float]()
    node = loader.get_single_node()
    if node is not None and _written_out(node, known) > MOST_ALIASED + 10 * len(known):
        raise yaml.YAMLError("an alias stands inside what it names, or aliases name aliases without end")
    return None if node is None else loader.construct_document(node)


def _written_out(node: yaml.Node, known: dict[yaml.Node, float]) -> float:
    """Number of nodes from this one on, each as often as aliases name it."""
    if node not in known:
        known[node] = float("inf")  # if it is met again below itself
        values = node.value if isinstance(node, yaml.CollectionNode) else []
        below = [part for value in values for part in (value if isinstance(value, tuple) else (value,))]
        known[node] = 1 + sum(_written_out(part, known) for part in below)
    return known[node]
