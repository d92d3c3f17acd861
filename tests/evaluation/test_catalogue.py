"""The catalogue: each row worked by hand on features that can be judged at sight, and what its readers make of it."""

import math

import pytest
import torch

from lit_hardcl.compare.tables import METRICS
from lit_hardcl.evaluation import CATALOGUE, NeighbourSettings, ProbeSettings, measured
from lit_hardcl.evaluation.catalogue import ACCURACIES
from lit_hardcl.evaluation.features import Features
from lit_hardcl.evaluation.frozen import FrozenFeatures

# Eight images on the two axes, all of them held out too; an image's two views lie on the one and on the other axis.
AXES = torch.eye(2).repeat_interleave(4, dim=0)
CLASSES = torch.arange(2).repeat_interleave(4)
EXPECTED = {
    "val_linear_top1": 1.0,
    "val_knn_top1": 1.0,
    "val_logistic_top1": 1.0,
    "alignment": 2.0,
    "uniformity": math.log((12 + 16 * math.exp(-4)) / 28),
    "tolerance": 1.0,
    "rank_me": 2.0,
}


def frozen(targets):
    images = Features(AXES, targets, torch.arange(8))
    return FrozenFeatures(images, images, torch.cat([AXES, AXES.flip(1)], dim=1))


def numbers(targets):
    return measured(frozen(targets), 2, ProbeSettings(epochs=5), NeighbourSettings(k=3))


@pytest.mark.parametrize("row", CATALOGUE, ids=lambda row: row.name)
def test_a_row_gives_what_a_hand_gives(row):
    assert numbers(CLASSES)[row.name] == pytest.approx(EXPECTED[row.name], rel=1e-4)


def test_what_needs_labels_is_left_out_where_there_are_none():
    label_free = {row.name for row in CATALOGUE if row.needs in ("features", "pairs")}
    assert numbers(torch.full_like(CLASSES, -1)).keys() == label_free


def test_a_statistic_of_labels_gets_the_images_that_have_one(monkeypatch):
    from lit_hardcl.evaluation import Statistic
    from lit_hardcl.evaluation import frozen as module

    row = Statistic("labelled", "labelled", lambda features, targets: float(len(features) + targets.sum()), "labels")
    monkeypatch.setattr(module, "CATALOGUE", (row,))
    assert numbers(CLASSES.index_fill(0, torch.tensor([0, 7]), -1)) == {"labelled": 6 + 3}


def test_names_are_unique_and_comparisons_have_a_column_for_each_accuracy():
    assert len({row.name for row in CATALOGUE}) == len(CATALOGUE)
    assert ACCURACIES == ("val_linear_top1", "val_knn_top1")
    assert list(METRICS) == ["linear_top1", "knn_top1", "online_linear_top1", "online_knn_top1"]
