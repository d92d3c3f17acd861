"""Trainers for tests, on the CPU, without logs or bars, and checkpoints only where a callback writes them; a batch."""

import lightning.pytorch as pl
import torch
from lightning.pytorch.callbacks import ModelCheckpoint

from lit_hardcl import Batch


def quiet_trainer(*callbacks, **settings):
    """A trainer with these callbacks; settings overrule what makes it quiet."""
    quiet = {
        "accelerator": "cpu",
        "logger": False,
        "enable_checkpointing": any(isinstance(each, ModelCheckpoint) for each in callbacks),
        "enable_progress_bar": False,
        "enable_model_summary": False,
    }
    return pl.Trainer(callbacks=list(callbacks), **{**quiet, **settings})


def trainer(tmp_path, **settings):
    return quiet_trainer(*settings.pop("callbacks", []), default_root_dir=tmp_path, **settings)


class Losses(pl.Callback):
    """Keeps every training loss."""

    def __init__(self):
        self.values = []

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        self.values.append(float(outputs["loss"]))


def batch(images=8):
    generator = torch.Generator().manual_seed(0)
    views = list(torch.randn(2, images, 1, 32, 32, generator=generator))
    return Batch(views, torch.arange(images) % 3, torch.arange(images) + 100)
