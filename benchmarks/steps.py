"""Views per second and whole training steps, ours and the peers': ``python benchmarks/steps.py``."""

from pathlib import Path

import torch
from turns import options, save, take_turns

PROGRAMS = str(Path(__file__).parent / "programs.py")
VIEWS = [
    "our views",
    "kornia views",
    "lightly views, 2 workers",
    "lightly views, 0 workers",
    "torchvision views, 2 workers",
]
STEPS = [
    "limit",
    "ours, plain",
    "ours, combined loss and probe",
    "ours, plain, memory given back",
    "stable-pretraining, batched views",
    "stable-pretraining, views by workers",
    "solo-learn",
    "lightly",
    "lightly, channels_last",
]


def measure(result: str, names: list[str], rounds: int, steps: int) -> None:
    """Let the programs take turns, and save the seconds and the peaks of memory."""
    programs = {name: [PROGRAMS, name] for name in names}
    seconds, peaks = take_turns(programs, rounds, steps, {"OMP_NUM_THREADS": str(torch.get_num_threads())})
    save(result, seconds=seconds, peaks=peaks)


def main() -> None:
    """Measure both; views are quick, and data-loading workers make them vary more."""
    given = options(rounds=8, steps=5)
    # Two workers finish their batches in pairs: of an odd number, after one that does not count, one is always free.
    measure("views", VIEWS, 3 * given.rounds, 6)
    measure("steps", STEPS, given.rounds, given.steps)


if __name__ == "__main__":
    main()
