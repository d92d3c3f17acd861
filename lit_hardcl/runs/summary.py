"""The summary of a finished run: its accuracies beside yardsticks, for a person and as JSON."""

import copy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
from torch import nn

from lit_hardcl.errors import Refusal
from lit_hardcl.evaluation import (
    ACCURACIES,
    Features,
    NeighbourSettings,
    ProbeSettings,
    accuracies,
    extract_features,
    thinned,
    unmixed,
)
from lit_hardcl.files import read_json, write_json
from lit_hardcl.runs.layout import run_of
from lit_hardcl.runs.logging import metrics_file
from lit_hardcl.runs.record import RunRecord

YARDSTICK_IMAGES = 5000
ONLINE = ("final", "best")  # accuracies of the online evaluators


def yardsticks(
    models: dict[str, nn.Module], data: Any, device: torch.device | str = "cpu"
) -> dict[str, dict[str, float]]:
    """Accuracy on frozen features of each model, and of raw pixels, which a trained one has to beat.

    A linear probe trained to its end and nearest neighbours, both on clean images, at most ``YARDSTICK_IMAGES`` of each
    split, evenly spaced, none of them mixed of two classes; empty if the data module has no ``clean_train_dataloader``
    or no labels.
    """
    if not hasattr(data, "clean_train_dataloader"):
        return {}
    data = copy.copy(data)
    data.trainer = None  # this process alone looks at all images
    loaders = [thinned(loader, YARDSTICK_IMAGES) for loader in (data.clean_train_dataloader(), data.val_dataloader())]
    rows = {}
    for name, model in {**models, "raw pixels": nn.Flatten()}.items():
        train, held_out = (
            Features(*(column.to(device) for column in extract_features(model.to(device), loader)))
            for loader in loaders
        )
        rows[name] = accuracies(unmixed(train, data), held_out, data.num_classes, ProbeSettings(), NeighbourSettings())
        if not rows[name]:
            return {}
    return rows


@dataclass(frozen=True)
class Summary:
    """Numbers of a finished run.

    Attributes:
        title: method and data set.
        epochs: number of trained epochs.
        steps: number of optimizer steps.
        seconds: time of training, validation left out.
        images_per_second: while training.
        accuracy: ``final`` and ``best`` of the online evaluators, and of the yardsticks on frozen features.
        history: numbers that each epoch has logged.
        places: paths where checkpoint and logged numbers lie.
        why_empty: reason why ``final`` and ``best`` are empty, if the trainer's options say so.
    """

    title: str
    epochs: int
    steps: int
    seconds: float
    images_per_second: float
    accuracy: dict[str, dict[str, float]]
    history: dict[int, dict[str, float]]
    places: dict[str, str]
    why_empty: str = ""

    @property
    def text(self) -> str:
        """The numbers for a person."""
        lines = [
            f"{self.title}: {self.epochs} epochs, {self.steps} steps, "
            f"{self.seconds:.1f} s of training, {self.images_per_second:,.0f} images/s",
            f"{'':20}" + "".join(f"{metric:>17}" for metric in ACCURACIES),
        ]
        for number, (name, values) in enumerate(self.accuracy.items()):
            if number == len(ONLINE):
                lines += [self.why_empty] if self.why_empty else []
                lines.append("on frozen features of clean images")
            cells = (f"{values[metric]:.4f}" if metric in values else "-" for metric in ACCURACIES)
            lines.append(f"{name:20}" + "".join(f"{cell:>17}" for cell in cells))
        return "\n".join([*lines, *(f"{name:11} {place}" for name, place in self.places.items() if place)])

    def write(self, path: Path) -> None:
        """Write the numbers as JSON."""
        numbers = {
            "title": self.title,
            "seconds": self.seconds,
            "images_per_second": self.images_per_second,
            "accuracy": self.accuracy,
            "history": self.history,
            **self.places,
        }
        write_json(path, numbers)


def summary_of(trainer: pl.Trainer, record: RunRecord, title: str, yards: dict[str, dict[str, float]]) -> Summary:
    """Sum up a training that its record has followed, beside yardsticks; written into its run's folder.

    Args:
        trainer: trainer that has come to its end.
        record: record of the training.
        title: method and data set.
        yards: accuracies by name, as from `yardsticks`.
    """
    every = trainer.check_val_every_n_epoch or 0
    needs = f"final and best need a validation, which comes every {every} epochs: lower trainer.check_val_every_n_epoch"
    summary = Summary(
        title,
        trainer.current_epoch,
        trainer.global_step,
        record.seconds,
        record.images / record.seconds if record.seconds else 0.0,
        {**dict(zip(ONLINE, (record.last, record.best), strict=True)), **yards},
        record.history,
        {
            "checkpoint": getattr(trainer.checkpoint_callback, "best_model_path", ""),
            "metrics": str(metrics_file(trainer.logger) or ""),
        },
        needs if not record.last and trainer.current_epoch < every else "",
    )
    if (run := run_of(trainer)) and record.history:
        summary.write(run.summary)
    return summary


def read_summary(file: Path) -> dict[str, Any]:
    """What `Summary.write` has left; refused if accuracies, history or seconds are not there as numbers."""
    numbers = read_json(file, "a run's summary")
    tables = [numbers.get(name) for name in ("accuracy", "history")] if isinstance(numbers, dict) else [None]
    rows = [row for table in tables if isinstance(table, dict) for row in table.values()]
    if (
        not all(isinstance(part, dict) for part in (*tables, *rows))
        or not all(epoch.removeprefix("-").isdecimal() for epoch in numbers["history"])
        or not all(isinstance(n, (int, float)) for row in ({"": numbers.get("seconds")}, *rows) for n in row.values())
    ):
        raise Refusal(
            f"a run's summary must hold numbers as accuracy, history by epoch and seconds, {file} does not; "
            "remove it, and the run is finished anew"
        )
    return numbers
