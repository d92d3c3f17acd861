"""The command line: LightningCLI with this library's classes, its records and its refusals."""

import contextlib
import copy
import os
import re
import sys
import warnings
from pathlib import Path
from typing import Any, NoReturn

import torch
import yaml
from lightning.pytorch import LightningDataModule, LightningModule
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI
from torch import nn

from lit_hardcl import modules
from lit_hardcl.cli.subcommands import COMMANDS, run_command
from lit_hardcl.data import ContrastiveDataModule
from lit_hardcl.errors import Refusal
from lit_hardcl.files import whole
from lit_hardcl.profiling import ProfilingTrainer
from lit_hardcl.runs import RunRecord, differences, model_config, read_checkpoint, summary, yardsticks
from lit_hardcl.runs.layout import log_folder, run_folder

DEFAULTS = {
    "data": {"class_path": "lit_hardcl.ContrastiveDataModule"},
    "trainer.logger": {
        "class_path": "lightning.pytorch.loggers.CSVLogger",
        "init_args": {"save_dir": "runs", "name": None},
    },
    "trainer.callbacks": [
        {"class_path": "lit_hardcl.callbacks.ChannelsLast"},
        {"class_path": "lit_hardcl.OnlineLinearProbe"},
        {"class_path": "lit_hardcl.OnlineKNN"},
        {
            "class_path": "lightning.pytorch.callbacks.ModelCheckpoint",
            "init_args": {"monitor": "val_linear_top1", "mode": "max", "filename": "best"},
        },
        {  # not the first one's `save_last`, which saves only when the best is saved
            "class_path": "lightning.pytorch.callbacks.ModelCheckpoint",
            "init_args": {"filename": "last", "save_on_train_epoch_end": True},
        },
    ],
}


class Parser(LightningArgumentParser):
    """A parser that knows the methods by name."""

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        """End with exit code 2; after an unknown method, list the known ones."""
        if "model" in message and "import path" in message:
            message += f"\n  Known methods: {', '.join(modules.__all__)}, or the import path of any LightningModule"
        super().error(message, ex)


class CommandLine(LightningCLI):
    """``fit``, ``validate``, ``test``, ``predict`` and ``profile`` for any LightningModule and data module."""

    @staticmethod
    def subcommands() -> dict[str, set[str]]:
        """Lightning's own, and ``profile``."""
        return {**LightningCLI.subcommands(), "profile": {"model", "datamodule"}}

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """Add the defaults, and the option to go without yardsticks."""
        parser.set_defaults(DEFAULTS)
        parser.add_argument(
            "--yardsticks", type=bool, default=True, help="After fit, show what raw pixels and untrained weights reach."
        )

    def before_instantiate_classes(self) -> None:
        """Name the run after its method and data set, where the logger leaves its name open."""
        loggers = self._get(self.config, "trainer").get("logger")
        for logger in loggers if isinstance(loggers, list) else [loggers]:
            arguments = getattr(logger, "init_args", None)
            if arguments is not None and "name" in arguments and arguments.name is None:
                arguments.name = self.title.replace(" on ", "-")

    @property
    def title(self) -> str:
        """Method and data set of the run."""
        method = self._get(self.config, "model").class_path.rsplit(".", 1)[-1]
        dataset = self._get(self.config, "data", {}).get("init_args", {}).get("dataset")
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
            backbones = {"trained backbone": self.model.backbone, "untrained backbone": self.untrained}
            yards = yardsticks(backbones, self.datamodule, self.trainer.strategy.root_device)
        print("\n" + summary(self.trainer, record, self.title, yards))

    def predict(self, **settings: Any) -> None:
        """Save what ``predict_step`` gives, in the order of the images, and say where.

        Raises:
            ValueError: under several processes, which would each have some of the images, and some twice.
        """
        if self.trainer.world_size > 1:
            raise Refusal(f"predict runs in one process, got {self.trainer.world_size}: set --trainer.devices 1")
        rows = self.trainer.predict(**settings)
        file = (log_folder(self.trainer) or Path(self.trainer.default_root_dir)) / "features.pt"
        tensors = [row for row in rows or [] if isinstance(row, torch.Tensor)]
        with whole(file) as part:
            torch.save(torch.cat(tensors) if tensors else rows, part)
        print(f"features    {file}")

    def profile(self, **settings: Any) -> None:
        """Print where a step's time goes."""
        text = self.trainer.profile(**settings)  # type: ignore[attr-defined]
        if self.trainer.is_global_zero:
            print(f"\n{text}")

    def _run_subcommand(self, subcommand: str) -> None:
        """Look at the data before anything is written, and leave no empty run folder behind an error."""
        data = self.datamodule
        try:
            if isinstance(data, ContrastiveDataModule) and not data.download:
                data.trainer = self.trainer
                data.setup("fit" if subcommand == "profile" else subcommand)
            super()._run_subcommand(subcommand)
        except (ValueError, SystemExit) as stop:
            if folder := getattr(self.trainer.logger, "log_dir", None):  # others might begin a run to tell theirs
                with contextlib.suppress(OSError):  # not empty, or not there
                    for empty in (folder, *Path(folder).parents[:2]):  # runs/METHOD-DATASET/version_N
                        Path(empty).rmdir()
            last = (run_folder(self.trainer) or Path()) / "last.ckpt"
            if isinstance(stop, SystemExit) and last.exists() and self.trainer.is_global_zero:
                print(f"interrupted; the same command with --ckpt_path {last} goes on from there", file=sys.stderr)
            raise

    def _parse_ckpt_path(self) -> None:
        """Refuse a checkpoint of another model. LightningCLI's way is to let it overrule the command line unseen."""
        subcommand = self.config.get("subcommand")
        path = self.config[subcommand].get("ckpt_path") if subcommand else None
        if path is None or path in ("best", "last", "hpc", "registry"):
            return
        there = model_config(read_checkpoint(Path(path)))
        if there and (lines := differences({"init_args": {}, **self._config_dict()["model"]}, there)):
            raise Refusal(
                f"the model options differ from those of {path}; give the config.yaml beside it:\n  "
                + "\n  ".join(lines)
            )

    def _config_dict(self) -> dict[str, Any]:
        self._dump_config()
        return self.__dict__.pop("config_dump")  # LightningCLI keeps it, and would keep it past later changes


def command_line(args: list[str] | None = None, run: bool = True, line: type[CommandLine] = CommandLine) -> CommandLine:
    """Parse ``args`` (``None``: those of the process), build everything and, if ``run``, run the subcommand."""
    return line(
        LightningModule,
        LightningDataModule,
        trainer_class=ProfilingTrainer,
        subclass_mode_model=True,
        subclass_mode_data=True,
        auto_configure_optimizers=False,
        save_config_callback=RunRecord,
        seed_everything_default=0,
        trainer_defaults={"log_every_n_steps": 10},
        parser_class=Parser,
        parser_kwargs={"epilog": f"Also, each with its --help: {', '.join(COMMANDS)}."},
        args=args,
        run=run,
    )


class Rehearsal(CommandLine):
    """Parses options and builds what they name, but no trainer, which would speak of the machine."""

    def _set_seed(self) -> None: ...

    def instantiate_classes(self) -> None:
        """Build, so that what a class refuses is heard."""
        self.parser.instantiate_classes(self.config)


def configuration(args: list[str]) -> dict[str, Any]:
    """The whole configuration to which ``fit`` completes these options.

    Raises:
        ValueError: if a class refuses its options; the parser ends the process if it does.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="LightningCLI's args parameter is intended")
        rehearsal = command_line(args, run=False, line=Rehearsal)
    return yaml.safe_load(rehearsal.parser.dump(rehearsal.config, skip_none=False))


def main() -> None:
    """Run the command line; what the user got wrong ends in one sentence and exit code 2."""
    if os.getcwd() not in sys.path:  # a console script's path lacks it, and `--model mymodule.Mine` needs it
        sys.path.insert(0, os.getcwd())
    warnings.filterwarnings("ignore", message=".*treespec, LeafSpec", module="lightning")  # torch's word to Lightning
    method = re.search(r" --model[ =](\S+)", " ".join(sys.argv))
    if method and {"-h", "--help"} & set(sys.argv):  # the method's own options, not everybody's
        sys.argv[2:] = ["--model.help", method[1]]
    try:
        if sys.argv[1:] and sys.argv[1] in COMMANDS:
            run_command(sys.argv[1], sys.argv[2:])
        else:
            command_line()
    except ValueError as error:
        message = _message(error)
        if message is None:
            raise
        print(f"error: {message}", file=sys.stderr)
        sys.exit(2)


def _message(error: BaseException | None) -> str | None:
    """What this library says in an error, or in one that lies behind it. Everything else keeps its traceback."""
    union = re.search(r"Union subtypes.*?\n  - (?!Expected)(.*)", str(error), re.DOTALL)
    while error is not None:
        frame = error.__traceback__
        while frame is not None and frame.tb_next is not None:
            frame = frame.tb_next
        if frame is not None and frame.tb_frame.f_globals.get("__name__", "").startswith("lit_hardcl"):
            return str(error)
        if "in DataLoader worker process" in str(error) and "lit_hardcl" in str(error):  # its traceback, as text
            return str(error).strip().rsplit("\nValueError: ", 1)[-1]
        error = error.__cause__
    return union[1].splitlines()[0] if union else None  # older jsonargparse keeps only the text of what it caught
