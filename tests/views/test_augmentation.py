"""Recipes and draws: the same distributions as torchvision's, and numbers that depend on their place alone."""

import pytest
import torch
from scipy.stats import chisquare, ks_2samp, kstest
from torchvision.transforms import ColorJitter, RandomResizedCrop

from lit_hardcl.data import Augmentation, draw
from lit_hardcl.views import draws as column
from lit_hardcl.views.batch_views import jitter_factors
from lit_hardcl.views.crops import crop_boxes
from lit_hardcl.views.draws import draw_at

DRAWS = 3000
UNLIKELY = 1e-3  # of one fixed seed failing by chance; a wrong distribution is far below it


@pytest.mark.parametrize(
    ("height", "width", "scale", "ratio"),
    [
        (32, 32, (0.2, 1.0), (3 / 4, 4 / 3)),
        (32, 32, (0.9, 1.0), (1 / 2, 2.0)),  # most boxes stick out and are drawn again
        (20, 60, (0.8, 1.0), (3 / 4, 4 / 3)),  # none fits: the central one
        (60, 20, (0.3, 1.0), (3 / 4, 4 / 3)),
        (96, 64, (0.08, 1.0), (3 / 4, 4 / 3)),
    ],
)
def test_crop_boxes_are_distributed_as_torchvisions(height, width, scale, ratio):
    numbers = draw(1, DRAWS, torch.Generator().manual_seed(0))[0]
    ours = crop_boxes(numbers, height, width, scale, ratio)

    torch.manual_seed(1)
    image = torch.empty(3, height, width)
    theirs = torch.tensor([RandomResizedCrop.get_params(image, list(scale), list(ratio)) for _ in range(DRAWS)])

    for number, name in enumerate(("top", "left", "height", "width")):
        assert ks_2samp(ours[:, number], theirs[:, number]).pvalue > UNLIKELY, name
    assert ks_2samp(ours[:, 2] * ours[:, 3], theirs[:, 2] * theirs[:, 3]).pvalue > UNLIKELY, "area"
    assert ks_2samp(ours[:, 2] / ours[:, 3], theirs[:, 2] / theirs[:, 3]).pvalue > UNLIKELY, "shape"


@pytest.mark.parametrize("scale", [(1e-5, 1.0), (0.01, 0.02), (1.0, 1.0)])
def test_crop_boxes_lie_inside_the_image_even_for_numbers_at_either_end(scale):
    numbers = torch.tensor([0.0, 1 - 2**-24]).repeat(column.NUMBERS, 1).T
    top, left, height, width = crop_boxes(numbers, 33, 47, scale, (1 / 3, 3.0)).unbind(-1)
    assert (top >= 0).all()
    assert (left >= 0).all()
    assert (top + height <= 33).all()
    assert (left + width <= 47).all()
    assert (height * width > 0).all()


def test_jitter_factors_are_distributed_as_torchvisions():
    recipe = Augmentation(jitter=1.0, brightness=0.4, contrast=0.6, saturation=1.3, hue=0.1)
    numbers = draw(1, DRAWS, torch.Generator().manual_seed(0))[0]
    ours = jitter_factors(numbers, recipe)

    torch.manual_seed(1)
    jitter = ColorJitter(0.4, 0.6, 1.3, 0.1)
    drawn = [
        ColorJitter.get_params(jitter.brightness, jitter.contrast, jitter.saturation, jitter.hue) for _ in range(DRAWS)
    ]
    theirs = torch.tensor([params[1:] for params in drawn])

    for number in range(4):
        assert ks_2samp(ours[:, number], theirs[:, number]).pvalue > UNLIKELY


def test_all_orders_of_the_colour_operations_are_equally_likely():
    numbers = draw(1, 4 * DRAWS, torch.Generator().manual_seed(0))[0]
    orders, counts = numbers[:, column.ORDER].argsort(dim=1).unique(dim=0, return_counts=True)
    assert len(orders) == 24
    assert chisquare(counts).pvalue > UNLIKELY


def test_images_that_are_not_jittered_have_neutral_factors():
    factors = jitter_factors(draw(1, 200, torch.Generator().manual_seed(0))[0], Augmentation(jitter=0.5))
    still = (factors == torch.tensor([1.0, 1.0, 1.0, 0.0])).all(dim=1)
    assert 60 < still.sum() < 140


def test_draws_at_a_position_do_not_depend_on_how_the_epoch_is_cut_into_batches():
    whole = draw_at(list(range(600)), 2, seed=5, epoch=3)

    for positions in (list(range(250, 270)), list(range(1, 600, 2)), [599, 0, 256]):
        assert torch.equal(draw_at(positions, 2, seed=5, epoch=3), whole[:, positions])


@pytest.mark.parametrize(("seed", "epoch"), [(0, 1), (1, 1), (2, 0)])
def test_draws_differ_between_seeds_and_epochs_also_where_their_sum_is_equal(seed, epoch):
    positions = list(range(8))
    assert not (draw_at(positions, 2, seed, epoch) == draw_at(positions, 2, 1, 0)).any()


def test_draws_are_uniform_over_positions_and_over_epochs():
    over_positions = draw_at(list(range(2000)), 1, seed=0, epoch=0)
    over_epochs = torch.cat([draw_at([7], 1, seed=0, epoch=epoch) for epoch in range(500)], dim=1)
    for numbers in (over_positions, over_epochs):
        assert kstest(numbers[0, :, column.FLIP], "uniform").pvalue > UNLIKELY
        assert kstest(numbers.flatten(), "uniform").pvalue > UNLIKELY


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("flip", 1.1),
        ("jitter", -0.1),
        ("grey", float("nan")),
        ("blur", 2.0),
        ("brightness", -0.4),
        ("contrast", float("inf")),
        ("saturation", -1.0),
        ("hue", 0.6),
        ("crop_scale", (0.0, 1.0)),
        ("crop_scale", (0.5, 0.2)),
        ("crop_scale", (0.5, 1.2)),
        ("crop_ratio", (2.0, 1.0)),
        ("crop_ratio", (1.0, float("inf"))),
        ("blur_sigma", (0.0, 1.0)),
    ],
)
def test_a_recipe_refuses_a_value_outside_its_range_by_name(setting, value):
    with pytest.raises(ValueError, match=f"^{setting} must .*got"):
        Augmentation(**{setting: value})
