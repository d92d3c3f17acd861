"""What the commands need of a checkpoint: the run's backbone and data as default options, its weights, or all of it."""

import hashlib
from pathlib import Path
from typing import Any

import jsonargparse
import torch
from lightning.pytorch import LightningDataModule, LightningModule
from torch import nn

from lit_hardcl.data import ContrastiveDataModule
from lit_hardcl.errors import Refusal
from lit_hardcl.models import load_backbone
from lit_hardcl.runs import read_checkpoint, run_config
from lit_hardcl.trust import check_named


def defaults(args: list[str]) -> dict[str, Any]:
    """Return backbone and data of the run that left the checkpoint among ``args``; options may change them.

    Raises:
        Refusal: if they name what is of no trusted package, unless an option names another class.
    """
    free = [arg for before, arg in zip(["", *args], args, strict=False) if before[:1] != "-" or "=" in before]
    path = next((Path(arg) for arg in free if Path(arg).is_file()), None)
    config = run_config(path, read_checkpoint(path, "checkpoint", bare=True)) if path else {}
    if not config:
        return {}
    given = {"data": config["data"], "backbone": config["model"].get("init_args", {}).get("backbone")}
    named = dict(zip(args, [*args[1:], ""], strict=True))
    named |= {name: value for name, _, value in (arg.partition("=") for arg in args) if value}
    for name, kind in (("data", LightningDataModule), ("backbone", nn.Module)):
        if f"--{name}" in named:
            del given[name]
        else:
            check_named(given[name], kind, f"{name} of the run", packages(named.get("--trust")))
    return {name: value for name, value in given.items() if value}


def packages(trust: str | None) -> list[str]:
    """Packages that the option ``--trust`` names."""
    return [name.strip() for name in (trust or "").split(",") if name.strip()]


def trained_backbone(
    checkpoint: str,
    backbone: nn.Module | None,
    data: ContrastiveDataModule | None,
    prefix: str | None,
    classifier: str | None,
) -> tuple[nn.Module, ContrastiveDataModule, str]:
    """Load the weights into the backbone; returned with the data and the SHA-256 of the file.

    Raises:
        ValueError: if the checkpoint does not fit, or backbone or data are missing.
    """
    path = Path(checkpoint)
    weights = read_checkpoint(path, "checkpoint", bare=True)["state_dict"]
    if backbone is None or data is None:
        missing = "--backbone lit_hardcl.models.ResNet" if backbone is None else "--data.dataset cifar10"
        raise Refusal(
            f"backbone and data must be given where no config.yaml of {path} lies beside it, such as {missing}"
        )
    if classifier is not None:
        if classifier not in dict(backbone.named_children()):
            names = ", ".join(name for name, _ in backbone.named_children())
            raise Refusal(f"classifier must be one of the backbone's parts, {names}, got {classifier}")
        setattr(backbone, classifier, nn.Identity())
        weights = {name: value for name, value in weights.items() if f".{classifier}." not in f".{name}"}
    load_backbone(backbone, weights, prefix)
    return backbone, data, hashlib.sha256(path.read_bytes()).hexdigest()


def load_run(checkpoint: Path, trust: str | None = None) -> tuple[LightningModule, LightningDataModule]:
    """Load the module of a checkpoint, in evaluation mode on the CPU, and the data module it was trained with.

    With the run's seed and, if a filter dropped images, the images that were kept.

    Raises:
        ValueError: if ``checkpoint`` is none of this library's runs, or their YAML is not beside it: see `run_config`;
            or if that names what is of no trusted package.
    """
    saved = read_checkpoint(checkpoint)
    config = run_config(checkpoint, saved)
    if not config:
        raise Refusal(f"a run's checkpoint names its model and has its config.yaml beside it, {checkpoint} does not")
    for name, kind in (("model", LightningModule), ("data", LightningDataModule)):
        check_named(config[name], kind, f"{name} of the run", packages(trust))
    parser = jsonargparse.ArgumentParser()
    parser.add_subclass_arguments(LightningModule, "model", fail_untyped=False)
    parser.add_subclass_arguments(LightningDataModule, "data", fail_untyped=False)
    built = parser.instantiate_classes(parser.parse_object({name: config[name] for name in ("model", "data")}))
    built.model.on_load_checkpoint(saved)
    built.model.load_state_dict(saved["state_dict"])
    if state := saved.get(type(built.data).__qualname__):
        built.data.load_state_dict({**state, "within": {}})  # from an epoch's beginning
    return built.model.eval(), built.data


def best_device() -> str:
    """A GPU if there is one."""
    return "cuda" if torch.cuda.is_available() else "cpu"
