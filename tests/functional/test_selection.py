"""Which pairs are difficult: a row worked by hand, ties, edges, and the slow transcription of Eq. 12."""

import pytest
import reference
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lit_hardcl.functional import cosine_similarity, difficult_pairs


def row(*values):
    return torch.tensor([values], dtype=torch.float64)


def test_a_row_worked_by_hand():
    # Ten keys, descending .9 .8 .7 .6 .5 .4 .3 .2 .1 .0; positions floor(.15 * 10) = 1 and floor(.45 * 10) = 4,
    # so Sim_high = .8 and Sim_low = .5, and .5 <= s < .8 leaves .7, .6 and .5.
    similarity = row(0.1, 0.9, 0.5, 0.8, 0.0, 0.7, 0.3, 0.6, 0.4, 0.2)
    expected = [s in (0.7, 0.6, 0.5) for s in similarity[0].tolist()]
    assert difficult_pairs(similarity, 0.15, 0.45)[0].tolist() == expected


def test_ties_fall_on_the_easy_side_of_the_upper_end_and_the_difficult_side_of_the_lower():
    similarity = row(0.9, 0.9, 0.5, 0.5, 0.5, 0.1)  # positions 1 and 3: Sim_high = .9, Sim_low = .5
    assert difficult_pairs(similarity, 0.2, 0.5)[0].tolist() == [False, False, True, True, True, False]


def test_pos_high_zero_marks_everything_below_the_single_top_value():
    assert difficult_pairs(row(0.3, 0.9, 0.1), 0.0, 1.0)[0].tolist() == [True, False, True]


def test_pos_low_one_or_none_has_no_lower_end():
    similarity = row(0.9, 0.5, 0.1, -1.0)
    expected = [[False, True, True, True]]
    assert difficult_pairs(similarity, 0.0, 1.0).tolist() == expected
    assert difficult_pairs(similarity, 0.0, None).tolist() == expected


def test_pos_high_none_marks_every_key_that_is_not_excluded():
    exclude = torch.tensor([[False, True, False]])
    assert difficult_pairs(row(0.3, 0.9, 0.1), None, 0.5, exclude).tolist() == [[True, False, True]]


def test_an_excluded_key_neither_counts_nor_is_marked():
    # Without the anchor itself (1.0) three keys remain: positions floor(.4 * 3) = 1, so Sim_high = .5.
    similarity, exclude = row(1.0, 0.9, 0.5, 0.1), torch.tensor([[True, False, False, False]])
    assert difficult_pairs(similarity, 0.4, 1.0, exclude).tolist() == [[False, False, False, True]]


def test_rows_may_exclude_different_numbers_of_keys():
    similarity = row(0.9, 0.7, 0.5, 0.3).repeat(3, 1)
    exclude = torch.tensor([[False] * 4, [True, True, False, False], [True] * 4])
    assert difficult_pairs(similarity, 0.25, 0.5, exclude).tolist() == [
        [False, False, True, False],  # positions 1, 2: .5 <= s < .7
        [False, False, False, True],  # positions 0, 1: .3 <= s < .5
        [False] * 4,
    ]


def test_the_position_is_the_floor_of_the_product_in_float64():
    # .29 * 100 is 28.999999999999996 in float64, whose floor is 28; float32 would round it up to 29.
    similarity = torch.arange(100, 0, -1, dtype=torch.float64).unsqueeze(0)
    assert difficult_pairs(similarity, 0.29, 1.0).sum() == 100 - 29


def test_a_duplicated_image_ties_with_the_positive_and_both_pass_for_the_own_class():
    features = torch.randn(3, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    features = torch.cat([features, features])
    features[1] = features[0]
    similarity = cosine_similarity(features)
    difficult = difficult_pairs(similarity, 0.0, 1.0, torch.eye(6, dtype=torch.bool))
    assert not difficult[0, [0, 1, 3]].any()


@settings(deadline=None, derandomize=True, max_examples=100)
@given(st.integers(2, 9), st.floats(0, 0.99), st.floats(0.01, 1), st.integers(0, 10**6))
def test_it_is_equation_12(half, pos_high, width, seed):
    pos_low = min(1.0, pos_high + width)
    features = torch.randn(2 * half, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    ours = difficult_pairs(cosine_similarity(features), pos_high, pos_low, torch.eye(2 * half, dtype=torch.bool))
    assert torch.equal(ours, reference.eq12(features, pos_high, pos_low))


@settings(deadline=None, derandomize=True, max_examples=50)
@given(st.lists(st.integers(-3, 3), min_size=1, max_size=12), st.floats(0, 0.9))
def test_it_is_equation_12_among_many_ties(values, pos_high):
    ours = difficult_pairs(row(*[float(value) for value in values]), pos_high, 0.95)
    assert ours[0].tolist() == reference.eq12_row(values, pos_high, 0.95)


def test_no_gradient_flows_through_the_choice():
    assert not difficult_pairs(row(0.3, 0.9, 0.1).requires_grad_(), 0.0, 1.0).requires_grad


@pytest.mark.parametrize(("high", "low"), [(0.5, 0.5), (0.6, 0.2), (-0.1, 0.5), (0.1, 1.1), (float("nan"), 0.5)])
def test_a_band_that_is_none_is_refused_with_its_values(high, low):
    with pytest.raises(ValueError, match=rf"0 <= pos_high < pos_low <= 1 .* pos_high={high} and pos_low={low}"):
        difficult_pairs(row(0.1, 0.2), high, low)
