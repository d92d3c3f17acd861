"""The command line: LightningCLI with this library's classes, its records and its refusals."""

import copy
import os
import sys
from pathlib import Path
from typing import Any

from lightning.pytorch import LightningDataModule, LightningModule
from lightning.pytorch.cli import ArgsType, LightningArgumentParser, LightningCLI
from torch import nn

import lit_hardcl  # noqa: F401 - imported classes are known by their short names
from lit_hardcl.report import RunRecord, differences, read_checkpoint, summary, yardsticks

DEFAULT_LOGGER = {
    "class_path": "lightning.pytorch.loggers.CSVLogger",
    "init_args": {"save_dir": "runs", "name": None},
}
DEFAULT_CALLBACKS = [
    {"class_path": "lit_hardcl.OnlineLinearProbe"},
    {"class_path": "lit_hardcl.OnlineKNN"},
    {
        "class_path": "lightning.pytorch.callbacks.ModelCheckpoint",
        "init_args": {"monitor": "val_linear_top1", "mode": "max", "filename": "best", "save_last": True},
    },
]


class CommandLine(LightningCLI):
    """``fit``, ``validate``, ``test`` and ``predict`` for any LightningModule and data module."""

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """Add this library's data module as the default, and the option to go without yardsticks."""
        parser.set_defaults({"data": {"class_path": "lit_hardcl.data.ContrastiveDataModule"}})
        parser.set_defaults({"trainer.callbacks": DEFAULT_CALLBACKS, "trainer.logger": DEFAULT_LOGGER})
        parser.add_argument(
            "--yardsticks", type=bool, default=True, help="After fit, show what raw pixels and untrained weights reach."
        )

    def before_instantiate_classes(self) -> None:
        """Name the run after its data set and method, where the logger leaves its name open."""
        config = self.config[self.subcommand]
        loggers = config.trainer.get("logger")
        for logger in loggers if isinstance(loggers, list) else [loggers]:
            arguments = getattr(logger, "init_args", None)
            if arguments is not None and "name" in arguments and arguments.name is None:
                arguments.name = self.title.replace(" on ", "-")

    @property
    def title(self) -> str:
        """Method and data set of the run."""
        config = self.config[self.subcommand]
        method = config.model.class_path.rsplit(".", 1)[-1]
        dataset = config.data.get("init_args", {}).get("dataset") if config.get("data") else None
        return f"{method} on {dataset}" if dataset else method

    def before_fit(self) -> None:
        """Keep the untrained backbone: it is a yardstick."""
        self.untrained: nn.Module | None = copy.deepcopy(getattr(self.model, "backbone", None))

    def after_fit(self) -> None:
        """Print the summary, on the first process and after a training that reached its end."""
        record = next((c for c in self.trainer.callbacks if isinstance(c, RunRecord)), None)  # type: ignore[attr-defined]
        if record is None or not self.trainer.is_global_zero or self.trainer.interrupted:
            return
        yards = {}
        if self._get(self.config, "yardsticks") and self.untrained is not None:
            yards = yardsticks(self.untrained.to(self.model.device), self.datamodule)
        print("\n" + summary(self.trainer, record, self.title, yards))

    def _parse_ckpt_path(self) -> None:
        """Refuse a checkpoint of another model. LightningCLI's way is to let it overrule the command line unseen."""
        path = self.config[self.config.subcommand].get("ckpt_path")
        if path is None or path in ("best", "last", "hpc", "registry"):
            return
        saved = read_checkpoint(Path(path)).get("hyper_parameters", {})
        if "_class_path" not in saved:
            return
        here = self._config_dict()["model"]
        there = {"class_path": saved.pop("_class_path"), "init_args": saved}
        saved.pop("_instantiator", None)
        if lines := differences({"init_args": {}, **here}, there):
            raise ValueError(
                f"the model options differ from those of {path}; give the config.yaml beside it:\n  "
                + "\n  ".join(lines)
            )

    def _config_dict(self) -> dict[str, Any]:
        self._dump_config()
        return self.__dict__.pop("config_dump")  # LightningCLI keeps it, and would keep it past later changes


def main(args: ArgsType = None) -> None:
    """Run the command line; what the user got wrong ends in one sentence and exit code 2."""
    if os.getcwd() not in sys.path:  # a console script's path lacks it, and `--model mymodule.Mine` needs it
        sys.path.insert(0, os.getcwd())
    try:
        CommandLine(
            LightningModule,
            LightningDataModule,
            subclass_mode_model=True,
            subclass_mode_data=True,
            auto_configure_optimizers=False,
            save_config_callback=RunRecord,
            seed_everything_default=0,
            trainer_defaults={"log_every_n_steps": 10},
            args=args,
        )
    except ValueError as error:
        if not _is_ours(error):
            raise
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)


def _is_ours(error: BaseException) -> bool:
    """Whether this library raised the error. Anything else keeps its traceback."""
    traceback = error.__traceback__
    while traceback is not None and traceback.tb_next is not None:
        traceback = traceback.tb_next
    return traceback is not None and traceback.tb_frame.f_globals.get("__name__", "").startswith("lit_hardcl")
