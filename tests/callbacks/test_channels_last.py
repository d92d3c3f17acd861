"""ChannelsLast: whose weights it lays out anew, and that nothing else changes."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from lightning.pytorch.callbacks import ModelCheckpoint
from nets import Foreign
from trainers import quiet_trainer

from lit_hardcl import SPACL, ContrastiveDataModule, MoCo, SimCLR
from lit_hardcl.callbacks import ChannelsLast
from lit_hardcl.models import ResNet

MADE = {
    "SimCLR": lambda: SimCLR(net(), 0.5),
    "MoCo": lambda: MoCo(net(), 0.5, queue_size=64),
    "SPACL": lambda: SPACL(net(), 0.5, key_encoder="momentum", seed=0),
}
ENCODERS = {
    "SimCLR": {"backbone"},
    "MoCo": {"backbone", "key_backbone"},
    "SPACL": {"backbone", "key_encoder"},
}


def net():
    torch.manual_seed(0)
    return ResNet(10, width=16, stem="imagenet", in_channels=1)


def fit(module, *callbacks, ckpt_path=None, **settings):
    data = ContrastiveDataModule(batch_size=64, num_views=3 if isinstance(module, SPACL) else 2)
    quiet_trainer(*callbacks, limit_val_batches=0, **settings).fit(module, data, ckpt_path=ckpt_path)
    return module


@pytest.mark.parametrize("name", MADE)
def test_every_convolution_is_laid_out_anew_and_of_slow_encoders_too(name):
    module = MADE[name]()
    before = list(module.parameters())
    fit(module, ChannelsLast(), max_steps=1)
    convolutions = {part: weight for part, weight in module.named_parameters() if weight.ndim == 4}
    assert {part.split(".")[0] for part in convolutions} == ENCODERS[name]
    for weight in convolutions.values():
        assert weight.stride() == weight.to(memory_format=torch.channels_last).stride()
        assert weight.stride()[1] == 1
    assert all(old is new for old, new in zip(before, module.parameters(), strict=True)), "in place"


@pytest.mark.parametrize("name", MADE)
def test_numbers_change_by_rounding_alone(name):
    settings = {"max_steps": 1, "precision": "64-true"}
    plain, laid_out = fit(MADE[name](), **settings), fit(MADE[name](), ChannelsLast(), **settings)
    for part, value in plain.state_dict().items():
        torch.testing.assert_close(laid_out.state_dict()[part], value, rtol=1e-9, atol=1e-9)


@pytest.mark.filterwarnings("ignore:.*callbacks used to create the checkpoint")
@pytest.mark.parametrize("name", MADE)
def test_a_training_goes_on_bit_for_bit(name, tmp_path):
    settings = {"max_epochs": 2, "limit_train_batches": 3}
    keep = ModelCheckpoint(tmp_path, "{epoch}", save_top_k=-1)
    whole = fit(MADE[name](), ChannelsLast(), keep, **settings).state_dict()
    resumed = fit(MADE[name](), ChannelsLast(), ckpt_path=tmp_path / "epoch=0.ckpt", **settings).state_dict()
    for part, value in whole.items():
        assert torch.equal(resumed[part], value), part


NARROW = """
import torch
from torch import nn
from trainers import quiet_trainer
from lit_hardcl import SimCLR
from lit_hardcl.callbacks import ChannelsLast

torch.set_num_threads(2)
for channels in (8, 12, 3):
    backbone = nn.Sequential(nn.Conv2d(4, channels, 3, padding=1), nn.Conv2d(channels, 8, 1, stride=2))
    ChannelsLast().setup(quiet_trainer(), SimCLR(backbone, 0.5, projection_head=nn.Identity()), "fit")
    for _ in range(20):
        backbone(torch.randn(3, 4, 16, 16)).square().sum().backward()
"""


def test_narrow_strided_convolutions_are_left_as_they_are_for_onednn_would_end_the_process():
    tests = Path(__file__).parents[1]
    environment = {**os.environ, "PYTHONPATH": f"{tests}:{tests.parent}"}
    command = [sys.executable, "-c", NARROW]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert "oneDNN fails on its narrow strided convolutions" in done.stderr


def test_a_module_without_convolutions_is_left_as_it_is():
    module = Foreign()
    before = [weight.stride() for weight in module.parameters()]
    ChannelsLast().setup(quiet_trainer(), module, "fit")
    assert [weight.stride() for weight in module.parameters()] == before
