"""What all figures have in common."""

from typing import Any

import numpy as np
from matplotlib.figure import Figure

COLOURS = {"same": "#1f77b4", "different": "#d95f02", "difficult": "#6a3d9a", "band": "#f4d58d", "ink": "#333333"}


def new_figure(width: float, height: float, columns: int = 1) -> tuple[Figure, Any]:
    """An empty figure of this size in inches, in the house's style, with its axes: an array if there are several."""
    figure = Figure(figsize=(width, height), layout="constrained")
    panels = figure.subplots(1, columns)
    for axes in np.ravel(panels):
        axes.spines[["top", "right"]].set_visible(False)
        axes.tick_params(colors=COLOURS["ink"], labelsize=9)
    return figure, panels
