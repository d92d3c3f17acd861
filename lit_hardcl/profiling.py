"""Where a training step's time goes: every moment of it belongs to one part, by Lightning's actions and by hooks."""

import contextlib
import functools
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from typing import Any

import lightning.pytorch as pl
import torch
from lightning.pytorch.callbacks import Checkpoint
from lightning.pytorch.cli import SaveConfigCallback
from lightning.pytorch.loggers import CSVLogger
from lightning.pytorch.profilers import Profiler
from torch import nn

from lit_hardcl.errors import Refusal
from lit_hardcl.hardness.difficult_rows import DifficultRows
from lit_hardcl.plots import check_figure_file, step_shares

PARTS = ("data", "views", "forward", "selection", "loss", "backward", "optimizer", "callbacks", "logging", "other")
_OUTSIDE = "outside of a step"
_ACTIONS = (  # part of a Lightning action, by the first of these that its name holds; other actions change nothing
    ("train_dataloader_next", "data"),
    ("batch_to_device", "data"),
    ("_batch_transfer", "views"),
    ("[Callback]", "callbacks"),
    (".backward", "backward"),
    ("optimizer_step", "optimizer"),
    ("optimizer_zero_grad", "optimizer"),
    ("configure_gradient_clipping", "optimizer"),
    ("lr_scheduler_step", "optimizer"),
    (".training_step", "other"),
)
_CHOICES = ("lit_hardcl.functional.selection", "lit_hardcl.functional.pools", "lit_hardcl.hardness.hard_sets")


class _EnoughError(Exception):
    """All steps are counted."""


class StepProfiler(Profiler):
    """Seconds of each part of ``steps`` steps after ``warmup`` ones; of nested parts the innermost counts.

    Waits for the GPU at every change of part, where there is one.
    """

    def __init__(self, steps: int, warmup: int) -> None:
        super().__init__()
        self.steps, self.warmup, self.fetched = steps, warmup, 0
        self.seconds = dict.fromkeys(PARTS, 0.0)
        self._parts, self._since = ["other"], time.perf_counter()

    @property
    def shares(self) -> dict[str, float]:
        """Of each part; they add up to 1."""
        total = sum(self.seconds[part] for part in PARTS)
        return {part: self.seconds[part] / total for part in PARTS}

    def start(self, action_name: str) -> None:
        """Enter the part that the action belongs to; a step begins as its batch is asked for."""
        if "train_dataloader_next" in action_name:
            self._settle()
            if self.fetched == self.warmup:
                self.seconds = dict.fromkeys(PARTS, 0.0)
            elif self.fetched == self.warmup + self.steps:
                raise _EnoughError
            self.fetched += 1
        self.enter(next((part for name, part in _ACTIONS if name in action_name), self._parts[-1]))

    def stop(self, action_name: str) -> None:
        """Return to the part before."""
        self.leave()

    def enter(self, part: str) -> None:
        """Go on with this part."""
        self._settle()
        self._parts.append(_OUTSIDE if self._parts[-1] == _OUTSIDE else part)

    def leave(self, *_: Any) -> None:
        """Return to the part before."""
        self._settle()
        self._parts.pop()

    def timed(self, part: str, function: Callable) -> Callable:
        """The function, as this part."""

        @functools.wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            self.enter(part)
            try:
                return function(*args, **kwargs)
            finally:
                self.leave()

        return call

    def _settle(self) -> None:
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        now = time.perf_counter()
        self.seconds[self._parts[-1]] = self.seconds.get(self._parts[-1], 0.0) + now - self._since
        self._since = now


class ProfilingTrainer(pl.Trainer):
    """A Trainer with one more method, which LightningCLI makes a subcommand of."""

    def profile(
        self,
        model: pl.LightningModule,
        datamodule: pl.LightningDataModule | None = None,
        steps: int = 30,
        warmup: int = 5,
        output: str = "profile.png",
        ckpt_path: str | None = None,
        weights_only: bool | None = None,
    ) -> str:
        """Train for some steps and show where their time goes.

        Args:
            model: any module.
            datamodule: its data.
            steps: how many steps count.
            warmup: how many steps before them do not.
            output: file of the bar.
            ckpt_path: not read; a run's config.yaml has it.
            weights_only: likewise.

        Returns:
            The table.
        """
        check_figure_file(output)
        profiler = profile_steps(self, model, datamodule, steps, warmup)
        step = {part: profiler.seconds[part] / steps for part in PARTS}
        title = f"{type(model).__name__}: {sum(step.values()) * 1000:.1f} ms a step, {steps} steps after {warmup}"
        if self.is_global_zero:
            step_shares(profiler.shares, title).savefig(output, dpi=130)
        lines = [f"{part:10}{step[part] * 1000:10.2f} ms{share:8.1%}" for part, share in profiler.shares.items()]
        return "\n".join([title, *lines, f"figure    {output}"])


def profile_steps(
    trainer: pl.Trainer, module: pl.LightningModule, data: Any = None, steps: int = 30, warmup: int = 5
) -> StepProfiler:
    """Train for ``warmup + steps`` steps and see where the time of the latter goes. Nothing is left behind.

    Works with any LightningModule. Its child modules are ``"forward"``, or ``"loss"`` if they are called so; what no
    part claims is ``"other"``. Checkpoints are not written, and logging goes to a CSV file in a temporary folder.
    Validation does not count.

    Raises:
        ValueError: if ``steps`` is below 1 or ``warmup`` below 0, or the training ends before.
    """
    if steps < 1 or warmup < 0:
        raise Refusal(f"steps must be at least 1 and warmup not negative, got {steps} and {warmup}")
    profiler = StepProfiler(steps, warmup)
    trainer.profiler = profiler  # type: ignore[attr-defined]
    trainer.callbacks = [c for c in trainer.callbacks if not isinstance(c, (Checkpoint, SaveConfigCallback))]  # type: ignore[attr-defined]
    trainer.limit_val_batches, trainer.num_sanity_val_steps = 1, 0
    connector, validation = trainer._logger_connector, trainer.fit_loop.epoch_loop.val_loop
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        if trainer.loggers:
            trainer.loggers = [CSVLogger(folder)]
        for owner, name, part in (
            (module, "log", "logging"),
            (connector, "update_train_step_metrics", "logging"),
            (validation, "run", _OUTSIDE),
            (trainer.strategy, "backward", "backward"),  # under manual optimisation Lightning has no action for it
            (trainer.strategy, "optimizer_step", "optimizer"),
            (DifficultRows, "marks", "selection"),
            *_own(module),
        ):
            stack.enter_context(_replaced(owner, name, profiler.timed(part, getattr(owner, name))))
        for child, part in _children(module):
            enter = functools.partial(lambda part, *_: profiler.enter(part), part)
            stack.callback(child.register_forward_pre_hook(enter).remove)
            stack.callback(child.register_forward_hook(profiler.leave, always_call=True).remove)
        with contextlib.suppress(_EnoughError):
            trainer.fit(module, datamodule=data)
            if profiler.fetched < warmup + steps:
                raise Refusal(
                    f"the training ended after {profiler.fetched} steps, before warmup and steps, {warmup} + {steps}: "
                    "ask for fewer steps or train longer"
                )
    return profiler


def _children(module: nn.Module) -> Iterator[tuple[nn.Module, str]]:
    """The modules that a training step calls itself, and their parts."""
    for name, child in module.named_children():
        if isinstance(child, (nn.ModuleList, nn.ModuleDict)):
            yield from _children(child)
        else:
            names = (name + type(child).__name__).lower()
            yield child, "loss" if "loss" in names or "criterion" in names else "forward"


def _own(module: nn.Module) -> list[tuple[Any, str, str]]:
    """This library's selections and losses, where those who call them look them up: methods of losses, functions."""
    methods = {"difficult": "selection", "kept": "selection", "with_share_kept": "loss"}
    rooms = [room for name, room in sys.modules.items() if name.startswith(("lit_hardcl.losses", "lit_hardcl.modules"))]
    return [(c, name, part) for c in module.children() for name, part in methods.items() if hasattr(c, name)] + [
        (room, name, "selection")
        for room in rooms
        for name, value in vars(room).items()
        if callable(value) and not isinstance(value, type) and getattr(value, "__module__", "") in _CHOICES
    ]


@contextlib.contextmanager
def _replaced(owner: Any, name: str, value: Any) -> Iterator[None]:
    """Put a value in an attribute's place for a while; a method's place in an instance is empty afterwards."""
    there = vars(owner).get(name)
    setattr(owner, name, value)
    try:
        yield
    finally:
        if there is None:
            delattr(owner, name)
        else:
            setattr(owner, name, there)
