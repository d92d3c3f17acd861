"""How a command ends that is stopped from outside, or whose disk or other process fails: one line and a code."""

import os
import re
import signal
import subprocess
import sys
import time

import disks
import pytest
import torch
from commands import BACKBONE, CONFIGS, ROOT, TINY

SIGNALS = [(signal.SIGINT, 130, "interrupted"), (signal.SIGTERM, 143, "ended by SIGTERM")]
TWO = ["--trainer.devices", "2", "--trainer.strategy", "ddp", "--trainer.accelerator", "cpu"]
CALLBACK = """
import os, signal, time
import lightning.pytorch as pl


class Mine(pl.Callback):
    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        if trainer.global_step == 15 and os.environ.get("LOCAL_RANK", "0") == "{rank}":
            os.kill(os.getpid(), signal.{number})
            time.sleep({seconds})
"""


def start(folder, *options, number="SIGTERM", rank=0, seconds=0):
    """A process of the command line in ``folder``, for whose callbacks there is ``mine.Mine``."""
    (folder / "mine.py").write_text(CALLBACK.format(number=number, rank=rank, seconds=seconds))
    paths = os.pathsep.join([str(ROOT), str(ROOT / "tests"), str(folder)])
    return subprocess.Popen(
        [sys.executable, "-m", "lit_hardcl", *map(str, options)],
        env={**os.environ, "PYTHONPATH": paths},
        cwd=folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize(("number", "code", "line"), SIGNALS)
def test_a_signal_while_modules_are_imported_ends_in_a_line(number, code, line):
    command = [sys.executable, "-X", "importtime", "-m", "lit_hardcl", "--help"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as process:
        next(imported for imported in process.stderr if "lit_hardcl.stopping" in imported)
        process.send_signal(number)
        left = [told for told in process.stderr if not told.startswith("import time:")]
    assert process.returncode == code
    assert left == [f"{line}\n"]


@pytest.mark.parametrize(("number", "code", "line"), SIGNALS)
def test_a_signal_before_the_first_step_says_that_nothing_was_saved(number, code, line, run, tmp_path):
    (tmp_path / "mine.py").write_text(
        "import os\nimport lightning.pytorch as pl\n\n\nclass Mine(pl.Callback):\n"
        f"    def on_fit_start(self, trainer, pl_module):\n        os.kill(os.getpid(), {number})\n"
    )
    ended, _, errors = run("fit", *TINY, "--trainer.callbacks+=mine.Mine")
    assert ended == code
    assert errors.strip().splitlines()[-1] == f"{line}; nothing was saved yet"
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(("number", "code", "line"), SIGNALS)
def test_a_signal_ends_a_command_that_is_no_training(number, code, line, run, tmp_path, weights):
    (tmp_path / "mine.py").write_text(
        "import os\nimport nets\n\n\nclass Net(nets.FlatNet):\n"
        "    def forward(self, images):\n"
        f"        os.kill(os.getpid(), {number})\n        return super().forward(images)\n"
    )
    ended, _, errors = run("evaluate", "net.pt", "--backbone", "mine.Net", "--data.dataset", "digits")
    assert ended == code
    assert errors.strip().splitlines()[-1] == line


def test_where_slurm_requeues_its_signal_does_so(run, tmp_path, monkeypatch):
    for name, value in {"JOB_ID": 7, "NTASKS": 1, "PROCID": 0, "LOCALID": 0, "NODEID": 0}.items():
        monkeypatch.setenv(f"SLURM_{name}", str(value))
    (tmp_path / "scontrol").write_text('#!/bin/sh\necho "$@" > asked\n')
    (tmp_path / "scontrol").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    (tmp_path / "mine.py").write_text(CALLBACK.format(number="SIGUSR1", rank=0, seconds=0))
    slurm = "--trainer.plugins=lightning.pytorch.plugins.environments.SLURMEnvironment"
    assert run("fit", *TINY, slurm, "--trainer.callbacks+=mine.Mine")[0] == 0
    assert (tmp_path / "asked").read_text() == "requeue 7\n"
    (saved,) = tmp_path.rglob("hpc_ckpt_1.ckpt")
    assert torch.load(saved, weights_only=True)["global_step"] == 15


@pytest.mark.slow
def test_two_processes_end_within_ten_seconds_of_a_sigterm_to_the_first(tmp_path):
    process = start(tmp_path, "fit", *TINY, *TWO, "--trainer.max_epochs", 1000)
    while not list(tmp_path.rglob("last.ckpt")):
        assert process.poll() is None
        time.sleep(0.2)
    children = subprocess.run(["pgrep", "-P", str(process.pid)], capture_output=True, text=True).stdout.split()
    assert children
    process.terminate()
    _, errors = process.communicate(timeout=10)
    assert process.returncode == 143
    (last,) = tmp_path.rglob("last.ckpt")
    assert f"ended by SIGTERM; the same command with --ckpt_path {last.relative_to(tmp_path)} goes on" in errors
    assert "Traceback" not in errors
    assert not [child for child in children if os.path.exists(f"/proc/{child}")]


@pytest.mark.slow
def test_a_step_that_does_not_end_is_ended(tmp_path):
    process = start(tmp_path, "fit", *TINY, "--trainer.callbacks+=mine.Mine", seconds=300)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 143
    (last,) = tmp_path.rglob("last.ckpt")
    assert torch.load(last, weights_only=True)["global_step"] == 11
    assert f"its step did not end in time; the same command with --ckpt_path {last.relative_to(tmp_path)}" in errors


@pytest.mark.slow
@pytest.mark.parametrize("rank", [0, 1])
def test_a_process_that_dies_is_spoken_of_by_the_other(rank, tmp_path):
    options = [*TINY, *TWO, "--trainer.max_epochs", 10, "--trainer.callbacks+=mine.Mine"]
    process = start(tmp_path, "fit", *options, number="SIGKILL", rank=rank)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == (1 if rank else -9)
    assert "error: another process of this training has ended" in errors
    assert "Traceback" not in errors
    if rank:
        assert "a process was killed by signal 9; " in errors


@pytest.fixture
def small_disk(tmp_path):
    with disks.small_disk(tmp_path / "disk", 250) as disk:
        yield disk


@pytest.mark.parametrize(
    "command",
    [
        ("evaluate", "net.pt", *BACKBONE, "--probe.epochs", "1", "--output", "disk/evaluation.json"),
        ("select", "net.pt", *BACKBONE, "--share", "0.5", "--output", "disk/core.json"),
        ("predict", *TINY, "--trainer.logger.save_dir", "disk"),
    ],
    ids=lambda command: command[0],
)
def test_a_full_disk_is_named_by_a_command_that_writes_a_file(command, run, small_disk, weights):
    with pytest.raises(OSError, match="No space"):
        (small_disk / "other").write_bytes(bytes(10**6))
    code, _, errors = run(*command)
    assert code == 1
    (line,) = [line for line in errors.splitlines() if line.startswith("error: ")]
    assert line.startswith("error: disk/")
    assert "full" in line
    assert "Traceback" not in errors


def test_a_full_disk_is_named_and_what_was_written_before_is_whole(run, small_disk):
    code, _, errors = run("fit", *TINY, "--trainer.logger.save_dir", small_disk)
    assert code == 1
    (line,) = [line for line in errors.splitlines() if line.startswith("error: ")]
    assert str(small_disk) in line
    assert "the disk is full: make room" in line
    assert "Traceback" not in errors
    (told,) = re.findall(r"the same command with --ckpt_path (\S+) goes on from there", line)
    assert torch.load(told, weights_only=True)["global_step"] == 11


@pytest.mark.slow
def test_wandb_out_of_reach_is_one_sentence(tmp_path, monkeypatch):
    for name in ("HOME", "WANDB_CONFIG_DIR", "NETRC"):
        monkeypatch.setenv(name, str(tmp_path))
    for name in ("WANDB_API_KEY", "WANDB_MODE"):
        monkeypatch.delenv(name, raising=False)
    process = start(tmp_path, "fit", *TINY, "-c", CONFIGS / "loggers/wandb.yaml")
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 1
    (line,) = [line for line in errors.splitlines() if line.startswith("error: ")]
    assert line.startswith("error: W&B: No API key configured")
    assert "add --trainer.logger.init_args.offline=true; nothing was saved yet" in line
    assert "Traceback" not in errors
