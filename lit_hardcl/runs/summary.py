"""The summary of a finished run: its accuracies beside yardsticks, as text and as JSON."""

import copy
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
from lightning.pytorch.loggers import CSVLogger
from torch import nn

from lit_hardcl.evaluation import (
    Features,
    NeighbourSettings,
    ProbeSettings,
    accuracies,
    extract_features,
    thinned,
    unmixed,
)
from lit_hardcl.files import write_json
from lit_hardcl.runs.layout import run_folder
from lit_hardcl.runs.record import ACCURACIES, RunRecord

YARDSTICK_IMAGES = 5000


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


def summary(trainer: pl.Trainer, record: RunRecord, title: str, yards: dict[str, dict[str, float]]) -> str:
    """Text of a finished run: accuracies beside the yardsticks, speed, and where its files lie.

    The same numbers go to ``summary.json`` in the run's folder.
    """
    rows = {"final": record.last, "best": record.best, **yards}
    rate = record.images / record.seconds if record.seconds else 0.0
    lines = [
        f"{title}: {trainer.current_epoch} epochs, {trainer.global_step} steps, "
        f"{record.seconds:.1f} s of training, {rate:,.0f} images/s"
    ]
    lines.append(f"{'':20}" + "".join(f"{metric:>17}" for metric in ACCURACIES))
    for name, values in rows.items():
        if name in yards and name == next(iter(yards)):
            lines.append("on frozen features of clean images")
        cells = (f"{values[metric]:.4f}" if metric in values else "-" for metric in ACCURACIES)
        lines.append(f"{name:20}" + "".join(f"{cell:>17}" for cell in cells))
    folder = run_folder(trainer)
    checkpoint = trainer.checkpoint_callback
    places = {
        "checkpoint": getattr(checkpoint, "best_model_path", ""),
        "metrics": getattr(trainer.logger, "save_dir", None),
    }
    if isinstance(trainer.logger, CSVLogger):
        places["metrics"] = Path(trainer.logger.log_dir) / "metrics.csv"
    lines += [f"{name:11} {place}" for name, place in places.items() if place]
    if folder and record.history:
        numbers = {
            "title": title,
            "seconds": record.seconds,
            "images_per_second": rate,
            "accuracy": rows,
            "history": record.history,
            **{name: str(place) for name, place in places.items()},
        }
        write_json(folder / "summary.json", numbers)
    return "\n".join(lines)
