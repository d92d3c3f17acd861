"""Figures in one style; each is returned, none is shown or written."""

from lit_hardcl.plots.profile import step_shares
from lit_hardcl.plots.selection import hard_sets_of, similarity_ranking
from lit_hardcl.plots.style import COLOURS, new_figure

__all__ = ["COLOURS", "hard_sets_of", "new_figure", "similarity_ranking", "step_shares"]
