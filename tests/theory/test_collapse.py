"""An anchor collapses onto its positive exactly where the certificate says so."""

import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy.optimize import minimize, nnls
from scipy.special import logsumexp, softmax

from lit_hardcl import theory

from .strategies import checked, configurations, unit

E1, E2, E3 = np.eye(3)


def loss(x, p, negatives, tau):
    return logsumexp(negatives @ x.T / tau, axis=0) - x @ p / tau


def angle_between(x, y):
    return 2 * math.asin(min(1.0, np.linalg.norm(x - y) / 2))


def minimum_on_the_ball(p, negatives, tau):
    """A general-purpose solver on the unit ball, where the problem is convex."""
    return minimize(
        loss,
        0.5 * p,
        args=(p, negatives, tau),
        jac=lambda x, *_: (softmax(negatives @ x / tau) @ negatives - p) / tau,
        method="SLSQP",
        constraints={"type": "ineq", "fun": lambda x: 1 - x @ x, "jac": lambda x: -2 * x},
        options={"ftol": 1e-15, "maxiter": 500},
    ).x


@checked
@given(configurations(), st.integers(0, 2**32 - 1))
def test_the_optimal_anchor_is_the_minimum_on_the_ball_and_the_sphere(configuration, seed):
    p, negatives, tau = configuration
    x = theory.optimal_anchor(p, negatives, tau)
    elsewhere = unit(np.random.default_rng(seed).normal(size=(200, len(p))))

    assert np.linalg.norm(x) == pytest.approx(1, abs=1e-12)
    np.testing.assert_allclose(x, minimum_on_the_ball(p, negatives, tau), atol=1e-5)
    assert np.all(loss(x, p, negatives, tau) <= loss(elsewhere, p, negatives, tau))


@checked
@given(configurations())
def test_the_optimal_anchor_meets_its_certificate(configuration):
    p, negatives, tau = configuration
    x = theory.optimal_anchor(p, negatives, tau)

    np.testing.assert_allclose(unit(p - softmax(negatives @ x / tau) @ negatives), x, atol=1e-10)


@checked
@given(configurations(mirrored=True))
def test_a_stationary_positive_is_the_best_anchor(configuration):
    p, negatives, tau = configuration
    found = theory.collapse(p, negatives, tau)

    assert found.is_stationary
    assert found.is_global_minimiser
    assert found.angle_upper < 1e-8
    np.testing.assert_allclose(theory.optimal_anchor(p, negatives, tau), p, atol=1e-9)
    np.testing.assert_allclose(minimum_on_the_ball(p, negatives, tau), p, atol=1e-5)


@checked
@given(configurations(), st.booleans())
def test_the_best_anchor_lies_between_the_two_angles(configuration, nearly_mirrored):
    p, negatives, tau = configuration
    if nearly_mirrored:
        tilted = unit(p + 0.01 * negatives[0])
        negatives = np.vstack([negatives, 2 * np.outer(negatives @ tilted, tilted) - negatives])
    found = theory.collapse(p, negatives, tau)
    angle = angle_between(theory.optimal_anchor(p, negatives, tau), p)

    assert not found.is_stationary
    assert 0 < found.angle_lower <= angle * (1 + 1e-9)
    assert angle <= found.angle_upper * (1 + 1e-9)


def test_theorem_2_1_as_stated_leaves_out_negatives_that_cancel():
    found = theory.collapse(E1, [E2, -E2])

    assert found.C == 0
    assert found.is_global_minimiser
    assert not found.stated_condition
    np.testing.assert_array_equal(theory.optimal_anchor(E1, [E2, -E2]), E1)


def test_both_theorems_agree_where_c_is_not_zero():
    assert theory.collapse(E1, [[0.6, 0.8, 0], [0.6, -0.8, 0]]).stated_condition


def test_the_ball_avoids_a_local_minimum_of_the_sphere():
    p, negatives, tau = unit(np.array([1, 0.05, 0.025])), np.array([E2, -E2, E3, -E3]), 0.2
    stuck = unit(minimize(lambda x: loss(unit(x), p, negatives, tau), -p).x)
    best = theory.optimal_anchor(p, negatives, tau)

    assert stuck @ p < -0.9
    assert best @ p > 0.9
    assert loss(best, p, negatives, tau) < loss(stuck, p, negatives, tau) - 1


def test_negatives_on_the_positive_pin_nothing():
    found = theory.collapse(E1, [E1, E1])

    assert found.is_global_minimiser
    assert found.angle_upper == math.pi
    np.testing.assert_array_equal(theory.optimal_anchor(E1, [E1, E1]), E1)


@pytest.mark.parametrize("copies", [1, 3])
def test_a_negative_on_the_positive_does_not_move_the_best_anchor(copies):
    others = unit(np.random.default_rng(1).normal(size=(4, 3)))

    np.testing.assert_allclose(
        theory.optimal_anchor(E1, np.vstack([others, *[E1] * copies]), 0.1), theory.optimal_anchor(E1, others, 0.1)
    )


def test_embeddings_in_single_precision_are_unit_vectors():
    rng = np.random.default_rng(0)
    p = unit(rng.normal(size=128).astype(np.float32))
    negatives = unit(rng.normal(size=(16, 128)).astype(np.float32))

    assert not theory.collapse(p, negatives, 0.5).is_stationary


def test_a_norm_that_is_rounded_does_not_hide_a_collapse():
    negatives = np.array([[0.6, 0.8, 0], [0.6, -0.8, 0]])

    assert theory.collapse(1.000001 * E1, 0.999999 * negatives).is_stationary


@checked
@given(configurations(), st.booleans())
def test_the_interval_is_empty_exactly_where_the_projected_hull_misses_the_origin(configuration, doubled):
    p, negatives, _ = configuration
    if doubled:
        negatives = np.vstack([negatives, -unit(negatives + 0.3 * np.roll(negatives, 1, axis=1))])
    across = negatives - np.outer(negatives @ p, p)
    _, distance = nnls(np.vstack([across.T, np.ones(len(across))]), np.append(np.zeros(len(p)), 1.0))
    assume(not 1e-12 < distance < 1e-6)

    assert (theory.hull_interval(p, negatives) is None) == (distance > 1e-9)


@checked
@given(configurations(mirrored=True))
def test_the_ends_of_the_interval_are_the_ends_of_the_hull(configuration):
    p, negatives, tau = configuration
    low, high = theory.hull_interval(p, negatives)
    rows = np.vstack([negatives.T, np.ones(len(negatives))])

    def distance(c):
        return nnls(rows, np.append(c * p, 1.0))[1]

    assert distance(low) < 1e-8
    assert distance(high) < 1e-8
    assert distance(low - 1e-3) > 1e-6
    assert distance(high + 1e-3) > 1e-6
    assert low - 1e-8 <= theory.collapse(p, negatives, tau).C <= high + 1e-8


@checked
@given(configurations())
def test_an_empty_interval_rules_out_collapse(configuration):
    p, negatives, tau = configuration
    if theory.hull_interval(p, negatives) is None:
        assert not theory.collapse(p, negatives, tau).is_stationary
        assert angle_between(theory.optimal_anchor(p, negatives, tau), p) > 1e-9


def test_corollary_2_2_as_stated_leaves_out_the_origin():
    assert theory.hull_interval(E1, [E2, -E2]) == (0.0, 0.0)
    assert theory.collapse(E1, [E2, -E2]).is_global_minimiser


@pytest.mark.parametrize("seed", range(5))
def test_an_interval_of_the_origin_alone_has_ends_of_exactly_zero(seed):
    rotation, _ = np.linalg.qr(np.random.default_rng(seed).normal(size=(3, 3)))
    p, plane = rotation[0], rotation[1:]
    angles = np.array([0.3, 2.0, 4.1])  # a triangle around the origin, in the plane across p

    assert theory.hull_interval(p, np.stack([np.cos(angles), np.sin(angles)], axis=1) @ plane) == (0.0, 0.0)


def test_meeting_the_hull_does_not_make_an_anchor_collapse():
    negatives = [[0.6, 0.8, 0], [0.8, -0.6, 0], [-0.28, 0.96, 0], [-0.6, -0.8, 0]]

    assert theory.hull_interval(E1, negatives) is not None
    assert not theory.collapse(E1, negatives).is_stationary


@pytest.mark.parametrize("p", [[1.0], [-1.0]])
def test_on_a_line_every_hull_meets_it(p):
    assert theory.hull_interval(p, [[1.0], [-1.0]]) == (-1.0, 1.0)


BAD = {
    "no negatives": (E1, [], "at least one negative"),
    "no rows of negatives": (E1, np.empty((0, 3)), "at least one negative"),
    "long positive": (2 * E1, [E2], "p must be of unit norm, got norm=2"),
    "long negative": (E1, [E2, 3 * E1], "negatives must be of unit norm, got norm=3"),
    "not a number": (E1, [E2, math.nan * E3], "negatives must be of unit norm"),
    "another width": (E1, [[1.0, 0.0]], "of shape"),
    "a single negative": (E1, E2, "of shape"),
    "several positives": ([E1, E2], [E3], "of shape"),
}


@pytest.mark.parametrize(("p", "negatives", "message"), BAD.values(), ids=BAD)
@pytest.mark.parametrize("function", [theory.collapse, theory.hull_interval, theory.optimal_anchor])
def test_what_is_not_on_the_sphere_is_refused(function, p, negatives, message):
    function(E1, [E2])

    with pytest.raises(ValueError, match=message):
        function(p, negatives)


@pytest.mark.parametrize("tau", [0.0, -1.0, math.inf, math.nan])
@pytest.mark.parametrize("function", [theory.collapse, theory.optimal_anchor])
def test_a_temperature_that_is_none_is_refused(function, tau):
    with pytest.raises(ValueError, match="tau must be positive and finite"):
        function(E1, [E2], tau)
