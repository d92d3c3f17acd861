"""The command line: LightningCLI with this library's classes, its records and its refusals."""

import contextlib
import copy
import os
import sys
import warnings
from pathlib import Path
from typing import Any, NoReturn

import torch
from lightning.pytorch import LightningDataModule, LightningModule
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI
from torch import nn

from lit_hardcl import modules
from lit_hardcl.data import ContrastiveDataModule
from lit_hardcl.report import RunRecord, differences, log_folder, read_checkpoint, summary, yardsticks

DEFAULTS = {
    "data": {"class_path": "lit_hardcl.ContrastiveDataModule", "init_args": {"seed": None}},  # --seed_everything's
    "trainer.logger": {
        "class_path": "lightning.pytorch.loggers.CSVLogger",
        "init_args": {"save_dir": "runs", "name": None},
    },
    "trainer.callbacks": [
        {"class_path": "lit_hardcl.OnlineLinearProbe"},
        {"class_path": "lit_hardcl.OnlineKNN"},
        {
            "class_path": "lightning.pytorch.callbacks.ModelCheckpoint",
            "init_args": {"monitor": "val_linear_top1", "mode": "max", "filename": "best", "save_last": True},
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
    """``fit``, ``validate``, ``test`` and ``predict`` for any LightningModule and data module."""

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
            yards = yardsticks(self.untrained.to(self.model.device), self.datamodule)
        print("\n" + summary(self.trainer, record, self.title, yards))

    def predict(self, **settings: Any) -> None:
        """Save what ``predict_step`` gives, in the order of the images, and say where."""
        rows = self.trainer.predict(**settings)
        rank = "" if self.trainer.world_size == 1 else f"-{self.trainer.global_rank}"
        file = (log_folder(self.trainer) or Path(self.trainer.default_root_dir)) / f"features{rank}.pt"
        file.parent.mkdir(parents=True, exist_ok=True)
        tensors = [row for row in rows or [] if isinstance(row, torch.Tensor)]
        torch.save(torch.cat(tensors) if tensors else rows, file)
        print(f"features    {file}")

    def _run_subcommand(self, subcommand: str) -> None:
        """Look at the data before anything is written, and leave no empty run folder behind an error."""
        data = self.datamodule
        try:
            if isinstance(data, ContrastiveDataModule) and not data.download:
                data.trainer = self.trainer
                data.setup(subcommand)
            super()._run_subcommand(subcommand)
        except (ValueError, SystemExit) as stop:
            if folder := log_folder(self.trainer):
                with contextlib.suppress(OSError):  # not empty, or not there
                    os.removedirs(folder)
            last = getattr(self.trainer.checkpoint_callback, "last_model_path", "")
            if isinstance(stop, SystemExit) and last and self.trainer.is_global_zero:
                print(f"interrupted; the same command with --ckpt_path {last} goes on from there", file=sys.stderr)
            raise

    def _parse_ckpt_path(self) -> None:
        """Refuse a checkpoint of another model. LightningCLI's way is to let it overrule the command line unseen."""
        subcommand = self.config.get("subcommand")
        path = self.config[subcommand].get("ckpt_path") if subcommand else None
        if path is None or path in ("best", "last", "hpc", "registry"):
            return
        saved = read_checkpoint(Path(path)).get("hyper_parameters", {})
        if "_class_path" not in saved:
            return
        saved.pop("_instantiator", None)
        there = {"class_path": saved.pop("_class_path"), "init_args": saved}
        if lines := differences({"init_args": {}, **self._config_dict()["model"]}, there):
            raise ValueError(
                f"the model options differ from those of {path}; give the config.yaml beside it:\n  "
                + "\n  ".join(lines)
            )

    def _config_dict(self) -> dict[str, Any]:
        self._dump_config()
        return self.__dict__.pop("config_dump")  # LightningCLI keeps it, and would keep it past later changes


def command_line(args: list[str] | None = None, run: bool = True) -> CommandLine:
    """Parse ``args`` (``None``: those of the process), build everything and, if ``run``, run the subcommand."""
    return CommandLine(
        LightningModule,
        LightningDataModule,
        subclass_mode_model=True,
        subclass_mode_data=True,
        auto_configure_optimizers=False,
        save_config_callback=RunRecord,
        seed_everything_default=0,
        trainer_defaults={"log_every_n_steps": 10},
        parser_class=Parser,
        args=args,
        run=run,
    )


def main() -> None:
    """Run the command line; what the user got wrong ends in one sentence and exit code 2."""
    if os.getcwd() not in sys.path:  # a console script's path lacks it, and `--model mymodule.Mine` needs it
        sys.path.insert(0, os.getcwd())
    warnings.filterwarnings("ignore", message=".*treespec, LeafSpec", module="lightning")  # torch's word to Lightning
    if "--model" in sys.argv[:-1] and {"-h", "--help"} & set(sys.argv):  # the method's own options, not everybody's
        sys.argv[2:] = ["--model.help", sys.argv[sys.argv.index("--model") + 1]]
    try:
        command_line()
    except ValueError as error:
        ours = _ours(error)
        if ours is None:
            raise
        print(f"error: {ours}", file=sys.stderr)
        sys.exit(2)


def _ours(error: BaseException | None) -> BaseException | None:
    """The error of this library that lies behind one, if any. Everything else keeps its traceback."""
    while error is not None:
        frame = error.__traceback__
        while frame is not None and frame.tb_next is not None:
            frame = frame.tb_next
        if frame is not None and frame.tb_frame.f_globals.get("__name__", "").startswith("lit_hardcl"):
            return error
        error = error.__cause__
    return None
