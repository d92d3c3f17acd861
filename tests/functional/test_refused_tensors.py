"""Whole numbers where embeddings belong, a rank of NaN and an unknown choice: refused, never computed with."""

import pytest
import torch

from lit_hardcl import functional as F
from lit_hardcl.evaluation import (
    alignment,
    difficult_examples,
    fit_linear_probe,
    knn_predict,
    pair_similarities,
    rank_me,
    uniformity,
)
from lit_hardcl.hardness import hard_sets, margins, select_core
from lit_hardcl.theory import removal_threshold

pytestmark = pytest.mark.refusal

WHOLE = torch.randint(-3, 4, (6, 4), generator=torch.Generator().manual_seed(0))
NUMBERS = torch.tensor([0, 1, 2, 0, 1, 2])
EVERY = torch.ones(6, 4, dtype=torch.bool)
OPS = {
    "cosine_similarity": lambda: F.cosine_similarity(WHOLE),
    "unit_vectors": lambda: F.unit_vectors(WHOLE),
    "difficult_pairs": lambda: F.difficult_pairs(WHOLE, 0.2, 0.6),
    "nt_xent": lambda: F.nt_xent(WHOLE, NUMBERS),
    "dcl_rows": lambda: F.dcl_rows(WHOLE, NUMBERS),
    "dystress_rows": lambda: F.dystress_rows(WHOLE, NUMBERS, 0.1, 0.2),
    "ifm_rows": lambda: F.ifm_rows(WHOLE, NUMBERS, 0.5, 0.1),
    "sigmoid_rows": lambda: F.sigmoid_rows(WHOLE, NUMBERS),
    "spectral_rows": lambda: F.spectral_rows(WHOLE, NUMBERS),
    "truncated_triplet_rows": lambda: F.truncated_triplet_rows(WHOLE, NUMBERS, 1, 2, 2.0, 100.0),
    "hcl_rows": lambda: F.hcl_rows(WHOLE, NUMBERS, 0.5, 1.0, 0.1),
    "hardness_weighted_rows": lambda: F.hardness_weighted_rows(WHOLE, NUMBERS, 0.5, 1.0),
    "bcl_rows": lambda: F.bcl_rows(WHOLE, NUMBERS, 0.1, 0.7, 0.9),
    "hard_supcon_rows": lambda: F.hard_supcon_rows(WHOLE, EVERY, 1.0),
    "supcon_rows": lambda: F.supcon_rows(WHOLE, EVERY),
    "hardest_candidate": lambda: F.hardest_candidate(WHOLE),
    "farthest_points": lambda: F.farthest_points(WHOLE, NUMBERS[:1], 2),
    "screen_negatives": lambda: F.screen_negatives(WHOLE.abs(), 0.5),
    "margins": lambda: margins(WHOLE),
    "difficult_examples": lambda: difficult_examples(WHOLE, NUMBERS),
    "select_core": lambda: select_core(WHOLE, NUMBERS, 0.5),
    "alignment": lambda: alignment(WHOLE, WHOLE),
    "uniformity": lambda: uniformity(WHOLE),
    "rank_me": lambda: rank_me(WHOLE),
    "pair_similarities": lambda: pair_similarities(WHOLE, NUMBERS),
    "fit_linear_probe": lambda: fit_linear_probe(WHOLE, NUMBERS, 3),
    "knn_predict": lambda: knn_predict(WHOLE, WHOLE, NUMBERS, 3),
}


@pytest.mark.usefixtures("unchecked_shapes")
@pytest.mark.parametrize("op", OPS)
def test_whole_numbers_are_refused_where_embeddings_are_asked_for(op):
    with pytest.raises(ValueError, match="must be floating-point numbers, got torch.int64"):
        OPS[op]()


def test_a_similarity_that_is_nan_has_no_rank_unless_it_does_not_count():
    similarity = torch.rand(3, 5)
    similarity[1, 2] = torch.nan
    with pytest.raises(ValueError, match="similarities must be numbers that can be ranked, got NaN"):
        F.difficult_pairs(similarity, 0.2, 0.6)
    marked = F.difficult_pairs(similarity, 0.2, 0.6, exclude=similarity.isnan())
    assert torch.equal(marked[1, [0, 1, 3, 4]], F.difficult_pairs(similarity[1:2, [0, 1, 3, 4]], 0.2, 0.6)[0])


@pytest.mark.usefixtures("unchecked_shapes")
@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda: hard_sets(torch.rand(3, 2, 4), 2, anchor="first"), "'dynamic', 'fixed' or 'every', got 'first'"),
        (lambda: F.supcon_rows(torch.rand(6, 4), EVERY, form="both"), "form must be 'out' or 'in', got 'both'"),
        (lambda: removal_threshold(9, 2, 1, 0.5, 0.2, 0.3, "some"), "structure must be 'all' or 'matched', got 'some'"),
        (lambda: removal_threshold(9, 2, 1, 0.5, 0.2, 0.3, against="x"), "'stated', 'matched' or 'all_k_r1', got 'x'"),
    ],
)
def test_a_choice_that_is_none_is_refused_and_no_default_is_taken(wrong, message):
    with pytest.raises(ValueError, match=message):
        wrong()
