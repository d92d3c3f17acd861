"""How steep InfoNCE can be on the sphere, and how often random negatives pin nothing."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import logsumexp, softmax

from lit_hardcl import theory

from .strategies import checked, unit

counts = st.integers(1, 4)
taus = st.sampled_from([2.0, 1.0, 0.5, 0.1])


def gradient(x, positives, negatives, tau):
    """Of ``log(1 + s- / s+)`` in x, all of it and its part along the sphere."""
    share = 1 / (1 + math.exp(logsumexp(positives @ x / tau) - logsumexp(negatives @ x / tau)))
    full = share * (softmax(negatives @ x / tau) @ negatives - softmax(positives @ x / tau) @ positives) / tau
    return full, full - (full @ x) * x


@checked
@given(counts, counts, taus, st.integers(2, 5), st.integers(0, 2**32 - 1))
def test_no_gradient_exceeds_its_bound(n_pos, n_neg, tau, dim, seed):
    rng = np.random.default_rng(seed)
    for spread in (0.1, 1.0):
        x = unit(rng.normal(size=dim))
        positives = unit(-x + spread * rng.normal(size=(n_pos, dim)))
        negatives = unit(x + spread * rng.normal(size=(n_neg, dim)))
        full, along = gradient(x, positives, negatives, tau)

        assert np.linalg.norm(full) <= theory.gradient_bound(n_pos, n_neg, tau) * (1 + 1e-12)
        assert np.linalg.norm(along) <= theory.gradient_bound(n_pos, n_neg, tau, tangential=True) * (1 + 1e-12)


@checked
@given(counts, counts, taus)
def test_both_bounds_are_attained(n_pos, n_neg, tau):
    x = np.array([1.0, 0.0])
    full, along = gradient(x, np.tile(-x, (n_pos, 1)), np.tile(x, (n_neg, 1)), tau)
    assert np.linalg.norm(full) == pytest.approx(theory.gradient_bound(n_pos, n_neg, tau), rel=1e-12)
    assert np.linalg.norm(along) == 0

    angle = theory.steepest_angle(n_pos, n_neg, tau)
    negative = np.array([math.cos(angle), math.sin(angle)])
    _, along = gradient(x, np.tile(-negative, (n_pos, 1)), np.tile(negative, (n_neg, 1)), tau)
    bound = theory.gradient_bound(n_pos, n_neg, tau, tangential=True)
    assert np.linalg.norm(along) == pytest.approx(bound, rel=1e-12)


def test_the_published_constants():
    assert theory.gradient_bound(1, 1) == pytest.approx(1 + math.tanh(1))
    assert theory.gradient_bound(1, 10**9) < 2
    assert theory.gradient_bound(1, 10**9) == pytest.approx(2)
    assert theory.gradient_bound(1, 10**9, 0.5) == pytest.approx(4)


def test_a_small_temperature_does_not_overflow():
    assert theory.gradient_bound(1, 1, 1e-3, tangential=True) == pytest.approx(2000, rel=1e-2)


def test_random_hulls_miss_as_often_as_wendel_says():
    rng = np.random.default_rng(0)
    draws = 300
    vectors = unit(rng.normal(size=(draws, 6, 3)))
    share = np.mean([theory.hull_interval(p, negatives) is None for p, *negatives in vectors])

    expected = theory.hull_miss_probability(5, 3)
    assert share == pytest.approx(expected, abs=4 * math.sqrt(expected * (1 - expected) / draws))


@checked
@given(st.integers(1, 40), st.integers(1, 40))
def test_the_miss_probability_is_wendels_sum(n_negatives, dim):
    expected = sum(math.comb(n_negatives - 1, k) for k in range(dim - 1)) / 2 ** (n_negatives - 1)

    assert theory.hull_miss_probability(n_negatives, dim) == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize("bad", [{"n_pos": 0}, {"n_neg": 0}, {"n_pos": 1.5}, {"tau": 0.0}, {"tau": math.nan}], ids=str)
@pytest.mark.parametrize("function", [theory.gradient_bound, theory.steepest_angle])
def test_a_gradient_needs_samples_and_a_temperature(function, bad):
    with pytest.raises(ValueError, match=", got "):
        function(**({"n_pos": 1, "n_neg": 1} | bad))


@pytest.mark.parametrize(("n_negatives", "dim"), [(0, 3), (3, 0), (2.5, 3)])
def test_a_hull_needs_negatives_and_a_dimension(n_negatives, dim):
    with pytest.raises(ValueError, match=", got "):
        theory.hull_miss_probability(n_negatives, dim)
