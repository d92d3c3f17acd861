"""A file is whole at every moment, whoever is killed while writing it, wherever the temporary files lie."""

import os
import platform
import signal
import subprocess
import sys

import pytest
import torch
from commands import TINY

from lit_hardcl.files import whole

DEAD = 2**22 + 1  # no process has so high a number
SAVES = """
import os, signal, sys
from lit_hardcl.runs import WholeCheckpointIO

class Killer:
    def __reduce__(self):
        os.kill(os.getpid(), signal.SIGKILL)

WholeCheckpointIO().save_checkpoint({"weights": list(range(100_000)), "end": Killer()}, sys.argv[1])
"""


def test_a_kill_while_saving_leaves_the_checkpoint_before_and_the_next_save_tidies_up(tmp_path):
    torch.save({"weights": [1]}, tmp_path / "last.ckpt")
    killed = subprocess.run([sys.executable, "-c", SAVES, str(tmp_path / "last.ckpt")], timeout=120, check=False)
    assert killed.returncode == -signal.SIGKILL
    assert torch.load(tmp_path / "last.ckpt", weights_only=True) == {"weights": [1]}
    assert [path.suffix for path in tmp_path.iterdir() if path.name != "last.ckpt"] == [".part"]
    (tmp_path / f"epoch=3.ckpt.{platform.node()}.{DEAD}.part").touch()
    living = tmp_path / f"last.ckpt.{platform.node()}.{os.getppid()}.part"
    living.touch()
    elsewhere = tmp_path / "last.ckpt.another.1.part"
    elsewhere.touch()
    with whole(tmp_path / "last.ckpt") as part:
        part.write_text("new")
    assert (tmp_path / "last.ckpt").read_text() == "new"
    assert {path.name for path in tmp_path.iterdir()} == {"last.ckpt", living.name, elsewhere.name}


def test_an_error_while_writing_leaves_the_file_before_and_nothing_else(tmp_path):
    (tmp_path / "table.csv").write_text("old")

    def fail():
        with whole(tmp_path / "table.csv") as part:
            part.write_text("half")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert [path.name for path in tmp_path.iterdir()] == ["table.csv"]
    assert (tmp_path / "table.csv").read_text() == "old"


@pytest.mark.filterwarnings("ignore:The dirpath has changed", "ignore:The number of training batches")
def test_last_is_the_newest_whole_checkpoint_of_this_model_and_these_data(tmp_path, monkeypatch, capsys):
    from lit_hardcl.__main__ import main

    monkeypatch.chdir(tmp_path)

    def fit(*options):
        try:
            main(["fit", *TINY, "--data.train_size", "300", *options])
        except SystemExit as stop:
            return stop.code, capsys.readouterr().err
        return 0, capsys.readouterr().err

    last = ("--ckpt_path", "last")
    assert fit(*last) == (2, "error: --ckpt_path last found no checkpoint of this model and these data below runs\n")
    for options in ((), ("--model.temperature", "0.4"), ("--data.imbalance", "5"), ("--seed_everything", "3")):
        assert fit(*options, "--trainer.max_epochs", "1")[0] == 0
    torn = tmp_path / "runs/SimCLRCombined-digits/version_7/checkpoints/last.ckpt"
    torn.parent.mkdir(parents=True)
    torn.write_bytes(b"half")
    mine = "runs/SimCLRCombined-digits/version_0/checkpoints/last.ckpt"
    left = (tmp_path / mine).with_name(f"last.ckpt.{platform.node()}.{DEAD}.part")
    left.touch()
    code, words = fit(*last)
    assert code == 0
    assert not left.exists()
    assert "version_7/checkpoints/last.ckpt cannot be read" in words
    assert f"--ckpt_path last is {mine}" in words
    assert torch.load(tmp_path / mine.replace("_0", "_8"), weights_only=True)["epoch"] == 1
    code, words = fit(*last, "--trainer.max_epochs", "1")
    assert code == 2
    assert "version_8/checkpoints/last.ckpt has 2 epochs done, trainer.max_epochs is 1: nothing is left" in words
    code, words = fit(*last, "--trainer.max_epochs", "2")
    assert code == 0
    assert "nothing is left to train\n" in words
