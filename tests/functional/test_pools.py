"""SPACL's choices: a pool of four worked by hand, ties, edges, and 200 random cases of the slow transcription."""

import math

import pytest
import reference
import torch

from lit_hardcl.functional import farthest_points, hardest_candidate, screen_negatives, unit_vectors

# Four directions in the plane, at 0, 30, 90 and 120 degrees.
FOUR = torch.tensor([[[math.cos(math.radians(a)), math.sin(math.radians(a))] for a in (0, 30, 90, 120)]])


def random_case(seed):
    """A pool whose candidates repeat in every other case, in one of three precisions, as it comes and in float64."""
    generator = torch.Generator().manual_seed(seed)
    pools, candidates, dim = (int(torch.randint(low, 9, (), generator=generator)) for low in (1, 2, 2))
    pool = torch.randn(pools, candidates, dim, generator=generator, dtype=torch.float64)
    if seed % 2:
        pool = pool.take_along_dim(torch.randint(candidates, (pools, candidates, 1), generator=generator), dim=1)
    pool = unit_vectors(pool).to((torch.float64, torch.float32, torch.bfloat16, torch.float16)[seed // 2 % 4])
    start = torch.randint(candidates, (pools,), generator=generator)
    return pool, start, int(torch.randint(1, candidates, (), generator=generator))


def rounding(values):
    """What counts as tied: 16 units in the last place of 1, in the precision of the choice."""
    return 16 * torch.finfo(torch.promote_types(values.dtype, torch.float32)).eps


@pytest.mark.parametrize("block", range(4))
def test_anchors_and_positives_of_200_random_pools_are_those_of_the_loops(block):
    for seed in range(50 * block, 50 * block + 50):
        pool, start, count = random_case(seed)
        exact, tied = pool.double(), rounding(pool)
        assert hardest_candidate(pool).tolist() == [reference.hardest_candidate(rows, tied) for rows in exact], seed
        expected = [
            reference.farthest_points(rows, at, count, tied) for rows, at in zip(exact, start.tolist(), strict=True)
        ]
        assert farthest_points(pool, start, count).tolist() == expected, seed


def test_200_random_rows_are_screened_as_by_the_loop():
    for seed in range(200):
        generator = torch.Generator().manual_seed(seed)
        keys = int(torch.randint(1, 12, (), generator=generator))
        similarity = torch.rand(3, keys, generator=generator, dtype=torch.float64)
        if seed % 2:  # many ties, zeros, and sums that reach the share exactly
            similarity = (6 * similarity).floor()
        similarity = similarity.to((torch.float64, torch.float32, torch.bfloat16, torch.float16)[seed // 2 % 4])
        share = (0.2, 0.5, 0.75, 0.95, 1.0)[seed % 5]
        expected = [reference.screened_row(row, share, rounding(similarity)) for row in similarity.tolist()]
        assert screen_negatives(similarity, share).tolist() == expected, seed


def test_a_pool_of_four_worked_by_hand():
    # Sums of cosines to the others: 0 + .866 - .5 = .366; .866 + .5 + 0 = 1.366; 0 + .5 + .866 = 1.366 and
    # -.5 + 0 + .866 = .366. The first and the last are tied at the least similar: the first is the anchor.
    assert hardest_candidate(FOUR).tolist() == [0]
    # From 0 degrees the farthest is 120 (-.5). Their nearest: 30 has max(.866, 0), 90 has max(0, .866): tied.
    assert farthest_points(FOUR, torch.tensor([0]), 3).tolist() == [[3, 1, 2]]
    # Against four negatives of .5, .1, .3 and .1: .5 + .3 is the first sum to reach three quarters of 1.
    similarity = torch.tensor([[0.5, 0.1, 0.3, 0.1]])
    assert screen_negatives(similarity, 0.75).tolist() == [[True, False, True, False]]


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("dim", [2, 3, 128])
def test_a_pool_of_identical_candidates_takes_the_lowest_indices(dim, dtype):
    row = unit_vectors(torch.randn(1, 1, dim, generator=torch.Generator().manual_seed(dim))).to(dtype)
    pool = row.expand(5, 7, dim)
    assert hardest_candidate(pool).tolist() == [0] * 5
    assert farthest_points(pool, torch.tensor([0, 1, 2, 6, 3]), 3).tolist() == [
        [1, 2, 3],
        [0, 2, 3],
        [0, 1, 3],
        [0, 1, 2],
        [0, 1, 2],
    ]


def test_two_candidates_are_always_tied():
    pool = unit_vectors(torch.randn(200, 2, 64, generator=torch.Generator().manual_seed(0)))
    assert not hardest_candidate(pool).any()


def test_pools_marked_in_one_set_are_as_pools_of_their_own():
    generator = torch.Generator().manual_seed(0)
    rows = unit_vectors(torch.randn(9, 5, generator=generator, dtype=torch.float64))
    present = torch.zeros(4, 9, dtype=torch.bool)
    members = torch.stack([torch.randperm(9, generator=generator)[:5].sort().values for _ in range(4)])
    present.scatter_(1, members, True)
    anchor = hardest_candidate(rows, present)
    own = hardest_candidate(rows[members])
    assert torch.equal(anchor, members.gather(1, own.unsqueeze(1)).squeeze(1))
    positives = farthest_points(rows, anchor, 3, present)
    assert torch.equal(positives, members.gather(1, farthest_points(rows[members], own, 3)))


def test_only_some_of_a_pool_may_be_the_anchor():
    among = torch.tensor([[False, True, True, False]])
    assert hardest_candidate(FOUR, among=among).tolist() == [1]


def test_a_share_of_one_keeps_all_but_the_excluded():
    similarity = torch.tensor([[0.0, 0.3, 0.0]])
    assert screen_negatives(similarity, 1.0).all()
    exclude = torch.tensor([[True, False, False]])
    assert screen_negatives(similarity, 1, exclude).tolist() == [[False, True, True]]


def test_every_kept_negative_is_at_least_as_similar_as_every_dropped_one():
    similarity = torch.rand(50, 30, generator=torch.Generator().manual_seed(0))
    exclude = similarity > 0.9
    kept = screen_negatives(similarity, 0.6, exclude)
    dropped = ~kept & ~exclude
    assert not (kept & exclude).any()
    assert (kept.sum(dim=1) >= 1).all()
    least = similarity.masked_fill(~kept, 2).amin(dim=1)
    assert (least >= similarity.masked_fill(~dropped, -1).amax(dim=1)).all()


def test_one_negative_is_kept_even_of_zeros_and_none_where_all_are_excluded():
    assert screen_negatives(torch.zeros(1, 3), 0.5).tolist() == [[True, False, False]]
    everything = torch.ones(1, 3, dtype=torch.bool)
    assert not screen_negatives(torch.rand(1, 3), 0.5, everything).any()


def test_no_gradient_flows_through_the_choices():
    pool = unit_vectors(torch.randn(2, 4, 3)).requires_grad_()
    assert not hardest_candidate(pool).requires_grad
    assert not farthest_points(pool, torch.tensor([0, 1]), 2).requires_grad
    assert not screen_negatives(pool.exp()[:, 0], 0.5).requires_grad


def test_autocast_does_not_round_the_choices():
    pool = unit_vectors(
        torch.ones(64, 6, 16) + 1e-3 * torch.randn(64, 6, 16, generator=torch.Generator().manual_seed(0))
    )
    anchor, start = hardest_candidate(pool), torch.zeros(64, dtype=torch.long)
    positives = farthest_points(pool, start, 3)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(hardest_candidate(pool), anchor)
        assert torch.equal(farthest_points(pool, start, 3), positives)
    assert not torch.equal(farthest_points(pool.bfloat16(), start, 3), positives), "rounding does change the choice"


@pytest.mark.parametrize("count", [0, -1, 4, 7])
def test_a_number_of_positives_that_the_pool_lacks_is_refused(count):
    with pytest.raises(ValueError, match=f"at least 1 and at most 3, the candidates of a pool of 4 .* got {count}"):
        farthest_points(FOUR, torch.tensor([0]), count)


@pytest.mark.parametrize("share", [0.0, -0.5, 1.01, math.nan])
def test_a_share_that_is_none_is_refused(share):
    with pytest.raises(ValueError, match=rf"must be in \(0, 1\], got {share}"):
        screen_negatives(torch.rand(1, 3), share)
