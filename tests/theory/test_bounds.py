"""Which statements on eigenvalues hold, which hold as corrected, and where the others fail."""

import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from lit_hardcl import theory

from .strategies import checked, graphs, structures

COUNTEREXAMPLE = (20, 1, 18, 0.05, 0.01, 0.03)


def block(graph, structure, name):
    return {name: value for name, value, _ in theory.spectrum_blocks(*graph, structure)}[name]


def clearly(left, right):
    """Whether left > right, where rounding cannot decide it."""
    assume(abs(left - right) > 1e-11 * max(abs(left), abs(right)))
    return left > right


@checked
@given(graphs(), structures)
def test_without_difficult_samples_theorem_3_3_is_exact_for_every_k(graph, structure):
    n, r, _, *weights = graph
    dense = np.linalg.eigvalsh(theory.normalized_adjacency(n, r, 0, *weights, structure))[::-1]

    np.testing.assert_allclose(dense[r + 1 :], theory.eigenvalue_no_difficult(*graph), rtol=0, atol=1e-13)


@checked
@given(graphs(), structures)
def test_after_removal_theorem_3_3_is_exact_for_the_samples_left(graph, structure):
    n, r, n_d, *weights = graph
    if n_d == n:
        assert theory.eigenvalue_removed(*graph, structure) == 1
    else:
        dense = np.linalg.eigvalsh(theory.normalized_adjacency(n - n_d, r, 0, *weights, structure))[::-1]
        np.testing.assert_allclose(dense[r + 1 :], theory.eigenvalue_removed(*graph), rtol=0, atol=1e-13)


@pytest.mark.parametrize("structure", ["all", "matched"])
def test_theorem_3_4_as_stated_bounds_neither_structure(structure):
    assert theory.eigenvalue_difficult_stated(*COUNTEREXAMPLE) < theory.eigenvalue(*COUNTEREXAMPLE, structure, k=2)


@checked
@given(graphs(), structures)
def test_theorem_3_4_as_corrected_bounds_every_eigenvalue_from_k_equal_r_plus_1(graph, structure):
    r = graph[1]
    exact = theory.spectrum(*graph, structure)[r + 1 :]

    assert np.all(exact <= theory.eigenvalue_difficult_corrected(*graph, structure) * (1 + 1e-13))


def test_the_corrected_theorem_is_of_matched_unless_asked():
    assert theory.eigenvalue_difficult_corrected(*COUNTEREXAMPLE) == theory.eigenvalue_difficult_corrected(
        *COUNTEREXAMPLE, "matched"
    )


@checked
@given(graphs())
def test_the_corrected_bound_is_attained_on_matched_before_the_last_k(graph):
    n, r, n_d, *_ = graph
    assume(n_d >= 2 and n_d < n)
    bound = theory.eigenvalue_difficult_corrected(*graph, "matched")
    assume(clearly(block(graph, "matched", "std_plus"), bound))

    exact = theory.spectrum(*graph, "matched")
    np.testing.assert_allclose(exact[r + 1 : r + n_d], bound, rtol=1e-12)
    assert exact[r + n_d] < bound


@checked
@given(graphs())
def test_the_corrected_bound_is_attained_on_all_at_k_equal_r_plus_1(graph):
    n, r, n_d, *_ = graph
    assume(0 < n_d < n)
    bound = theory.eigenvalue_difficult_corrected(*graph, "all")
    assume(clearly(block(graph, "all", "std_plus"), bound))

    assert theory.eigenvalue(*graph, "all", k=r + 1) == pytest.approx(bound, rel=1e-12)


@checked
@given(graphs())
def test_on_all_difficult_samples_hurt_at_one_k_only(graph):
    n, r, n_d, *_ = graph
    assume(0 < n_d < n)
    clean, exact = theory.eigenvalue_no_difficult(*graph), theory.spectrum(*graph, "all")
    plateau_end = r + 2 + (r + 1) * (n - n_d - 1)

    assert exact[r + 1] > clean
    assert np.all(exact[r + 2 : plateau_end] == clean)
    assert np.all(exact[plateau_end:] < clean)


@checked
@given(graphs())
def test_on_matched_difficult_samples_hurt_exactly_on_the_papers_range(graph):
    n, r, n_d, *_ = graph
    assume(0 < n_d < n)
    clean, exact = theory.eigenvalue_no_difficult(*graph), theory.spectrum(*graph, "matched")

    assert np.all(exact[r + 1 : r + 1 + n_d] > clean * (1 + 1e-12))
    assert np.all(exact[r + 1 + n_d :] <= clean)


@checked
@given(graphs(max_n=200))
def test_the_displayed_inequality_holds_below_the_worsening_limit_only(graph):
    stated, clean = theory.eigenvalue_difficult_stated(*graph), theory.eigenvalue_no_difficult(*graph)

    assert clearly(stated, clean) == (graph[2] < theory.worsening_limit(*graph))


def test_the_displayed_inequality_has_a_counterexample():
    assert theory.worsening_limit(*COUNTEREXAMPLE) < 18
    assert theory.eigenvalue_difficult_stated(*COUNTEREXAMPLE) < theory.eigenvalue_no_difficult(*COUNTEREXAMPLE)
    assert theory.eigenvalue_difficult_corrected(*COUNTEREXAMPLE) > theory.eigenvalue_no_difficult(*COUNTEREXAMPLE)


@checked
@given(graphs(max_n=200))
def test_the_printed_removal_condition_is_the_gamma_free_one(graph):
    gap = graph[5] - graph[4]

    by_solved = clearly(gap, theory.removal_threshold(*graph))
    assert (gap > theory.removal_threshold_printed(*graph)) == by_solved


@checked
@given(graphs(max_n=200), st.sampled_from(["stated", "matched", "all_k_r1"]))
def test_removal_helps_exactly_above_its_threshold(graph, against):
    gap = graph[5] - graph[4]
    untreated = (
        theory.eigenvalue_difficult_stated(*graph)
        if against == "stated"
        else theory.eigenvalue_difficult_corrected(*graph, "matched" if against == "matched" else "all")
    )
    helps = clearly(untreated, theory.eigenvalue_removed(*graph))

    assert helps == (gap > theory.removal_threshold(*graph, against=against))


def test_the_removal_threshold_does_not_contain_gamma():
    for against in ("stated", "matched", "all_k_r1"):
        thresholds = {theory.removal_threshold(50, 3, 5, 0.5, 0.1, g, against=against) for g in (0.11, 0.2, 0.4)}
        assert len(thresholds) == 1


@pytest.mark.parametrize("against", ["stated", "matched", "all_k_r1"])
def test_no_gap_makes_it_worth_removing_every_sample(against):
    assert theory.removal_threshold(20, 2, 20, 0.5, 0.2, 0.3, against=against) == math.inf


def test_where_none_is_difficult_no_gap_makes_removal_better_at_k_equal_r_plus_1():
    graph = (20, 2, 0, 0.5, 0.2, 0.3)

    assert theory.eigenvalue(*graph, k=3) == theory.eigenvalue_removed(*graph)
    assert theory.removal_threshold(*graph, against="all_k_r1") == math.inf


@checked
@given(graphs())
def test_on_all_removal_hurts_at_every_larger_k(graph):
    n, r, n_d, *_ = graph
    assume(0 < n_d < n)

    assert np.all(theory.eigenvalue_removed(*graph) > theory.spectrum(*graph, "all")[r + 2 :])


def test_removal_refuses_to_be_compared_with_anything_else():
    with pytest.raises(ValueError, match="against must be"):
        theory.removal_threshold(20, 2, 5, 0.5, 0.2, 0.3, against="all")


def test_the_error_bound_by_hand():
    assert theory.error_bound(0.1, 0.2) == pytest.approx(4 * 0.1 / 0.8 + 0.8)
    assert theory.error_bound(0.0, 0.9) == 0


@pytest.mark.parametrize(("delta", "eigenvalue"), [(-0.1, 0.5), (1.1, 0.5), (math.nan, 0.5)])
def test_an_error_bound_needs_a_rate(delta, eigenvalue):
    with pytest.raises(ValueError, match=r"delta must be in 0\.\.1"):
        theory.error_bound(delta, eigenvalue)


@pytest.mark.parametrize("eigenvalue", [1.0, 1.5, math.nan])
def test_an_error_bound_needs_a_gap(eigenvalue):
    with pytest.raises(ValueError, match="eigenvalue below 1"):
        theory.error_bound(0.1, eigenvalue)


@checked
@given(st.integers(1, 999), st.floats(1e-6, 1))
def test_x0_solves_the_papers_equation(r, fraction):
    x0 = theory.wigner_x0(r, fraction)

    left = x0 * math.sqrt(4 - x0**2) / 2 + 2 * math.asin(x0 / 2)
    assert left == pytest.approx((1 - 2 * fraction / (r + 1)) * math.pi, abs=1e-9)


def test_x0_reaches_the_ends_of_the_semicircle():
    assert theory.wigner_x0(9, 0) == 2
    assert theory.wigner_x0(1, 1) == pytest.approx(0, abs=1e-15)


@pytest.mark.parametrize(("r", "fraction"), [(0, 0.1), (1.5, 0.1), (9, -0.1), (9, 1.1), (9, math.nan)])
def test_x0_refuses_what_is_no_share_of_a_class(r, fraction):
    with pytest.raises(ValueError, match="must be"):
        theory.wigner_x0(r, fraction)


def test_the_noise_term_belongs_to_its_k():
    n, r, n_d, noise = 150, 1, 30, 0.5
    graph = (n, r, 0, 0.5, 0.1, 0.2)
    half = np.random.default_rng(0).normal(size=(n * (r + 1),) * 2)
    wigner = (half + half.T) / np.sqrt(2 * len(half))
    c2 = theory.degrees(*graph)["c2"]
    noisy = np.linalg.eigvalsh(theory.normalized_adjacency(*graph) + noise * wigner / c2)[::-1]
    shift = (noisy - theory.eigenvalue_no_difficult(*graph)) * c2 / noise  # in units of x0

    stated = theory.wigner_x0(r, n_d / n)
    corrected = np.array([theory.wigner_x0(r, (k - r) / n) for k in range(r + 1, r + n_d + 1)])
    assert shift[r + 1] > stated + 0.2
    assert np.all(shift[r + 1 : r + n_d + 1] < corrected + 0.05)
    assert np.all(shift[r + 1 :] < 2.05)
