"""Where a run's files lie."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import lightning.pytorch as pl


@dataclass(frozen=True)
class Run:
    """A training's folder: ``metrics.csv``, and under ``checkpoints/`` all else.

    Attributes:
        folder: path such as ``runs/METHOD-DATASET/version_N``.
        checkpoints: folder of ``best.ckpt``, ``last.ckpt``, ``config.yaml`` and ``summary.json``.
    """

    folder: Path
    checkpoints: Path

    @classmethod
    def of(cls, path: Path) -> "Run":
        """The run of a checkpoint or of a folder: its own, its checkpoints' or, of the newest, the one above."""
        is_file = path.suffix == ".ckpt" or path.is_file()
        folder = path.parent if is_file else path
        if (folder.parent / "metrics.csv").is_file() or folder.name == "checkpoints":
            return cls(folder.parent, folder)
        if is_file:  # what lies below its folder is of other runs
            return cls(folder, folder)
        newest = in_order(folder.glob("*/metrics.csv"))
        if newest and not (folder / "metrics.csv").is_file():
            folder = newest[-1].parent
        inside = folder / "checkpoints"
        return cls(folder, inside if inside.is_dir() else folder)

    @classmethod
    def below(cls, folder: Path) -> "list[Run]":
        """All finished runs below a folder, the newest last."""
        return [cls.of(file.parent) for file in in_order(folder.rglob("summary.json"))]

    @property
    def configs(self) -> list[Path]:
        """Configurations of the trainings that have used the folder, usually one."""
        return sorted(self.checkpoints.glob("config*.yaml"))

    @property
    def config(self) -> Path:
        """Where the configuration is written."""
        return self.checkpoints / "config.yaml"

    @property
    def summary(self) -> Path:
        """Numbers of the finished run, as JSON."""
        return self.checkpoints / "summary.json"

    @property
    def metrics(self) -> Path:
        """What a CSV logger has logged."""
        return self.folder / "metrics.csv"

    @property
    def last(self) -> Path:
        """The checkpoint to go on from."""
        return self.checkpoints / "last.ckpt"


def in_order(files: Iterable[Path]) -> list[Path]:
    """Files of runs, the newest run's last: by the number of its ``version_N``, for clocks jump; then by time."""

    def age(file: Path) -> tuple[int, float]:
        numbers = [part[8:] for part in file.parts if part.startswith("version_") and part[8:].isdecimal()]
        return int(numbers[-1]) if numbers else -1, file.stat().st_mtime

    return sorted(files, key=age)


def log_folder(trainer: pl.Trainer) -> Path | None:
    """Where the logger writes for this run alone; ``trainer.log_dir`` would wait for all processes to ask."""
    logger = trainer.logger
    if folder := getattr(logger, "log_dir", None):
        return Path(folder)
    if logger is None or not logger.save_dir:
        return None
    return Path(logger.save_dir, str(logger.name), str(logger.version))  # where Lightning puts its checkpoints


def run_of(trainer: pl.Trainer) -> Run | None:
    """The run that a trainer makes; ``None`` if it writes nowhere."""
    logs, checkpoints = log_folder(trainer), getattr(trainer.checkpoint_callback, "dirpath", None)
    if checkpoints is None and logs is None:
        return None
    folder = Path(checkpoints) if checkpoints else logs
    return Run(logs or folder, folder)  # type: ignore[arg-type]
