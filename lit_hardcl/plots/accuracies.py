"""Figures of a comparison: accuracies with their intervals, accuracy per epoch, and what a varied number does."""

from collections.abc import Mapping, Sequence
from itertools import cycle
from statistics import fmean

import numpy as np
from matplotlib.figure import Figure

from lit_hardcl.plots.style import COLOURS, new_figure

LINES = ("#1f77b4", "#d95f02", "#1b9e77", "#7570b3", "#e7298a", "#a6761d", "#666666", "#66a61e")
STYLES = ("-", "--", ":", "-.")


def accuracy_intervals(
    accuracies: Mapping[str, Sequence[float]], half_widths: Mapping[str, float], title: str
) -> Figure:
    """Every method's accuracies in percent, seed by seed, with their mean and its interval.

    The first method is the baseline: its mean is drawn through all rows. The axis does not begin at 0.
    """
    figure, axes = new_figure(7, 0.6 + 0.45 * len(accuracies))
    for place, (method, values) in enumerate(accuracies.items()):
        half = 0.0 if np.isnan(half_widths[method]) else half_widths[method]
        colour = COLOURS["ink"] if place == 0 else LINES[0]
        axes.errorbar(fmean(values), place, xerr=half, fmt="o", color=colour, capsize=4, markersize=6)
        axes.scatter(values, [place + 0.22] * len(values), s=10, color=colour, alpha=0.5)
    axes.axvline(fmean(next(iter(accuracies.values()))), color=COLOURS["ink"], linewidth=0.8, linestyle=":")
    axes.set_yticks(range(len(accuracies)), list(accuracies))
    axes.invert_yaxis()
    axes.set_xlabel("held-out top-1 in percent: mean with its 95 % interval; small dots: seeds")
    axes.set_title(title, fontsize=10, color=COLOURS["ink"])
    return figure


def accuracy_per_epoch(curves: Mapping[str, Mapping[int, float]], title: str) -> Figure:
    """Each method's accuracy in percent at each epoch that was validated; beside it the names, if there are many."""
    few = len(curves) <= len(LINES)
    figure, axes = new_figure(7, 4) if few else new_figure(9, max(4, 0.19 * len(curves)))
    for place, (method, curve) in enumerate(curves.items()):
        look = {"color": LINES[place % len(LINES)], "linestyle": STYLES[place // len(LINES) % len(STYLES)]}
        axes.plot(list(curve), list(curve.values()), label=method, linewidth=1.5, marker="o", markersize=3, **look)
    axes.set_xlabel("epochs")
    axes.set_ylabel("held-out top-1 of the online probe, percent")
    axes.set_title(title, fontsize=10, color=COLOURS["ink"])
    if few:
        axes.legend(fontsize=9, frameon=False, loc="lower right")
    else:
        figure.legend(fontsize=7, frameon=False, loc="outside right center")
    return figure


def against_number(
    accuracies: Mapping[str, Mapping[float, Sequence[float]]],
    gaps: Mapping[str, Mapping[float, Sequence[float]]],
    number: str,
) -> Figure:
    """Accuracy in percent and the gap γ − β of each method over a number that the data sets of a comparison vary.

    Points are means over seeds, bars reach from the lowest to the highest seed, a little beside each other.
    """
    panels = [("held-out top-1, percent", accuracies)] + (
        [("γ − β of the features", gaps)] if any(gaps.values()) else []
    )
    figure = Figure(figsize=(5 * len(panels), 3.6), layout="constrained")
    for axes, (label, series) in zip(np.atleast_1d(figure.subplots(1, len(panels))), panels, strict=True):
        axes.spines[["top", "right"]].set_visible(False)
        axes.tick_params(colors=COLOURS["ink"], labelsize=9)
        every = [x for points in series.values() for x in points]
        aside = 0.012 * (max(every) - min(every))
        for place, ((method, points), colour) in enumerate(zip(series.items(), cycle(LINES), strict=False)):
            xs, means = sorted(points), [fmean(points[x]) for x in sorted(points)]
            spread = [[fmean(points[x]) - min(points[x]) for x in xs], [max(points[x]) - fmean(points[x]) for x in xs]]
            places = [x + aside * (place - (len(series) - 1) / 2) for x in xs]
            axes.errorbar(places, means, yerr=spread, color=colour, label=method, marker="o", markersize=4, capsize=3)
        axes.set_xlabel(number)
        axes.set_ylabel(label)
    axes.legend(fontsize=9, frameon=False)
    return figure
