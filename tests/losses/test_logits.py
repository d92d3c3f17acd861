"""Losses with other logits at the ends of their settings, and their learned numbers."""

import pytest
import reference
import torch
from losses.test_rows import projections

from lit_hardcl import DifficultPairLoss
from lit_hardcl.functional import truncated_triplet_rows
from lit_hardcl.losses import DySTreSSLoss, IFMLoss, Rectangle, SigmoidLoss, SpectralLoss, TruncatedTripletLoss


@pytest.mark.parametrize("criterion", [DySTreSSLoss(0.5, 0.5), IFMLoss(0.5, epsilon=0.0)], ids=["dystress", "ifm"])
@pytest.mark.parametrize("treatment", [(0.0, 1.0), (0.1, 0.6)])
def test_at_the_end_of_its_settings_it_is_nt_xent(criterion, treatment):
    criterion.pos_high, criterion.pos_low, (criterion.margin, criterion.temperature_scale) = 0.2, 0.6, treatment
    found = []
    for loss in (criterion, DifficultPairLoss(0.5, 0.2, 0.6, *treatment)):
        z = projections().requires_grad_()
        value = loss(*z.chunk(2))
        found.append((value.detach(), torch.autograd.grad(value, z)[0]))
    torch.testing.assert_close(*found, rtol=1e-10, atol=1e-12)


def test_similar_pairs_have_the_larger_temperature_in_dystress_where_eq_15_gives_them_the_smaller():
    # So the gradient along the most similar negative is smaller, not larger, than NT-Xent's at the smaller temperature.
    similarity = torch.tensor([[0.9, 0.8, 0.0]], requires_grad=True)
    rectangle = Rectangle(torch.zeros(1, 2), torch.zeros(3, 2), torch.tensor([0]))
    slopes = []
    for criterion in (DySTreSSLoss(0.2, 0.4), DifficultPairLoss(0.2), DifficultPairLoss(0.2, temperature_scale=0.5)):
        scale = criterion.temperature_scale
        rows = criterion.formula(rectangle)(similarity / scale, slice(0, 1))
        slopes.append(torch.autograd.grad(rows.sum(), similarity)[0][0, 1].item())
    assert slopes[0] < slopes[1] < slopes[2]


@pytest.mark.parametrize("chunk_size", [None, 5])
def test_the_bias_of_the_sigmoid_is_learned(chunk_size):
    criterion = SigmoidLoss(0.5, bias=-1.5, chunk_size=chunk_size).double()
    criterion(*projections().chunk(2)).backward()
    bias = torch.tensor(-1.5, dtype=torch.float64, requires_grad=True)
    reference.sigmoid(projections(), 0.5, bias).backward()
    torch.testing.assert_close(criterion.bias.grad, bias.grad, rtol=1e-10, atol=0)
    fixed = SigmoidLoss(0.5, learn_bias=False)
    fixed(*projections().requires_grad_().chunk(2)).backward()
    assert fixed.bias.grad is None
    assert "bias" in fixed.state_dict()


def test_inner_products_are_those_of_the_projections_as_they_are():
    z = projections()
    similarity = z @ z.T
    eye, positives = torch.eye(12, dtype=torch.bool), torch.arange(12).roll(6)
    rows = [
        -2 * similarity[i, positives[i]] + similarity[i, ~eye[i] & (torch.arange(12) != positives[i])].square().mean()
        for i in range(12)
    ]
    torch.testing.assert_close(SpectralLoss(normalize=False)(*z.chunk(2)), torch.stack(rows).mean(), rtol=1e-10, atol=0)


def test_the_triplet_of_few_negatives_keeps_the_last_ones():
    rows, first = torch.tensor([[0.5, 0.4, 0.2]]), torch.tensor([0])
    for skipped, kept, deputy in ((0, 1, 0.4), (1, 1, 0.2), (1, 5, 0.2), (7, 2, 0.2), (0, 2, 0.3)):
        found = truncated_triplet_rows(rows, first, skipped, kept, 1.0, 10.0)
        assert found.item() == pytest.approx(10 + 2 * (deputy - 0.5))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: DySTreSSLoss(0.5, 0.2), "1e-30 <= temperature_min <= temperature_max must hold, got 0.5 and 0.2"),
        (lambda: IFMLoss(0.5, epsilon=-0.1), r"epsilon must be in \[0, 2\], got -0.1"),
        (lambda: SpectralLoss(1e-9), r"temperature must be in \[1e-6, 1e6\], got 1e-09"),
        (lambda: SigmoidLoss(0.5, bias=float("nan")), r"bias must be in \[-1e6, 1e6\], got nan"),
        (lambda: TruncatedTripletLoss(kept=0), "kept must be at least 1, got 0"),
        (
            lambda: TruncatedTripletLoss(margin=0.1),
            "takes no margin and no temperature_scale, got 0.1 and 1.0: it looks at negatives of one band of ranks",
        ),
    ],
)
def test_a_setting_that_breaks_its_rule_is_named(call, message, unchecked_shapes):
    with pytest.raises(ValueError, match=message):
        call()
