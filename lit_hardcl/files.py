"""How a file is written: whole or not at all."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """Make the folder, and give another name to write to, which becomes ``path`` if the block comes to its end."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    yield part
    part.replace(path)


def write_json(path: Path, numbers: dict[str, Any]) -> None:
    """Write the numbers, indented, as a `whole` file."""
    with whole(path) as part:
        part.write_text(json.dumps(numbers, indent=2) + "\n")
