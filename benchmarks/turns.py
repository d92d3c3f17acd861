"""Programs in processes of their own that take turns: how machines that are never quiet are made to compare fairly.

Each program lives in a process group that is stopped while another has its turn, data-loading workers included, so that
nothing runs beside what is measured. A ratio is the median over rounds of the two programs' times in one round.
"""

import argparse
import contextlib
import json
import os
import platform
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import TextIO

RESULTS = Path(__file__).parent / "results"
LOAD_BEFORE = os.getloadavg()[0]
# Every program keeps its memory: see docs/performance.md.
ALLOCATOR = {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": "17179869184"}
COMBINED = {"pos_high": 0.15, "pos_low": 0.22, "margin": 0.03, "temperature_scale": 0.6}  # for CIFAR-10
PACKAGES = ("torch", "torchvision", "lightning", "lightly", "pytorch-metric-learning", "kornia", "stable-pretraining")


class Turns:
    """The side of a program: call it after every step; it waits until the program has its turn."""

    def __init__(self, warmup: int) -> None:
        self.out = os.fdopen(os.dup(1), "w")
        os.dup2(2, 1)  # whatever a library prints goes elsewhere
        self.left, self.since = warmup, 0.0

    def __call__(self) -> None:
        """Count a step; at the end of the turn report it and wait for the next one."""
        if self.left:
            self.left -= 1
        if self.left:
            return
        now = time.perf_counter()
        print((now - self.since) if self.since else "ready", file=self.out, flush=True)
        order = sys.stdin.readline()
        if not order:
            os._exit(0)  # however many loaders and threads a library has
        self.left, self.since = int(order), time.perf_counter()


def take_turns(
    programs: dict[str, list[str]], rounds: int, steps: int, environment: dict[str, str]
) -> tuple[dict[str, list[float]], dict[str, float]]:
    """Seconds per step of each program, round by round, and the most megabytes that its process ever held.

    A program that does not start gives its last words.

    Args:
        programs: arguments of Python for each.
        rounds: turns of each.
        steps: in a turn; one more before them fills the caches and does not count.
        environment: added to this process's own.
    """
    running: dict[str, subprocess.Popen] = {}
    words: dict[str, TextIO] = {}
    seconds: dict[str, list[float]] = {name: [] for name in programs}
    peaks = {}
    with contextlib.ExitStack() as stack:
        stack.callback(_end, running)
        for name, arguments in programs.items():
            words[name] = stack.enter_context(tempfile.TemporaryFile("w+"))  # an unread pipe would fill up
            running[name] = child = subprocess.Popen(
                [sys.executable, *arguments],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=words[name],
                text=True,
                start_new_session=True,
                env={**os.environ, **ALLOCATOR, **environment},
            )
            if child.stdout.readline():
                os.killpg(child.pid, signal.SIGSTOP)
            else:
                running.pop(name).communicate()
                print(f"{name} did not start:\n{_last(words[name])}", file=sys.stderr)
        for turn in range(rounds):
            order = list(running)
            for name in order[turn % len(order) :] + order[: turn % len(order)]:
                child = running[name]
                os.killpg(child.pid, signal.SIGCONT)
                for count in (1, steps):
                    if not (answer := _answer(child, count)):
                        raise RuntimeError(f"{name} ended in its turn:\n{_last(words[name])}")
                os.killpg(child.pid, signal.SIGSTOP)
                seconds[name].append(float(answer) / steps)
            print(f"  round {turn + 1} of {rounds}", file=sys.stderr)
        peaks = {name: resident("VmHWM", child.pid) for name, child in running.items()}
    return seconds, peaks


def _answer(child: subprocess.Popen, count: int) -> str:
    """Seconds that so many steps took; empty if the program is no more."""
    with contextlib.suppress(BrokenPipeError):
        child.stdin.write(f"{count}\n")
        child.stdin.flush()
    return child.stdout.readline()


def _last(words: TextIO) -> str:
    words.seek(0)
    return words.read()[-2000:]


def _end(running: dict[str, subprocess.Popen]) -> None:
    for child in running.values():
        with contextlib.suppress(ProcessLookupError):  # it may have ended by itself
            os.killpg(child.pid, signal.SIGKILL)
        child.communicate()


def resident(field: str, process: int | str = "self") -> float:
    """Resident size of a process in MB: ``VmRSS`` now or ``VmHWM`` at its highest."""
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(field)) / 1024


def alternate(programs: dict[str, Callable[[], object]], rounds: int) -> dict[str, list[float]]:
    """Seconds of each function, round by round, within this process."""
    seconds: dict[str, list[float]] = {name: [] for name in programs}
    for turn in range(rounds + 2):
        for name, program in programs.items():
            since = time.perf_counter()
            program()
            if turn >= 2:
                seconds[name].append(time.perf_counter() - since)
    return seconds


def ratio(seconds: dict[str, list[float]], of: str, to: str) -> tuple[float, float, float]:
    """Median over rounds of the one's time by the other's, and the quartiles."""
    ratios = [a / b for a, b in zip(seconds[of], seconds[to], strict=True)]
    low, middle, high = statistics.quantiles(ratios, n=4) if len(ratios) > 1 else ratios * 3
    return middle, low, high


def save(name: str, **numbers: object) -> None:
    """Write a result with the machine and the versions it is of."""
    RESULTS.mkdir(exist_ok=True)
    cpu = [line.split(":")[1].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")]
    machine = {
        "cpu": cpu[0] if cpu else platform.processor(),
        "cores": os.cpu_count(),
        "python": sys.version.split()[0],
    }
    versions = {package: version for package in PACKAGES if (version := _version(package))}
    # A load far above 1 beforehand: somebody else was at work too.
    record = {"machine": machine, "commit": _commit(), "load": LOAD_BEFORE, "versions": versions, **numbers}
    (RESULTS / f"{name}.json").write_text(json.dumps(record, indent=1) + "\n")


def options(**defaults: int) -> argparse.Namespace:
    """The program's options, whole numbers all of them."""
    parser = argparse.ArgumentParser(
        description=sys.modules["__main__"].__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for name, default in defaults.items():
        parser.add_argument(f"--{name}", type=int, default=default, help=f"{default} if not given")
    return parser.parse_args()


def _commit() -> str:
    """The commit measured; with a plus if the code has changed since."""

    def git(*words: str) -> str:
        return subprocess.run(["git", *words], cwd=RESULTS.parent, capture_output=True, text=True).stdout.strip()

    changed = git("status", "--porcelain", "--", "../lit_hardcl", "*.py")
    return git("rev-parse", "--short", "HEAD") + ("+" if changed else "")


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _lines(path: str) -> list[str]:
    file = Path(path)
    return file.read_text().splitlines() if file.exists() else []
