"""What is measured on a batch agrees with the certificates for one positive."""

import math

import numpy as np
import pytest
from hypothesis import assume, given
from scipy.optimize import minimize

from lit_hardcl import theory

from .strategies import checked, configurations, unit

E1, E2, E3 = np.eye(3)


def test_the_distance_by_hand():
    assert theory.hull_distance(E1, [E2]) == pytest.approx(1)
    assert theory.hull_distance(E1, [[0, 0.6, 0.8], [0, 0.6, -0.8]]) == pytest.approx(0.6)
    assert theory.hull_distance(E1, [[0.8, 0.6, 0]]) == pytest.approx(0.6)  # from the line, not from the point E1
    assert theory.hull_distance(E1, [E2, -E2]) == 0
    assert theory.hull_distance(E1, [E1, E2]) == 0


@checked
@given(configurations())
def test_the_distance_is_the_least_one_and_zero_where_the_line_meets_the_hull(configuration):
    p, negatives, tau = configuration
    distance = theory.hull_distance(p, negatives)
    assume(not 0 < distance < 1e-6)
    across = negatives - np.outer(negatives @ p, p)
    count = len(across)
    least = minimize(
        lambda w: np.sum((w @ across) ** 2),
        np.full(count, 1 / count),
        jac=lambda w: 2 * across @ (w @ across),
        method="SLSQP",
        bounds=[(0, 1)] * count,
        constraints={"type": "eq", "fun": lambda w: np.sum(w) - 1, "jac": lambda w: np.ones(count)},
        options={"ftol": 1e-16, "maxiter": 500},
    ).fun

    assert distance == pytest.approx(math.sqrt(max(least, 0)), abs=1e-4)
    assert (distance > 0) == (theory.hull_interval(p, negatives) is None)
    assert theory.collapse(p, negatives, tau).residual >= distance - 1e-12


@checked
@given(configurations(mirrored=True))
def test_a_stationary_positive_is_seen_as_one(configuration):
    p, negatives, tau = configuration
    found = theory.collapse_statistics([p], [negatives], tau)

    assert found.residual[0] < 1e-9
    assert found.angle[0] < 1e-8
    assert found.distance[0] == 0


def test_every_positive_has_its_own_negatives():
    rng = np.random.default_rng(0)
    positives, negatives = unit(rng.normal(size=(4, 5))), unit(rng.normal(size=(4, 7, 5)))
    found = theory.collapse_statistics(positives, negatives, 0.3)

    for row, (p, others) in enumerate(zip(positives, negatives, strict=True)):
        assert found.residual[row] == theory.collapse(p, others, 0.3).residual
        assert found.distance[row] == theory.hull_distance(p, others)
        assert math.cos(found.angle[row]) == pytest.approx(theory.optimal_anchor(p, others, 0.3) @ p)


@pytest.mark.parametrize(
    ("positives", "negatives", "message"),
    [
        ([E1], [E2], r"negatives of shape \(B, J, d\)"),
        ([E1, E2], [[E2]], r"positives must be of shape \(B, d\)"),
        (np.empty((0, 3)), np.empty((0, 2, 3)), r"positives=\(0, 3\)"),
        ([E1], np.empty((1, 0, 3)), "at least one negative is needed"),
        ([2 * E1], [[E2]], "p must be of unit norm"),
        ([E1], [[2 * E2]], "negatives must be of unit norm"),
    ],
)
def test_it_refuses_what_is_no_batch_of_unit_vectors(positives, negatives, message):
    with pytest.raises(ValueError, match=message):
        theory.collapse_statistics(positives, negatives)
