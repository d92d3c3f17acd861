"""Whose errors become one sentence, and whose keep their traceback; how the command line calls itself."""

import sys

import pytest
import torch
from lightning.pytorch import Trainer

from lit_hardcl.cli.refusals import check_trainer, said_by_lightning
from lit_hardcl.cli.training import configuration
from lit_hardcl.errors import Refusal
from lit_hardcl.functional import cosine_similarity


def raised(call):
    with pytest.raises(Exception) as error:  # noqa: PT011
        call()
    return error.value


def test_what_lightning_says_below_anybodys_code_is_not_taken_for_its_refusal():
    assert said_by_lightning(raised(lambda: Trainer(num_nodes=0))) is None  # ours is not among the frames
    assert said_by_lightning(raised(lambda: int("x"))) is None
    assert "Lightning: `max_epochs` must be" in said_by_lightning(raised(lambda: Trainer(max_epochs=-2)))


def test_what_fails_in_this_librarys_own_lines_keeps_its_traceback():
    mixed = torch.zeros(2, 3), torch.zeros(2, 3, dtype=torch.double)
    assert said_by_lightning(raised(lambda: cosine_similarity(*mixed))) is None


def test_numbers_that_lightning_knows_what_to_do_with_are_taken():
    check_trainer(
        {"accumulate_grad_batches": 1, "max_epochs": -1, "gradient_clip_val": float("inf"), "devices": "auto"}
    )
    with pytest.raises(Refusal, match="trainer.gradient_clip_val must be at least 0, got -1"):
        check_trainer({"gradient_clip_val": -1})


@pytest.mark.parametrize(
    ("called", "named"),
    [("train.py", "train.py"), ("/usr/bin/lit-hardcl", "lit-hardcl"), ("__main__.py", "lit-hardcl")],
)
def test_the_help_calls_the_program_as_the_user_did(called, named, run, monkeypatch):
    monkeypatch.setattr(sys, "argv", [called])
    assert f"usage: {named} " in run("fit", "--help")[1]
    assert f"usage: {named} theory" in run("theory", "--help")[1]


def test_a_comparison_refuses_a_trainers_number_before_its_first_run():
    with pytest.raises(Refusal, match="trainer.check_val_every_n_epoch must be at least 1, got 0"):
        configuration(["-c", "configs/quickstart.yaml", "--trainer.check_val_every_n_epoch", "0"])
