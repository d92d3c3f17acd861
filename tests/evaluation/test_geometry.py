"""Alignment, uniformity and effective rank, worked out by hand."""

import math

import pytest
import torch

from lit_hardcl.evaluation import alignment, rank_me, tolerance, uniformity

SQUARE = torch.tensor([[1.0, 0.0], [0.0, 2.0], [-3.0, 0.0], [0.0, -1.0]])  # the corners, once scaled to length 1


def test_alignment_is_the_mean_power_of_the_distance_of_unit_vectors():
    # Right angles are sqrt(2) apart, opposite vectors 2, and the length of a vector does not count.
    other = torch.tensor([[5.0, 0.0], [1.0, 0.0], [1.0, 0.0], [0.0, -1.0]])
    assert alignment(SQUARE, other) == pytest.approx((0 + 2 + 4 + 0) / 4)
    assert alignment(SQUARE, other, exponent=1) == pytest.approx((math.sqrt(2) + 2) / 4)


def test_uniformity_of_a_squares_corners():
    # Of six pairs four are at a squared distance of 2 and two at 4.
    assert uniformity(SQUARE) == pytest.approx(math.log((4 * math.exp(-4) + 2 * math.exp(-8)) / 6))
    assert uniformity(SQUARE, t=1) == pytest.approx(math.log((4 * math.exp(-2) + 2 * math.exp(-4)) / 6))


@pytest.mark.parametrize("chunk", [1, 3, 7, 100])
def test_uniformity_does_not_depend_on_the_chunk_and_counts_each_pair_once(chunk):
    z = torch.randn(20, 5, generator=torch.Generator().manual_seed(0))
    unit = z / z.norm(dim=1, keepdim=True)
    terms = [math.exp(-2 * float((unit[i] - unit[j]).square().sum())) for i in range(20) for j in range(i)]
    assert uniformity(z, chunk=chunk) == pytest.approx(math.log(sum(terms) / 190), rel=1e-5)


def test_uniformity_survives_a_t_whose_exponentials_vanish():
    assert uniformity(SQUARE[[0, 2]], t=1000) == pytest.approx(-4000)
    assert uniformity(SQUARE[[0, 0]]) == pytest.approx(0, abs=1e-6)


def test_tolerance_is_the_mean_cosine_of_each_pair_of_a_class():
    # Of three corners of one class, two pairs at right angles and one of opposites; the fourth has no partner.
    assert tolerance(SQUARE, torch.tensor([5, 5, 5, 2])) == pytest.approx(-1 / 3)
    assert math.isnan(tolerance(SQUARE, torch.arange(4)))


def test_the_effective_rank_of_known_singular_values():
    assert rank_me(torch.eye(5).repeat(3, 1)) == pytest.approx(5, rel=1e-4)
    assert rank_me(torch.ones(7, 4)) == pytest.approx(1, rel=1e-4)
    # Singular values 3 and 1: the entropy of (3/4, 1/4).
    entropy = -(0.75 * math.log(0.75) + 0.25 * math.log(0.25))
    assert rank_me(torch.tensor([[3.0, 0.0], [0.0, 1.0], [0.0, 0.0]])) == pytest.approx(math.exp(entropy), rel=1e-4)
    # eps is added to every share after the division, as in the paper.
    shares = [0.75 + 0.1, 0.25 + 0.1]
    expected = math.exp(-sum(share * math.log(share) for share in shares))
    assert rank_me(torch.tensor([[3.0, 0.0], [0.0, 1.0]]), eps=0.1) == pytest.approx(expected)


def test_what_has_no_geometry_is_refused():
    with pytest.raises(ValueError, match="got 0 images"):
        alignment(torch.empty(0, 2), torch.empty(0, 2))
    with pytest.raises(ValueError, match="positive exponent"):
        alignment(SQUARE, SQUARE, exponent=0)
    with pytest.raises(ValueError, match="got 1 images"):
        uniformity(SQUARE[:1])
    with pytest.raises(ValueError, match="t=-1"):
        uniformity(SQUARE, t=-1)
    for wrong in (torch.zeros(3, 2), torch.full((3, 2), torch.nan), torch.empty(0, 2)):
        with pytest.raises(ValueError, match="not all zero"):
            rank_me(wrong)
