"""Writes ``docs/reliability.md`` from the reports of ``make reliability``: ``page.py REPORT.xml ...``."""

import os
import platform
import subprocess
import sys
from collections import defaultdict
from pathlib import Path
from xml.etree import ElementTree

import lightning
import torch

PAGE = Path(__file__).parents[2] / "docs/reliability.md"
INTRO = """# Reliability

*Written by `make reliability`, which tries all of it anew, with fixed seeds. What is not survived is listed by name.*

A process is struck while it works, as a scheduler, a full disk or a person strikes it; wrong inputs are given on the
command line and to the classes; every loss is computed by one, two and four processes. A trial is survived if

- a **killed** training or comparison, gone on with by the same command, leaves what an unbroken one leaves, to the last
  bit: weights, optimizer, schedule, every logged number, the table;
- a **signal** ends the command within the seconds it has (10; 20 where a checkpoint is saved first), with the exit code
  that shells and schedulers expect, a sentence and no process left behind;
- a **failing disk** ends in one sentence and exit code 1, and every file under its own name is whole;
- a **wrong input** is refused by one sentence that names it, its value and the rule; of 2,000 that hypothesis makes up
  for each reader, operation and the YAML of comparisons, none ends otherwise;
- **processes** agree with one on the mean loss to 1e-12 and on the gradient to 1e-10, relative;
- **memory** held after epoch 50 grows by less than 3 MB until epoch 150.
"""
GROUPS = {  # a part of a trial's name, and what the table calls it
    "test_a_killed_training": "trainings killed, 16 methods",
    "test_a_killed_comparison": "comparisons killed",
    "reliability.test_signals": "signals",
    "reliability.test_disks": "failing disks",
    "reliability.test_worlds": "methods and treatments x 1, 2, 4 processes",
    "test_every_loss_of_rows_is_that_of_one_process": "all row losses x 1, 2, 4 processes",
    "reliability.test_memory": "150 epochs",
    "test_fuzz": "fuzz tests of 2,000 examples",
    "": "wrong inputs",
}


def trials(report: Path) -> list[tuple[str, str, str, dict[str, str]]]:
    """Group, name, outcome and recorded figures of each trial of a report."""
    found = []
    for case in ElementTree.parse(report).iter("testcase"):
        name = f"{case.get('classname')}.{case.get('name')}"
        group = next(title for part, title in GROUPS.items() if part in name)
        outcome = next((child.tag for child in case if child.tag in ("failure", "error", "skipped")), "survived")
        figures = {each.get("name", ""): each.get("value", "") for each in case.iter("property")}
        found.append((group, case.get("name", ""), outcome, figures))
    return found


def figures(recorded: list[dict[str, str]]) -> str:
    """The largest of each figure that the trials have recorded; of yes and no, how many yes."""
    values = defaultdict(list)
    for each in recorded:
        for name, value in each.items():
            values[name].append(value)
    told = []
    for name, given in values.items():
        if set(given) <= {"True", "False"}:
            told.append(f"{name}: {given.count('True')} of {len(given)}")
        else:
            told.append(f"{name}: {max(map(float, given)):.3g} at most")
    return "; ".join(told)


def main(reports: list[str]) -> None:
    """Read the reports and write the page."""
    found = [trial for report in reports for trial in trials(Path(report))]
    commit = subprocess.run(["git", "describe", "--always", "--dirty"], capture_output=True, text=True, check=True)
    lines = [
        INTRO,
        f"Commit {commit.stdout.strip()}, Python {platform.python_version()}, torch {torch.__version__}, "
        f"lightning {lightning.__version__}, {os.cpu_count()} cores, no GPU.\n",
        "| tried | how many | survived | could not be tried here | figures |",
        "|---|---|---|---|---|",
    ]
    for group in GROUPS.values():
        of_group = [trial for trial in found if trial[0] == group]
        survived, skipped = (sum(trial[2] == outcome for trial in of_group) for outcome in ("survived", "skipped"))
        told = figures([trial[3] for trial in of_group])
        lines.append(f"| {group} | {len(of_group) - skipped} | {survived} | {skipped or ''} | {told} |")
    if lost := [f"- {group}: `{name}`" for group, name, outcome, _ in found if outcome in ("failure", "error")]:
        lines += ["\n## Not survived\n", *lost]
    PAGE.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
