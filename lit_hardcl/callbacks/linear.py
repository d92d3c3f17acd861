"""A linear probe trained beside the module."""

from typing import Any

import lightning.pytorch as pl
import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from lit_hardcl import distributed
from lit_hardcl.callbacks.online import OnlineEvaluator
from lit_hardcl.contract import check_targets, read_step
from lit_hardcl.errors import Refusal, check_positive, check_whole


class OnlineLinearProbe(OnlineEvaluator):
    """Trains a linear classifier beside the module, on the detached features of its training steps.

    Logs ``val_linear_top1`` and, with more than five classes, ``val_linear_top5``. No second forward in training; the
    probe's weights and optimizer live in the callback's own state, so that checkpoints of the module stay its own and
    a resumed training goes on with the same probe. Float32 whatever the trainer's precision; processes share one probe.

    Args:
        num_classes: number of classes; ``None``: the data module's ``num_classes``.
        learning_rate: step size of Adam, positive.
        weight_decay: factor of Adam's L2 penalty, not negative.
        every_n_steps: train the probe on every n-th batch, at least 1.

    Raises:
        ValueError: if a number breaks its rule; before training, if the number of classes is unknown or no image has a
            label; if a checkpoint's probe is of another size.
    """

    name = "linear"

    def __init__(
        self,
        num_classes: int | None = None,
        learning_rate: float = 3e-3,
        weight_decay: float = 0.0,
        every_n_steps: int = 1,
    ) -> None:
        super().__init__(num_classes)
        check_positive(learning_rate=learning_rate)
        check_whole(1, every_n_steps=every_n_steps)
        if weight_decay != 0:
            check_positive(weight_decay=weight_decay)
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.every_n_steps = every_n_steps
        self._built: tuple[nn.Linear, torch.optim.Optimizer] | None = None
        self._restored: dict[str, Any] = {}
        self._watched: pl.LightningModule | None = None

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Find out the number of classes; of another module than before, begin anew."""
        super().setup(trainer, pl_module, stage)
        if self._watched not in (None, pl_module):
            self._restored, self._built = {}, None
        self._watched = pl_module

    @property
    def probe(self) -> nn.Linear | None:
        """The classifier, once it has seen features."""
        return self._built[0] if self._built else None

    def scores(self, features: Float[Tensor, "batch width"]) -> Float[Tensor, "batch classes"] | None:
        """Logits of the probe; ``None`` before its first step."""
        if self._built is None and not self._restored:
            return None
        return self._probe_and_optimizer(features)[0](features).detach()

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Take one step of the probe's own training."""
        if batch_idx % self.every_n_steps:
            return
        features, targets, _ = read_step(outputs)
        check_targets(targets.cpu() if batch_idx == 0 else targets, self._classes)
        features, targets = features.float(), targets.long().clamp(min=-1)
        probe, optimizer = self._probe_and_optimizer(features)
        with torch.enable_grad(), torch.autocast(features.device.type, enabled=False):
            loss = F.cross_entropy(probe(features), targets, ignore_index=-1, reduction="sum")
            gradients = torch.autograd.grad(loss, list(probe.parameters()))
        labelled = (targets >= 0).sum().float()
        distributed.sum_across(labelled, *gradients)
        for parameter, gradient in zip(probe.parameters(), gradients, strict=True):
            parameter.grad = gradient / labelled.clamp(min=1)
        optimizer.step()

    def state_dict(self) -> dict[str, Any]:
        """The probe and its optimizer."""
        if self._built is None:
            return self._restored
        return {"probe": self._built[0].state_dict(), "optimizer": self._built[1].state_dict()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on with a saved probe, once the first features tell their device."""
        self._restored, self._built = state_dict, None

    def _probe_and_optimizer(self, features: Float[Tensor, "rows width"]) -> tuple[nn.Linear, torch.optim.Optimizer]:
        if self._built is None:
            with torch.inference_mode(False):  # a fit may follow the validation that has built it
                self._built = self._build(features.shape[1], features.device)
        return self._built

    def _build(self, width: int, device: torch.device) -> tuple[nn.Linear, torch.optim.Optimizer]:
        # Zeros, by a way that draws no random number: the probe must not change the training it watches.
        probe = nn.utils.skip_init(nn.Linear, width, self._classes, device=device)
        for parameter in probe.parameters():
            nn.init.zeros_(parameter)
        optimizer = torch.optim.Adam(probe.parameters(), lr=self.learning_rate, weight_decay=self.weight_decay)
        if self._restored:
            here, there = tuple(probe.weight.shape), tuple(self._restored["probe"]["weight"].shape)
            if here != there:
                raise Refusal(
                    f"the checkpoint's linear probe is for {there[0]} classes and {there[1]} features, "
                    f"but here are {here[0]} and {here[1]}"
                )
            probe.load_state_dict(self._restored["probe"])
            optimizer.load_state_dict(self._restored["optimizer"])
        return probe, optimizer
