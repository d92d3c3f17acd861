"""The command line in this process, in a folder of its own."""

import sys

import pytest
import torch
from nets import FlatNet

from lit_hardcl.__main__ import main


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    """Run the command line in an empty folder; its exit code, its output and its errors."""
    monkeypatch.chdir(tmp_path)

    def call(subcommand, *options):
        monkeypatch.setattr(sys, "path", list(sys.path))
        code = 0
        try:
            assert main([subcommand, *map(str, options)]) is None  # a console script's exit code is what main returns
        except SystemExit as stop:
            code = stop.code
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    yield call
    for name, module in list(sys.modules.items()):  # another test's folder may have a module of the same name
        if str(getattr(module, "__file__", "")).startswith(str(tmp_path)):
            del sys.modules[name]


@pytest.fixture
def weights(tmp_path, monkeypatch):
    """A file of a backbone's weights such as another trainer leaves."""
    monkeypatch.chdir(tmp_path)
    torch.manual_seed(0)
    net = FlatNet()
    torch.save({"model": {f"module.encoder.{name}": value for name, value in net.state_dict().items()}}, "net.pt")
    return net
