"""Ctrl-C and SIGTERM: one line, no process left behind, and the exit code that a shell expects."""

import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

GRACE = 20.0  # seconds for a training to end its step and save; Kubernetes and SLURM give 30 before they kill


class Terminated(KeyboardInterrupt):
    """A SIGTERM: whoever ends well after Ctrl-C does so after it."""


class _Sigterm:
    """Raises `Terminated`; while ``patience`` is positive, waits as many seconds for somebody who looks at `came`."""

    def __init__(self) -> None:
        self.heard = self.came = False
        self.patience = 0.0
        self.peers: list[Any] = []
        self.going_on: Callable[[], str] = str
        self.timer: threading.Timer | None = None

    def __call__(self, number: int, frame: Any) -> None:
        first, self.came = not self.came, True
        if first and not self.patience:
            raise Terminated
        if first:
            self.timer = threading.Timer(self.patience, self._give_up)
            self.timer.daemon = True
            self.timer.start()

    def listen(self) -> None:
        """Be the handler again, after somebody else has become it."""
        if self.heard:
            signal.signal(signal.SIGTERM, self)

    def _give_up(self) -> None:
        for process in (*self.peers, *multiprocessing.active_children()):
            process.kill()
        say(Terminated(), "its step did not end in time", self.going_on())
        os._exit(exit_code(Terminated()))


SIGTERM = _Sigterm()


@contextmanager
def heard() -> Iterator[None]:
    """Let Ctrl-C and SIGTERM raise inside, and leave no process that multiprocessing started; then as before."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    SIGTERM.__init__()  # type: ignore[misc]
    SIGTERM.heard = True
    signal.signal(signal.SIGINT, signal.default_int_handler)
    SIGTERM.listen()
    try:
        yield
    except KeyboardInterrupt:
        children = multiprocessing.active_children()
        for child in children:
            child.terminate()
        for child in children:
            child.join(5)
            child.kill()
        raise
    finally:
        SIGTERM.heard = False
        if SIGTERM.timer:
            SIGTERM.timer.cancel()
        for number, handler in before.items():
            signal.signal(number, handler)


def exit_code(stop: KeyboardInterrupt) -> int:
    """128 and the signal's number."""
    return 128 + (signal.SIGTERM if isinstance(stop, Terminated) else signal.SIGINT)


def say(stop: KeyboardInterrupt, *words: str) -> None:
    """Print, in the first process of a training, what ended this program and, if known, how to go on."""
    if os.environ.get("LOCAL_RANK", "0") == "0":
        what = "ended by SIGTERM" if isinstance(stop, Terminated) else "interrupted"
        sys.stderr.write("; ".join([what, *words, *getattr(stop, "__notes__", [])]) + "\n")
        sys.stderr.flush()


def end_peers(processes: Iterable[Any], seconds: float = 2.0) -> list[int]:
    """Let processes end, kill those that do not, and return the codes of those that had failed by themselves."""
    until, failed = time.monotonic() + seconds, []
    for process in processes:
        try:
            failed.append(process.wait(max(0.0, until - time.monotonic())))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    return [code for code in failed if code]


def while_importing() -> None:
    """Leave at once, in one line, where this process is the command line: its imports take seconds."""
    train = Path(__file__).parents[1] / "train.py"
    by_name = {"lit_hardcl", "lit_hardcl.__main__"} & set(sys.orig_argv)  # as `python -m` has it
    if not by_name and Path(sys.argv[0]).name != "lit-hardcl" and Path(sys.argv[0]).resolve() != train:
        return

    def leave(number: int, frame: Any) -> NoReturn:
        stop = Terminated() if number == signal.SIGTERM else KeyboardInterrupt()
        say(stop)
        os._exit(exit_code(stop))

    signal.signal(signal.SIGINT, leave)
    signal.signal(signal.SIGTERM, leave)


while_importing()
