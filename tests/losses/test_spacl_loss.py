"""SPACLLoss and the sets it contrasts: sums by hand, SimCLR as a case, regimes, heads of the game, refusals."""

import math

import pytest
import reference
import torch

from lit_hardcl import DifficultPairLoss, SPACLLoss
from lit_hardcl.functional import screen_negatives, unit_vectors
from lit_hardcl.losses import hard_sets
from lit_hardcl.losses.adversary import discriminator_loss, generator_loss
from lit_hardcl.models import Discriminator, Generator, ProjectionHead
from lit_hardcl.models.heads import output_width
from lit_hardcl.models.momentum import follow, momentum_copy


def rows(*shape, seed=0):
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def by_hand(anchors, positives, negatives, labels, negative_labels, temperature, share, linear=False):
    """The paper's step 6 as loops."""
    total = 0.0
    for i, anchor in enumerate(anchors):
        own = [math.exp(reference.cosine(anchor, p) / temperature) for p in positives[i]]
        others = [n for n, label in zip(negatives, negative_labels, strict=True) if label != labels[i]]
        terms = [math.exp(reference.cosine(anchor, n) / temperature) for n in others]
        shares = [(1 + float(reference.cosine(anchor, n))) / 2 for n in others] if linear else terms
        kept = reference.screened_row(shares, share, 1e-12)
        against = sum(term for term, is_kept in zip(terms, kept, strict=True) if is_kept)
        total -= math.log(sum(own) / (sum(own) + against))
    return total / len(anchors)


@pytest.mark.parametrize("share", [0.3, 0.95, 1.0])
@pytest.mark.parametrize("similarity", ["exp", "linear"])
@pytest.mark.parametrize("temperature", [0.1, 0.5])
def test_it_is_the_papers_sum_over_hard_positives_and_screened_negatives(share, similarity, temperature):
    anchors, positives, negatives = rows(4, 5), rows(4, 3, 5, seed=1), rows(12, 5, seed=2)
    labels, negative_labels = torch.tensor([0, 1, 2, 3]), torch.arange(12) % 6 - 1
    loss = SPACLLoss(temperature, share, similarity)(anchors, positives, negatives, labels, negative_labels)
    arguments = (anchors, positives, negatives, labels.tolist(), negative_labels.tolist())
    expected = by_hand(*arguments, temperature, share, similarity == "linear")
    assert loss.item() == pytest.approx(expected, rel=1e-10)


def test_many_anchors_are_contrasted_some_at_a_time_as_if_at_once():
    positives, negatives = rows(7, 3, 5, seed=1), rows(399_996, 5, seed=2)  # two anchors at a time
    labels, negative_labels = torch.arange(7), torch.arange(399_996) % 9
    criterion, anchors, results = SPACLLoss(0.5, 0.7), rows(7, 5).requires_grad_(), []
    for parts in ([slice(0, 7)], [slice(row, row + 1) for row in range(7)]):
        loss, kept = zip(
            *(
                criterion.with_share_kept(anchors[i], positives[i], negatives, labels[i], negative_labels)
                for i in parts
            ),
            strict=True,
        )
        mean = sum(loss) / len(parts)
        results.append((mean.detach(), sum(kept) / len(parts), torch.autograd.grad(mean, anchors)[0]))
    for got, due in zip(*results, strict=True):
        torch.testing.assert_close(got, due, rtol=1e-6 if got.dtype == torch.float32 else 1e-10, atol=0)


def test_a_pool_of_four_from_the_anchor_to_the_loss():
    # Views at 0, 30, 90 and 120 degrees: the anchor is 0, its positives 120 and then 30 (tests of the choices).
    angles = torch.tensor([0.0, 30.0, 90.0, 120.0], dtype=torch.float64).deg2rad()
    candidates = torch.stack([angles.cos(), angles.sin()], dim=1).unsqueeze(1)
    chosen = hard_sets(candidates, 2)
    assert chosen.anchors.tolist() == chosen.images.tolist() == [0]
    torch.testing.assert_close(chosen.positives, candidates[[3, 1]].transpose(0, 1))
    # Negatives at 60 (cosine .5), 180 (-1) and 270 degrees (0). At temperature 1 their terms are 1.6487, .3679 and 1:
    # of 3.0166 the first two of the ranking, 1.6487 and 1, are 87.8 % and are kept at a share of .8.
    negatives = torch.tensor([[0.5, math.sqrt(0.75)], [-1.0, 0.0], [0.0, -1.0]], dtype=torch.float64)
    loss, share_kept = SPACLLoss(1.0, 0.8).with_share_kept(candidates[0], chosen.positives, negatives)
    positive = math.exp(-0.5) + math.exp(math.cos(math.pi / 6))
    assert loss.item() == pytest.approx(-math.log(positive / (positive + math.exp(0.5) + 1)), rel=1e-12)
    assert share_kept.item() == pytest.approx(2 / 3)


def test_all_off_with_two_views_is_simclr_whose_negatives_are_both_views_of_all_other_images():
    z0, z1 = rows(6, 5), rows(6, 5, seed=1)
    keys = unit_vectors(torch.stack([z0, z1]))
    images = torch.arange(6)
    criterion = SPACLLoss(0.5, screening_share=1.0)

    def loss(candidates, anchor):
        chosen = hard_sets(candidates, 1, anchor, ranking=rows(2, 6).sigmoid())
        flat = candidates.flatten(0, 1)
        return criterion(flat[chosen.anchors], chosen.positives, flat, images[chosen.images], images.repeat(2))

    simclr = DifficultPairLoss(0.5)(z0, z1)
    torch.testing.assert_close(loss(keys, "every"), simclr, rtol=1e-12, atol=0)
    halves = [loss(keys, "fixed"), loss(keys.flip(0), "fixed")]
    torch.testing.assert_close(sum(halves) / 2, simclr, rtol=1e-12, atol=0)


def test_a_fixed_anchor_is_the_last_view_and_every_view_takes_its_turn():
    candidates = unit_vectors(rows(3, 4, 5))
    fixed = hard_sets(candidates, 2, "fixed")
    assert fixed.anchors.tolist() == [8, 9, 10, 11]
    every = hard_sets(candidates, 2, "every")
    assert every.anchors.tolist() == list(range(12))
    assert every.images.tolist() == [0, 1, 2, 3] * 3
    for row, image in enumerate(every.images.tolist()):
        view = row // 4
        others = torch.stack([candidates[v, image] for v in range(3) if v != view])
        assert {tuple(p.tolist()) for p in every.positives[row]} == {tuple(o.tolist()) for o in others}


def test_random_positives_are_those_of_the_largest_numbers_beside_the_anchor():
    candidates = unit_vectors(rows(3, 2, 5))
    ranking = torch.tensor([[0.9, 0.1], [0.2, 0.8], [0.5, 0.7]])
    chosen = hard_sets(candidates, 1, "fixed", ranking=ranking)
    torch.testing.assert_close(chosen.positives[:, 0], torch.stack([candidates[0, 0], candidates[1, 1]]))


def test_images_of_one_label_draw_different_random_positives():
    candidates = unit_vectors(rows(4, 8, 5))
    ranking = torch.rand(4, 8, generator=torch.Generator().manual_seed(0))
    chosen = hard_sets(candidates, 2, "fixed", torch.zeros(8, dtype=torch.long), ranking)
    assert len({tuple(row.tolist()) for row in chosen.positives.flatten(0, 1)}) >= 8


def test_with_labels_the_pool_holds_the_images_of_the_label_and_the_anchor_stays_the_images_own():
    candidates = unit_vectors(rows(2, 6, 5))
    labels = torch.tensor([0, 1, 0, 2, 1, 0])
    chosen = hard_sets(candidates, 1, labels=labels)
    for image in range(6):
        members = [m for m in range(6) if labels[m] == labels[image]]
        pool = torch.stack([candidates[v, m] for v in range(2) for m in members])
        own = [n for n in range(len(pool)) if members[n % len(members)] == image]
        hardness = {u: -sum(float(pool[u] @ pool[v]) for v in range(len(pool)) if v != u) for u in own}
        anchor = max(own, key=hardness.get)
        row = anchor // len(members) * 6 + image
        assert chosen.anchors[image] == row
        (farthest,) = reference.farthest_points(pool, anchor, 1, 1e-12)
        torch.testing.assert_close(chosen.positives[image, 0], pool[farthest])


def test_a_label_of_its_own_for_every_image_is_the_self_supervised_case():
    candidates = unit_vectors(rows(4, 5, 3))
    alone, labelled = hard_sets(candidates, 2), hard_sets(candidates, 2, labels=torch.arange(5))
    assert all(torch.equal(*pair) for pair in zip(alone, labelled, strict=True))


def test_identical_views_are_chosen_in_their_order():
    candidates = unit_vectors(rows(1, 3, 4)).expand(4, 3, 4)
    chosen = hard_sets(candidates, 2)
    assert chosen.anchors.tolist() == [0, 1, 2]
    assert torch.isfinite(SPACLLoss(0.1)(candidates[0], chosen.positives, candidates.flatten(0, 1)))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_and_low_temperatures_are_no_trouble(dtype):
    anchors, positives, negatives = rows(8, 16).float(), rows(8, 2, 16, seed=1).float(), rows(40, 16, seed=2).float()
    criterion = SPACLLoss(0.01)
    outside = criterion(anchors, positives, negatives)
    with torch.autocast("cpu", dtype=dtype):
        assert torch.equal(criterion(anchors, positives, negatives), outside)
        half = criterion(anchors.to(dtype), positives.to(dtype), negatives.to(dtype))
    assert half.dtype == torch.float32
    torch.testing.assert_close(half, outside, rtol=5e-2, atol=0)
    exact = criterion(anchors.double(), positives.double(), negatives.double())
    torch.testing.assert_close(outside.double(), exact, rtol=1e-4, atol=0)


def test_the_exponential_share_is_that_of_the_losss_own_sum():
    similarity = rows(5, 30).tanh()
    nobody = torch.zeros(5, 30, dtype=torch.bool)
    kept = SPACLLoss(0.2, 0.7).kept(similarity, nobody)
    assert torch.equal(kept, screen_negatives((similarity / 0.2).exp(), 0.7))
    linear = SPACLLoss(0.2, 0.7, "linear").kept(similarity, nobody)
    assert torch.equal(linear, screen_negatives((1 + similarity) / 2, 0.7))
    assert linear.sum() > kept.sum()


def test_dropped_negatives_and_those_of_the_anchors_label_get_no_gradient():
    negatives = rows(6, 4).requires_grad_()
    labels, negative_labels = torch.tensor([0, 0]), torch.tensor([0, 0, 1, 1, 2, 3])
    criterion = SPACLLoss(0.1, 0.5)
    criterion(rows(2, 4, seed=1), rows(2, 1, 4, seed=2), negatives, labels, negative_labels).backward()
    cosines = unit_vectors(rows(2, 4, seed=1)) @ unit_vectors(rows(6, 4)).T
    kept = criterion.kept(cosines, labels.unsqueeze(1) == negative_labels).any(dim=0)
    assert torch.equal(negatives.grad.abs().sum(dim=1) > 0, kept)
    assert 0 < kept.sum() < 4


def test_an_anchor_whose_negatives_all_have_its_label_costs_nothing():
    zeros = torch.zeros(3, dtype=torch.long)
    assert SPACLLoss(0.5)(rows(3, 4), rows(3, 1, 4), rows(3, 4), zeros, zeros).item() == 0


@pytest.mark.parametrize("place", range(3))
def test_a_value_that_is_not_finite_makes_the_loss_nan(place):
    tensors = [rows(3, 4), rows(3, 2, 4), rows(9, 4)]
    tensors[place].view(-1)[2] = math.nan
    assert SPACLLoss(0.5)(*tensors).isnan()


@pytest.mark.parametrize(
    ("shapes", "labels", "message"),
    [
        (([3, 4], [2, 1, 4], [5, 4]), (), r"each of the 3 anchors .* got \(2, 1, 4\)"),
        (([3, 4], [3, 0, 4], [5, 4]), (), r"at least one positive, .* got \(3, 0, 4\)"),
        (([3, 4], [3, 1, 4], [0, 4]), (), "at least 1 negative, got 0"),
        (([3, 4], [3, 1, 4], [5, 4]), (torch.zeros(3),), "for anchors and negatives or for neither"),
        (([3, 4], [3, 1, 4], [5, 4]), (torch.zeros(3), torch.zeros(4)), "3 anchors and 5 negatives, got 3 and 4"),
    ],
)
@pytest.mark.usefixtures("unchecked_shapes")
def test_tensors_that_do_not_match_are_refused(shapes, labels, message):
    with pytest.raises(ValueError, match=message):
        SPACLLoss(0.5)(*(torch.randn(*shape) for shape in shapes), *labels)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"temperature": 0.0}, "temperature must be positive and finite, got 0.0"),
        ({"temperature": 0.5, "screening_share": 0.0}, r"must be in \(0, 1\], got 0.0"),
        ({"temperature": 0.5, "screening_share": 1.5}, r"must be in \(0, 1\], got 1.5"),
        ({"temperature": 0.5, "screening_similarity": "cosine"}, "must be 'exp' or 'linear', got 'cosine'"),
    ],
)
def test_a_setting_that_breaks_its_rule_is_refused_at_once(settings, message):
    with pytest.raises(ValueError, match=message):
        SPACLLoss(**settings)


@pytest.mark.parametrize(("views", "count"), [(2, 2), (3, 0), (4, 7)])
def test_more_positives_than_a_pool_has_are_refused(views, count):
    with pytest.raises(ValueError, match=f"at least 1 and at most {views - 1}, .* got {count}"):
        hard_sets(unit_vectors(rows(views, 3, 4)), count)


def test_the_generator_makes_unit_vectors_that_depend_on_the_noise():
    generator = Generator(6, noise_features=3)
    embeddings = unit_vectors(torch.randn(4, 6))
    first, second = generator(embeddings, torch.randn(4, 3)), generator(embeddings, torch.randn(4, 3))
    torch.testing.assert_close(first.norm(dim=1), torch.ones(4))
    assert not torch.equal(first, second)
    assert Discriminator(6)(first).shape == (4,)


def test_the_game_is_the_papers_min_max():
    real, generated = rows(7), rows(5, seed=1)
    value = real.sigmoid().log().mean() + (1 - generated.sigmoid()).log().mean()
    torch.testing.assert_close(discriminator_loss(real, generated), -value)
    torch.testing.assert_close(generator_loss(generated, saturating=True), (1 - generated.sigmoid()).log().mean())
    torch.testing.assert_close(generator_loss(generated), -generated.sigmoid().log().mean())


@pytest.mark.parametrize("player", [lambda: Generator(0), lambda: Generator(4, 0), lambda: Discriminator(4, 0)])
def test_a_player_of_no_width_is_refused(player):
    with pytest.raises(ValueError, match="widths must be at least 1, got .*0"):
        player()


def test_the_width_of_a_head_is_found_out_and_leaves_it_as_it_was():
    head = ProjectionHead(6, 10, 4)
    mean = head[1].running_mean.clone()
    assert output_width(head, 6) == 4
    assert head.training
    assert head[1].training
    assert torch.equal(head[1].running_mean, mean)


def test_a_momentum_copy_follows_slowly_and_is_not_trained():
    head = ProjectionHead(6, 10, 4)
    slow = momentum_copy(head)
    before = slow[0].weight.clone()
    with torch.no_grad():
        head[0].weight.add_(1)
    follow(slow, head, 0.75)
    torch.testing.assert_close(slow[0].weight, before + 0.25)
    assert not any(parameter.requires_grad for parameter in slow.parameters())
