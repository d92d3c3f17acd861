"""A scheduled setting follows its formula step by step; a constant one is none."""

import math

import pytest
import torch
from nets import FlatHead, FlatNet, Foreign
from trainers import Losses, quiet_trainer

from lit_hardcl import SPACL, ContrastiveDataModule, DifficultPairLoss, MoCo, SimCLR
from lit_hardcl.callbacks import ScheduledSetting

MADE = {
    "SimCLR": lambda: SimCLR(FlatNet(), 0.5, projection_head=FlatHead()),
    "MoCo": lambda: MoCo(FlatNet(), 0.5, FlatHead(), queue_size=64),
    "SPACL": lambda: SPACL(FlatNet(), 0.5, FlatHead(), seed=0),
}


class Seen(ScheduledSetting):
    """Keeps what is set."""

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        self.values = [*getattr(self, "values", []), pl_module.criterion.temperature]


def fit(name, *callbacks, epochs=2):
    torch.manual_seed(0)
    module, losses = MADE[name](), Losses()
    data = ContrastiveDataModule(batch_size=128, train_size=256, num_views=3 if name == "SPACL" else 2)
    quiet_trainer(*callbacks, losses, limit_val_batches=0, max_epochs=epochs).fit(module, data)
    return losses.values


def test_a_cosine_goes_there_and_back_and_a_ramp_stays():
    seen = Seen("temperature", 1.0, 0.2, epochs=2)
    fit("SimCLR", seen, epochs=3)
    assert seen.values == pytest.approx([0.2 + 0.8 * (1 + math.cos(math.pi * half / 2)) / 2 for half in range(6)])
    seen = Seen("temperature", 1.0, 0.2, epochs=1, shape="linear")
    fit("SimCLR", seen, epochs=2)
    assert seen.values == pytest.approx([1.0, 0.6, 0.2, 0.2])


@pytest.mark.parametrize("name", MADE)
def test_a_constant_schedule_is_none_and_another_one_is_felt(name):
    plain = fit(name)
    assert fit(name, ScheduledSetting("temperature", 0.5, 0.5, epochs=1)) == plain
    assert fit(name, ScheduledSetting("temperature", 0.4, 0.5, epochs=1)) != plain


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"setting": "temperature", "start": 0.0, "end": 1.0, "epochs": 1},
            "must be positive from start to end, got 0.0",
        ),
        ({"setting": "margin", "start": math.nan, "end": 1.0, "epochs": 1}, "must be finite, got nan"),
        ({"setting": "margin", "start": 0.0, "end": 1.0, "epochs": 0}, "epochs must be positive and finite, got 0"),
        (
            {"setting": "margin", "start": 0.0, "end": 1.0, "epochs": 1, "shape": "step"},
            "one of cosine, linear, got 'step'",
        ),
    ],
)
def test_numbers_that_break_a_rule_are_refused(settings, message, unchecked_shapes):
    with pytest.raises(ValueError, match=message):
        ScheduledSetting(**settings)


def test_a_setting_that_is_not_there_is_refused_before_training():
    trainer = quiet_trainer(ScheduledSetting("sharpness", 0.1, 0.2, epochs=1), max_epochs=1)
    with pytest.raises(ValueError, match="a float of the module's criterion, got sharpness of DifficultPairLoss"):
        trainer.fit(SimCLR(FlatNet(), 0.5), ContrastiveDataModule(batch_size=64))
    with pytest.raises(ValueError, match="got sharpness of None"):
        trainer.fit(Foreign(), ContrastiveDataModule(batch_size=64))
    assert not hasattr(DifficultPairLoss(0.5), "sharpness")
