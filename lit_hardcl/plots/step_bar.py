"""The bar of a profile."""

from matplotlib.figure import Figure

from lit_hardcl.plots.style import new_figure


def step_shares(shares: dict[str, float], title: str) -> Figure:
    """One bar, divided by the parts of a step; parts below 6 % are named in the legend only."""
    figure, axes = new_figure(9, 2.2)
    left = 0.0
    for part, share in shares.items():
        axes.barh(0, share, left=left, label=f"{part} {share:.1%}")
        if share >= 0.06:
            axes.text(left + share / 2, 0, part, ha="center", va="center", color="white", fontsize=9)
        left += share
    axes.set(xlim=(0, 1), yticks=[], title=title)
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    axes.legend(ncols=5, loc="upper center", bbox_to_anchor=(0.5, -0.2), frameon=False, fontsize=9)
    return figure
