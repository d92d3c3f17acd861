"""Margins and temperatures restore clean data in the graph; what that promises is another matter."""

import numpy as np
import pytest
from hypothesis import assume, given
from scipy.optimize import brentq

from lit_hardcl import theory

from .strategies import checked, graphs, structures


def clean(graph):
    n, r, _, *weights = graph
    return theory.normalized_adjacency(n, r, 0, *weights)


def degree_matrix_root(graph, structure):
    return np.diag(theory.adjacency(*graph, structure).sum(axis=1) ** 0.5)


@checked
@given(graphs(), structures)
def test_margins_restore_the_clean_matrix(graph, structure):
    root = degree_matrix_root(graph, structure)
    margin = root @ theory.margin_matrix(*graph, structure) @ root

    np.testing.assert_allclose(theory.normalized_adjacency(*graph, structure) - margin, clean(graph), atol=1e-12)


@checked
@given(graphs(), structures)
def test_temperatures_restore_the_clean_matrix(graph, structure):
    scaled = theory.temperature_matrix(*graph, structure) * theory.normalized_adjacency(*graph, structure)

    np.testing.assert_allclose(scaled, clean(graph), atol=1e-12)


@checked
@given(graphs())
def test_margins_on_all_are_the_papers_six(graph):
    _, r, n_d, alpha, beta, gamma = graph
    c0, c1, c2, _ = theory.degrees(*graph).values()
    gap = gamma - beta

    expected = {
        "diff_cross": c0 * gap / (c1**2 * c2),
        "diff_same_sample": -n_d * r * gap / (c1**2 * c2),
        "diff_same_class": -n_d * r * gap * alpha / (c1**2 * c2),
        "one_same_class": -alpha * ((c1 / c2) ** 0.5 - 1) / (c1 * c2),
        "one_cross": -beta * ((c1 / c2) ** 0.5 - 1) / (c1 * c2),
        "other": 0.0,
    }
    assert theory.margins(*graph) == pytest.approx(expected, rel=1e-10, abs=1e-14)


def test_the_papers_six_margins_do_not_restore_matched():
    graph = (4, 1, 2, 0.6, 0.1, 0.3)
    n, _, n_d, _, beta, gamma = graph
    c = theory.degrees(*graph, "matched")
    margin = theory.margin_matrix(*graph, "matched")
    difficult = np.arange(len(margin)) % n >= n - n_d
    other_class = np.arange(len(margin))[:, None] // n != np.arange(len(margin)) // n
    margin[np.outer(difficult, difficult) & other_class] = c["c0"] * (gamma - beta) / (c["c1"] ** 2 * c["c2"])
    root = degree_matrix_root(graph, "matched")

    error = theory.normalized_adjacency(*graph, "matched") - root @ margin @ root - clean(graph)
    assert np.abs(error).max() > 0.01


@checked
@given(graphs(), structures)
def test_normalized_margins_are_margins_times_the_volume(graph, structure):
    plain = theory.margins(*graph, structure)
    volume = theory.adjacency(*graph, structure).sum()

    expected = {name: volume * value for name, value in plain.items()}
    assert theory.margins(*graph, structure, normalized=True) == pytest.approx(expected, rel=1e-12)
    np.testing.assert_allclose(
        theory.margin_matrix(*graph, structure, normalized=True), volume * theory.margin_matrix(*graph, structure)
    )


@checked
@given(graphs())
def test_the_mean_weights_are_exact_and_the_factor_is_no_smaller(graph):
    found = theory.temperature_bound(*graph)

    for structure, mean in (("all", found.mean_all), ("matched", found.mean_matched)):
        dense = np.mean(theory.temperature_matrix(*graph, structure) ** -2)
        assert mean == pytest.approx(dense, rel=1e-12)
        assert found.factor >= mean * (1 - 1e-12)


@checked
@given(graphs(max_n=200), structures)
def test_the_bound_is_that_of_clean_data_times_the_factor(graph, structure):
    found = theory.temperature_bound(*graph, structure, delta=0.1)
    clean_gap = 1 - theory.eigenvalue_no_difficult(*graph)

    np.testing.assert_allclose(found.E_T, 4 * found.factor * 0.1 / clean_gap + 8 * 0.1, rtol=1e-12)
    np.testing.assert_array_less(theory.error_bound(0.1, 1 - clean_gap), found.E_T * (1 + 1e-12))


@checked
@given(graphs(max_n=2000, max_r=9, max_n_d=30), structures)
def test_the_exact_condition_is_the_comparison_of_the_bounds(graph, structure):
    found = theory.temperature_bound(*graph, structure)
    assume(abs(found.lhs - found.rhs) > 1e-11 * found.lhs)

    assert found.exact_condition == (found.lhs < found.rhs)


@pytest.mark.parametrize("structure", ["all", "matched"])
def test_the_exact_condition_turns_where_the_bounds_meet(structure):
    def bound(gamma):
        return theory.temperature_bound(50, 9, 4, 0.4, 0.1, gamma, structure)

    meeting = brentq(lambda gamma: bound(gamma).lhs - bound(gamma).rhs, 0.101, 0.399, xtol=1e-12)

    assert bound(meeting - 1e-6).exact_condition
    assert not bound(meeting + 1e-6).exact_condition


@checked
@given(graphs(max_n=2000, max_r=9, max_n_d=30), structures)
def test_the_stated_condition_is_necessary(graph, structure):
    found = theory.temperature_bound(*graph, structure)

    assert found.stated_condition or not found.exact_condition


def test_the_stated_condition_is_not_sufficient():
    found = theory.temperature_bound(50, 9, 4, 0.2, 0.1, 0.15)

    assert found.stated_condition
    assert not found.exact_condition
    assert found.lhs > found.rhs


@pytest.mark.parametrize("structure", ["all", "matched"])
def test_without_difficult_samples_there_is_nothing_to_undo(structure):
    graph = (20, 2, 0, 0.5, 0.2, 0.3, structure)

    assert not theory.margin_matrix(*graph).any()
    assert (theory.temperature_matrix(*graph) == 1).all()
    assert theory.temperature_bound(*graph).factor == 1


def test_an_untreated_bound_that_bounds_nothing_is_infinite():
    found = theory.temperature_bound(1, 9, 0, 0.9, 0.1, 0.8)

    assert theory.eigenvalue_difficult_stated(1, 9, 0, 0.9, 0.1, 0.8) > 1
    assert found.rhs == np.inf
    assert found.exact_condition


def test_a_bound_that_divides_by_beta_refuses_zero():
    with pytest.raises(ValueError, match="beta must be positive, got beta=0"):
        theory.temperature_bound(20, 2, 5, 0.5, 0, 0.3)


@pytest.mark.parametrize("delta", [-0.1, 1.1, float("nan")])
def test_a_temperature_bound_needs_a_rate(delta):
    with pytest.raises(ValueError, match=r"delta must be in 0\.\.1"):
        theory.temperature_bound(20, 2, 5, 0.5, 0.2, 0.3, delta=delta)
