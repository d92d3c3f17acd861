"""What a run left behind, read back: its model and data, and the similarities it logged."""

import csv
import math
from pathlib import Path
from typing import Any

import jsonargparse
import yaml
from lightning.pytorch import LightningDataModule, LightningModule

from lit_hardcl.report.reading import read_checkpoint

LEVELS = ("similarity_alpha", "similarity_beta", "similarity_gamma")


def load_run(checkpoint: Path) -> tuple[LightningModule, LightningDataModule]:
    """Load the module of a checkpoint, in evaluation mode on the CPU, and the data module it was trained with.

    The module is built from what the checkpoint says of itself, the data module from the ``config.yaml`` beside it,
    with the run's seed and, if a filter dropped images, the images that were kept.

    Raises:
        ValueError: if ``checkpoint`` is none of this library's runs, or has no ``config.yaml`` beside it.
    """
    saved = read_checkpoint(checkpoint)
    settings = dict(saved.get("hyper_parameters", {}))
    settings.pop("_instantiator", None)
    config_file = checkpoint.parent / "config.yaml"
    if "_class_path" not in settings or not config_file.is_file():
        raise ValueError(f"a run's checkpoint names its model and has a config.yaml beside it, {checkpoint} does not")
    config = yaml.safe_load(config_file.read_text())
    parser = jsonargparse.ArgumentParser()
    parser.add_subclass_arguments(LightningModule, "model", fail_untyped=False)
    parser.add_subclass_arguments(LightningDataModule, "data", fail_untyped=False)
    model = {"class_path": settings.pop("_class_path"), "init_args": settings}
    built = parser.instantiate_classes(parser.parse_object({"model": model, "data": _seeded(config)}))
    built.model.on_load_checkpoint(saved)
    built.model.load_state_dict(saved["state_dict"])
    if kept := saved.get(type(built.data).__qualname__):
        built.data.load_state_dict(kept)
    return built.model.eval(), built.data


def _seeded(config: dict[str, Any]) -> dict[str, Any]:
    """A configuration's data module, with the seed that ``seed_everything`` gave it."""
    data, seed = config["data"], config.get("seed_everything")
    if data.get("init_args", {}).get("seed", 0) is None and type(seed) is int:
        data["init_args"]["seed"] = seed
    return data


def logged_similarities(run: Path) -> dict[str, float]:
    """The last alpha, beta and gamma that ``SimilarityStatistics`` logged into a run's ``metrics.csv``, and the epoch.

    Args:
        run: the run's folder (``version_N``), the one above it (its newest run is taken) or the checkpoints' below it.

    Raises:
        ValueError: if there is no ``metrics.csv``, or no such values in it.
    """
    newest_first = sorted(run.glob("*/metrics.csv"), key=lambda path: path.stat().st_mtime, reverse=True)
    found = [path for path in (run / "metrics.csv", run.parent / "metrics.csv", *newest_first) if path.is_file()]
    if not found:
        raise ValueError(f"run must be a folder with the metrics.csv of a CSVLogger, there is none in {run}")
    with found[0].open(newline="") as file:
        rows = list(csv.DictReader(file))
    logged = [row for row in rows if all(row.get(name) and math.isfinite(float(row[name])) for name in LEVELS)]
    if not logged:
        raise ValueError(
            f"{found[0]} has no values of {', '.join(LEVELS)}: train with "
            "--trainer.callbacks+=lit_hardcl.SimilarityStatistics, which logs them"
        )
    return {name: float(logged[-1][name]) for name in LEVELS} | {"epoch": float(logged[-1].get("epoch") or math.nan)}
