"""Signals at any moment of any command: the exit code a scheduler expects, soon, a sentence, and nobody left behind."""

import os
import signal
import time

import pytest
from commands import assert_same
from reliability.test_kills import comparison
from reliability.trials import SLOWLY, TINY, await_step, begin, done, last_of, left, strike, survivors

pytestmark = pytest.mark.slow
CODES = {signal.SIGINT: 130, signal.SIGTERM: 143}
TWO = ["--trainer.devices", "2", "--trainer.strategy", "ddp", "--data.batch_size", "32"]
MOMENTS = {"importing": 1.0, "starting": 5.0}  # seconds after the start
TRAININGS = {  # options, and the step after which the signal comes
    "training": ([*SLOWLY], 9),
    "before a checkpoint": ([*SLOWLY], 2),
    "two processes": ([*TWO, *SLOWLY], 9),
}


def check(folder, process, number, seconds, everyone=False):
    code, took = strike(process, number, everyone)
    words = (folder / "log.txt").read_text()
    assert code == CODES[number], words
    assert took < seconds, f"{took:.1f} s"
    assert "Traceback" not in words
    time.sleep(0.5)
    assert survivors(process) == []
    return took, words


@pytest.mark.parametrize("number", CODES)
@pytest.mark.parametrize("moment", MOMENTS)
def test_a_signal_before_the_first_step_ends_in_a_line(number, moment, tmp_path, record_property):
    process = begin(tmp_path, "fit", *TINY)
    time.sleep(MOMENTS[moment])
    took, _ = check(tmp_path, process, number, 10)
    record_property("seconds", took)


@pytest.mark.parametrize("number", CODES)
@pytest.mark.parametrize("everyone", [False, True])
@pytest.mark.parametrize("case", TRAININGS)
def test_a_training_is_gone_on_with_after_a_signal(number, everyone, case, tmp_path, record_property):
    options, step = TRAININGS[case]
    process = begin(tmp_path, "fit", *TINY, *options)
    await_step(tmp_path, step, process)
    took, words = check(tmp_path, process, number, 10 if case == "two processes" else 20, everyone)
    record_property("seconds", took)
    checkpoint = last_of(tmp_path)
    if checkpoint is None:
        assert "nothing" in words
        return
    assert f"--ckpt_path {checkpoint.relative_to(tmp_path)}" in words
    code, words = done(tmp_path, "fit", *TINY, *options[: -len(SLOWLY)], "--ckpt_path", checkpoint)
    assert code == 0, words
    code, words = done(tmp_path / "unbroken", "fit", *TINY, *options[: -len(SLOWLY)])
    assert code == 0, words
    here, there = left(tmp_path), left(tmp_path / "unbroken")
    assert here["global_step"] == there["global_step"]
    assert_same(here["state_dict"], there["state_dict"])
    record_property("bit for bit", True)


@pytest.mark.parametrize("number", CODES)
@pytest.mark.parametrize("after", [3.0, 14.0])
def test_a_comparison_ends_its_runs_too(number, after, tmp_path, record_property):
    process = begin(tmp_path, *comparison(tmp_path))
    time.sleep(after)
    took, _ = check(tmp_path, process, number, 20)
    record_property("seconds", took)


def test_a_killed_worker_of_a_loader_is_named(tmp_path):
    process = begin(tmp_path, "fit", *TINY, *SLOWLY, "--data.num_workers", "2")
    await_step(tmp_path, 9, process)
    os.kill(max(survivors(process)), signal.SIGKILL)
    assert process.wait(timeout=60) == 1
    words = (tmp_path / "log.txt").read_text()
    assert "error: a process that fetches images was killed" in words
    assert f"--ckpt_path {last_of(tmp_path).relative_to(tmp_path)} goes on from there" in words
    assert "Traceback" not in words
