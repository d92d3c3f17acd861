"""What docs/extending.md shows works as it stands there, and costs the files that its table says."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from commands import ROOT

PAGE = (ROOT / "docs" / "extending.md").read_text()
NAMES = ("A loss", "A data set", "A statistic", "A callback", "A subcommand", "A backbone")
SECTIONS = {name: PAGE.split(f"\n## {name}\n")[1].split("\n## A ")[0] for name in NAMES}
MOST = {"A loss": 6, "A data set": 4, "A statistic": 3, "A callback": 5, "A subcommand": 4}  # files, at most
EDIT = re.compile(
    r"^`(?P<file>\S+)`, (?P<how>new|at the end|below the line that begins with `(?P<anchor>[^\n]+)`):"
    r"\n\n(?P<fence>`{3,4})\w*\n(?P<code>.*?)^(?P=fence)$",
    re.DOTALL | re.MULTILINE,
)
RUN = re.compile(r"^```bash\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def edited(text: str, folder: Path) -> list[str]:
    """Make the section's edits in a copy of the checkout; the files touched."""
    files = []
    for edit in EDIT.finditer(text):
        name, how, anchor, code = edit["file"], edit["how"], edit["anchor"], edit["code"]
        file = folder / name
        if how == "new":
            assert not file.exists(), f"{name} is there already"
            file.write_text(code)
        else:
            lines = file.read_text().splitlines(keepends=True)
            places = [place for place, line in enumerate(lines, start=1) if anchor and line.startswith(anchor)]
            assert len(places) == 1 or not anchor, f"{anchor!r} begins {len(places)} lines of {name}, not one"
            place = places[0] if anchor else len(lines)
            file.write_text("".join([*lines[:place], code, *lines[place:]]))
        files.append(name)
    return sorted(set(files))


@pytest.fixture
def copy(tmp_path):
    """A copy of the checkout, without what git ignores."""
    folder = tmp_path / "checkout"
    names = subprocess.run(["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True)
    for name in names.stdout.split():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, folder / name)
    return folder


@pytest.mark.parametrize("section", SECTIONS)
def test_what_a_section_adds_works_and_costs_what_the_table_says(section, copy):
    files = edited(SECTIONS[section], copy)
    said = re.search(rf"^\| {section}[^|]*\| (\d+) \|", PAGE, re.MULTILINE)
    assert len(files) == int(said[1]) <= MOST.get(section, 1)
    assert not any(name.startswith("lit_hardcl/modules/") for name in files), "no training step"
    environment = {**os.environ, "PYTHONPATH": str(copy), "OMP_NUM_THREADS": "1"}
    programs = {"lit-hardcl": ["-m", "lit_hardcl"], "pytest": ["-m", "pytest", "-q", "-p", "no:cacheprovider"]}
    for line in RUN.findall(SECTIONS[section])[0].replace("\\\n", " ").splitlines():
        program, *options = shlex.split(line)
        command = [sys.executable, *programs[program], *options]
        done = subprocess.run(command, cwd=copy, env=environment, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, f"{line}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
