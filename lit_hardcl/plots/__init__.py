"""Figures in one style; each is returned, none is shown or written."""

from lit_hardcl.plots.comparison import accuracy_intervals, accuracy_per_epoch, against_number
from lit_hardcl.plots.selection import hard_sets_of, similarity_histogram, similarity_ranking
from lit_hardcl.plots.style import COLOURS, new_figure

__all__ = [
    "COLOURS",
    "accuracy_intervals",
    "accuracy_per_epoch",
    "against_number",
    "hard_sets_of",
    "new_figure",
    "similarity_histogram",
    "similarity_ranking",
]
