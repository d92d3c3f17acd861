"""Fewer images are another loader, asked for once, and schedules that end with the training."""

from types import SimpleNamespace

import pytest
import torch

from lit_hardcl.callbacks.loaders import KeptImages, fit_schedules
from lit_hardcl.data.reload import ReloadOnce
from lit_hardcl.schedules import WarmupCosine


def a_trainer(every=0, **settings):
    return SimpleNamespace(reload_dataloaders_every_n_epochs=every, **settings)


@pytest.mark.parametrize("every", [0, 1, 3])
def test_the_loader_is_asked_for_once_and_the_trainer_left_as_it_was(every):
    trainer, first, second = a_trainer(every), ReloadOnce(), ReloadOnce()
    first.ask(trainer)
    second.ask(trainer)
    first.ask(trainer)
    assert trainer.reload_dataloaders_every_n_epochs == 1
    first.done(trainer)
    assert trainer.reload_dataloaders_every_n_epochs == every
    second.done(trainer)  # it had found the loader asked for already
    first.done(trainer)
    assert trainer.reload_dataloaders_every_n_epochs == every


class Joined(torch.optim.lr_scheduler.LRScheduler):
    """Schedules in one, which knows its parts alone."""

    def __init__(self, *parts):
        self.parts = parts

    def fill_total_steps(self, total):
        for part in self.parts:
            part.fill_total_steps(total)


def cosine(total_steps=None):
    return WarmupCosine(torch.optim.SGD([torch.zeros(1)], lr=1.0), total_steps=total_steps)


@pytest.mark.parametrize(("max_steps", "total"), [(-1, 20 + 3 * 4), (25, 25)])
def test_every_schedule_that_can_is_told_the_steps_that_are_left(max_steps, total, unchecked_shapes):
    open_one, part, fixed = cosine(), cosine(), cosine(7)
    constant = torch.optim.lr_scheduler.ConstantLR(torch.optim.SGD([torch.zeros(1)], lr=1.0))
    configs = [SimpleNamespace(scheduler=each) for each in (open_one, Joined(part, fixed), constant)]
    trainer = a_trainer(
        max_epochs=5,
        max_steps=max_steps,
        num_training_batches=7,
        accumulate_grad_batches=2,
        lr_scheduler_configs=configs,
    )
    fit_schedules(trainer, epoch=2, step=20)
    assert [each.total_steps for each in (open_one, part, fixed)] == [total, total, 7]


def test_kept_images_reach_the_data_module():
    seen = []
    kept = KeptImages(SimpleNamespace(keep=seen.append))
    kept.keep(torch.tensor([1, 2]), (3, 40))
    assert (seen[0].tolist(), kept.since) == ([1, 2], (3, 40))
