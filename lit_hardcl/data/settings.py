"""Checks of settings that are made before any data are touched, and the reading of a list of indices."""

import json
from pathlib import Path
from typing import Any

from lit_hardcl.errors import Refusal, check_given, check_whole
from lit_hardcl.files import read


def check_batch(batch_size: int) -> None:
    """Raise a ValueError unless there is something to contrast in a batch."""
    if batch_size == 1:
        raise Refusal("batch_size must be at least 2, got 1: a contrastive batch needs two images")
    check_given(batch_size=batch_size)
    check_whole(2, batch_size=batch_size)


def check_mix_fraction(fraction: float) -> None:
    """Raise a ValueError unless the fraction is one."""
    if not 0 <= fraction <= 1:
        raise Refusal(f"mix_fraction must lie in 0 ... 1, got {fraction}")


def check_imbalance(imbalance: float) -> None:
    """Raise a ValueError unless the largest class over the smallest can be this number."""
    if not 1 <= imbalance < float("inf"):
        raise Refusal(f"imbalance, the largest class over the smallest, must be at least 1, got {imbalance}")


def check_a_batch_fits(images: int, processes: int, batch_size: int) -> None:
    """Raise a ValueError unless each process has a whole batch of training images."""
    if images // processes < batch_size:
        raise Refusal(
            f"batch_size must be at most the number of training images per process, {images // processes}, "
            f"got {batch_size}: not one whole batch would be left; lower --data.batch_size"
        )


def read_indices(source: str | list[int]) -> list[int]:
    """Return the indices; if a path is given, from a file with one whole number a line, or JSON.

    JSON is a list, or a mapping with a list under ``indices``, as ``lit-hardcl select`` writes it.

    Raises:
        ValueError: if there is no such file, or it holds anything else.
    """
    if not isinstance(source, str):
        return source
    path = Path(source)
    if not path.is_file():
        raise Refusal(f"train_indices must be a list or a file, but there is no file {source}")
    found = read(path, "train_indices must hold one whole number a line or a JSON list, but", _numbers)
    if isinstance(found, dict):
        found = found.get("indices")
    if not isinstance(found, list):
        raise Refusal(f"train_indices must hold a list, or a mapping with one under 'indices', got neither: {source}")
    if not all(type(index) is int and abs(index) < 2**63 for index in found):
        raise Refusal(f"train_indices must hold whole numbers only, got others in {source}")
    return found


def _numbers(text: str) -> Any:
    return json.loads(text) if text.lstrip()[:1] in ("[", "{") else [int(line) for line in text.split()]
