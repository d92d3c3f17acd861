"""CollapseAlarm: what it fires on, what it leaves alone, and that nothing notices it."""

import lightning.pytorch as pl
import pytest
import torch
from nets import FlatNet
from trainers import Losses, quiet_trainer

from lit_hardcl import CollapseAlarm, ContrastiveDataModule, MoCo, SimCLR
from lit_hardcl.callbacks.collapse_alarm import statistics


class Point(FlatNet):
    """A backbone that sees nothing."""

    def forward(self, images):
        return super().forward(images) * 0 + torch.arange(1.0, 13)


class Line(FlatNet):
    """A backbone with one number to say, about a part that all images share."""

    def forward(self, images):
        return super().forward(images)[:, :1] * torch.eye(12)[:1] + torch.eye(12)[1:2]


class Shared(FlatNet):
    """A healthy backbone whose features share a large part."""

    def forward(self, images):
        return super().forward(images) + 5


def fit(module, *callbacks, batch_size=32, **settings):
    pl.seed_everything(0)
    trainer = quiet_trainer(*callbacks, limit_val_batches=0, **{"max_epochs": 1, "max_steps": 20, **settings})
    trainer.fit(module, ContrastiveDataModule(batch_size=batch_size))
    return trainer


def simclr(backbone=FlatNet, temperature=0.5, lr=0.1, optimizer=torch.optim.SGD, method=SimCLR):
    pl.seed_everything(0)
    return method(backbone(), temperature, optimizer=lambda p: optimizer(p, lr=lr), scheduler=None)


FAILING = {
    "a constant backbone": ({"backbone": Point}, "all features are one point"),
    "a line": ({"backbone": Line, "lr": 0.0}, "all features lie on a line"),
    "too low a temperature": ({"temperature": 1e-6}, "The temperature is too low"),
    "too high a learning rate": ({"lr": 1e4, "optimizer": torch.optim.Adam}, "The learning rate is too high"),
}


@pytest.mark.parametrize(("settings", "said"), FAILING.values(), ids=FAILING)
def test_a_failing_training_is_warned_of_once_or_stopped(settings, said):
    with pytest.warns(UserWarning, match=said) as warned:
        fit(simclr(**settings), CollapseAlarm(every_n_steps=2, patience=3))
    assert len([each for each in warned if "this training fails" in str(each.message)]) == 1
    with pytest.raises(ValueError, match=said):
        fit(simclr(**settings), CollapseAlarm(every_n_steps=2, patience=3, stop=True))


HEALTHY = {
    "SimCLR": ({}, 32),
    "a large shared part": ({"backbone": Shared}, 32),
    "two images a step": ({}, 2),
    "eight images a step": ({}, 8),
    "a low temperature": ({"temperature": 0.05}, 32),
    "MoCo": ({"method": MoCo}, 32),
}


@pytest.mark.parametrize(("settings", "batch_size"), HEALTHY.values(), ids=HEALTHY)
def test_a_healthy_training_is_left_alone_and_changes_in_no_bit(settings, batch_size):
    alone, watched = Losses(), Losses()
    fit(simclr(**settings), alone, batch_size=batch_size)
    trainer = fit(simclr(**settings), CollapseAlarm(2, 5, stop=True), watched, batch_size=batch_size)
    assert alone.values == watched.values
    assert {"feature_std", "effective_rank", "mean_cosine"} <= trainer.callback_metrics.keys()


def test_features_that_fill_the_sphere_have_the_spread_and_rank_of_their_width():
    deviation, rank, cosine = statistics(torch.randn(4000, 16), 4000)
    assert deviation == pytest.approx(0.25, rel=0.01)
    assert rank == pytest.approx(16, rel=0.01)
    assert cosine == pytest.approx(0, abs=0.01)


def test_identical_features_have_no_spread_whatever_the_precision():
    for precision in (torch.float32, torch.float16, torch.bfloat16):
        deviation, rank, cosine = statistics(torch.ones(32, 3, dtype=precision), 16)
        assert (deviation, rank) == (0, 1)
        assert cosine == pytest.approx(1)
