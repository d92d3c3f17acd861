"""torch.compile for a backbone, as a switch."""

import lightning.pytorch as pl
from torch import nn

from lit_hardcl.errors import Refusal


class CompileBackbone(pl.Callback):
    """Runs ``pl_module.backbone`` through ``torch.compile`` while it is trained.

    In place, so that checkpoints, and a later run without this callback, do not notice. The first step takes up to a
    minute. On a CPU it gains nothing on top of ``channels_last``.

    Raises:
        ValueError: before training, if the module has no ``backbone``.
    """

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Compile at the first call."""
        backbone = getattr(pl_module, "backbone", None)
        if not isinstance(backbone, nn.Module):
            raise Refusal(f"CompileBackbone needs a module with a backbone, got {type(pl_module).__name__}")
        backbone.compile()

    def on_fit_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Leave the backbone as it was: evaluations would compile it anew for every shape."""
        pl_module.backbone._compiled_call_impl = None  # type: ignore[union-attr]
