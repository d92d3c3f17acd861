"""Running a comparison: a process for each training; what is finished is not run again, what was killed goes on."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import Any

import yaml

from lit_hardcl.compare.plan import Training
from lit_hardcl.report import differences, read_checkpoint

# Before Python starts, or it is too late: see the README on CPUs.
KEEP_MEMORY = {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": "17179869184"}


def summary_of(training: Training) -> dict[str, Any] | None:
    """What a finished training's ``summary.json`` says; ``None`` if it is not finished."""
    files = sorted(training.folder.rglob("summary.json"), key=lambda file: file.stat().st_mtime)
    return json.loads(files[-1].read_text()) if files else None


def check_same_options(training: Training, options: dict[str, Any]) -> None:
    """See that what an earlier comparison left in the training's folder was run with the same options.

    Raises:
        ValueError: naming the options that differ.
    """
    for file in training.folder.rglob("config.yaml"):
        here, there = (_identity(given) for given in (options, yaml.safe_load(file.read_text())))
        if lines := differences(here, there):
            raise ValueError(
                f"{training.folder} holds a run with other options: choose another --output, or remove that folder\n  "
                + "\n  ".join(lines[:5])
            )


def _identity(options: dict[str, Any]) -> dict[str, Any]:
    """What makes a run the one it is; where it logs does not."""
    parts = {name: options.get(name) for name in ("seed_everything", "model", "data", "trainer")}
    return {**parts, "trainer": {**(parts["trainer"] or {}), "logger": None}}


def run_all(trainings: Sequence[Training], jobs: int = 1) -> Iterator[tuple[Training, str]]:
    """Run what is not finished, ``jobs`` at a time; yield each training as it ends, with its error or ``""``.

    What a process prints goes to ``log.txt`` in its folder. If this process is interrupted, so are they.
    """
    running: set[subprocess.Popen] = set()
    stopped = threading.Event()
    environment = {**KEEP_MEMORY, **os.environ}
    if jobs > 1:
        environment.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // jobs)))
    pool = ThreadPoolExecutor(jobs)
    try:
        ends = {pool.submit(_run, training, environment, running, stopped): training for training in trainings}
        for end in as_completed(ends):
            yield ends[end], end.result()
    finally:
        stopped.set()
        pool.shutdown(wait=False, cancel_futures=True)
        for process in list(running):
            process.terminate()
        pool.shutdown()


def _run(
    training: Training, environment: dict[str, str], running: set[subprocess.Popen], stopped: threading.Event
) -> str:
    if summary_of(training):
        return ""
    command = [sys.executable, "-m", "lit_hardcl", "fit", *training.options]
    if checkpoint := _newest_checkpoint(training.folder):
        command += [f"--ckpt_path={checkpoint}"]
    training.folder.mkdir(parents=True, exist_ok=True)
    log = training.folder / "log.txt"
    with log.open("a") as file:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=file, stderr=file, env=environment)
        running.add(process)
        if stopped.is_set():
            process.terminate()
        process.wait()
        running.discard(process)
    if summary_of(training):
        return ""
    last = log.read_text().strip().splitlines()[-1:] or ["nothing was printed"]
    return f"exit code {process.returncode}: {last[0]} (all of it in {log})"


def _newest_checkpoint(folder: Path) -> Path | None:
    """The newest ``last.ckpt`` that can be read."""
    for file in sorted(folder.rglob("last.ckpt"), key=lambda file: file.stat().st_mtime, reverse=True):
        try:
            read_checkpoint(file)
        except ValueError:  # the process was killed while it wrote
            continue
        return file
    return None
