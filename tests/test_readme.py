"""What the README and the pages of docs/ show runs as it stands there."""

import re
import runpy
import shlex

import pytest
import yaml
from commands import ROOT

from lit_hardcl.__main__ import COMMANDS as OTHERS
from lit_hardcl.cli.commands.running import run_command
from lit_hardcl.cli.configuration import with_shipped_files
from lit_hardcl.cli.training import CommandLine, command_line

README = (ROOT / "README.md").read_text()
PAGES = {
    str(path.relative_to(ROOT)): path.read_text() for path in (ROOT / "README.md", *sorted(ROOT.glob("docs/*.md")))
}
PYTHON = [
    pytest.param(code, id=f"{page}-{place}")
    for page, text in PAGES.items()
    if page not in ("docs/theory.md", "docs/extending.md")  # which have tests of their own
    for place, code in enumerate(re.findall(r"```python\n(.*?)```", text, re.DOTALL))
]
COMMANDS = sorted(
    {
        line
        for page, text in PAGES.items()
        if page != "docs/extending.md"
        for line in re.findall(r"^(?:python train\.py|lit-hardcl) (.*)$", text.replace("\\\n", ""), re.MULTILINE)
    }
)


@pytest.mark.parametrize("code", PYTHON)
@pytest.mark.filterwarnings("ignore:.*does not have many workers")
@pytest.mark.filterwarnings("ignore:The number of training batches")
@pytest.mark.filterwarnings("ignore:.*have no `val_dataloader`")
@pytest.mark.filterwarnings("ignore:.*`tensorboardX` has been removed")
def test_a_snippet_runs(code, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    exec(compile(code, "snippet", "exec"), {"__name__": "snippet"})


RUNNABLE = [line for line in COMMANDS if line.startswith("fit") and "--help" not in line and "METHOD" not in line]


@pytest.mark.parametrize("command", RUNNABLE)
def test_a_command_is_understood(command, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    options = with_shipped_files(shlex.split(command)[1:])
    assert isinstance(command_line([*options, "--trainer.accelerator", "cpu"], run=False), CommandLine)


@pytest.mark.parametrize("command", [line for line in COMMANDS if line.split()[0] in OTHERS])
def test_a_command_that_is_no_training_is_understood(command, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    name, *options = with_shipped_files(shlex.split(command.replace("docs/results/", f"{ROOT}/docs/results/")))
    with pytest.raises(SystemExit) as stop:
        run_command(name, OTHERS[name], [*options, "--print_config"])
    assert (stop.value.code, capsys.readouterr().err) == (0, "")


@pytest.mark.parametrize("page", PAGES)
def test_every_file_it_names_exists(page):
    for target in re.findall(r"\]\(((?!http)[^)#]+)[^)]*\)", PAGES[page]):
        assert ((ROOT / page).parent / target).exists(), target


def test_every_make_target_it_names_exists():
    makefile = (ROOT / "Makefile").read_text()
    for target in re.findall(r"(?:`|\$ )make ([a-z-]+)", README):
        assert f"\n{target}:" in makefile, target


def test_no_place_is_left_to_be_filled():
    assert "QUICKSTART" not in README
    assert "TABLE" not in README


def test_costs_and_results_of_the_methods_are_those_of_the_files():
    page = runpy.run_path(str(ROOT / "docs" / "landscape.py"))
    shown = PAGES["docs/methods.md"].split(page["BEGIN"])[1].split(page["END"])[0]
    assert shown.splitlines() == page["table"]()
    methods = yaml.safe_load((ROOT / "configs" / "compare" / "landscape.yaml").read_text())["methods"]
    assert [line.split("|")[1].strip() for line in shown.splitlines()[2:]] == list(methods)
