"""The memory format that convolutions are fastest in, as a switch."""

import lightning.pytorch as pl
import torch


class ChannelsLast(pl.Callback):
    """Keeps the module's convolution weights in ``torch.channels_last``: a third off a step on a CPU, more on a GPU.

    In place and of every four-dimensional weight, those of a momentum encoder too, so that optimizers, checkpoints and
    a later run without this callback do not notice. Numbers change by rounding.

    On a CPU with several threads, oneDNN 3.12 may end the process in the backward pass of a strided 1x1 convolution of
    8 or 12 channels and a small batch: leave the callback out for such a network.
    """

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Change the format, before weights are loaded or optimizers made."""
        for weight in pl_module.parameters():
            if weight.ndim == 4:
                # Not `contiguous`, which leaves a weight of one channel as it is.
                weight.data = weight.data.to(memory_format=torch.channels_last)
