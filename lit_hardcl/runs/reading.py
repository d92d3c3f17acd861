"""Reading a run back: checkpoint, configuration and what differs from another, logged similarities."""

import json
import math
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file

from lit_hardcl.earlier import renewed
from lit_hardcl.errors import Refusal
from lit_hardcl.files import read_csv, read_yaml, whole
from lit_hardcl.runs.layout import Run

OPTIONS = "lit_hardcl"  # of a model, in the metadata of its weights
LEVELS = ("similarity_alpha", "similarity_beta", "similarity_gamma")


def differences(here: Any, there: Any, name: str = "") -> list[str]:
    """Options that differ between two configurations, as ``name: there -> here`` lines."""
    if isinstance(here, dict) and isinstance(there, dict):
        keys = sorted(here.keys() | there.keys())
        return [line for key in keys for line in differences(here.get(key), there.get(key), f"{name}.{key}".strip("."))]
    return [] if here == there else [f"{name}: {there!r} in the checkpoint, {here!r} here"]


def read_checkpoint(path: Path, name: str = "ckpt_path", bare: bool = False) -> dict[str, Any]:
    """Load a checkpoint's plain values and tensors.

    Args:
        path: file; of weights alone if it ends in ``.safetensors``, as `RunRecord` leaves them.
        name: name of the option, for messages.
        bare: whether a file of weights that are no Lightning checkpoint will do; they are then its ``state_dict``.

    Raises:
        ValueError: if there is no such file, or it is no checkpoint.
    """
    if not path.is_file():
        raise Refusal(f"{name} must be a checkpoint, but there is no file {path}")
    try:
        if bare and path.suffix == ".safetensors":
            with safe_open(path, "pt") as file:
                options = json.loads((file.metadata() or {}).get(OPTIONS, "{}"))
                return {"state_dict": {key: file.get_tensor(key) for key in file.keys()}, "hyper_parameters": options}  # noqa: SIM118
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # whatever a foreign file makes torch raise
        raise Refusal(f"{name} must be a checkpoint, but {path} cannot be read as one: {error}") from error
    if bare and isinstance(checkpoint, dict) and "state_dict" not in checkpoint:
        weights = checkpoint.get("model", checkpoint)  # as many trainers call it
        if isinstance(weights, dict) and any(isinstance(value, torch.Tensor) for value in weights.values()):
            checkpoint = {"state_dict": weights}
    if not isinstance(checkpoint, dict) or "state_dict" not in checkpoint:
        raise Refusal(f"{name} must be a {'' if bare else 'Lightning '}checkpoint, but {path} holds no state_dict")
    return checkpoint


def write_weights(checkpoint: Path) -> None:
    """Write a checkpoint's weights and model options as ``.safetensors`` beside it: a file that can run no code."""
    saved = read_checkpoint(checkpoint)
    weights = {name: value for name, value in saved["state_dict"].items() if isinstance(value, torch.Tensor)}
    with whole(checkpoint.with_suffix(".safetensors")) as part:
        options = json.dumps(saved.get("hyper_parameters", {}))
        save_file(
            {name: value.clone(memory_format=torch.contiguous_format) for name, value in weights.items()},
            part,
            {"format": "pt", OPTIONS: options},
        )


def model_config(checkpoint: dict[str, Any]) -> dict[str, Any] | None:
    """Class and arguments of a checkpoint's model, as `RunRecord` has put them there; ``None`` if it has not."""
    options = checkpoint.get("hyper_parameters") or {}
    if not isinstance(options, dict):
        raise Refusal(f"a checkpoint's options must be by name, got {options!r}")
    arguments = dict(options)
    arguments.pop("_instantiator", None)
    name = arguments.pop("_class_path", None)
    return None if name is None else renewed({"class_path": name, "init_args": arguments})


def run_config(path: Path, checkpoint: dict[str, Any]) -> dict[str, Any]:
    """Return the configuration of the run that a checkpoint is of, from the YAML beside it; empty if there is none.

    Data whose seed is that of ``seed_everything`` have it as their own.

    Raises:
        ValueError: if runs of the same model but other data lie in its folder.
    """
    model = model_config(checkpoint)
    runs = [_whole_config(file) for file in Run.of(path).configs] if model else []
    runs = [run for run in runs if not differences({"init_args": {}, **run["model"]}, model)]
    runs = [seeded(run) for run in runs]
    if any(run["data"] != runs[0]["data"] for run in runs):
        raise Refusal(f"a run's data must be known, but {path.parent} has several config.yaml with other data")
    return runs[0] if runs else {}


def seeded(run: dict[str, Any]) -> dict[str, Any]:
    """A run's configuration whose data, if without a seed of their own, have that of ``seed_everything``."""
    arguments, seed = run["data"].get("init_args") or {}, run.get("seed_everything")
    if arguments.get("seed", 0) is None:
        arguments["seed"] = seed if type(seed) is int else 0
    return run


def logged_similarities(run: Path) -> dict[str, float]:
    """The last alpha, beta and gamma that ``SimilarityStatistics`` logged into a run's ``metrics.csv``, and the epoch.

    Args:
        run: the run's folder (``version_N``), the one above it (its newest run is taken) or the checkpoints' below it.

    Raises:
        ValueError: if there is no ``metrics.csv``, or no such values in it.
    """
    file = Run.of(run).metrics
    if not file.is_file():
        raise Refusal(f"run must be a folder with the metrics.csv of a CSVLogger, there is none in {run}")
    rows = [[_number(row.get(name), file) for name in (*LEVELS, "epoch")] for row in read_csv(file, "metrics.csv")]
    logged = [row for row in rows if all(map(math.isfinite, row[:-1]))]
    if not logged:
        raise Refusal(
            f"{file} has no values of {', '.join(LEVELS)}: train with "
            "--trainer.callbacks+=lit_hardcl.SimilarityStatistics, which logs them"
        )
    return dict(zip((*LEVELS, "epoch"), logged[-1], strict=True))


def read_config(file: Path) -> dict[str, Any]:
    """A run's configuration in today's spellings; refused if the file holds anything but options by name."""
    config = renewed(read_yaml(file, "a run's configuration"))
    if not isinstance(config, dict):
        raise Refusal(f"a run's configuration must be options by name, got none in {file}")
    return config


def _whole_config(file: Path) -> dict[str, Any]:
    config = read_config(file)
    for part in (config.get("model"), config.get("data")):
        if not isinstance(part, dict) or not isinstance(part.get("init_args") or {}, dict):
            raise Refusal(f"a run's configuration must say model and data by class and arguments, {file} does not")
    return config


def _number(text: str | None, file: Path) -> float:
    """The number in a cell; NaN if it is empty or not there."""
    try:
        return float(text or math.nan)
    except ValueError:
        raise Refusal(f"metrics.csv must hold numbers, got {text!r} in {file}") from None
