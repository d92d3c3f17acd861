"""What the README and the pages of docs/ show runs as it stands there."""

import re
import shlex
import sys

import pytest
from commands import CONFIGS, ROOT

from lit_hardcl.cli.subcommands import COMMANDS as SUBCOMMANDS
from lit_hardcl.cli.subcommands import run_command
from lit_hardcl.cli.training import CommandLine, command_line

README = (ROOT / "README.md").read_text()
PAGES = ["README.md", "docs/callbacks.md"]
PYTHON = [
    pytest.param(code, id=f"{page}-{place}")
    for page in PAGES
    for place, code in enumerate(re.findall(r"```python\n(.*?)```", (ROOT / page).read_text(), re.DOTALL))
]
COMMANDS = re.findall(r"^(?:python train\.py|lit-hardcl) (.*)$", README.replace("\\\n", ""), re.MULTILINE)


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
    monkeypatch.setattr(sys, "argv", ["train.py"])
    options = shlex.split(command.replace("configs/", f"{CONFIGS}/"))[1:]
    assert isinstance(command_line([*options, "--trainer.accelerator", "cpu"], run=False), CommandLine)


@pytest.mark.parametrize("command", [line for line in COMMANDS if line.split()[0] in SUBCOMMANDS])
def test_a_command_that_is_no_training_is_understood(command, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    name, *options = shlex.split(command.replace("configs/", f"{CONFIGS}/"))
    with pytest.raises(SystemExit) as stop:
        run_command(name, [*options, "--print_config"])
    assert (stop.value.code, capsys.readouterr().err) == (0, "")


def test_every_file_it_names_exists():
    for target in re.findall(r"\]\(((?!http)[^)]+)\)", README):
        assert (ROOT / target).exists(), target


def test_every_make_target_it_names_exists():
    makefile = (ROOT / "Makefile").read_text()
    for target in re.findall(r"(?:`|\$ )make ([a-z-]+)", README):
        assert f"\n{target}:" in makefile, target


def test_no_place_is_left_to_be_filled():
    assert "QUICKSTART" not in README
    assert "TABLE" not in README
