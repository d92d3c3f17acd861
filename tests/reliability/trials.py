"""Commands in processes and folders of their own: begun, struck at a chosen moment, gone on with, and compared."""

import json
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import lightning.pytorch as pl
import torch
from commands import CONFIGS, ROOT

TINY = [  # a training of a second, with a checkpoint every few steps
    *("-c", str(CONFIGS / "quickstart.yaml"), "--model.backbone", "nets.FlatNet", "--yardsticks", "false"),
    *("--trainer.max_epochs", "6", "--trainer.check_val_every_n_epoch", "2", "--trainer.enable_progress_bar", "false"),
    *("--trainer.enable_model_summary", "false", "--data.train_size", "400", "--data.batch_size", "64"),
    *("--trainer.log_every_n_steps", "1", "--trainer.callbacks+=reliability.trials.Clock"),
]
SLOWLY = ["--trainer.callbacks+=reliability.trials.Clock", "--trainer.callbacks.pause", "0.05"]
UNREPEATABLE = ("seconds", "images_per_second", "checkpoint", "metrics")


class Clock(pl.Callback):
    """Tells those outside, through the file ``clock``, how many steps are done, and may make them last."""

    def __init__(self, pause: float = 0.0) -> None:
        self.pause = pause

    def tell(self, trainer: pl.Trainer, *_: object) -> None:
        Path("clock").write_text(str(trainer.global_step))
        time.sleep(self.pause)

    on_train_batch_end = on_validation_batch_end = tell


def begin(folder: Path, *command: object, largest_file: int = -1, **environment: str) -> subprocess.Popen:
    """Start ``lit-hardcl`` with a command in a folder, in a process group of its own; its words go to ``log.txt``."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "log.txt").open("a") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "lit_hardcl", *map(str, command)],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (largest_file, largest_file)),
            env={**os.environ, "PYTHONPATH": f"{ROOT / 'tests'}:{ROOT}", "OMP_NUM_THREADS": "1", **environment},
        )


def done(folder: Path, *command: object, **environment: str) -> tuple[int, str]:
    """Run a command to its end; its exit code and all that was printed in the folder."""
    code = begin(folder, *command, **environment).wait(timeout=180)
    return code, (folder / "log.txt").read_text()


def await_step(folder: Path, step: int, process: subprocess.Popen) -> None:
    """Wait until a training with a `Clock` has done so many steps."""
    clock = folder / "clock"
    while process.poll() is None and not (clock.is_file() and int(clock.read_text() or 0) >= step):
        time.sleep(0.001)


def strike(process: subprocess.Popen, number: signal.Signals, everyone: bool = False) -> tuple[int, float]:
    """Send a signal to a process, or to its whole group; its exit code and the seconds that it still took."""
    since = time.monotonic()
    (os.killpg if everyone else os.kill)(process.pid, number)
    try:
        return process.wait(timeout=90), time.monotonic() - since
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)


def survivors(process: subprocess.Popen) -> list[int]:
    """Living processes of a process's group."""
    group = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, of_group = stat.read_text().rpartition(")")[2].split()[:3]
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(of_group) == process.pid and state != "Z":
            group.append(int(stat.parent.name))
    return group


def last_of(folder: Path) -> Path | None:
    """The newest ``last.ckpt`` below a folder."""
    return max(folder.rglob("last.ckpt"), key=lambda file: file.stat().st_mtime, default=None)


def left(folder: Path) -> dict[str, object]:
    """All that a finished training has left, without times and paths."""
    checkpoint = torch.load(last_of(folder), weights_only=True)  # type: ignore[arg-type]
    newest = max(folder.rglob("summary.json"), key=lambda file: file.stat().st_mtime)
    summary = {name: value for name, value in json.loads(newest.read_text()).items() if name not in UNREPEATABLE}
    parts = ("state_dict", "optimizer_states", "lr_schedulers", "epoch", "global_step")
    return {**{name: checkpoint[name] for name in parts}, "summary": summary}
