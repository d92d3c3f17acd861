"""Write the table of costs and results into docs/methods.md: ``python docs/landscape.py FOLDER_OF_THE_COMPARISON``.

The numbers are those of the comparison's ``results.md`` and of ``benchmarks/results/methods.json``; both files of the
comparison are kept in docs/results/landscape.
"""

import json
import shutil
import sys
from pathlib import Path

DOCS = Path(__file__).parent
PAGE, KEPT = DOCS / "methods.md", DOCS / "results" / "landscape"
COSTS = DOCS.parent / "benchmarks" / "results" / "methods.json"
BEGIN, END = "<!-- written by docs/landscape.py -->\n", "<!-- until here -->\n"
TITLES = ("", "linear probe, %", "minus SimCLR", "p", "nearest neighbours, %", "a step", "the loss", "extra MB")


def results(markdown: str) -> dict[str, list[str]]:
    """Cells of each method's row: mean, difference, p, neighbours."""
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in markdown.splitlines() if line[:1] == "|"]
    rows = [row for row in rows if "±" in row[1]]
    return {row[0]: [row[1], row[3], row[4], row[5]] for row in rows}


def table() -> list[str]:
    """Lines of the table: a method's results, and its costs relative to SimCLR's."""
    costs = {line["method"]: line for line in json.loads(COSTS.read_text())["lines"]}
    lines = ["| " + " | ".join(TITLES) + " |", "|---" * len(TITLES) + "|"]
    for method, cells in results((KEPT / "results.md").read_text()).items():
        cost = costs[method]
        loss = [f"{cost['loss'][0]:.1f}", f"{cost['memory']:.0f}"] if "loss" in cost else ["", ""]
        lines.append("| " + " | ".join([method, *cells, f"{cost['step'][0]:.2f}", *loss]) + " |")
    return lines


def main() -> None:
    """Keep the comparison's files and write the table."""
    if len(sys.argv) > 1:
        KEPT.mkdir(parents=True, exist_ok=True)
        for name in ("results.md", "results.csv"):
            shutil.copyfile(Path(sys.argv[1]) / name, KEPT / name)
    before, rest = PAGE.read_text().split(BEGIN)
    PAGE.write_text(before + BEGIN + "\n".join(table()) + "\n" + END + rest.split(END)[1])


if __name__ == "__main__":
    main()
