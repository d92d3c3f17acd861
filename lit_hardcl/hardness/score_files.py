"""Files of difficulty scores, read and written."""

import csv
import json
import math
from pathlib import Path

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from lit_hardcl.errors import Refusal
from lit_hardcl.files import read, whole
from lit_hardcl.hardness.image_scores import ImageScores


def read_scores(path: Path) -> tuple[Int[Tensor, " images"], Float[Tensor, " images"]]:
    """Indices and scores of a CSV with the columns ``index`` and ``score``, or of a JSON object from index to score.

    NaN is no score.

    Raises:
        ValueError: if there is no such file, it holds anything else, or an index repeats.
    """
    if not path.is_file():
        raise Refusal(f"scores_file must be a CSV or JSON file, but there is no file {path}")
    rule = "scores_file must be a CSV with the columns index and score, or a JSON object from index to score, but"
    pairs = read(path, rule, _pairs)
    indices, scores = [index for index, _ in pairs], [score for _, score in pairs]
    if wrong := [index for index in indices if not 0 <= index < 2**63]:
        raise Refusal(f"scores_file must name images by numbers from 0 on, got {wrong[0]} in {path}")
    if any(math.isinf(score) for score in scores):
        raise Refusal(f"scores_file must hold finite scores (NaN: none), got an infinite one in {path}")
    numbers, counts = torch.tensor(indices, dtype=torch.long).unique(return_counts=True)
    if (counts > 1).any():
        raise Refusal(f"scores_file must name an image once, got index {int(numbers[counts > 1][0])} again in {path}")
    return torch.tensor(indices, dtype=torch.long), torch.tensor(scores, dtype=torch.float64)


def write_scores(path: Path, scores: ImageScores, removed: Bool[Tensor, " images"]) -> None:
    """Write a CSV of index, score, class and whether the image is kept."""
    columns = (scores.indices, scores.values, scores.targets, (~removed).int())
    with whole(path) as part, part.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("index", "score", "class", "kept"))
        writer.writerows(zip(*(column.tolist() for column in columns), strict=True))


def _pairs(text: str) -> list[tuple[int, float]]:
    if text.lstrip().startswith("{"):
        pairs = json.loads(text, object_pairs_hook=list)
    else:
        pairs = [(row["index"], row["score"]) for row in csv.DictReader(text.splitlines())]
    return [(int(index), float(score)) for index, score in pairs]
