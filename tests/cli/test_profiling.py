"""A profile gives every moment of a step to one part, for any module, and leaves nothing behind."""

import time

import lightning.pytorch as pl
import pytest
import torch
from commands import TINY
from nets import Foreign

from lit_hardcl import ContrastiveDataModule
from lit_hardcl.profiling import PARTS, StepProfiler, profile_steps


class Slow(pl.Callback):
    def on_train_batch_end(self, *_):
        time.sleep(0.1)


class SlowLoss(torch.nn.Module):
    def forward(self, features):
        time.sleep(0.1)
        return features.square().mean()


class ForeignWithALoss(Foreign):
    def __init__(self):
        super().__init__()
        self.criterion = SlowLoss()

    def training_step(self, batch, batch_idx):
        loss = self.criterion(self(batch[0][0]))
        self.log("loss", loss)
        return loss


def profiled(module, *callbacks, **settings):
    trainer = pl.Trainer(
        accelerator="cpu",
        max_epochs=2,
        enable_progress_bar=False,
        enable_model_summary=False,
        enable_checkpointing=False,
        logger=False,
        log_every_n_steps=1,
        callbacks=list(callbacks),
    )
    return profile_steps(trainer, module, ContrastiveDataModule(batch_size=128), **settings)


def test_the_innermost_part_counts_and_nothing_counts_twice():
    profiler = StepProfiler(steps=1, warmup=0)
    began = time.perf_counter()
    profiler.start("[_TrainingEpochLoop].train_dataloader_next")
    time.sleep(0.02)
    profiler.stop("[_TrainingEpochLoop].train_dataloader_next")
    profiler.start("[LightningModule]Any.optimizer_step")
    profiler.start("[Strategy]Any.training_step")
    with torch.profiler.record_function("forward"):
        time.sleep(0.05)
    profiler.stop("[Strategy]Any.training_step")
    profiler.stop("[LightningModule]Any.optimizer_step")
    profiler.finish()
    took = time.perf_counter() - began
    assert profiler.seconds["data"] == pytest.approx(0.02, abs=0.015)
    assert profiler.seconds["forward"] == pytest.approx(0.05, abs=0.03)
    assert profiler.seconds["optimizer"] < 0.01
    assert sum(profiler.seconds.values()) == pytest.approx(took, abs=0.01)


def test_a_planted_slow_callback_is_callback_time_of_any_module():
    profiler = profiled(Foreign(), Slow(), steps=5, warmup=1)
    assert profiler.shares.keys() == set(PARTS)
    assert sum(profiler.shares.values()) == pytest.approx(1)
    assert profiler.seconds["callbacks"] >= 0.5
    assert profiler.shares["callbacks"] == max(profiler.shares.values())
    assert profiler.shares["selection"] == 0


def test_a_planted_slow_loss_is_loss_time():
    module = ForeignWithALoss()
    profiler = profiled(module, steps=3, warmup=1)
    assert profiler.seconds["loss"] >= 0.3
    assert profiler.shares["loss"] == max(profiler.shares.values())
    assert profiler.shares["logging"] > 0
    assert "log" not in vars(module), "the module is as it was"
    assert not module.criterion._forward_hooks


def test_validation_between_epochs_does_not_count():
    class SlowValidation(Foreign):
        def validation_step(self, batch, batch_idx):
            time.sleep(2)

    profiler = profiled(SlowValidation(), steps=14, warmup=0)  # an epoch has 11
    assert sum(profiler.seconds[part] for part in PARTS) < 2


@pytest.mark.parametrize("steps", [{"steps": 0}, {"warmup": -1}, {"steps": 500}])
def test_steps_that_cannot_be_counted_are_refused(steps):
    with pytest.raises(ValueError, match="steps must be at least 1|the training ended after 22 steps"):
        profiled(Foreign(), **steps)


def test_a_training_may_end_with_the_last_step_that_counts():
    assert profiled(Foreign(), steps=20, warmup=2).fetched == 22


@pytest.mark.parametrize("method", ["combined", "spacl"])
def test_the_command_line_profiles_a_run_and_leaves_only_the_figure(method, run, tmp_path):
    overlay = TINY[1].replace("quickstart", f"methods/{method}")
    code, printed, _ = run("profile", *TINY, "-c", overlay, "--steps", "3", "--warmup", "1", "--output", "bar.png")
    assert code == 0
    shares = {line.split()[0]: float(line.split()[-1].strip("%")) for line in printed.splitlines() if "%" in line}
    assert list(shares) == list(PARTS)
    assert sum(shares.values()) == pytest.approx(100, abs=0.5)
    assert min(shares[part] for part in ("views", "forward", "selection", "loss", "backward", "optimizer")) > 0
    assert [path.name for path in tmp_path.iterdir()] == ["bar.png"]
