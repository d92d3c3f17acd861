"""A threshold for each image: what it leaves out, how it learns, and that all processes and a resumed one agree."""

import copy

import processes
import pytest
import reference
import torch
from losses.test_rows import projections
from nets import FlatHead, FlatNet

from lit_hardcl import DifficultPairLoss
from lit_hardcl.losses import GloFNDLoss
from lit_hardcl.modules import MomentumContrast

LIMITS = [0.2, 0.5, -0.1, 0.9, 0.0, 0.3]


def criterion(**settings):
    made = GloFNDLoss(0.5, images=20, **{"alpha": 0.2, "warm_up": 0, **settings}).double()
    made.thresholds[10:16] = torch.tensor(LIMITS, dtype=torch.float64)
    return made


@pytest.mark.parametrize("chunk_size", [None, 1, 5])
def test_each_image_has_a_threshold_of_its_own(chunk_size):
    loss = criterion(chunk_size=chunk_size)
    ours, theirs = projections().requires_grad_(), projections().requires_grad_()
    found = loss(*ours.chunk(2), indices=torch.arange(10, 16))
    due = reference.glofnd(theirs, 0.5, LIMITS)
    torch.testing.assert_close(found, due, rtol=1e-10, atol=0)
    gradients = [torch.autograd.grad(value, z)[0] for value, z in ((found, ours), (due, theirs))]
    torch.testing.assert_close(*gradients, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("chunk_size", [None, 5])
def test_thresholds_follow_the_quantile_by_adam(chunk_size):
    loss, limits, gradients = criterion(chunk_size=chunk_size), list(LIMITS), [[] for _ in LIMITS]
    for seed in range(4):
        loss(*projections(seed=seed).requires_grad_().chunk(2), indices=torch.arange(10, 16))
        for number, share in enumerate(reference.shares_above(projections(seed=seed), limits)):
            gradients[number].append(0.2 - share)
        limits = [reference.adam(*start, 0.05) for start in zip(LIMITS, gradients, strict=True)]
        torch.testing.assert_close(
            loss.thresholds[10:16], torch.tensor(limits, dtype=torch.float64), rtol=1e-10, atol=0
        )
    assert loss.thresholds[:10].eq(1).all()
    assert loss.updates.tolist() == [0] * 10 + [4] * 6 + [0] * 4


def test_a_threshold_comes_to_rest_where_its_share_is_above():
    loss = criterion(learning_rate=0.02)
    z, indices = projections(40).requires_grad_().chunk(2), torch.arange(40) % 20
    for _ in range(300):
        loss(*z, indices=indices)
    shares = torch.tensor(reference.shares_above(projections(40), loss.thresholds.repeat(2).tolist()))
    assert shares.view(2, 20).mean(dim=0).sub(0.2).abs().max() < 0.06


def test_above_one_it_is_nt_xent():
    loss = criterion()
    loss.thresholds.fill_(1.5)
    z = projections().requires_grad_()
    found, due = loss(*z.chunk(2), indices=torch.arange(6)), DifficultPairLoss(0.5)(*z.chunk(2))
    torch.testing.assert_close(found, due, rtol=1e-10, atol=0)
    torch.testing.assert_close(*(torch.autograd.grad(value, z)[0] for value in (found, due)), rtol=1e-10, atol=1e-12)


def test_a_threshold_is_used_after_its_warm_up_and_never_for_an_image_nobody_knows():
    plain, indices = DifficultPairLoss(0.5), torch.arange(10, 16)
    loss = criterion(warm_up=2)
    for used in (False, False, True):
        z = projections().requires_grad_().chunk(2)
        assert (loss(*z, indices=indices).item() != pytest.approx(plain(*z).item(), rel=1e-12)) is used
    before = loss.thresholds.clone()
    found = loss(*z, indices=torch.full((6,), -1))
    torch.testing.assert_close(found, plain(*z), rtol=1e-10, atol=0)
    assert torch.equal(loss.thresholds, before)


def test_nothing_is_learned_in_evaluation_or_without_a_gradient():
    loss, indices = criterion(), torch.arange(10, 16)
    before = copy.deepcopy(loss.state_dict())
    with torch.no_grad():
        loss(*projections().chunk(2), indices=indices)
    loss.eval()(*projections().requires_grad_().chunk(2), indices=indices)
    assert all(torch.equal(before[name], value) for name, value in loss.state_dict().items())


def test_a_loss_that_is_loaded_goes_on_bit_for_bit():
    whole, indices = criterion(), torch.arange(10, 16)
    for seed in range(2):
        whole(*projections(seed=seed).requires_grad_().chunk(2), indices=indices)
    loaded = criterion()
    loaded.load_state_dict(whole.state_dict())
    for seed in (2, 3):
        losses = [each(*projections(seed=seed).requires_grad_().chunk(2), indices=indices) for each in (whole, loaded)]
        assert torch.equal(*losses)
    assert torch.equal(whole.thresholds, loaded.thresholds)


@pytest.mark.parametrize("count", [2, 4])
def test_processes_learn_what_one_learns(count, tmp_path):
    alone = processes.thresholds_of(0, 1)
    for part in processes.in_two(processes.thresholds_of, tmp_path, count, count=count):
        torch.testing.assert_close(part, alone, rtol=1e-12, atol=0)


def test_on_moco_the_queues_keys_count():
    torch.manual_seed(0)
    module = MomentumContrast(FlatNet(20), GloFNDLoss(0.5, images=20, alpha=0.2), FlatHead(), queue_size=8)
    for _ in range(3):
        loss, _ = module.contrast(list(torch.randn(2, 6, 20)), torch.arange(6))
    assert loss.isfinite()
    assert module.criterion.updates[:6].eq(3).all()
    assert module.criterion.thresholds[:6].lt(1).all()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: GloFNDLoss(0.5, images=0), "images must be at least 1, got 0"),
        (lambda: GloFNDLoss(0.5, images=9, alpha=1.0), r"alpha must be in \[0, 1\), got 1.0"),
        (lambda: GloFNDLoss(0.5, images=9, learning_rate=0.0), "learning_rate must be positive"),
        (lambda: GloFNDLoss(0.5, images=9, margin=0.1), "its thresholds follow true cosines, and would chase treated"),
        (lambda: criterion()(*projections().chunk(2)), "GloFNDLoss knows images by index, got none: give indices"),
        (
            lambda: criterion()(*projections().chunk(2), indices=torch.arange(15, 21)),
            "indices must be below the number of images, 20, got 20",
        ),
    ],
)
def test_what_breaks_a_rule_is_named(call, message, unchecked_shapes):
    with pytest.raises(ValueError, match=message):
        call()
