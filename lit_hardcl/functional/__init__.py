"""The arithmetic of the methods: tensors in, tensors out, no state and no Lightning."""

from lit_hardcl.functional.contrast import nt_xent, pair_logits
from lit_hardcl.functional.selection import difficult_pairs
from lit_hardcl.functional.similarity import cosine_similarity

__all__ = ["cosine_similarity", "difficult_pairs", "nt_xent", "pair_logits"]
