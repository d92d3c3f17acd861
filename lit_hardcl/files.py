"""Where a run's files lie, and how a file is written: whole or not at all."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import lightning.pytorch as pl


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


def log_folder(trainer: pl.Trainer) -> Path | None:
    """Where the logger writes for this run alone; ``trainer.log_dir`` would wait for all processes to ask."""
    logger = trainer.logger
    if folder := getattr(logger, "log_dir", None):
        return Path(folder)
    if logger is None or not logger.save_dir:
        return None
    return Path(logger.save_dir, str(logger.name), str(logger.version))  # where Lightning puts its checkpoints


def run_folder(trainer: pl.Trainer) -> Path | None:
    """Where a run's checkpoints lie; without checkpoints, where its logger writes."""
    folder = getattr(trainer.checkpoint_callback, "dirpath", None)
    return Path(folder) if folder else log_folder(trainer)
