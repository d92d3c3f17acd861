"""Trainings on the command line: LightningCLI with this library's classes, its records and its refusals."""

import contextlib
import copy
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from lightning.fabric.plugins.io.torch_io import TorchCheckpointIO
from lightning.pytorch import LightningDataModule, LightningModule, Trainer
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI
from lightning.pytorch.strategies import DDPStrategy, SingleDeviceStrategy
from torch import nn

from lit_hardcl import modules
from lit_hardcl.cli.configuration import DEFAULTS, quiet_about_args
from lit_hardcl.cli.continuing import check_length, found, going_on
from lit_hardcl.cli.refusals import OneSentence, check_read, check_trainer, program
from lit_hardcl.data import ContrastiveDataModule
from lit_hardcl.earlier import GONE
from lit_hardcl.errors import Refusal, check_seed
from lit_hardcl.files import check_place, tidy
from lit_hardcl.runs import (
    RunRecord,
    WholeCheckpointIO,
    claim_folder,
    summary_of,
    yardsticks,
)
from lit_hardcl.stopping import SIGTERM
from lit_hardcl.trust import check_optimizers


class Parser(OneSentence, LightningArgumentParser):
    """A parser that knows the methods by name."""

    def shortened(self, message: str) -> str:
        """As any parser's; after an unknown method, with the known ones."""
        sentence = super().shortened(message)
        if sentence.startswith(("model must", "model names")):
            presets = ", ".join(name for name in modules.__all__ if "Contrast" not in name)
            sentence += (
                f"\n  Known methods: {presets}, Contrastive with a criterion, or the import path of any LightningModule"
            )
        return sentence + "".join(f"\n  {name} is now {place}" for name, place in GONE.items() if name in message)


class CommandLine(LightningCLI):
    """``fit``, ``validate`` and ``test`` for any LightningModule and data module."""

    @staticmethod
    def subcommands() -> dict[str, set[str]]:
        """Lightning's own but ``predict``, which is a command that leaves a file."""
        return {name: left for name, left in LightningCLI.subcommands().items() if name != "predict"}

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """Add the defaults, and the option to go without yardsticks."""
        parser.set_defaults(DEFAULTS)
        parser.add_argument(
            "--yardsticks", type=bool, default=True, help="After fit, show what raw pixels and untrained weights reach."
        )

    def before_instantiate_classes(self) -> None:
        """Check optimizers and the trainer's numbers; name the run by method and data if the logger leaves it open."""
        if model := self._get(self.config, "model"):
            check_optimizers(model.as_dict(), LightningModule, "model")
        check_trainer(self._get(self.config, "trainer"))
        loggers = self._get(self.config, "trainer").get("logger")
        for logger in loggers if isinstance(loggers, list) else [loggers]:
            arguments = getattr(logger, "init_args", None)
            if arguments is not None and "name" in arguments and arguments.name is None:
                arguments.name = self.title.replace(" on ", "-")

    @property
    def title(self) -> str:
        """Method and data set of the run."""
        method = method_name(self._get(self.config, "model"))
        dataset = self._get(self.config, "data", {}).get("init_args", {}).get("dataset")
        return f"{method} on {dataset}" if dataset else method

    def instantiate_trainer(self, **settings: Any) -> Trainer:
        """A trainer whose checkpoints are whole at every moment."""
        trainer = super().instantiate_trainer(**settings)
        own = isinstance(trainer.strategy, (SingleDeviceStrategy, DDPStrategy))  # others write in ways of their own
        if own and type(trainer.strategy.checkpoint_io) is TorchCheckpointIO:
            trainer.strategy.checkpoint_io = WholeCheckpointIO()
        return trainer

    def _set_seed(self) -> None:
        seed = self._get(self.config, "seed_everything")
        check_seed(0 if isinstance(seed, bool) else seed, "seed_everything")
        super()._set_seed()

    def before_fit(self) -> None:
        """Take a folder, and keep the untrained backbone: it is a yardstick."""
        if self.trainer.is_global_zero:
            claim_folder(self.trainer.logger)
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
        print("\n" + summary_of(self.trainer, record, self.title, yards).text)

    def _run_subcommand(self, subcommand: str) -> None:
        with leaving_nothing(self, subcommand):
            super()._run_subcommand(subcommand)

    def _parse_ckpt_path(self) -> None:
        """Find or check the checkpoint. LightningCLI's way is to let it overrule the command line unseen."""
        subcommand = self.config.get("subcommand")
        path = self.config[subcommand].get("ckpt_path") if subcommand else None
        if path is None or path in ("best", "hpc", "registry") or "://" in path:
            return
        config = self.whole_config()
        file, saved = found(path, config)
        self.config[subcommand].ckpt_path = str(file)
        if subcommand == "fit":
            check_length(file, saved, config["trainer"])
            tidy(file.parent)  # of a training that was killed while saving; the one that goes on saves elsewhere

    def whole_config(self) -> dict[str, Any]:
        """All options, as they are written."""
        self._dump_config()
        return self.__dict__.pop("config_dump")  # LightningCLI keeps it, and would keep it past later changes


@contextlib.contextmanager
def leaving_nothing(line: CommandLine, stage: str) -> Iterator[None]:
    """Look at the data before anything is written, and leave no empty run folder behind an error."""
    data, trainer = line.datamodule, line.trainer
    SIGTERM.going_on = lambda: going_on(trainer)
    if logs := getattr(trainer.logger, "save_dir", None):
        check_place(logs, "the logger's save_dir", folder=True)
    try:
        if isinstance(data, ContrastiveDataModule) and not data.download:
            data.trainer = trainer
            data.setup(stage)
        yield
    except BaseException as stop:
        if folder := getattr(trainer.logger, "log_dir", None):  # others might begin a run to tell theirs
            with contextlib.suppress(OSError):  # not empty, or not there
                for empty in (folder, *Path(folder).parents[:2]):  # runs/METHOD-DATASET/version_N
                    Path(empty).rmdir()
        signalled = stop.__context__ if isinstance(stop, SystemExit) else stop  # Lightning makes an exit of a Ctrl-C
        if stage == "fit" and not isinstance(stop, Refusal):
            (signalled or stop).add_note(going_on(trainer))
        if isinstance(signalled, KeyboardInterrupt):
            raise signalled from None
        raise


def method_name(model: Any) -> str:
    """What a model's configuration is called: its class, or the criterion's where any criterion will do."""
    name = model.class_path.rsplit(".", 1)[-1]
    criterion: Any = getattr(getattr(model, "init_args", None), "criterion", None)
    if name in ("Contrastive", "MomentumContrast") and hasattr(criterion, "class_path"):
        loss = criterion.class_path.rsplit(".", 1)[-1]
        return loss.removesuffix("Loss") or loss
    return name


def command_line(
    args: list[str], run: bool = True, line: type[CommandLine] = CommandLine, also: tuple[str, ...] = ()
) -> CommandLine:
    """Parse ``args``, build everything and, if ``run``, run the subcommand; the help names ``also``, other commands."""
    quiet_about_args()
    whole = {"prog": program(), "allow_abbrev": False}
    if also:
        whole["epilog"] = f"Also, each with its --help: {', '.join(also)}."
    return line(
        LightningModule,
        LightningDataModule,
        subclass_mode_model=True,
        subclass_mode_data=True,
        auto_configure_optimizers=False,
        save_config_callback=RunRecord,
        seed_everything_default=0,
        trainer_defaults={"log_every_n_steps": 10},
        parser_class=Parser,
        parser_kwargs=whole | {name: {"allow_abbrev": False} for name in line.subcommands() if run},
        args=args,
        run=run,
    )


def run(args: list[str], also: tuple[str, ...] = ()) -> None:
    """Run a subcommand of LightningCLI; help for a method shows its own options, not everybody's."""
    if args[:1] != ["fit"]:
        check_read(args, "--yardsticks", "false")
    if {"-h", "--help"} & set(args) and (method := re.search(r"--model[ =](\S+)", " ".join(args))):
        args = [args[0], "--model.help", method[1]]
    command_line(args, also=also)


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
    rehearsal = command_line(args, run=False, line=Rehearsal)
    return yaml.safe_load(rehearsal.parser.dump(rehearsal.config, skip_none=False))
