"""The arithmetic of the methods: tensors in, tensors out, no state and no Lightning."""

from lit_hardcl.functional.contrast import nt_xent, nt_xent_rows, pair_logits
from lit_hardcl.functional.labelled import false_negatives, hard_supcon_rows, supcon_rows
from lit_hardcl.functional.logits import (
    dystress_rows,
    ifm_rows,
    sigmoid_rows,
    spectral_rows,
    truncated_triplet_rows,
)
from lit_hardcl.functional.pools import farthest_points, hardest_candidate, screen_negatives
from lit_hardcl.functional.selection import difficult_pairs
from lit_hardcl.functional.similarity import cosine_similarity, unit_vectors
from lit_hardcl.functional.synthetic import pick_hard, synthetic_negative
from lit_hardcl.functional.thresholds import Thresholds, follow_quantile
from lit_hardcl.functional.weighted import (
    bcl_rows,
    dcl_rows,
    hardness_weighted_rows,
    hcl_rows,
    tilted_total,
    true_negative_weights,
    von_mises_fisher_weights,
)

__all__ = [
    "Thresholds",
    "bcl_rows",
    "cosine_similarity",
    "dcl_rows",
    "difficult_pairs",
    "dystress_rows",
    "false_negatives",
    "farthest_points",
    "follow_quantile",
    "hard_supcon_rows",
    "hardest_candidate",
    "hardness_weighted_rows",
    "hcl_rows",
    "ifm_rows",
    "nt_xent",
    "nt_xent_rows",
    "pair_logits",
    "pick_hard",
    "screen_negatives",
    "sigmoid_rows",
    "spectral_rows",
    "supcon_rows",
    "synthetic_negative",
    "tilted_total",
    "true_negative_weights",
    "truncated_triplet_rows",
    "unit_vectors",
    "von_mises_fisher_weights",
]
