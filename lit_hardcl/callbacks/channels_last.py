"""The memory format that convolutions are fastest in, as a switch."""

import lightning.pytorch as pl
import torch
from lightning.pytorch.utilities import rank_zero_info
from torch import nn


class ChannelsLast(pl.Callback):
    """Keeps the module's convolution weights in ``torch.channels_last``: a third off a step on a CPU, more on a GPU.

    In place and of every four-dimensional weight, those of a momentum encoder too, so that optimizers, checkpoints and
    a later run without this callback do not notice. Numbers change by rounding.

    On a CPU, a module with a strided 1x1 convolution of fewer than 16 channels is left as it is, and that is said: the
    backward pass of oneDNN 3.12 writes where it must not, and may end the process.
    """

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Change the format, before weights are loaded or optimizers made."""
        if trainer.strategy.root_device.type == "cpu" and any(map(_breaks, pl_module.modules())):
            rank_zero_info("ChannelsLast leaves this module as it is: oneDNN fails on its narrow strided convolutions")
            return
        for weight in pl_module.parameters():
            if weight.ndim == 4:
                # Not `contiguous`, which leaves a weight of one channel as it is.
                weight.data = weight.data.to(memory_format=torch.channels_last)


def _breaks(module: nn.Module) -> bool:
    return (
        isinstance(module, nn.Conv2d)
        and module.kernel_size == (1, 1)
        and module.stride != (1, 1)
        and module.in_channels < 16
    )
