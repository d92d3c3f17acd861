"""A core subset: against every other subset of a tiny class, by hand, and of each class its share."""

import math
from itertools import combinations

import pytest
import torch

from lit_hardcl.evaluation import latent_classes, mean_direction, select_core

ONE_CLASS = torch.zeros(9, dtype=torch.long)


def at(*degrees):
    return torch.tensor([[math.cos(math.radians(a)), math.sin(math.radians(a))] for a in degrees])


def rows(count, seed, width=4):
    generator = torch.Generator().manual_seed(seed)
    return mean_direction(list(torch.randn(3, count, width, generator=generator)))


def objective(features, chosen, redundancy):
    """The sum of the docstring, pair by pair, with similarities moved into 0 ... 1."""
    similarity = [[(1 + float(a @ b)) / 2 for b in features] for a in features]
    everything = range(len(features))
    representation = sum(similarity[i][j] for j in chosen for i in everything if i != j)
    return representation - redundancy * sum(similarity[i][j] for j in chosen for i in chosen if i != j)


def best_of_all(features, size, redundancy):
    return max(combinations(range(len(features)), size), key=lambda chosen: objective(features, chosen, redundancy))


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("size", [1, 3, 5, 8])
def test_the_greedy_choice_is_within_its_guarantee_of_the_best(seed, size):
    features = rows(9, seed)
    chosen = select_core(features, ONE_CLASS, share=size / 9).tolist()
    best = objective(features, best_of_all(features, size, 0.5), 0.5)
    assert objective(features, chosen, 0.5) >= (1 - 1 / math.e) * best
    assert objective(features, chosen, 0.5) >= 0.97 * best  # what it comes to in these cases


@pytest.mark.parametrize("redundancy", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("seed", range(5))
def test_one_image_and_choices_without_redundancy_are_the_best_there_are(seed, redundancy):
    features = rows(9, seed)
    assert select_core(features, ONE_CLASS, 1 / 9, redundancy).tolist() == list(best_of_all(features, 1, redundancy))
    assert select_core(features, ONE_CLASS, 5 / 9, redundancy=0).tolist() == list(best_of_all(features, 5, 0.0))


def test_every_step_takes_the_largest_gain():
    features = rows(9, seed=3)
    chosen: list[int] = []
    for size in range(1, 6):
        others = [row for row in range(9) if row not in chosen]
        chosen.append(max(others, key=lambda row: objective(features, [*chosen, row], 0.5)))
        assert select_core(features, ONE_CLASS, size / 9).tolist() == sorted(chosen)


def test_the_middle_is_taken_and_the_outlier_left():
    # Sums of cosines to the rest: .94, .97, .94 and -2.97; after the second, .94 - .985 of the first and third.
    features = at(0, 10, 20, 190)
    classes = torch.zeros(4, dtype=torch.long)
    assert select_core(features, classes, 0.25).tolist() == [1]
    assert select_core(features, classes, 0.75).tolist() == [0, 1, 2]


def test_the_papers_cut_is_the_same_for_a_set_and_for_what_it_leaves():
    features = rows(9, seed=1)
    for chosen in combinations(range(9), 3):
        left = [row for row in range(9) if row not in chosen]
        assert objective(features, chosen, 1.0) == pytest.approx(objective(features, left, 1.0))


def test_an_average_of_views_gives_the_mean_cosine_of_all_their_pairs():
    views = list(torch.randn(3, 2, 5, generator=torch.Generator().manual_seed(0)))
    mean = mean_direction(views)
    cosines = [torch.cosine_similarity(one[0], other[1], dim=0) for one in views for other in views]
    torch.testing.assert_close(mean[0] @ mean[1], torch.stack(cosines).mean())


def test_each_class_gets_its_share_and_a_small_one_an_image():
    classes = torch.tensor([5] * 20 + [2] * 10 + [7] * 2)
    chosen = select_core(rows(32, seed=0), classes, 0.2)
    assert classes[chosen].unique(return_counts=True)[1].tolist() == [2, 4, 1]
    assert chosen.tolist() == sorted(set(chosen.tolist()))


def test_equal_images_are_taken_from_the_front_and_always_the_same():
    assert select_core(at(*[30] * 9), ONE_CLASS, 0.4).tolist() == [0, 1, 2, 3]
    features = rows(9, seed=2)
    assert torch.equal(select_core(features, ONE_CLASS, 0.5), select_core(features.clone(), ONE_CLASS, 0.5))


def test_clusters_are_found_and_the_same_for_the_same_seed():
    truth = torch.arange(30) % 3
    features = mean_direction([at(0, 120, 240)[truth] + 0.05 * rows(30, seed=0, width=2)])
    classes = latent_classes(features, 3, seed=4)
    assert all(len(classes[truth == number].unique()) == 1 for number in range(3))
    assert len(classes.unique()) == 3
    assert torch.equal(classes, latent_classes(features, 3, seed=4))


def test_equal_images_make_fewer_clusters_without_complaint():
    assert set(latent_classes(at(*[30] * 9), 3).tolist()) <= {0, 1, 2}


@pytest.mark.parametrize("share", [0, 1, 1.5, -0.1, math.nan])
def test_a_share_is_above_0_and_below_1(share):
    with pytest.raises(ValueError, match="share must be above 0 and below 1, got"):
        select_core(rows(9, 0), ONE_CLASS, share)


def test_what_cannot_be_chosen_from_is_refused():
    with pytest.raises(ValueError, match="redundancy must be in 0 ... 1, got 2"):
        select_core(rows(9, 0), ONE_CLASS, 0.5, redundancy=2)
    with pytest.raises(ValueError, match="got a longer row"):
        select_core(2 * at(*range(9)), ONE_CLASS, 0.5)
    with pytest.raises(ValueError, match="got a longer row"):
        select_core(torch.full((9, 2), math.nan), ONE_CLASS, 0.5)
    with pytest.raises(ValueError, match="got 9 without one"):
        select_core(rows(9, 0), ONE_CLASS - 1, 0.5)
    for clusters in (0, 10):
        with pytest.raises(ValueError, match=f"the number of images, 9, got {clusters}"):
            latent_classes(rows(9, 0), clusters)
