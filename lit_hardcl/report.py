"""What a run leaves behind: its configuration beside the checkpoints, and a summary with yardsticks."""

import copy
import json
import math
import time
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
import yaml
from lightning.pytorch.cli import SaveConfigCallback
from lightning.pytorch.loggers import CSVLogger, WandbLogger
from torch import nn

from lit_hardcl.evaluation import Features, extract_features, fit_linear_probe, knn_predict, thinned

ACCURACIES = ("val_linear_top1", "val_knn_top1")
RECORDED = ("best", "last", "history", "seconds", "images")
YARDSTICK_IMAGES = 5000


class RunRecord(SaveConfigCallback):
    """Writes a training's configuration once it has really begun, and keeps time, best values and the logged ones.

    The configuration goes into a YAML beside the checkpoints, into every checkpoint, so that
    ``load_from_checkpoint`` needs no arguments, and into W&B's config. Nothing is written before the first step, so
    that bad input leaves no run folder; a file of an earlier run is never overwritten. What was kept goes into every
    checkpoint too, so that a resumed run's summary is that of the whole training.
    """

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Start the records."""
        self.best: dict[str, float] = {}
        self.last: dict[str, float] = {}
        self.history: dict[int, dict[str, float]] = {}
        self.seconds, self.images, self._written = 0.0, 0, False
        self._model_config: dict[str, Any] = yaml.safe_load(self._dump())["model"]

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Start the clock."""
        self._since = time.perf_counter()

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Keep what the epoch before has logged at its end."""
        self._keep_logged(trainer, trainer.current_epoch - 1)

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Count images; after the first step, write the configuration."""
        if not self._written and trainer.is_global_zero:
            self._write_config(trainer)
            self._written = True
        if isinstance(batch, (tuple, list)):
            self.images += len(batch[1]) * trainer.world_size

    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Stop the clock of training."""
        if not trainer.sanity_checking and trainer.training is False and hasattr(self, "_since"):
            self.seconds += time.perf_counter() - self._since

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Remember the accuracies, and start the clock again."""
        if trainer.sanity_checking:
            return
        self._since = time.perf_counter()
        self._keep_logged(trainer, trainer.current_epoch)
        for name in ACCURACIES:
            if (value := trainer.callback_metrics.get(name)) is not None:
                self.last[name] = float(value)
                self.best[name] = max(float(value), self.best.get(name, 0.0))

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Stop the clock."""
        self.seconds += time.perf_counter() - self._since
        self._keep_logged(trainer, trainer.current_epoch - 1)

    def on_save_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Put the model's configuration where ``load_from_checkpoint`` looks for it, and the record beside it."""
        self._keep_logged(trainer, trainer.current_epoch)
        now = time.perf_counter()
        self.seconds, self._since = self.seconds + now - self._since, now
        checkpoint["run_record"] = {name: getattr(self, name) for name in RECORDED}
        checkpoint["hyper_parameters"] = {
            "_class_path": self._model_config["class_path"],
            "_instantiator": "lightning.pytorch.cli.instantiate_module",
            **self._model_config.get("init_args", {}),
        }

    def on_load_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Go on with a record."""
        for name, value in checkpoint.get("run_record", {}).items():
            setattr(self, name, value)

    def _keep_logged(self, trainer: pl.Trainer, epoch: int) -> None:
        """File the logged values that are new under their epoch."""
        known = {name: value for row in self.history.values() for name, value in row.items()}
        logged = {name: float(value) for name, value in trainer.callback_metrics.items()}
        if new := {name: v for name, v in logged.items() if math.isfinite(v) and known.get(name) != v}:
            self.history.setdefault(epoch, {}).update(new)

    def _write_config(self, trainer: pl.Trainer) -> None:
        if folder := run_folder(trainer):
            _write_new(folder / "config.yaml", self._dump())
        for logger in trainer.loggers:
            if isinstance(logger, WandbLogger):
                logger.experiment.config.update(yaml.safe_load(self._dump()), allow_val_change=True)
                for name in ACCURACIES:
                    logger.experiment.define_metric(name, summary="max")

    def _dump(self) -> str:
        return self.parser.dump(self.config, skip_none=False)


def run_folder(trainer: pl.Trainer) -> Path | None:
    """Where a run's checkpoints lie; without checkpoints, where its logger writes."""
    folder = getattr(trainer.checkpoint_callback, "dirpath", None)
    return Path(folder) if folder else log_folder(trainer)


def log_folder(trainer: pl.Trainer) -> Path | None:
    """Where the logger writes. ``trainer.log_dir`` would wait for all processes to ask."""
    folder = getattr(trainer.logger, "log_dir", None) or getattr(trainer.logger, "save_dir", None)
    return Path(folder) if folder else None


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
        mixed = torch.isin(train.indices, getattr(data, "mixed_indices", train.indices[:0]).to(device))
        train = Features(*(column[~mixed] for column in train))
        if not (train.targets >= 0).any() or not (held_out.targets >= 0).any():
            return {}
        probe = fit_linear_probe(train.features, train.targets, data.num_classes)
        predicted = {
            "val_linear_top1": probe(held_out.features).argmax(dim=1),
            "val_knn_top1": knn_predict(held_out.features, train.features, train.targets, data.num_classes),
        }
        labelled = held_out.targets >= 0
        rows[name] = {
            metric: (classes == held_out.targets)[labelled].float().mean().item()
            for metric, classes in predicted.items()
        }
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
        "metrics": log_folder(trainer),
    }
    if isinstance(trainer.logger, CSVLogger):
        places["metrics"] = Path(trainer.logger.log_dir) / "metrics.csv"
    lines += [f"{name:11} {place}" for name, place in places.items() if place]
    if folder and folder.is_dir():
        numbers = {
            "title": title,
            "seconds": record.seconds,
            "images_per_second": rate,
            "accuracy": rows,
            "history": record.history,
            **{name: str(place) for name, place in places.items()},
        }
        (folder / "summary.json").write_text(json.dumps(numbers, indent=2) + "\n")
    return "\n".join(lines)


def _write_new(path: Path, text: str) -> None:
    """Write a file under this name or, where another text stands there, under the next free one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    version = 0
    while (name := path if version == 0 else path.with_stem(f"{path.stem}-v{version}")).exists():
        if name.read_text() == text:
            return
        version += 1
    name.write_text(text)


def differences(here: Any, there: Any, name: str = "") -> list[str]:
    """Options that differ between two configurations, as ``name: there -> here`` lines."""
    if isinstance(here, dict) and isinstance(there, dict):
        keys = sorted(here.keys() | there.keys())
        return [line for key in keys for line in differences(here.get(key), there.get(key), f"{name}.{key}".strip("."))]
    return [] if here == there else [f"{name}: {there!r} in the checkpoint, {here!r} here"]


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Load a checkpoint's plain values and tensors.

    Raises:
        ValueError: if there is no such file, or it is no checkpoint.
    """
    if not path.is_file():
        raise ValueError(f"ckpt_path must be a checkpoint, but there is no file {path}")
    try:
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # whatever a foreign file makes torch raise
        raise ValueError(f"ckpt_path must be a checkpoint, but {path} cannot be read as one: {error}") from error
    if not isinstance(checkpoint, dict) or "state_dict" not in checkpoint:
        raise ValueError(f"ckpt_path must be a Lightning checkpoint, but {path} holds no state_dict")
    return checkpoint
