"""Figures in one style; each is returned, none is shown or written."""

from matplotlib.figure import Figure

from lit_hardcl.plots.accuracies import accuracy_intervals, accuracy_per_epoch, against_number
from lit_hardcl.plots.pictures import hard_sets_of, similarity_histogram, similarity_ranking
from lit_hardcl.plots.step_bar import step_shares
from lit_hardcl.plots.style import COLOURS, check_figure_file, new_figure
from lit_hardcl.plots.theorems import REGIONS, collapse_histograms, eigenvalue_stairs, remedy_bars, remedy_map

__all__ = [
    "COLOURS",
    "REGIONS",
    "Figure",
    "accuracy_intervals",
    "accuracy_per_epoch",
    "against_number",
    "check_figure_file",
    "collapse_histograms",
    "eigenvalue_stairs",
    "hard_sets_of",
    "new_figure",
    "remedy_bars",
    "remedy_map",
    "similarity_histogram",
    "similarity_ranking",
    "step_shares",
]
