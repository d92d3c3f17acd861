"""WarmupCosine: the rates worked by hand, and a resumed training."""

import math

import pytest
import torch

from lit_hardcl.schedules import WarmupCosine


def optimizer(lr=2.0):
    return torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=lr)


def rates(scheduler, steps):
    seen = []
    for _ in range(steps):
        seen.append(scheduler.optimizer.param_groups[0]["lr"])
        scheduler.optimizer.step()
        scheduler.step()
    return seen


def test_it_rises_linearly_and_falls_along_half_a_cosine():
    # 2 steps of warm-up to 2.0 by thirds, then cosines of 0, 1/4, 2/4 and 3/4 of half a turn.
    expected = [2 / 3, 4 / 3] + [1 + math.cos(math.pi * quarter / 4) for quarter in range(4)]
    assert rates(WarmupCosine(optimizer(), 1 / 3, 6), 6) == pytest.approx(expected)


def test_filling_in_the_total_later_gives_the_same_rates():
    later = WarmupCosine(optimizer(), 0.25)
    later.fill_total_steps(8)
    assert rates(later, 8) == rates(WarmupCosine(optimizer(), 0.25, 8), 8)


def test_a_total_that_was_given_stays():
    scheduler = WarmupCosine(optimizer(), 0.0, 4)
    scheduler.fill_total_steps(100)
    assert scheduler.total_steps == 4


def test_a_resumed_schedule_goes_on_where_it_stood():
    whole = rates(WarmupCosine(optimizer(), 0.25, 8), 8)
    first = WarmupCosine(optimizer(), 0.25, 8)
    assert rates(first, 3) == whole[:3]
    second = WarmupCosine(optimizer(), 0.25, 8)
    second.optimizer.load_state_dict(first.optimizer.state_dict())
    second.load_state_dict(first.state_dict())
    assert rates(second, 5) == whole[3:]


def test_its_rate_stays_zero_after_the_end():
    assert rates(WarmupCosine(optimizer(), 0.0, 2), 4)[2:] == [0.0, 0.0]


@pytest.mark.parametrize("settings", [{"warmup_ratio": 1.0}, {"warmup_ratio": -0.1}, {"total_steps": 0}], ids=str)
def test_an_impossible_schedule_is_refused(settings):
    with pytest.raises(ValueError, match="must be"):
        WarmupCosine(optimizer(), **settings)


def test_a_training_without_end_is_refused():
    with pytest.raises(ValueError, match="max_epochs or max_steps"):
        WarmupCosine(optimizer()).fill_total_steps(math.inf)


def test_data_without_a_length_are_refused_rather_than_trained_with_a_rate_of_0():
    with pytest.raises(ValueError, match="got -1: of data without a length set the trainer's max_steps"):
        WarmupCosine(optimizer()).fill_total_steps(-1)


def test_a_finished_schedule_that_is_extended_goes_on_at_the_longer_ones_rate():
    short = WarmupCosine(optimizer(), 0.1)
    short.fill_total_steps(10)
    rates(short, 10)
    assert short.get_last_lr() == [0]
    longer, uninterrupted = WarmupCosine(restored := optimizer(), 0.1), WarmupCosine(optimizer(), 0.1)
    for one in (longer, uninterrupted):
        one.fill_total_steps(20)
    restored.param_groups[0]["lr"] = 0.0  # as the optimizer's state says
    longer.load_state_dict(short.state_dict())
    rates(uninterrupted, 10)
    assert restored.param_groups[0]["lr"] == longer.get_last_lr()[0] == uninterrupted.get_last_lr()[0] > 0
