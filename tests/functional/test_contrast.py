"""Logits and NT-Xent on numbers that can be checked by hand."""

import math

import pytest
import torch

from lit_hardcl.functional import nt_xent, pair_logits

SIMILARITY = torch.tensor([[0.5, 0.2, -0.4]])
DIFFICULT = torch.tensor([[True, False, True]])


@pytest.mark.parametrize(
    ("margin", "scale", "expected"),
    [
        (0.0, 1.0, [1.0, 0.4, -0.8]),
        (0.1, 1.0, [1.2, 0.4, -0.6]),
        (0.0, 0.8, [1.25, 0.4, -1.0]),
        (0.1, 0.8, [1.5, 0.4, -0.75]),
        (0.0, math.inf, [0.0, 0.4, 0.0]),
    ],
    ids=["plain", "margin", "temperature", "combined", "removal"],
)
def test_every_treatment_of_a_row(margin, scale, expected):
    logits = pair_logits(SIMILARITY, DIFFICULT, 0.5, margin, scale)
    torch.testing.assert_close(logits, torch.tensor([expected]))


def test_a_removed_pair_carries_no_gradient_and_no_nan():
    similarity = SIMILARITY.clone().requires_grad_()
    pair_logits(similarity, DIFFICULT, 0.5, temperature_scale=math.inf).sum().backward()
    assert similarity.grad.tolist() == [[0.0, 2.0, 0.0]]


def test_one_positive_is_cross_entropy():
    logits, positives = torch.randn(5, 8, dtype=torch.float64), torch.tensor([1, 0, 7, 3, 2])
    torch.testing.assert_close(nt_xent(logits, positives), torch.nn.functional.cross_entropy(logits, positives))


def test_a_mask_with_one_positive_equals_its_index():
    logits, positives = torch.randn(3, 6), torch.tensor([5, 0, 2])
    mask = torch.nn.functional.one_hot(positives, 6).bool()
    exclude = torch.rand(3, 6) < 0.3
    exclude[torch.arange(3), positives] = False
    torch.testing.assert_close(nt_xent(logits, mask, exclude), nt_xent(logits, positives, exclude))


def test_several_positives_stand_in_one_sum():
    # -log((e^0 + e^0) / (e^0 + e^0 + e^1)), by hand.
    logits = torch.tensor([[0.0, 0.0, 1.0]])
    expected = -math.log(2 / (2 + math.e))
    assert nt_xent(logits, torch.tensor([[True, True, False]])).item() == pytest.approx(expected, rel=1e-6)


def test_an_excluded_key_is_as_if_it_were_not_there():
    logits = torch.randn(2, 5)
    exclude = torch.zeros(2, 5, dtype=torch.bool)
    exclude[:, 4] = True
    torch.testing.assert_close(
        nt_xent(logits, torch.tensor([0, 1]), exclude), nt_xent(logits[:, :4], torch.tensor([0, 1]))
    )


def test_half_precision_logits_of_any_size_are_summed_in_float32():
    logits = torch.full((2, 4), 60000.0, dtype=torch.float16)
    assert nt_xent(logits, torch.tensor([0, 1])).item() == pytest.approx(math.log(4), abs=0.01)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"temperature": 0.0}, "temperature must be positive and finite, got 0.0"),
        ({"temperature": -1.0}, "temperature must be positive and finite, got -1.0"),
        ({"temperature": math.inf}, "temperature must be positive and finite, got inf"),
        ({"temperature": math.nan}, "temperature must be positive and finite, got nan"),
        ({"temperature": 1.0, "margin": math.nan}, "margin must be finite, got nan"),
        ({"temperature": 1.0, "temperature_scale": 0.0}, "temperature_scale must be positive"),
        ({"temperature": 1.0, "temperature_scale": math.nan}, "temperature_scale must be positive"),
    ],
)
def test_a_number_that_breaks_its_rule_is_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        pair_logits(SIMILARITY, DIFFICULT, **settings)
