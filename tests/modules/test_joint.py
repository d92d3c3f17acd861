"""Several networks under one optimizer: what their own optimizers would do, to the last bit, and what they leave."""

import copy

import pytest
import torch
from torch import nn

from lit_hardcl.modules.joint import Joint, JointSchedule
from lit_hardcl.schedules import WarmupCosine

STEPS = 7


def three():
    torch.manual_seed(0)
    return [nn.Linear(4, 3), nn.Linear(4, 2), nn.Linear(4, 1)]


def of(nets):
    """An optimizer of each kind, and a schedule of two of them."""
    first, second, third = nets
    optimizers = [
        torch.optim.SGD(first.parameters(), lr=0.1, momentum=0.9, weight_decay=5e-4),
        torch.optim.Adam([{"params": [second.weight]}, {"params": [second.bias], "lr": 1e-2}], lr=1e-3),
        torch.optim.AdamW(third.parameters(), lr=1e-2),
    ]
    return optimizers, [WarmupCosine(optimizers[0]), torch.optim.lr_scheduler.StepLR(optimizers[2], 2, gamma=0.5)]


def loss_of(nets, step):
    rows = torch.randn(8, 4, generator=torch.Generator().manual_seed(step))
    return sum(net(rows).square().mean() for net in nets)


def separately(steps=STEPS):
    nets = three()
    optimizers, schedules = of(nets)
    schedules[0].fill_total_steps(STEPS)
    for step in range(steps):
        for optimizer in optimizers:
            optimizer.zero_grad()
        loss_of(nets, step).backward()
        for part in (*optimizers, *schedules):
            part.step()
    return nets


class Together:
    def __init__(self):
        self.nets = three()
        optimizers, schedules = of(self.nets)
        self.optimizer = Joint(optimizers)
        self.schedule = JointSchedule(self.optimizer, schedules)
        self.schedule.fill_total_steps(STEPS)

    def train(self, start, stop):
        for step in range(start, stop):

            def closure(step=step):
                self.optimizer.zero_grad()
                loss = loss_of(self.nets, step)
                loss.backward()
                return loss

            assert self.optimizer.step(closure) == loss_of_before(self, step)
            self.schedule.step()
        return self


def loss_of_before(together, step):
    """What the closure has seen: the networks of a training of that many steps."""
    return loss_of(separately(step), step)


def assert_equal(nets, others):
    for net, other in zip(nets, others, strict=True):
        for one, two in zip(net.parameters(), other.parameters(), strict=True):
            assert torch.equal(one, two)


def test_together_is_separately_to_the_last_bit():
    assert_equal(Together().train(0, STEPS).nets, separately())


def test_it_goes_on_from_its_state_to_the_last_bit():
    half = Together().train(0, 3)
    state = copy.deepcopy([each.state_dict() for each in (*half.nets, half.optimizer, half.schedule)])
    resumed = Together()
    for each, one in zip((*resumed.nets, resumed.optimizer, resumed.schedule), state, strict=True):
        each.load_state_dict(one)
    assert resumed.schedule.get_last_lr() == half.schedule.get_last_lr()
    assert_equal(resumed.train(3, STEPS).nets, separately())


def test_its_groups_are_the_parts_own_also_once_a_state_is_loaded():
    together = Together()
    for _ in range(2):
        parts = [group for part in together.optimizer.parts for group in part.param_groups]
        assert all(one is two for one, two in zip(together.optimizer.param_groups, parts, strict=True))
        together.optimizer.load_state_dict(copy.deepcopy(together.optimizer.state_dict()))
    together.optimizer.param_groups[0]["lr"] = 0.25  # as a learning-rate finder does
    assert together.optimizer.parts[0].param_groups[0]["lr"] == 0.25


@pytest.mark.parametrize("what", ["optimizers", "schedules"])
def test_another_number_of_parts_is_refused(what):
    together = Together()
    each = together.optimizer if what == "optimizers" else together.schedule
    state = each.state_dict()
    due = len(state["parts"])
    state["parts"].pop()
    with pytest.raises(ValueError, match=f"with the same {what}, {due} of networks .* got {due - 1} in the checkpoint"):
        each.load_state_dict(state)


def test_a_group_is_added_to_a_part_only_and_copies_keep_the_parts():
    first, second = (torch.nn.Parameter(torch.ones(1)) for _ in range(2))
    joint = Joint([torch.optim.SGD([first], lr=0.1), torch.optim.SGD([second], lr=0.2)])
    with pytest.raises(ValueError, match="parameters are added to a part of a joint optimizer"):
        joint.add_param_group({"params": [torch.nn.Parameter(torch.ones(1))]})
    twin = copy.deepcopy(joint)
    assert [part.param_groups[0]["lr"] for part in twin.parts] == [0.1, 0.2]
