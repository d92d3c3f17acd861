"""DifficultPairLoss is the papers' sums, in value and gradient, and refuses what it cannot contrast."""

import math

import pytest
import reference
import torch
from treatments import METHODS

from lit_hardcl import DifficultPairLoss

EQUATIONS = {
    "simclr": lambda z, p: reference.simclr(z, 0.5),
    "removal": lambda z, p: reference.eq13(z, p, 0.5),
    "margin": lambda z, p: reference.eq14(z, p, 0.5, 0.1),
    "temperature": lambda z, p: reference.eq15(z, p, 0.5, 0.6),
    "combined": lambda z, p: reference.eq16(z, p, 0.5, 0.1, 0.6),
}


def views(images, seed=0, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    z = torch.randn(2 * images, 5, dtype=dtype, generator=generator)
    h = torch.randn(2 * images, 7, dtype=dtype, generator=generator)
    return z, h


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("band", [(0.2, 0.6), (0.0, 1.0), (0.15, 1.0), (None, None)], ids=str)
@pytest.mark.parametrize("images", [2, 3, 6])
def test_value_and_gradient_are_the_papers(method, band, images):
    z, h = views(images)
    ours, theirs = z.clone().requires_grad_(), z.clone().requires_grad_()

    loss = DifficultPairLoss(0.5, *band, *METHODS[method])(*ours.chunk(2), *h.chunk(2))
    expected = EQUATIONS[method](theirs, reference.eq12(h, *band))

    torch.testing.assert_close(loss, expected, rtol=1e-12, atol=1e-12)
    loss.backward()
    expected.backward()
    torch.testing.assert_close(ours.grad, theirs.grad, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("method", METHODS)
def test_a_duplicated_image_is_no_trouble(method):
    z, h = views(4)
    z[1], h[1] = z[0], h[0]
    loss = DifficultPairLoss(0.5, 0.2, 0.6, *METHODS[method])(*z.chunk(2), *h.chunk(2))
    torch.testing.assert_close(loss, EQUATIONS[method](z, reference.eq12(h, 0.2, 0.6)))


def test_an_infinite_temperature_scale_is_the_limit_of_large_ones():
    z, h = views(6)
    gradients, losses = [], []
    for scale in (math.inf, 1e9):
        anchors = z.clone().requires_grad_()
        loss = DifficultPairLoss(0.5, 0.2, 0.6, temperature_scale=scale)(*anchors.chunk(2), *h.chunk(2))
        loss.backward()
        gradients.append(anchors.grad)
        losses.append(loss.detach())
        assert anchors.grad.isfinite().all()
    torch.testing.assert_close(*losses, rtol=0, atol=1e-8)
    torch.testing.assert_close(*gradients, rtol=0, atol=1e-8)


def test_without_features_the_projections_choose():
    z, _ = views(5)
    criterion = DifficultPairLoss(0.5, 0.2, 0.6, margin=0.1)
    assert torch.equal(criterion(*z.chunk(2)), criterion(*z.chunk(2), *z.chunk(2)))
    assert not torch.equal(criterion(*z.chunk(2)), criterion(*z.chunk(2), *views(5, seed=1)[1].chunk(2)))


def test_no_gradient_reaches_the_features_that_choose():
    z, h = views(5)
    h.requires_grad_()
    DifficultPairLoss(0.5, 0.2, 0.6, margin=0.1)(*z.requires_grad_().chunk(2), *h.chunk(2)).backward()
    assert h.grad is None


def test_float32_agrees_with_float64():
    z, h = views(8)
    criterion = DifficultPairLoss(0.1, 0.2, 0.6, 0.1, 0.6)
    exact, single = z.clone().requires_grad_(), z.float().requires_grad_()
    losses = criterion(*exact.chunk(2), *h.chunk(2)), criterion(*single.chunk(2), *h.float().chunk(2))
    torch.testing.assert_close(losses[1].double(), losses[0], rtol=1e-5, atol=0)
    for loss in losses:
        loss.backward()
    torch.testing.assert_close(single.grad.double(), exact.grad, rtol=1e-4, atol=1e-6)


def test_every_pair_treated_is_no_treatment_or_another_temperature():
    z, h = views(5)
    everywhere = {"pos_high": None, "pos_low": None}
    plain = DifficultPairLoss(0.5)(*z.chunk(2))
    margin = DifficultPairLoss(0.5, margin=0.3, **everywhere)(*z.chunk(2), *h.chunk(2))
    torch.testing.assert_close(margin, plain)
    scaled = DifficultPairLoss(0.5, temperature_scale=0.6, **everywhere)(*z.chunk(2), *h.chunk(2))
    torch.testing.assert_close(scaled, DifficultPairLoss(0.3)(*z.chunk(2)))
    removed = DifficultPairLoss(0.5, temperature_scale=math.inf, **everywhere)(*z.chunk(2), *h.chunk(2))
    assert removed.item() == pytest.approx(math.log(9))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_under_autocast_pairs_are_still_chosen_in_float32(dtype):
    z, h = views(64, dtype=torch.float32)
    h = torch.ones_like(h) + 0.01 * h  # cosines so close that half precision would tie most of them
    criterion = DifficultPairLoss(0.5, 0.2, 0.6, 0.1, 0.6)
    outside = criterion(*z.chunk(2), *h.chunk(2))
    with torch.autocast("cpu", dtype=dtype):
        assert torch.equal(criterion(*z.chunk(2), *h.chunk(2)), outside)
        half = criterion(*z.to(dtype).chunk(2), *h.chunk(2))
    torch.testing.assert_close(half, outside, rtol=1e-2, atol=0)
    rounded = criterion(*z.chunk(2), *h.bfloat16().chunk(2))
    assert not torch.equal(rounded, outside), "rounding the features does change the choice, so the test can fail"


@pytest.mark.parametrize("place", ["projections", "features"])
@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_value_that_is_not_finite_makes_the_loss_nan(place, value):
    z, h = views(4)
    (z if place == "projections" else h)[3, 2] = value
    assert DifficultPairLoss(0.5, 0.2, 0.6, 0.1, 0.6)(*z.chunk(2), *h.chunk(2)).isnan()


@pytest.mark.parametrize(
    ("shapes", "message"),
    [
        (([1, 4], [1, 4]), "at least 2 images, got 1"),
        (([3, 4], [2, 4]), r"one shape, got \(3, 4\) and \(2, 4\)"),
        (([3, 4], [3, 4], [3, 6]), "for both views or for neither"),
        (([3, 4], [3, 4], [2, 6], [2, 6]), "must belong to the 3 projections, got 2 and 2"),
    ],
)
@pytest.mark.usefixtures("unchecked_shapes")
def test_views_that_do_not_match_are_refused(shapes, message):
    with pytest.raises(ValueError, match=message):
        DifficultPairLoss(0.5, 0.1, 0.5, margin=0.1)(*(torch.randn(*shape) for shape in shapes))


@pytest.mark.parametrize(
    "settings",
    [
        {"temperature": 0.0},
        {"temperature": 0.5, "pos_high": 0.5, "pos_low": 0.2},
        {"temperature": 0.5, "margin": math.nan},
        {"temperature": 0.5, "temperature_scale": -1.0},
    ],
    ids=str,
)
def test_a_setting_that_breaks_its_rule_is_refused_at_once(settings):
    with pytest.raises(ValueError, match="must"):
        DifficultPairLoss(**settings)
