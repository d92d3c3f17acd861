"""What a comparison runs: every method with every variant and every seed, and the options that each gets."""

import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lit_hardcl.errors import Refusal, check_seed


@dataclass(frozen=True)
class Arm:
    """One method of a comparison, or one variant of its data.

    Args:
        config: overlays, in their order.
        options: options of ``fit`` by their dotted names, such as ``data.mix_fraction``.
    """

    config: list[str | os.PathLike] = field(default_factory=list)
    options: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Training:
    """One run of a comparison.

    Attributes:
        method: its name in the comparison.
        variant: the variant's name.
        seed: seed of everything random.
        folder: folder of its attempts.
        options: arguments of ``fit``.
    """

    method: str
    variant: str
    seed: int
    folder: Path
    options: tuple[str, ...]

    @property
    def name(self) -> str:
        """For a person."""
        return ", ".join(part for part in (self.method, self.variant, f"seed {self.seed}") if part)


def trainings(
    base: Sequence[str | os.PathLike],
    methods: Mapping[str, Arm],
    variants: Mapping[str, Arm],
    seeds: Sequence[int],
    options: Mapping[str, Any],
    output: Path,
    wandb_project: str | None = None,
) -> list[Training]:
    """Plan the runs: all methods of a seed before the next seed, so that a comparison cut short is still paired.

    Later options win: those of all runs, then the variant's, then the method's.

    Raises:
        ValueError: if there is no seed, a seed repeats, a name is none, or two names make one folder.
    """
    for name in (*methods, *variants):
        if not as_folder(name).strip("."):
            raise Refusal(f"a name needs a letter or a digit, got {name!r}")
    if not seeds or len(set(seeds)) < len(seeds) or min(seeds) < 0:
        raise Refusal(f"seeds must be different numbers from 0 on, at least one, got {list(seeds)}")
    check_seed(max(seeds), "seeds")
    planned = []
    for seed in seeds:
        for variant, its in (variants or {"": Arm()}).items():
            for method, arm in methods.items():
                name = "/".join(as_folder(part) for part in (variant, method) if part)
                given = {**options, **its.options, **arm.options}
                files = [*base, *its.config, *arm.config]
                arguments = [part for file in files for part in ("-c", str(Path(file).resolve()))]
                arguments += [f"--{option}={_as_text(option, value)}" for option, value in given.items()]
                loggers = _loggers(output, f"{name}/seed_{seed}", wandb_project)
                arguments += [f"--trainer.logger={json.dumps(loggers)}", f"--seed_everything={seed}"]
                folder = output / "runs" / name / f"seed_{seed}"
                planned.append(Training(method, variant, seed, folder, tuple(arguments)))
    if len({training.folder for training in planned}) < len(planned):
        raise Refusal(f"names must differ in letters or digits, got {[*methods]} and {[*variants]}")
    return planned


def varied_number(variants: Mapping[str, Arm]) -> tuple[str, dict[str, float]] | None:
    """The option whose number tells all variants apart, and its value in each; ``None`` if there is none."""
    for option in sorted({option for arm in variants.values() for option in arm.options}):
        values = {name: arm.options.get(option) for name, arm in variants.items()}
        numbers = {name: float(v) for name, v in values.items() if isinstance(v, (int, float)) and v is not True}
        if 1 < len(set(numbers.values())) == len(variants):
            return option, numbers
    return None


def as_folder(name: str) -> str:
    """A name in letters, digits, dots and underscores only."""
    return re.sub(r"[^\w.]+", "_", name).strip("_")


def _as_text(option: str, value: Any) -> str:
    try:
        return value if isinstance(value, str) else json.dumps(value)
    except TypeError:
        raise Refusal(
            f"an option must be a number, text, or lists and mappings of them, got {option} of a "
            f"{type(value).__name__}: put a class_path in an overlay's YAML"
        ) from None


def _loggers(output: Path, name: str, wandb_project: str | None) -> Any:
    csv = {
        "class_path": "lightning.pytorch.loggers.CSVLogger",
        "init_args": {"save_dir": str(output / "runs"), "name": name},
    }
    if wandb_project is None:
        return csv
    settings = {"project": wandb_project, "group": output.name, "name": name, "save_dir": str(output / "wandb")}
    return [csv, {"class_path": "lightning.pytorch.loggers.WandbLogger", "init_args": settings}]
