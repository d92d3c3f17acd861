"""A number of the criterion that changes while training: its temperature or margin."""

import math
from typing import Any, Literal

import lightning.pytorch as pl

from lit_hardcl.errors import Refusal
from lit_hardcl.schedules import ramp, wave

SHAPES = {"cosine": wave, "linear": ramp}


class ScheduledSetting(pl.Callback):
    """Sets a number of the module's ``criterion`` before every step, and logs it under its name.

    A temperature on a cosine is the schedule of arXiv:2303.13664, for long-tailed data. The value follows from the
    epoch alone, so that a resumed training goes on with it.

    Args:
        setting: name of a float of the criterion, such as ``temperature`` or ``margin``.
        start: value at the beginning.
        end: value after half the epochs of a cosine, after all of a ramp.
        epochs: length, positive: after it a cosine begins anew, a ramp stays.
        shape: ``"cosine"``, there and back (:func:`~lit_hardcl.schedules.wave`), or ``"linear"``, a ramp.

    Raises:
        Refusal: if a number breaks its rule; before training, if the criterion has no such float.
    """

    def __init__(
        self, setting: str, start: float, end: float, epochs: float, shape: Literal["cosine", "linear"] = "cosine"
    ) -> None:
        if shape not in SHAPES:
            raise Refusal(f"shape must be one of {', '.join(SHAPES)}, got {shape!r}")
        if not (math.isfinite(start) and math.isfinite(end)):
            raise Refusal(f"start and end must be finite, got {start} and {end}")
        if "temperature" in setting and min(start, end) <= 0:
            raise Refusal(f"a {setting} must be positive from start to end, got {start} and {end}")
        if not 0 < epochs < math.inf:
            raise Refusal(f"epochs must be positive and finite, got {epochs}")
        self.setting, self.start, self.end, self.epochs, self.shape = setting, start, end, epochs, shape

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Look whether there is such a number."""
        criterion = getattr(pl_module, "criterion", None)
        if not isinstance(getattr(criterion, self.setting, None), float):
            raise Refusal(f"setting must be a float of the module's criterion, got {self.setting} of {criterion}")

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Set it for this step."""
        epoch = trainer.current_epoch + batch_idx / trainer.num_training_batches
        value = SHAPES[self.shape](self.start, self.end, epoch / self.epochs)
        setattr(pl_module.criterion, self.setting, value)
        pl_module.log(self.setting, value)
