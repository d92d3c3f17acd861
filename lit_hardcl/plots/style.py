"""What all figures have in common."""

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from lit_hardcl.errors import Refusal

COLOURS = {"same": "#1f77b4", "different": "#d95f02", "difficult": "#6a3d9a", "band": "#f4d58d", "ink": "#333333"}


def new_figure(width: float, height: float, columns: int = 1) -> tuple[Figure, Any]:
    """An empty figure of this size in inches, in the house's style, with its axes: an array if there are several."""
    figure = Figure(figsize=(width, height), layout="constrained")
    panels = figure.subplots(1, columns)
    for axes in np.ravel(panels):
        axes.spines[["top", "right"]].set_visible(False)
        axes.tick_params(colors=COLOURS["ink"], labelsize=9)
    return figure, panels


def check_figure_file(output: str) -> None:
    """Refuse a figure's file name that could not be written, before the work is done.

    Raises:
        ValueError: for a folder that is not there, or a kind of file that cannot be drawn.
    """
    known = Figure().canvas.get_supported_filetypes()
    if output and not Path(output).parent.is_dir():
        raise Refusal(f"output must lie in a folder that exists, got {output}")
    if output and Path(output).is_dir():
        raise Refusal(f"output must be a file, but {output} is a folder")
    if output and Path(output).suffix[1:] not in known:
        raise Refusal(f"output must end in one of {', '.join(f'.{kind}' for kind in known)}, got {output}")
