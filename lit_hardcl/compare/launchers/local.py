"""Running a comparison: a process for each training; what is finished is not run again, what was killed goes on."""

import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lit_hardcl.compare.plan import Training
from lit_hardcl.errors import Refusal
from lit_hardcl.runs import Run, differences, read_config, read_summary, whole_checkpoints

try:
    import fcntl
except ImportError:  # Windows has no such locks
    fcntl = None  # type: ignore[assignment]

# Before Python starts, or it is too late: see docs/performance.md.
KEEP_MEMORY = {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": "17179869184"}


def summary_of(training: Training) -> dict[str, Any] | None:
    """What a finished training's ``summary.json`` says; ``None`` if it is not finished."""
    finished = Run.below(training.folder)
    return read_summary(finished[-1].summary) if finished else None


def check_same_options(training: Training, options: dict[str, Any]) -> None:
    """See that what an earlier comparison left in the training's folder was run with the same options.

    Options that one of them lacks do not count: this library has gained or lost them since.

    Raises:
        ValueError: naming the options that differ.
    """
    for file in training.folder.rglob("config.yaml"):
        here, there = (_identity(given) for given in (options, read_config(file)))
        if lines := differences(_common(here, there), _common(there, here)):
            raise Refusal(
                f"{training.folder} holds a run with other options: choose another --output, or remove that folder\n  "
                + "\n  ".join(lines[:5])
            )


def _identity(options: dict[str, Any]) -> dict[str, Any]:
    """What makes a run the one it is; where it logs does not."""
    parts = {name: options.get(name) for name in ("seed_everything", "model", "data", "trainer")}
    trainer = parts["trainer"] if isinstance(parts["trainer"], dict) else {}
    return {**parts, "trainer": {**trainer, "logger": None}}


def _common(options: Any, others: Any) -> Any:
    """Options without those that ``others`` lack, at every level."""
    if not isinstance(options, dict) or not isinstance(others, dict):
        return options
    return {name: _common(value, others[name]) for name, value in options.items() if name in others}


@contextmanager
def alone_in(folder: Path) -> Iterator[int]:
    """Hold the folder's lock, and give its file descriptor: a run that inherits it holds the lock as well.

    Raises:
        ValueError: if another comparison, or a run that it left behind, is at work in the folder.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as file:
        if fcntl is not None:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise Refusal(f"another comparison, or a run that it left behind, is at work in {folder}") from None
        yield file.fileno()


def run_all(trainings: Sequence[Training], jobs: int = 1, lock: int | None = None) -> Iterator[tuple[Training, str]]:
    """Run what is not finished, ``jobs`` at a time; yield each training as it ends, with its error or ``""``.

    What a process prints goes to ``log.txt`` in its folder. If this process is interrupted, so are they. ``lock`` is a
    file descriptor that they inherit.
    """
    running: set[subprocess.Popen] = set()
    stopped = threading.Event()
    environment = {**KEEP_MEMORY, **os.environ}
    if jobs > 1:
        environment.setdefault("OMP_NUM_THREADS", str(max(1, _cores() // jobs)))
    pool = ThreadPoolExecutor(jobs)
    try:
        ends = {pool.submit(_run, training, environment, running, stopped, lock): training for training in trainings}
        for end in as_completed(ends):
            yield ends[end], end.result()
    finally:
        stopped.set()
        pool.shutdown(wait=False, cancel_futures=True)
        for process in list(running):
            process.terminate()
        pool.shutdown()


def _run(
    training: Training,
    environment: dict[str, str],
    running: set[subprocess.Popen],
    stopped: threading.Event,
    lock: int | None,
) -> str:
    if summary_of(training):
        return ""
    command = [sys.executable, "-m", "lit_hardcl", "fit", *training.options]
    training.folder.mkdir(parents=True, exist_ok=True)
    log = training.folder / "log.txt"
    with log.open("a") as file:
        if newest := next(whole_checkpoints(training.folder, lambda words: print(words, file=file)), None):
            command += [f"--ckpt_path={newest[0]}"]
        file.flush()
        inherited = () if lock is None else (lock,)
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=file, stderr=file, env=environment, pass_fds=inherited
        )
        running.add(process)
        if stopped.is_set():
            process.terminate()
        process.wait()
        running.discard(process)
    if summary_of(training):
        return ""
    last = log.read_text(errors="replace").strip().splitlines()[-1:] or ["nothing was printed"]
    return f"exit code {process.returncode}: {last[0]} (all of it in {log})"


def _cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
