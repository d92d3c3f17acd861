"""``lit-hardcl predict``: the features of the held-out images, in their order, as a file."""

from pathlib import Path
from typing import Any

import torch

from lit_hardcl.cli.continuing import found
from lit_hardcl.cli.refusals import check_read
from lit_hardcl.cli.training import CommandLine, command_line, leaving_nothing
from lit_hardcl.errors import Refusal
from lit_hardcl.files import check_place, whole
from lit_hardcl.runs import log_folder


class Prediction(CommandLine):
    """The options of ``fit``, and which checkpoint; builds all, and runs nothing."""

    def add_arguments_to_parser(self, parser: Any) -> None:
        """Add the checkpoint, and what a run's config.yaml has besides."""
        super().add_arguments_to_parser(parser)
        parser.add_argument("--ckpt_path", type=str | None, default=None, help="Weights to predict with.")
        parser.add_argument(
            "--weights_only", type=bool | None, default=None, help="Not read: weights always are plain."
        )


def run(args: list[str]) -> None:
    """Save what ``predict_step`` gives, and say where.

    Raises:
        Refusal: under several processes, which would each have some of the images, and some twice; or if the checkpoint
            is of other model options.
    """
    check_read(args, "--yardsticks", "false")
    line = command_line(args, run=False, line=Prediction)
    path, trainer = line.config.ckpt_path, line.trainer
    if path is not None:
        path = str(found(path, line.whole_config())[0])
    if trainer.world_size > 1:
        raise Refusal(f"predict runs in one process, got {trainer.world_size}: set --trainer.devices 1")
    check_place(trainer.default_root_dir, "default_root_dir", folder=True)
    with leaving_nothing(line, "predict"):
        rows = trainer.predict(line.model, datamodule=line.datamodule, ckpt_path=path)
    file = (log_folder(trainer) or Path(trainer.default_root_dir)) / "features.pt"
    tensors = [row for row in rows or [] if isinstance(row, torch.Tensor)]
    with whole(file) as part:
        torch.save(torch.cat(tensors) if tensors else rows, part)
    print(f"features    {file}")
