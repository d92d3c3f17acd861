"""What the weights of negatives come to at the ends of their settings."""

import pytest
import reference
import torch
from losses.test_rows import LABELS, projections

from lit_hardcl import DifficultPairLoss
from lit_hardcl.functional import true_negative_weights, von_mises_fisher_weights
from lit_hardcl.losses import BCLLoss, DCLLoss, DebiasedLoss, HardnessWeightedLoss, HCLLoss

SAME = {
    "hcl without beta and prior": (HCLLoss(0.5, beta=0.0, tau_plus=0.0), DifficultPairLoss(0.5)),
    "debiased without prior": (DebiasedLoss(0.5, tau_plus=0.0), DifficultPairLoss(0.5)),
    "hcl without beta": (HCLLoss(0.5, beta=0.0, tau_plus=0.2), DebiasedLoss(0.5, tau_plus=0.2)),
    "hardness without strength": (HardnessWeightedLoss(0.5, strength=0.0), DifficultPairLoss(0.5)),
    "bcl that cannot tell": (BCLLoss(0.5, tau_plus=0.1, alpha=0.5, beta=0.5), DifficultPairLoss(0.5)),
    "bcl without prior and hardness": (BCLLoss(0.5, tau_plus=0.0, alpha=0.7, beta=0.5), DifficultPairLoss(0.5)),
    "dclw of one weight": (DCLLoss(0.5, "von_mises_fisher", sigma=100.0), DCLLoss(0.5)),
}


@pytest.mark.parametrize("name", SAME)
def test_at_the_end_of_its_settings_it_is_another_loss(name):
    found = []
    for criterion in SAME[name]:
        z = projections(20).requires_grad_()
        loss = criterion(*z.chunk(2))
        found.append((loss.detach(), torch.autograd.grad(loss, z)[0]))
    tolerance = 0.02 if "dclw" in name else 1e-10  # whose weights go to 1 as sigma grows
    torch.testing.assert_close(*found, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("name", [name for name in SAME if "bcl" not in name and "dclw" not in name])
def test_so_it_is_with_treated_pairs(name):
    values = []
    for criterion in SAME[name]:
        criterion.pos_high, criterion.pos_low, criterion.margin, criterion.temperature_scale = 0.2, 0.6, -3.0, 2.0
        values.append(criterion(*projections().chunk(2), targets=torch.tensor(LABELS)))
        criterion.margin, criterion.temperature_scale = 0.0, 1.0
    torch.testing.assert_close(*values, rtol=1e-10, atol=0)


@pytest.mark.parametrize("beta", [0.0, 1.5])
def test_a_share_of_any_number_of_negatives_is_as_precise_as_the_projections(beta):
    z = projections(9)  # 16 negatives: a tenth of them is no float32
    found = HCLLoss(0.5, beta=beta, tau_plus=0.1)(*z.chunk(2))
    torch.testing.assert_close(found, reference.hcl(z, 0.5, beta, 0.1), rtol=1e-12, atol=0)


@pytest.mark.parametrize(
    "criterion",
    [
        HCLLoss(0.01, beta=1.0, tau_plus=0.1, margin=-3.0),  # every logit far below the lower end
        DebiasedLoss(0.01, tau_plus=0.1, margin=3.0),
        HCLLoss(0.01, beta=1e4, tau_plus=0.0),
        HardnessWeightedLoss(0.01, strength=1e4),
    ],
)
def test_float32_is_float64_however_large_the_exponents(criterion):
    found = []
    for dtype in (torch.float32, torch.float64):
        z = projections(20, dtype=torch.float32).to(dtype).requires_grad_()
        loss = criterion(*z.chunk(2))
        found.append((loss.double(), torch.autograd.grad(loss, z)[0].double()))
    torch.testing.assert_close(*found, rtol=1e-4, atol=1e-4)


def test_weights_by_hand():
    # Between 0 and 2, of mean 1; the closest positive has the smallest.
    cosines = torch.tensor([1.0, 0.5, -1.0], dtype=torch.float64)
    weights = von_mises_fisher_weights(cosines, cosines, 0.5)
    assert weights.mean() == pytest.approx(1)
    assert weights.argsort().tolist() == [0, 1, 2]
    # tau_plus 0: F_all is the true negatives' own 2 alpha F + (1 - 2 alpha) F^2; at rank 1 F = 1, at rank 1/2 with
    # alpha 3/4: 1.5 F - 0.5 F^2 = 0.5, F = 1.5 - sqrt(1.25). Then with beta 1: higher over the true density.
    middle = 1.5 - 1.25**0.5
    due = [2 * middle / (1.5 * (1 - middle) + 0.5 * middle), 2 / 0.5]
    found = true_negative_weights(torch.tensor([[0.1, 0.9, -torch.inf]]), tau_plus=0.0, alpha=0.75, beta=1.0)
    assert found[0, :2].tolist() == pytest.approx(due)


def test_a_prior_makes_the_weights_average_the_density_of_true_negatives_over_all():
    # Over ever more ranks the mean of the weights is that of a density over itself: 1.
    weights = true_negative_weights(torch.arange(20_000.0)[None], tau_plus=0.1, alpha=0.7, beta=0.9)
    assert weights.mean().item() == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: HCLLoss(0.5, beta=-1.0, tau_plus=0.1), r"beta must be in \[0, 1e6\], got -1.0"),
        (lambda: DebiasedLoss(0.5, tau_plus=1.0), r"tau_plus must be in \[0, 1\), got 1.0"),
        (lambda: HardnessWeightedLoss(0.5, strength=-0.1), r"strength must be in \[0, 1e6\], got -0.1"),
        (lambda: BCLLoss(0.5, tau_plus=0.1, alpha=1.0, beta=1.0), r"alpha must be in \[0.5, 1\), got 1.0"),
        (lambda: BCLLoss(0.5, tau_plus=0.1, alpha=0.6, beta=0.4), r"beta must be in \[0.5, 1\], got 0.4"),
        (lambda: DCLLoss(0.5, weight="vmf"), "weight must be None or 'von_mises_fisher', got 'vmf'"),
        (lambda: DCLLoss(0.5, sigma=0.0), r"sigma must be in \[0.05, 100\], got 0.0"),
    ],
)
def test_a_setting_that_breaks_its_rule_is_named(call, message, unchecked_shapes):
    with pytest.raises(ValueError, match=message):
        call()
