"""What goes to a logger besides numbers, by the kind of logger: configurations, best values, figures."""

import os
from typing import Any

from lightning.pytorch.loggers import CSVLogger, Logger, TensorBoardLogger, WandbLogger

from lit_hardcl.plots import Figure


def claim_folder(logger: Logger | None) -> None:
    """Make a CSV logger's folder: of two runs that begin in one moment, each gets a ``version_N`` of its own."""
    while isinstance(logger, CSVLogger) and logger._version is None:  # neither chosen by the user nor looked at
        try:
            os.makedirs(logger.log_dir)
        except FileExistsError:
            logger._version = None  # look again


def log_config(logger: Logger, config: dict[str, Any]) -> None:
    """Show a run's whole configuration where the logger has a place for it."""
    if isinstance(logger, WandbLogger):
        logger.experiment.config.update(config, allow_val_change=True)


def keep_best(logger: Logger, names: tuple[str, ...]) -> None:
    """Let the logger's summary show the highest value of these numbers, not the last."""
    if isinstance(logger, WandbLogger):
        for name in names:
            logger.experiment.define_metric(name, summary="max")


def log_figure(logger: Logger, name: str, figure: Figure) -> None:
    """Show a figure where the logger can."""
    if isinstance(logger, WandbLogger):
        logger.log_image(name, [figure])
    elif isinstance(logger, TensorBoardLogger):
        logger.experiment.add_figure(name, figure)


def metrics_file(logger: Logger | None) -> str | None:
    """Where the logged numbers can be looked at."""
    return f"{logger.log_dir}/metrics.csv" if isinstance(logger, CSVLogger) else getattr(logger, "save_dir", None)
