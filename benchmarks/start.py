"""From imports to the end of the first step of `fit`: ``python benchmarks/start.py``, a process for each run."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from turns import ALLOCATOR, options, save

ROOT = Path(__file__).parent.parent
PROGRAM = """
import os, sys, time
import lightning.pytorch as pl
from lit_hardcl.cli.training import command_line

class First(pl.Callback):
    def on_train_batch_end(self, *_):
        print("seconds", time.perf_counter() - since, flush=True)
        os._exit(0)

sys.modules["first"] = type(sys)("first")
sys.modules["first"].First, First.__module__ = First, "first"
since = time.perf_counter()
command_line(["fit", "-c", sys.argv[1], "--trainer.callbacks+=first.First"])
"""


def main() -> None:
    """Measure, and save the seconds."""
    command = [sys.executable, "-c", PROGRAM, str(ROOT / "configs" / "quickstart.yaml")]
    seconds = []
    for _ in range(options(runs=5).runs):
        with tempfile.TemporaryDirectory() as folder:
            text = subprocess.run(
                command, cwd=folder, env={**os.environ, **ALLOCATOR}, capture_output=True, text=True, check=True
            ).stdout
        seconds.append(float(text.split("seconds ")[1].split()[0]))
    save("start", seconds=seconds)


if __name__ == "__main__":
    main()
