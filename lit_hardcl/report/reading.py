"""Reading a run back: its checkpoint, its configuration, and what differs from another."""

from pathlib import Path
from typing import Any

import torch
import yaml


def differences(here: Any, there: Any, name: str = "") -> list[str]:
    """Options that differ between two configurations, as ``name: there -> here`` lines."""
    if isinstance(here, dict) and isinstance(there, dict):
        keys = sorted(here.keys() | there.keys())
        return [line for key in keys for line in differences(here.get(key), there.get(key), f"{name}.{key}".strip("."))]
    return [] if here == there else [f"{name}: {there!r} in the checkpoint, {here!r} here"]


def read_checkpoint(path: Path, name: str = "ckpt_path", bare: bool = False) -> dict[str, Any]:
    """Load a checkpoint's plain values and tensors.

    Args:
        path: the file.
        name: of the option, for messages.
        bare: whether a file of weights that are no Lightning checkpoint will do; they are then its ``state_dict``.

    Raises:
        ValueError: if there is no such file, or it is no checkpoint.
    """
    if not path.is_file():
        raise ValueError(f"{name} must be a checkpoint, but there is no file {path}")
    try:
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # whatever a foreign file makes torch raise
        raise ValueError(f"{name} must be a checkpoint, but {path} cannot be read as one: {error}") from error
    if bare and isinstance(checkpoint, dict) and "state_dict" not in checkpoint:
        weights = checkpoint.get("model", checkpoint)  # as many trainers call it
        if isinstance(weights, dict) and any(isinstance(value, torch.Tensor) for value in weights.values()):
            checkpoint = {"state_dict": weights}
    if not isinstance(checkpoint, dict) or "state_dict" not in checkpoint:
        raise ValueError(f"{name} must be a {'' if bare else 'Lightning '}checkpoint, but {path} holds no state_dict")
    return checkpoint


def run_config(path: Path, checkpoint: dict[str, Any]) -> dict[str, Any]:
    """Return the configuration of the run that a checkpoint is of, from the YAML beside it; empty if there is none.

    Raises:
        ValueError: if runs of the same model but other data lie in its folder.
    """
    model = dict(checkpoint.get("hyper_parameters", {}))
    model.pop("_instantiator", None)
    ours = {"class_path": model.pop("_class_path", None), "init_args": model}
    runs = [yaml.safe_load(file.read_text()) for file in sorted(path.parent.glob("config*.yaml"))]
    runs = [run for run in runs if not differences({"init_args": {}, **run["model"]}, ours)]
    if any(run["data"] != runs[0]["data"] for run in runs):
        raise ValueError(f"a run's data must be known, but {path.parent} has several config.yaml with other data")
    return runs[0] if runs else {}
