"""Configurations: defaults, files that come with the package, and spellings of earlier versions."""

import warnings
from pathlib import Path

from lit_hardcl.earlier import spelt_anew
from lit_hardcl.errors import Refusal
from lit_hardcl.evaluation import ACCURACIES
from lit_hardcl.files import read_yaml

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
        {"class_path": "lit_hardcl.CollapseAlarm"},
        {
            "class_path": "lightning.pytorch.callbacks.ModelCheckpoint",
            "init_args": {"monitor": ACCURACIES[0], "mode": "max", "filename": "best"},
        },
        {  # not the first one's `save_last`, which saves only when the best is saved
            "class_path": "lightning.pytorch.callbacks.ModelCheckpoint",
            "init_args": {"filename": "last", "save_on_train_epoch_end": True},
        },
    ],
}
_PACKAGE = Path(__file__).parents[1]
SHIPPED = next((f for f in (_PACKAGE / "configs", _PACKAGE.parent / "configs") if f.is_dir()), _PACKAGE / "configs")
FOLDERS = ("", "sets", "published", "methods", "callbacks", "loggers", "compare", "evaluate")


def with_shipped_files(args: list[str]) -> list[str]:
    """Options in which a YAML that is not here is the package's of this name; ``sets/`` before ``published/``.

    Raises:
        Refusal: if a configuration is spelt as in an earlier version, naming today's spelling.
    """
    given = []
    for before, arg in zip(["", *args], args, strict=False):
        option, equals, value = arg.rpartition("=") if arg.startswith("-") else ("", "", arg)
        if value.endswith((".yaml", ".yml")) and "[" not in value and not Path(value).is_file():
            value = str(shipped(value) or value)
        is_config = (option or before) in ("-c", "--config")
        if (is_config or value.endswith((".yaml", ".yml"))) and Path(value).is_file():
            check_configuration(Path(value), is_config)
        given.append(option + equals + value)
    return given


def shipped(name: str) -> Path | None:
    """The package's configuration of this name, such as ``quickstart.yaml`` or ``methods/removal.yaml``.

    Raises:
        Refusal: for the path that a row of the paper had in an earlier version.
    """
    inside = name.removeprefix("configs/")
    if inside != name and not (SHIPPED / inside).is_file() and (SHIPPED / "published" / inside).is_file():
        raise Refusal(f"{name} is now published/{inside}, the paper's row, or sets/{inside}, data alone")
    return next((file for folder in FOLDERS if (file := SHIPPED / folder / inside).is_file()), None)


def check_configuration(file: Path, is_config: bool = True) -> None:
    """Refuse a file that is no YAML and, if it is to be a configuration, no options or an earlier version's."""
    config = read_yaml(file, "a configuration")
    if is_config and not isinstance(config, dict):
        raise Refusal(f"a configuration must be options by name, got {str(config)[:40]!r} in {file}")
    if is_config and (lines := spelt_anew(config)):
        raise Refusal(f"{file} is spelt as in an earlier version: {'; '.join(sorted(set(lines)))}")


def quiet_about_args() -> None:
    """LightningCLI warns of options that are handed over beside those of the process."""
    warnings.filterwarnings("ignore", message="LightningCLI's args parameter is intended")
