"""What was selected: one anchor's keys in their order, one image's hard sets."""

from typing import Any

import numpy as np
from jaxtyping import Bool, Float
from matplotlib.figure import Figure
from matplotlib.offsetbox import AnnotationBbox, OffsetImage
from torch import Tensor

from lit_hardcl.plots.style import COLOURS, new_figure


def similarity_ranking(
    similarity: Float[Tensor, " keys"],
    same_class: Bool[Tensor, " keys"],
    difficult: Bool[Tensor, " keys"],
    anchor: Float[Tensor, "height width"] | None = None,
    images: Float[Tensor, "keys height width"] | None = None,
    thumbnails: int = 24,
) -> Figure:
    """One anchor's keys in descending similarity, with the band shaded.

    Args:
        similarity: cosine of the anchor with each key, the anchor itself left out.
        same_class: whether a key is of the anchor's class.
        difficult: whether each key is selected.
        anchor: the anchor's grey image, shown in the corner.
        images: the keys' grey images; every n-th of them is shown at its rank.
        thumbnails: number of images to show at most.
    """
    order = similarity.argsort(descending=True)
    heights, same, chosen = similarity[order].numpy(), same_class[order].numpy(), difficult[order].numpy()
    ranks = np.arange(len(heights))
    top, bottom = float(heights.max()), float(heights.min())
    figure, axes = new_figure(9, 4)
    if chosen.any():
        first, last = ranks[chosen].min(), ranks[chosen].max()
        wrong = (chosen & ~same).sum() / chosen.sum()
        label = f"selected as difficult: {chosen.sum()} keys, {wrong:.0%} of other classes"
        axes.axvspan(first - 0.5, last + 0.5, color=COLOURS["band"], zorder=0, label=label)
    for name, mask, label in (("same", same, "of the anchor's class"), ("different", ~same, "of another class")):
        axes.scatter(ranks[mask], heights[mask], s=14, color=COLOURS[name], label=label)
    axes.set_xlabel("keys of the batch, in descending order of similarity")
    axes.set_ylabel("cosine similarity of the features")
    axes.legend(loc="lower left", fontsize=9, frameon=False)
    axes.set_yticks([tick for tick in axes.get_yticks() if tick <= 1])
    span = top - bottom or 1.0
    axes.set_ylim(bottom - 0.05 * span, top + 0.45 * span)
    if images is not None:
        step = max(1, -(-len(ranks) // thumbnails))
        for rank in ranks[::step]:
            colour = COLOURS["same" if same[rank] else "different"]
            _thumbnail(axes, images[order[rank]], (float(rank), top + 0.17 * span), colour, zoom=0.55)
    if anchor is not None:
        _thumbnail(axes, anchor, (len(ranks) * 0.97, top + 0.36 * span), COLOURS["ink"], zoom=1.0)
        axes.text(len(ranks) * 0.935, top + 0.36 * span, "anchor", ha="right", va="center", color=COLOURS["ink"])
    return figure


def _thumbnail(axes: Any, image: Tensor, place: tuple[float, float], colour: str, zoom: float) -> None:
    picture = OffsetImage(image.numpy(), zoom=zoom, cmap="gray_r")
    axes.add_artist(AnnotationBbox(picture, place, pad=0.1, bboxprops={"edgecolor": colour, "linewidth": 1.5}))


def similarity_histogram(
    same: Float[Tensor, " same_class_pairs"],
    easy: Float[Tensor, " easy_pairs"],
    difficult: Float[Tensor, " difficult_pairs"],
    interval: tuple[float, float] | None = None,
) -> Figure:
    """How the similarities of three kinds of pairs are distributed, with the band shaded.

    Each kind has area 1, whatever its number of pairs; a line stands at its mean.

    Args:
        same: similarities of pairs of one class.
        easy: similarities of pairs of different classes without a difficult image.
        difficult: similarities of pairs of different classes with one.
        interval: lowest and highest similarity that is selected; ``None``: nothing is.
    """
    kinds = {
        "same": ("α", "same class", same.numpy()),
        "different": ("β", "different classes, both easy", easy.numpy()),
        "difficult": ("γ", "different classes, a difficult image", difficult.numpy()),
    }
    everything = np.concatenate([values for _, _, values in kinds.values()])
    edges = np.linspace(everything.min(), everything.max() + 1e-6, 61)
    figure, axes = new_figure(8, 4)
    if interval is not None:
        axes.axvspan(*interval, color=COLOURS["band"], zorder=0, label="selected (median of the anchors)")
    for colour, (level, name, values) in kinds.items():
        mean = float(values.mean())
        label = f"{name}: {level} = {mean:.3f}"
        axes.hist(values, edges, density=True, histtype="stepfilled", color=COLOURS[colour], alpha=0.25)
        axes.hist(values, edges, density=True, histtype="step", color=COLOURS[colour], linewidth=1.5, label=label)
        axes.axvline(mean, color=COLOURS[colour], linewidth=1, linestyle="--")
    axes.set_xlabel("cosine similarity of the features")
    axes.set_ylabel("density of pairs")
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=2, fontsize=9, frameon=False)
    return figure


def hard_sets_of(
    pool: Float[Tensor, "candidates height width"],
    anchor: int,
    positives: list[int],
    negatives: Float[Tensor, "negatives height width"],
    kept: int,
    shown: int = 12,
) -> Figure:
    """One image's pool with its anchor and hard positives, and its negatives around the edge that screening draws.

    Args:
        pool: grey views of the image.
        anchor: number of the anchor among them.
        positives: numbers of its positives.
        negatives: grey views of other images, the most similar first.
        kept: number of those that are kept.
        shown: number of the kept and of the dropped negatives to show, the first and the last ones.
    """
    roles = ["anchor" if i == anchor else "positive" if i in positives else "not used" for i in range(len(pool))]
    colours = {"anchor": COLOURS["ink"], "positive": COLOURS["same"], "not used": "#bbbbbb"}
    dropped = len(negatives) - kept
    rows = [
        ("pool", pool, [colours[role] for role in roles], roles),
        (f"{kept} negatives kept,\nthe most similar", negatives[:kept][:shown], [COLOURS["different"]] * shown, None),
        (f"{dropped} dropped,\nthe least similar", negatives[kept:][-shown:], ["#bbbbbb"] * shown, None),
    ]
    figure = Figure(figsize=(9, 2.9), layout="constrained")
    grid = figure.subplots(len(rows), shown)
    for line, (title, images, borders, labels) in zip(grid, rows, strict=True):
        for place, axes in enumerate(line):
            axes.set(xticks=[], yticks=[])
            axes.set_frame_on(place < len(images))
            if place >= len(images):
                continue
            axes.imshow(images[place].numpy(), cmap="gray_r")
            for spine in axes.spines.values():
                spine.set(color=borders[place], linewidth=2)
            if labels:
                axes.set_xlabel(labels[place], fontsize=9)
        line[0].set_ylabel(title, rotation=0, ha="right", va="center", fontsize=9)
    return figure
