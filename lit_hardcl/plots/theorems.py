"""The theory's figures: spectra, where remedies help, what they amount to, and how near to collapse positives are."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float, Int
from matplotlib.colors import BoundaryNorm, ListedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from lit_hardcl.plots.style import COLOURS, new_figure

REGIONS = {
    (): ("none", "#ececec"),
    ("margin",): ("the margin", COLOURS["band"]),
    ("margin", "temperature"): ("margin and temperature", "#eb9f66"),
    ("margin", "removal"): ("margin and removal", "#8fbbd9"),
    ("margin", "removal", "temperature"): ("all three", COLOURS["same"]),
}
"""The remedies that may help together, with the words and the colour for it."""

LINES = {
    "no difficult samples": {"color": COLOURS["ink"], "ls": "--", "lw": 1.2, "zorder": 3},
    "all": {"color": COLOURS["same"], "lw": 2.5},
    "matched": {"color": COLOURS["different"], "lw": 2.5},
}


def eigenvalue_stairs(spectra: Mapping[str, Sequence[tuple[str, float, int]]], k: int | None = None) -> Figure:
    """Eigenvalues by rank, both logarithmic: blocks ``(name, value, multiplicity)`` of one or more graphs.

    Args:
        spectra: eigenvalues by the graph's name, descending.
        k: mark the eigenvalue that bounds ``k``-dimensional features, the one of rank ``k + 1``.
    """
    figure, axes = new_figure(8, 4.2)
    for name, blocks in spectra.items():
        edges = np.cumsum([0, *(multiplicity for *_, multiplicity in blocks)]) + 0.5
        label = f'difficult samples, "{name}"' if name in ("all", "matched") else name
        axes.stairs([value for _, value, _ in blocks], edges, baseline=None, label=label, **LINES[name])
    if k is not None:
        axes.axvline(k + 1, color=COLOURS["ink"], lw=1, ls=":")
        axes.text(k + 1, 0.97, f" k = {k}", va="top", color=COLOURS["ink"], transform=axes.get_xaxis_transform())
    axes.set(xscale="log", yscale="log", xlabel="rank of the eigenvalue", ylabel="eigenvalue of $D^{-1/2} A D^{-1/2}$")
    axes.set_xlim(left=0.7)
    axes.legend(fontsize=9, frameon=False)
    return figure


def remedy_map(
    helpful: Mapping[str, Int[np.ndarray, "shares gaps"]],
    gaps: Float[np.ndarray, " gaps"],
    shares: Float[np.ndarray, " shares"],
    point: tuple[float, float] | None = None,
) -> Figure:
    """Where which remedies lower the bound, over the gap and the share of difficult samples, both logarithmic.

    Args:
        helpful: map by the panel's title of the place of the remedies in `REGIONS`.
        gaps: gamma - beta, ascending.
        shares: n_d / n, ascending.
        point: gap and share of the case at hand.
    """
    words, colours = zip(*REGIONS.values(), strict=True)
    figure, panels = new_figure(1.2 + 3.6 * len(helpful), 4.3, len(helpful))
    marks: list[Any] = []
    for axes, (title, places) in zip(np.ravel(panels), helpful.items(), strict=True):
        norm = BoundaryNorm(np.arange(len(words) + 1) - 0.5, len(words))
        axes.pcolormesh(
            gaps, shares, places, cmap=ListedColormap(colours), norm=norm, shading="nearest", rasterized=True
        )
        if point is not None:
            marks = axes.plot(
                *point, "o", color="white", markeredgecolor=COLOURS["ink"], markersize=8, label="this case"
            )
        axes.set(xscale="log", yscale="log", xlabel="γ − β")
        axes.set_title(title, fontsize=10)
    np.ravel(panels)[0].set_ylabel("share of difficult samples, $n_d / n$")
    seen = sorted({int(place) for places in helpful.values() for place in np.unique(places)})
    patches = [Patch(color=colours[place], label=words[place]) for place in seen]
    figure.legend(
        handles=patches + marks,
        title="a lower bound on the error than without any remedy, thanks to",
        loc="outside lower center",
        ncols=len(seen) + len(marks),
        fontsize=9,
        frameon=False,
    )
    return figure


def remedy_bars(
    margins: Mapping[str, Mapping[str, float]],
    temperatures: Mapping[str, Mapping[str, float]],
    kinds: Mapping[str, str],
) -> Figure:
    """Margins and temperatures by the kind of pair, a colour for each structure.

    Args:
        margins: values by structure and kind.
        temperatures: likewise.
        kinds: the kinds to show, from the top, with the words for them.
    """
    figure, panels = new_figure(10, 4, 2)
    sides = [
        (panels[0], margins, 0.0, "margin, added to f·f′", kinds.values()),
        (panels[1], temperatures, 1.0, "temperature, 1 = that of all other pairs", [""] * len(kinds)),
    ]
    for axes, values, neutral, title, names in sides:
        for step, (structure, row) in enumerate(values.items()):
            shown = [place for place, kind in enumerate(kinds) if kind in row]
            lengths = [row[kind] - neutral for kind in kinds if kind in row]
            heights = np.array(shown) + 0.36 * (step - (len(values) - 1) / 2)
            bars = axes.barh(heights, lengths, 0.34, neutral, color=LINES[structure]["color"], label=f'"{structure}"')
            axes.bar_label(bars, [f"{row[kind]:.6g}" for kind in kinds if kind in row], padding=3, fontsize=8)
        axes.axvline(neutral, color=COLOURS["ink"], lw=1)
        axes.margins(x=0.3)
        axes.set_yticks(range(len(kinds)), names)
        axes.tick_params(axis="y", length=0)
        axes.invert_yaxis()
        axes.set_xlabel(title)
    panels[0].legend(fontsize=9, frameon=False, loc="lower right")
    return figure


def collapse_histograms(
    angle: Float[np.ndarray, " positives"],
    distance: Float[np.ndarray, " positives"],
    tolerance: float,
    measured: Float[np.ndarray, " positives"] | None = None,
) -> Figure:
    """How far positives are from being their own best anchor, and from the hull of their negatives.

    Args:
        angle: angles from a positive to its best anchor, in degrees.
        distance: distances from the line through a positive to the hull.
        tolerance: the angle up to which a positive counts as nearly stationary, in degrees.
        measured: angles from a positive to the anchor that an encoder gives it, in degrees.
    """
    figure, (left, right) = new_figure(10, 3.6, 2)
    top = max(angle.max(), tolerance, 0 if measured is None else measured.max())
    bins = np.linspace(0, 1.05 * top, 40)
    share = float(np.mean(angle <= tolerance))
    left.axvspan(
        0, tolerance, color=COLOURS["band"], zorder=0, label=f"within {tolerance:g}° ({share:.0%} of the best anchors)"
    )
    left.hist(angle, bins, color=COLOURS["same"], label="the best anchor for the loss")
    if measured is not None:
        left.hist(measured, bins, color=COLOURS["different"], histtype="step", lw=2, label="the anchor of the encoder")
    left.set(xlabel="angle from the positive, in degrees", ylabel="positives", xlim=(0, bins[-1]))
    left.legend(fontsize=9, frameon=False, loc="lower left", bbox_to_anchor=(0, 1))
    misses = float(np.mean(distance > 0))
    right.hist(distance, np.linspace(0, 1.05 * distance.max() or 1, 40), color=COLOURS["same"])
    right.set(xlabel="from the positive's line to the hull of its negatives", xlim=(0, None))
    right.set_title(f"{misses:.0%} of the lines miss the hull: no collapse there", fontsize=9)
    for axes in (left, right):
        axes.yaxis.set_major_locator(MaxNLocator(integer=True))
    return figure
