"""What every method is: an encoder, the one training step, its optimizer; a method brings the objective."""

import inspect
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from lit_hardcl.contract import step_output, unpack
from lit_hardcl.errors import Refusal
from lit_hardcl.models import ProjectionHead, feature_width, passed
from lit_hardcl.modules.safeguards import Safeguarded
from lit_hardcl.schedules import made

OptimizerCallable = Callable[[Iterable], Optimizer]
SchedulerCallable = Callable[[Optimizer], LRScheduler]


class Objective(NamedTuple):
    """What a method makes of a batch.

    Attributes:
        loss: whose gradient is taken, and which is logged as ``train_loss``.
        features: rows, one per view and image that passed the backbone, view by view.
        logged: further numbers, by name.
    """

    loss: Float[Tensor, ""]
    features: Float[Tensor, "rows width"]
    logged: dict[str, Tensor]


class Method(Safeguarded):
    """A backbone with a projection head, and the training step that all methods share.

    Batches are positionally ``(views, targets, indices)``. The steps return ``{"features", "targets", "indices"}``,
    one row per view and image, view by view, for callbacks such as an online probe; training adds ``"loss"``.

    Images are known to :meth:`encode` alone: a module of text, graphs or tables overrides it. A method brings its
    :meth:`objective`; never a step.

    Args:
        backbone: any module from images to features; what it returns is flattened.
        projection_head: network from features to projections; ``None``: a :class:`~lit_hardcl.models.ProjectionHead` as
            wide as the features, to 128 dims.
        optimizer: function from parameters to an optimizer.
        scheduler: function from an optimizer to a learning-rate scheduler, stepped with every optimizer step.

    Attributes:
        indices: numbers of the present training step's images, for an objective that meets them again; ``None``: the
            batch did not say.
    """

    def __init_subclass__(cls, **settings: Any) -> None:
        """Give functions that are defaults a name in their class, by which a module goes to other processes."""
        super().__init_subclass__(**settings)
        for name, argument in inspect.signature(cls.__init__).parameters.items() if "__init__" in vars(cls) else ():
            if getattr(argument.default, "__name__", None) == "<lambda>":
                argument.default.__qualname__ = f"{cls.__qualname__}.default_{name}"
                setattr(cls, f"default_{name}", staticmethod(argument.default))

    def __init__(
        self,
        backbone: nn.Module,
        projection_head: nn.Module | None,
        optimizer: OptimizerCallable,
        scheduler: SchedulerCallable | None,
    ) -> None:
        super().__init__()
        self.backbone = backbone
        self.projection_head = ProjectionHead(feature_width(backbone)) if projection_head is None else projection_head
        self.indices: Tensor | None = None
        self.optimizer = optimizer
        self.scheduler = scheduler

    def encode(self, views: list[Tensor], backbone: nn.Module | None = None) -> Float[Tensor, "rows width"]:
        """Backbone features of views, before any head: one row per view and image, view by view.

        Args:
            views: views of each image, as the data module gives them.
            backbone: network in place of the module's own, such as a slow copy of it.
        """
        inputs = torch.cat(views)
        inputs = inputs.to(self.dtype) if inputs.is_floating_point() else inputs  # numbers of words stay whole
        return passed(self.backbone if backbone is None else backbone, inputs).flatten(1)

    def forward(self, images: Any) -> Float[Tensor, "batch width"]:
        """Backbone features of one view, before any head."""
        return self.encode([images])

    def objective(self, views: list[Tensor], targets: Int[Tensor, " batch"], batch_idx: int) -> Objective:
        """What the method makes of a batch."""
        raise NotImplementedError

    def training_step(self, batch: Any, batch_idx: int) -> dict[str, Any]:
        """Take the objective's loss, watch and log it."""
        views, targets, self.indices = unpack(batch)
        loss, features, logged = self.objective(views, targets, batch_idx)
        self.watch(loss)
        self.log("train_loss", loss, prog_bar=True, sync_dist=True, batch_size=len(targets))
        self.log_dict(logged, sync_dist=True, batch_size=len(targets))
        return {"loss": loss, **step_output(features, targets, self.indices, views=len(features) // len(targets))}

    def validation_step(self, batch: Any, batch_idx: int, dataloader_idx: int = 0) -> dict[str, Any]:
        """Features of the clean view, for callbacks."""
        views, targets, indices = unpack(batch)
        return step_output(self(views[0]), targets, indices)

    def test_step(self, batch: Any, batch_idx: int, dataloader_idx: int = 0) -> dict[str, Any]:
        """As in validation."""
        return self.validation_step(batch, batch_idx)

    def predict_step(self, batch: Any, batch_idx: int, dataloader_idx: int = 0) -> Float[Tensor, "batch width"]:
        """Features of the clean view."""
        return self(unpack(batch)[0][0])

    def configure_optimizers(self) -> Any:
        """The optimizer and, stepped with it, the scheduler."""
        optimizer = made("optimizer", self.optimizer, [p for p in self.parameters() if p.requires_grad])
        schedule = None if self.scheduler is None else made("scheduler", self.scheduler, optimizer)
        return self.scheduled(optimizer, schedule)

    def scheduled(self, optimizer: Optimizer, schedule: LRScheduler | None) -> dict[str, Any]:
        """An optimizer with its schedule, as Lightning wants them, the schedule told when the training ends."""
        if schedule is None:
            return {"optimizer": optimizer}
        if hasattr(schedule, "fill_total_steps"):
            schedule.fill_total_steps(self.trainer.estimated_stepping_batches)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def check_two(self, views: list[Tensor]) -> None:
        """Refuse another number of views than two."""
        if len(views) != 2:
            raise Refusal(f"{type(self).__name__} contrasts 2 views of an image, got {len(views)}: set num_views=2")
