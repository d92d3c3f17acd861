"""Every number that a public class or function takes is asked whether it is one."""

import inspect
import math

import numpy as np
import pytest
import torch
from nets import FlatNet

from lit_hardcl import (
    callbacks,
    data,
    evaluation,
    functional,
    hardness,
    losses,
    models,
    modules,
    schedules,
    theory,
    views,
)
from lit_hardcl.errors import Refusal

ROWS = torch.nn.functional.normalize(torch.randn(12, 4, generator=torch.Generator().manual_seed(0)))
COSINES, TARGETS = ROWS @ ROWS.T, torch.arange(12) % 3
P, NEGATIVES = np.array([1.0, 0, 0]), np.eye(3)[1:]
GRAPH = {"n": 20, "r": 2, "n_d": 5, "alpha": 0.5, "beta": 0.2, "gamma": 0.3}
BAND = {"pos_high": 0.2, "pos_low": 0.5}
OF_GRAPHS = (
    *(
        "adjacency",
        "degrees",
        "eigenvalue_difficult_corrected",
        "eigenvalue_difficult_stated",
        "eigenvalue_no_difficult",
    ),
    *("eigenvalue_removed", "margin_matrix", "margins", "normalized_adjacency", "removal_threshold"),
    *("removal_threshold_printed", "spectrum", "spectrum_blocks", "temperature_bound", "temperature_matrix"),
    *("temperatures", "volume", "worsening_limit"),
)


def sgd():
    return torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.1)


GOOD = [  # calls that pass; each number in them is then replaced by a bad one
    *((loss, {"temperature": 0.5}) for loss in (losses.DCLLoss, losses.SupConLoss, losses.SPACLLoss, losses.RowLoss)),
    (losses.DifficultPairLoss, {"temperature": 0.5, **BAND}),
    (losses.BCLLoss, {"temperature": 0.5, "tau_plus": 0.1, "alpha": 0.7, "beta": 0.9}),
    (losses.DebiasedLoss, {"temperature": 0.5, "tau_plus": 0.1}),
    (losses.DySTreSSLoss, {"temperature_min": 0.1, "temperature_max": 0.2}),
    (losses.HardSupConLoss, {"temperature": 0.5, "beta": 1.0}),
    (losses.PaCoLoss, {"temperature": 0.5, "num_classes": 3, "dim": 4}),
    (losses.FNCLoss, {"temperature": 0.5, "top_k": 3}),
    (losses.GloFNDLoss, {"temperature": 0.5, "images": 20}),
    (losses.MoCHi, {}),
    (losses.IFMLoss, {"temperature": 0.5, "epsilon": 0.1}),
    (losses.SigmoidLoss, {"temperature": 0.5}),
    *((loss, {}) for loss in (losses.SpectralLoss, losses.TruncatedTripletLoss)),
    (losses.HCLLoss, {"temperature": 0.5, "beta": 1.0, "tau_plus": 0.1}),
    (losses.HardnessWeightedLoss, {"temperature": 0.5, "strength": 1.0}),
    (losses.by_rows, {"anchors": ROWS, "keys": None, "row_losses": lambda cosines, rows: cosines.sum(1)}),
    (modules.SPACL, {"backbone": FlatNet(), "temperature": 0.5}),
    (modules.MoCo, {"backbone": FlatNet(), "temperature": 0.5, **BAND}),
    (modules.MomentumContrast, {"backbone": FlatNet(), "criterion": losses.DCLLoss(0.5)}),
    (modules.SimCLR, {"backbone": FlatNet(), "temperature": 0.5}),
    (
        modules.SimCLRCombined,
        {"backbone": FlatNet(), "temperature": 0.5, "margin": 0.1, "temperature_scale": 1, **BAND},
    ),
    (callbacks.DifficultyFilter, {"score": "pairs", "at_epochs": [1], "share": 0.1, "pos_high": 0.2}),
    *((callback, {}) for callback in (callbacks.OnlineKNN, callbacks.OnlineLinearProbe, callbacks.OnlineStatistics)),
    (callbacks.CollapseAlarm, {}),
    (callbacks.SimilarityStatistics, BAND),
    (functional.difficult_pairs, {"similarity": COSINES, **BAND}),
    (functional.farthest_points, {"pool": ROWS[None], "start": torch.tensor([0]), "count": 2}),
    (functional.pair_logits, {"similarity": COSINES, "difficult": COSINES > 0, "temperature": 0.5}),
    (functional.screen_negatives, {"similarity": COSINES.exp(), "share": 0.5}),
    (hardness.DifficultRows, {"anchors": ROWS, "keys": None, "own": None, **BAND}),
    (hardness.difficult_examples, {"logits": ROWS, "targets": TARGETS, "share": 0.3}),
    (hardness.hard_sets, {"candidates": ROWS.unflatten(0, (3, 4)), "count": 1}),
    (hardness.hardest, {"values": ROWS[:, 0], "targets": TARGETS, "share": 0.3, "per_class": False}),
    (hardness.latent_classes, {"features": ROWS, "clusters": 2}),
    (hardness.select_core, {"features": ROWS, "classes": TARGETS, "share": 0.5}),
    (evaluation.NeighbourSettings, {}),
    (evaluation.ProbeSettings, {}),
    (evaluation.alignment, {"z0": ROWS, "z1": ROWS.flip(0)}),
    (evaluation.fit_linear_probe, {"features": ROWS, "targets": TARGETS, "num_classes": 3, "epochs": 1}),
    (evaluation.knn_predict, {"features": ROWS, "bank": ROWS, "bank_targets": TARGETS, "num_classes": 3}),
    (evaluation.logistic_predict, {"features": ROWS, "bank": ROWS, "bank_targets": TARGETS}),
    (evaluation.rank_me, {"features": ROWS}),
    (evaluation.similarity_levels, {"features": ROWS, "targets": TARGETS, "k": 4}),
    (evaluation.uniformity, {"z": ROWS}),
    (models.Discriminator, {"dim": 4}),
    (models.Generator, {"dim": 4}),
    (models.ProjectionHead, {"in_features": 4}),
    (models.ResNet, {"depth": 10, "width": 4}),
    (views.Augmentation, {}),
    (data.ContrastiveDataModule, {"batch_size": 8}),
    (schedules.WarmupCosine, {"optimizer": sgd()}),
    *((getattr(theory, name), GRAPH) for name in OF_GRAPHS),
    *((of, {**GRAPH, "k": 4}) for of in (theory.eigenvalue, theory.helpful_remedies)),
    *((of, {"p": P, "negatives": NEGATIVES}) for of in (theory.collapse, theory.optimal_anchor)),
    (theory.collapse_statistics, {"positives": P[None], "negatives": NEGATIVES[None]}),
    (theory.error_bound, {"delta": 0.1, "eigenvalue": 0.5}),
    *((of, {"n_pos": 1, "n_neg": 2}) for of in (theory.gradient_bound, theory.steepest_angle)),
    (theory.hull_miss_probability, {"n_negatives": 5, "dim": 3}),
    (theory.wigner_x0, {"r": 2, "difficult_fraction": 0.1}),
]
WHOLE = (math.nan, math.inf, -math.inf, 2.5, True, "3", -(2**70), 2**70)  # no whole numbers, or absurd ones
REAL = (math.nan, math.inf, -math.inf, 1e300, -1e300, "3")
MEANT = {("temperature_scale", math.inf), ("temperature_scale", 1e300), ("imbalance", 1e300)}  # these are something
TEXT = ("dataset", "train_indices")  # no numbers, or another test's
OTHER = ("ArrayLike", "Literal", "NDArray", "Tensor")


def numbers(call):
    """The numeric arguments of a call, and whether each is a whole one."""
    for name, parameter in inspect.signature(call).parameters.items():
        kind = str(parameter.annotation)
        if name not in TEXT and not any(other in kind for other in OTHER) and ("float" in kind or "int" in kind):
            yield name, "float" not in kind, kind


def wrapped(value, name, kind):
    """The value where a list or a range is asked for."""
    return [value] if "list" in kind and name != "share" else (value, value) if "tuple" in kind else value


CASES = [(call, good, name, whole, kind) for call, good in GOOD for name, whole, kind in numbers(call)]


@pytest.mark.parametrize(("call", "good"), GOOD, ids=[call.__name__ for call, _ in GOOD])
def test_the_calls_pass_with_good_numbers(call, good, unchecked_shapes):
    call(**good)


@pytest.mark.parametrize(
    ("call", "good", "name", "whole", "kind"), CASES, ids=[f"{case[0].__name__}-{case[2]}" for case in CASES]
)
def test_no_argument_takes_what_is_no_such_number(call, good, name, whole, kind, unchecked_shapes):
    for value in WHOLE if whole else REAL:
        if (name, value) in MEANT:
            call(**{**good, name: value})
            continue
        with pytest.raises((Refusal, TypeError) if value == "3" else Refusal):
            call(**{**good, name: wrapped(value, name, kind)})


def test_hundreds_are_tried():
    assert sum(len(WHOLE if whole else REAL) for _, _, _, whole, _ in CASES) > 1000
