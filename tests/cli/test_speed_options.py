"""Options that make a step faster train as the step without them does."""

import pytest
import torch
from commands import TINY, newest
from lightning.pytorch import LightningModule, Trainer
from torch.testing import assert_close

from lit_hardcl import ContrastiveDataModule, SimCLRCombined
from lit_hardcl.callbacks import CompileBackbone
from lit_hardcl.models import ResNet


@pytest.mark.parametrize(
    "options",
    [
        ["--model.optimizer.fused", "true"],
        ["--trainer.callbacks+=lit_hardcl.callbacks.CompileBackbone"],
        ["--data.compile", "true"],
    ],
    ids=["fused", "compiled backbone", "compiled views"],
)
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.filterwarnings("ignore::FutureWarning")
@pytest.mark.filterwarnings("ignore::UserWarning:torch")
def test_a_faster_step_takes_the_same_way(options, run, tmp_path):
    few = [*TINY, "--trainer.limit_train_batches", "2", "--trainer.max_epochs", "1", "--trainer.log_every_n_steps", "1"]
    assert run("fit", *few, "--trainer.logger.save_dir", "plain")[0] == 0
    code, _, errors = run("fit", *few, *options, "--trainer.logger.save_dir", "fast")
    assert code == 0, errors
    plain, fast = (newest(tmp_path / folder)["state_dict"] for folder in ("plain", "fast"))
    assert plain.keys() == fast.keys()
    for name in plain:
        assert_close(fast[name], plain[name], atol=1e-4, rtol=1e-3)


def test_compiling_needs_a_backbone():
    with pytest.raises(ValueError, match="needs a module with a backbone, got LightningModule"):
        CompileBackbone().on_fit_start(Trainer(accelerator="cpu", logger=False), LightningModule())


@pytest.mark.skipif(not torch.cuda.is_available(), reason="only a GPU is waited for")
@pytest.mark.filterwarnings("ignore:Synchronization debug mode is a prototype")
def test_a_step_waits_for_the_gpu_nowhere():
    data = ContrastiveDataModule(batch_size=64)
    module = SimCLRCombined(
        backbone=ResNet(10, 16, in_channels=1),
        temperature=0.5,
        pos_high=0.15,
        pos_low=0.22,
        margin=0.03,
        temperature_scale=0.6,
    ).cuda()
    module.log = module.watch = lambda *_, **__: None  # the trainer's business, at a cadence
    raw = type(batch := next(iter(data.train_dataloader())))(*(column.cuda() for column in batch))
    for mode in ("default", "error"):  # the first step may set libraries up
        torch.cuda.set_sync_debug_mode(mode)
        module.training_step(data.on_after_batch_transfer(raw, 0), 0)["loss"].backward()
    torch.cuda.set_sync_debug_mode("default")
