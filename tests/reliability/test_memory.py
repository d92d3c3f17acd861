"""Memory over many epochs: what a process holds no longer grows."""

import statistics
from pathlib import Path

import lightning.pytorch as pl
import pytest
from reliability.trials import TINY, done

pytestmark = pytest.mark.slow
EPOCHS, SETTLED = 150, 50


class Resident(pl.Callback):
    """Appends the megabytes that the process holds, at the end of each epoch, to the file ``megabytes``."""

    def on_train_epoch_end(self, trainer, pl_module):
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        with Path("megabytes").open("a") as file:
            file.write(f"{pages * 4096 / 2**20}\n")


@pytest.mark.parametrize("method", ["combined", "moco", "spacl"])
def test_it_stays(method, tmp_path, record_property):
    overlay = ["-c", Path(TINY[1]).parent / f"methods/{method}.yaml"]
    more = ["--trainer.max_epochs", EPOCHS, "--trainer.callbacks+=reliability.test_memory.Resident"]
    code, words = done(tmp_path, "fit", *TINY, *overlay, *more)
    assert code == 0, words
    held = [float(line) for line in (tmp_path / "megabytes").read_text().split()]
    assert len(held) == EPOCHS
    first, last = statistics.median(held[SETTLED : SETTLED + 20]), statistics.median(held[-20:])
    record_property("MB", round(last))
    record_property("MB more than at epoch 60", round(last - first, 2))
    assert last - first < 3
