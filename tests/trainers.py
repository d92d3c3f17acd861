"""A trainer for tests: on the CPU, without logs or bars, and without checkpoints unless a callback writes them."""

import lightning.pytorch as pl
from lightning.pytorch.callbacks import ModelCheckpoint


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
