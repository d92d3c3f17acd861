"""How a checkpoint is written, whole or not at all, and how the newest whole one is found."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins.io.torch_io import TorchCheckpointIO

from lit_hardcl.errors import Refusal
from lit_hardcl.files import whole
from lit_hardcl.runs.layout import in_order
from lit_hardcl.runs.reading import read_checkpoint


class WholeCheckpointIO(TorchCheckpointIO):
    """Writes a checkpoint beside its place, flushes it to the disk and renames it; addresses are left to Lightning.

    Lightning writes to the folder of temporary files first, which may lie on another file system: then the file is
    copied to its place, and a kill or a full disk leaves a torn one there. The command line uses this by itself;
    elsewhere, ``Trainer(plugins=[WholeCheckpointIO()])``.
    """

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        """Save."""
        if storage_options is not None or "://" in str(path):
            super().save_checkpoint(checkpoint, path, storage_options)
            return
        with whole(Path(path)) as part, part.open("wb") as file:  # which says what fails; torch's own writer does not
            torch.save(checkpoint, file)


def whole_checkpoints(folder: Path, told: Callable[[str], object]) -> Iterator[tuple[Path, dict[str, Any]]]:
    """Every ``last.ckpt`` below a folder that can be read, the newest run's first; ``told`` hears of the others."""
    for file in reversed(in_order(folder.rglob("last.ckpt"))):
        try:
            checkpoint = read_checkpoint(file)
        except Refusal as error:  # such as a disk that was full while it was written
            told(f"not gone on with: {error}")
            continue
        yield file, checkpoint
