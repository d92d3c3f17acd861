"""Every loss in one, two and four processes: one mean loss, one gradient."""

import processes
import pytest
import torch
from treatments import METHODS

pytestmark = pytest.mark.slow
WORLDS = [1, 2, 4]
JOBS = {
    "SPACL": (
        processes.spacl_steps,
        lambda: [processes.spacl_step(processes.SPACLStep(s)) for s in processes.SPACL_SETTINGS],
    ),
    "MoCo": (
        processes.moco_steps,
        lambda: [processes.moco_step(processes.MoCoStep(s)) for s in processes.MOCO_SETTINGS],
    ),
}


def check(alone, shares, record_property):
    worst = 0.0
    for one, *parts in zip(alone, *shares, strict=True):
        torch.testing.assert_close(sum(part["loss"] for part in parts) / len(parts), one["loss"], rtol=1e-12, atol=0)
        for part in parts:
            error = (part["gradient"] - one["gradient"]).norm() / one["gradient"].norm()
            worst = max(worst, error.item())
    record_property("worst", worst)
    assert worst <= 1e-10


@pytest.mark.parametrize("world", WORLDS)
@pytest.mark.parametrize("method", METHODS)
def test_a_treatment(world, method, tmp_path, record_property):
    margin, scale = METHODS[method]
    settings = [{"margin": margin, "temperature_scale": scale, "pos_high": 0.15, "pos_low": 0.6}]
    alone = [processes.step(processes.Both(), settings[0], processes.views(12))]
    check(alone, processes.in_two(processes.steps, tmp_path, settings, world, 12, count=world), record_property)


@pytest.mark.parametrize("world", WORLDS)
@pytest.mark.parametrize("method", JOBS)
def test_a_method_with_a_memory_or_an_adversary(world, method, tmp_path, record_property):
    job, alone = JOBS[method]
    check(alone(), processes.in_two(job, tmp_path, world, count=world), record_property)
