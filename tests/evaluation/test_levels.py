"""α, β, γ, t and λ by hand and by loops; and difficult examples by their gaps."""

import math

import numpy as np
import pytest
import reference
import torch
from scipy import stats

from lit_hardcl.evaluation import difficult_examples, similarity_levels

# Unit vectors in the plane by their angle, lengthened: two of class 0, three of class 1, one without a label.
ANGLES = torch.tensor([0.0, 60, 90, 120, 180, 45], dtype=torch.float64)
FEATURES = torch.stack([ANGLES.deg2rad().cos(), ANGLES.deg2rad().sin()], dim=1) * torch.arange(1, 7).unsqueeze(1)
TARGETS = torch.tensor([0, 0, 1, 1, 1, -1])
DIFFICULT = torch.tensor([False, False, True, False, False, True])
ROOT3 = math.sqrt(3)


def test_the_levels_by_hand():
    levels = similarity_levels(FEATURES, TARGETS, DIFFICULT, k=1)
    # Same class: 60 apart in class 0; 30, 90, 60 in class 1. Across: 90-0 and 90-60 with the difficult one, else 120-0,
    # 180-0, 120-60, 180-60.
    assert levels.alpha == pytest.approx((1 / 2 + ROOT3 / 2 + 0 + 1 / 2) / 4)
    assert levels.beta == pytest.approx((-1 / 2 - 1 + 1 / 2 - 1 / 2) / 4)
    assert levels.gamma == pytest.approx((0 + ROOT3 / 2) / 2)
    assert levels.gap == pytest.approx(ROOT3 / 4 + 3 / 8)


def test_welchs_t_by_hand():
    levels = similarity_levels(FEATURES, TARGETS, DIFFICULT, k=1)
    # Variances: of gamma's 0 and ROOT3 / 2, 3/8; of beta's -.5, -1, .5, -.5, whose mean is -3/8, (19/16) / 3 = 19/48.
    squared_error = 3 / 8 / 2 + 19 / 48 / 4
    assert levels.t == pytest.approx((ROOT3 / 4 + 3 / 8) / math.sqrt(squared_error))
    freedom = squared_error**2 / ((3 / 16) ** 2 / 1 + (19 / 192) ** 2 / 3)
    assert levels.p_value == pytest.approx(2 * stats.t.sf(levels.t, freedom))


def test_the_eigenvalues_of_a_small_graph():
    # Three images at 0, 60 and 120 degrees: weights 1 and 1/2, and the negative cosine of 120 degrees is clipped at 0.
    weights = np.array([[1, 0.5, 0], [0.5, 1, 0.5], [0, 0.5, 1]])
    degrees = weights.sum(axis=1)
    values = np.sort(np.linalg.eigvals(weights / np.sqrt(np.outer(degrees, degrees))).real)[::-1]
    assert values == pytest.approx([1, 2 / 3, 1 / 6])
    features, targets = FEATURES[[0, 1, 3]], torch.tensor([0, 0, 1])
    assert similarity_levels(features, targets, k=1).eigenvalue == pytest.approx(2 / 3)
    assert similarity_levels(features, targets, k=2).eigenvalue == pytest.approx(1 / 6)
    assert similarity_levels(features, targets).eigenvalue == pytest.approx(1 / 6)  # as many as classes


@pytest.mark.parametrize("seed", range(3))
def test_the_levels_of_random_features_are_those_of_loops(seed):
    generator = torch.Generator().manual_seed(seed)
    features = torch.randn(40, 5, generator=generator, dtype=torch.float64)
    targets = torch.randint(-1, 4, (40,), generator=generator)
    difficult = torch.rand(40, generator=generator) < 0.2
    same, easy, hard = reference.pair_kinds(features, targets, difficult)
    t, p_value = stats.ttest_ind(hard, easy, equal_var=False)
    levels = similarity_levels(features, targets, difficult)
    expected = [np.mean(same), np.mean(easy), np.mean(hard), np.mean(hard) - np.mean(easy), t, p_value]
    np.testing.assert_allclose(levels[:6], expected, rtol=1e-10)


def test_float32_features_are_measured_in_float64():
    many = torch.randn(64, 8, generator=torch.Generator().manual_seed(0))
    targets, difficult = torch.arange(64) % 4, torch.arange(64) % 16 < 4
    assert similarity_levels(many, targets, difficult) == similarity_levels(many.double(), targets, difficult)


def test_images_without_a_label_change_nothing():
    labelled = TARGETS >= 0
    without = similarity_levels(FEATURES[labelled], TARGETS[labelled], DIFFICULT[labelled], k=2)
    assert similarity_levels(FEATURES, TARGETS, DIFFICULT, k=2) == pytest.approx(without)


def test_without_difficult_examples_every_pair_across_is_beta_and_gamma_is_unknown():
    levels = similarity_levels(FEATURES, TARGETS, k=1)
    assert levels.beta == pytest.approx((-3 / 2 + ROOT3 / 2) / 6)
    assert all(math.isnan(value) for value in (levels.gamma, levels.gap, levels.t, levels.p_value))


def test_features_that_have_collapsed_have_no_t():
    levels = similarity_levels(torch.ones(6, 2), torch.arange(6) % 2, torch.arange(6) < 2)
    assert (levels.alpha, levels.beta, levels.gamma) == pytest.approx((1, 1, 1))
    assert math.isnan(levels.t)
    assert levels.eigenvalue == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize(
    ("targets", "difficult", "k", "message"),
    [
        ([0, 0, 0, 0, 0, -1], None, 1, "different classes, got 1 class among 5 labelled images"),
        ([-1] * 6, None, 1, "different classes, got 0 classes among 0 labelled images"),
        ([0, 1, 2, 3, 4, -1], None, 1, "alpha needs two images of one class"),
        ([0, 0, 1, 1, 1, -1], [False] * 6, 1, "got 0 difficult ones among 5"),
        ([0, 0, 1, 1, 1, -1], [True] * 6, 1, "got 5 difficult ones among 5"),
        ([0, 0, 1, 1, 1, -1], None, 5, r"k must be in 1\.\.4, one less than the labelled images, got 5"),
        ([0, 0, 1, 1, 1, -1], None, 0, "got 0"),
    ],
)
def test_what_cannot_be_measured_is_refused(targets, difficult, k, message):
    with pytest.raises(ValueError, match=message):
        similarity_levels(FEATURES, torch.tensor(targets), None if difficult is None else torch.tensor(difficult), k)


def test_features_that_are_no_numbers_are_refused_unless_they_do_not_count():
    with pytest.raises(ValueError, match="finite features"):
        similarity_levels(FEATURES.clone().index_fill_(0, torch.tensor([1]), torch.nan), TARGETS, k=1)
    similarity_levels(FEATURES.clone().index_fill_(0, torch.tensor([5]), torch.nan), TARGETS, k=1)


def test_the_smallest_gaps_of_each_class_are_difficult():
    # The gap between the two largest outputs, whichever they are: it grows with the first logit.
    first = torch.tensor([3.0, 0.5, 2.0, 0.1, 4.0, 1.0, 0.3, 9.0, 0.0])
    logits = torch.stack([first, torch.zeros(9), torch.full((9,), -50.0)], dim=1)
    targets = torch.tensor([0, 0, 0, 0, 1, 1, 1, 1, -1])
    assert difficult_examples(logits, targets, 0.5).nonzero().flatten().tolist() == [1, 3, 5, 6]
    assert difficult_examples(logits, targets, 0.25).nonzero().flatten().tolist() == [3, 6]


def test_gaps_are_those_of_the_softmax_not_of_the_logits():
    # Logit gaps 1 and 1.2; but the third output takes away most of the second image's probability.
    logits = torch.tensor([[1.0, 0.0, -9.0], [1.2, 0.0, 0.0]])
    assert difficult_examples(logits, torch.tensor([0, 0]), 0.5).tolist() == [False, True]


def test_at_least_one_of_a_class_is_difficult_and_never_all():
    logits = torch.randn(13, 2)
    targets = torch.tensor([0] * 10 + [1] * 2 + [2])
    for share, counts in ((0.08, [1, 1, 0]), (0.99, [9, 1, 0])):
        marked = targets[difficult_examples(logits, targets, share)]
        assert marked.bincount(minlength=3).tolist() == counts


@pytest.mark.parametrize("share", [0.0, 1.0, -0.1, math.nan])
def test_a_share_out_of_range_is_refused(share):
    with pytest.raises(ValueError, match=r"must be in \(0, 1\), got"):
        difficult_examples(torch.randn(4, 2), torch.zeros(4, dtype=torch.long), share)


def test_one_output_has_no_gap():
    with pytest.raises(ValueError, match="two classes, got 1"):
        difficult_examples(torch.randn(4, 1), torch.zeros(4, dtype=torch.long))
