"""Where a run's files lie."""

from pathlib import Path

import lightning.pytorch as pl


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
