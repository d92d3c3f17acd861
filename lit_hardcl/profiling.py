"""Where a training step's time goes: every moment belongs to one part, by Lightning's actions and by annotations."""

import contextlib
import os
import tempfile
import time
from collections.abc import Iterator
from typing import Any

import lightning.pytorch as pl
import torch
from lightning.pytorch.callbacks import Checkpoint
from lightning.pytorch.cli import SaveConfigCallback
from lightning.pytorch.loggers import CSVLogger
from lightning.pytorch.profilers import Profiler
from torch import nn
from torch.profiler import ProfilerActivity, record_function

from lit_hardcl.errors import Refusal

PARTS = ("data", "views", "forward", "selection", "loss", "backward", "optimizer", "callbacks", "logging", "other")
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


class _EnoughError(Exception):
    """All steps are counted."""


class StepProfiler(Profiler):
    """Seconds of each part of ``steps`` steps after ``warmup`` ones; of nested parts the innermost counts.

    A part is what Lightning's actions say, or an annotation of its name, ``torch.profiler.record_function("loss")``, by
    anybody's code.
    """

    def __init__(self, steps: int, warmup: int) -> None:
        super().__init__()
        self.steps, self.warmup, self.fetched = steps, warmup, 0
        self.seconds = dict.fromkeys(PARTS, 0.0)
        self._open: list[Any] = []
        self._recording: Any = None
        self._since = 0.0

    @property
    def shares(self) -> dict[str, float]:
        """Of each part; they add up to 1."""
        total = sum(self.seconds.values())
        return {part: seconds / total for part, seconds in self.seconds.items()}

    def start(self, action_name: str) -> None:
        """Enter the part that the action belongs to; a step begins as its batch is asked for."""
        if "train_dataloader_next" in action_name:
            if self.fetched == self.warmup:
                self._recording = torch.profiler.profile(activities=[ProfilerActivity.CPU], acc_events=True)
                self._recording.start()
                self._since = time.perf_counter()
            elif self.fetched == self.warmup + self.steps:
                self.finish()
                raise _EnoughError
            self.fetched += 1
        part = next((part for name, part in _ACTIONS if name in action_name), None)
        self._open.append(contextlib.ExitStack() if part is None else record_function(part))
        self._open[-1].__enter__()

    def stop(self, action_name: str) -> None:
        """Return to the part before."""
        if self._open:
            self._open.pop().__exit__(None, None, None)

    def finish(self) -> None:
        """Stop recording, and add up what was recorded."""
        if self._recording is None:
            return
        while self._open:
            self.stop("")
        total = time.perf_counter() - self._since
        self._recording.stop()
        events, self._recording = self._recording.events(), None
        self.seconds = dict.fromkeys(PARTS, 0.0)
        for part, seconds in _exclusive([e for e in events if e.name in PARTS]):
            self.seconds[part] += seconds
        self.seconds["other"] += max(0.0, total - sum(self.seconds.values()))


def _exclusive(events: list[Any]) -> Iterator[tuple[str, float]]:
    """The part of each event and its seconds, without those of the events inside it."""
    stack: list[list[Any]] = []  # part, end, seconds inside
    for event in sorted(events, key=lambda e: (e.time_range.start, -e.time_range.end)):
        start, end = event.time_range.start, event.time_range.end
        while stack and stack[-1][1] <= start:
            part, _, seconds = stack.pop()
            yield part, seconds
        if stack:
            stack[-1][2] -= (end - start) * 1e-6
        stack.append([event.name, end, (end - start) * 1e-6])
    for part, _, seconds in stack:
        yield part, seconds


class _Recorded(CSVLogger):
    """Logs into a folder, as the part ``"logging"``."""

    def log_metrics(self, metrics: Any, step: int | None = None) -> None:
        with record_function("logging"):
            super().log_metrics(metrics, step)


def wait_for_kernels() -> None:
    """Let a GPU's kernels be waited for, so that a part's time is its own; before the GPU is first used."""
    os.environ.setdefault("CUDA_LAUNCH_BLOCKING", "1")


def profile_steps(
    trainer: pl.Trainer, module: pl.LightningModule, data: Any = None, steps: int = 30, warmup: int = 5
) -> StepProfiler:
    """Train for ``warmup + steps`` steps and see where the time of the latter goes. Nothing is left behind.

    Works with any LightningModule. Child modules of one that annotates no part itself are ``"forward"``, or ``"loss"``
    if they are called so; what no part claims is ``"other"``. Checkpoints are not written, there is no validation, and
    logging goes to a CSV file in a temporary folder. A GPU's kernels count where they are waited for: see
    `wait_for_kernels`.

    Args:
        trainer: whose options count.
        module: any module.
        data: its data module.
        steps: number of steps that count.
        warmup: number of steps before them that do not.

    Raises:
        Refusal: if ``steps`` is below 1 or ``warmup`` below 0, or the training ends before.
    """
    if steps < 1 or warmup < 0:
        raise Refusal(f"steps must be at least 1 and warmup not negative, got {steps} and {warmup}")
    profiler = StepProfiler(steps, warmup)
    trainer.profiler = profiler  # type: ignore[attr-defined]
    trainer.callbacks = [c for c in trainer.callbacks if not isinstance(c, (Checkpoint, SaveConfigCallback))]  # type: ignore[attr-defined]
    trainer.limit_val_batches, trainer.num_sanity_val_steps = 0, 0
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        trainer.loggers = [_Recorded(folder)]
        for child, part in _children(module):
            open_parts: list[Any] = []

            def enter(*_: Any, part: str = part, parts: list[Any] = open_parts) -> None:
                parts.append(record_function(part))
                parts[-1].__enter__()

            def leave(*_: Any, parts: list[Any] = open_parts) -> None:
                parts.pop().__exit__(None, None, None)

            stack.callback(child.register_forward_pre_hook(enter).remove)
            stack.callback(child.register_forward_hook(leave, always_call=True).remove)
        with contextlib.suppress(_EnoughError):
            trainer.fit(module, datamodule=data)
            if profiler.fetched < warmup + steps:
                raise Refusal(
                    f"the training ended after {profiler.fetched} steps, before warmup and steps, {warmup} + {steps}: "
                    "ask for fewer steps or train longer"
                )
        profiler.finish()
    return profiler


def _children(module: nn.Module) -> Iterator[tuple[nn.Module, str]]:
    """The modules that a training step calls itself, and their parts."""
    for name, child in module.named_children():
        if isinstance(child, (nn.ModuleList, nn.ModuleDict)):
            yield from _children(child)
        else:
            names = (name + type(child).__name__).lower()
            yield child, "loss" if "loss" in names or "criterion" in names else "forward"
