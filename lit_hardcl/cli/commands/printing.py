"""What the subcommands leave: tables on the screen, figures in files."""

from collections.abc import Iterable, Sequence

from lit_hardcl.plots import Figure


def print_table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print rows below their head, the first column to the left and the others to the right."""
    lines = [list(head), *map(list, rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for first, *others in lines:
        cells = [f"{cell:>{width}}" for cell, width in zip(others, widths[1:], strict=True)]
        print("  ".join([f"{first:{widths[0]}}", *cells]).rstrip())


def save_figure(figure: Figure, output: str) -> None:
    """Write a figure and say where; nothing if ``output`` is empty."""
    if output:
        figure.savefig(output, dpi=130)
        print(f"\nfigure  {output}")
