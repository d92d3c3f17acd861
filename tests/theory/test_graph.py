"""The graph is the papers' graph, and its spectrum is exact."""

import inspect
import time
import tracemalloc

import numpy as np
import pytest
from hypothesis import given

from lit_hardcl import theory

from .strategies import checked, graphs, structures

CIFAR = (5000, 9, 400, 0.472, 0.191, 0.209)


def paper_adjacency(n, r, n_d, alpha, beta, gamma, structure):
    """The definition, pair by pair."""
    A = np.empty((n * (r + 1),) * 2)
    for i in range(len(A)):
        for j in range(len(A)):
            (class_i, t_i), (class_j, t_j) = divmod(i, n), divmod(j, n)
            both_difficult = t_i >= n - n_d and t_j >= n - n_d
            if i == j:
                A[i, j] = 1
            elif class_i == class_j:
                A[i, j] = alpha
            elif both_difficult and (structure == "all" or t_i == t_j):
                A[i, j] = gamma
            else:
                A[i, j] = beta
    return A


@checked
@given(graphs(max_n=5, max_r=3), structures)
def test_the_adjacency_is_the_papers_definition(graph, structure):
    np.testing.assert_array_equal(theory.adjacency(*graph, structure), paper_adjacency(*graph, structure))


@checked
@given(graphs(), structures)
def test_degrees_are_row_sums(graph, structure):
    n, r, n_d, *_ = graph
    A, c = theory.adjacency(*graph, structure), theory.degrees(*graph, structure)

    expected = np.tile([c["c2"]] * (n - n_d) + [c["c1"]] * n_d, r + 1)
    np.testing.assert_allclose(A.sum(axis=1), expected, rtol=1e-13)
    np.testing.assert_allclose(theory.volume(*graph, structure), A.sum(), rtol=1e-13)
    np.testing.assert_allclose(
        theory.normalized_adjacency(*graph, structure), A / np.sqrt(np.outer(expected, expected)), rtol=1e-13
    )


@checked
@given(graphs(), structures)
def test_the_degree_after_removal_is_that_of_the_smaller_graph(graph, structure):
    n, r, n_d, *weights = graph
    if n_d < n:
        smaller = theory.adjacency(n - n_d, r, 0, *weights, structure)
        np.testing.assert_allclose(theory.degrees(*graph, structure)["c_removed"], smaller.sum(axis=1), rtol=1e-13)


@checked
@given(graphs(), structures)
def test_the_spectrum_is_that_of_the_dense_matrix(graph, structure):
    dense = np.linalg.eigvalsh(theory.normalized_adjacency(*graph, structure))[::-1]

    np.testing.assert_allclose(theory.spectrum(*graph, structure), dense, rtol=0, atol=1e-13)


@pytest.mark.parametrize("structure", ["all", "matched"])
@pytest.mark.parametrize("n_d", [0, 1, 11, 12])
def test_the_spectrum_is_right_where_none_one_or_all_are_difficult(n_d, structure):
    graph = (12, 3, n_d, 0.5, 0.1, 0.2, structure)
    dense = np.linalg.eigvalsh(theory.normalized_adjacency(*graph))[::-1]

    np.testing.assert_allclose(theory.spectrum(*graph), dense, rtol=0, atol=1e-13)


@checked
@given(graphs(max_n=5000, max_r=999), structures)
def test_multiplicities_are_positive_and_add_up(graph, structure):
    n, r, *_ = graph
    multiplicities = [multiplicity for _, _, multiplicity in theory.spectrum_blocks(*graph, structure)]

    assert min(multiplicities) > 0
    assert sum(multiplicities) == n * (r + 1)


@checked
@given(graphs(max_n=5, max_r=3), structures)
def test_eigenvalue_counts_k_as_the_spectrum_does(graph, structure):
    spectrum = theory.spectrum(*graph, structure)

    assert [theory.eigenvalue(*graph, structure, k=k) for k in range(len(spectrum))] == spectrum.tolist()


@pytest.mark.parametrize("structure", ["all", "matched"])
def test_five_million_samples_take_milliseconds_and_no_memory(structure):
    graph = (5000, 999, 400, 0.472, 0.191, 0.209, structure)
    seconds = []
    tracemalloc.start()
    for k in (0, 1000, 1500, 4_999_999):
        start = time.perf_counter()
        theory.eigenvalue(*graph, k=k)
        seconds.append(time.perf_counter() - start)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert min(seconds) < 0.01
    assert peak < 1e6


BAD_GRAPHS = {
    "n = 0": {"n": 0, "n_d": 0},
    "n not whole": {"n": 20.5},
    "r = 0": {"r": 0},
    "r not whole": {"r": 1.5},
    "n_d < 0": {"n_d": -1},
    "n_d > n": {"n_d": 21},
    "n_d not whole": {"n_d": 2.5},
    "beta < 0": {"beta": -0.1},
    "beta = gamma": {"beta": 0.3},
    "gamma = alpha": {"gamma": 0.5},
    "gamma > alpha": {"gamma": 0.6},
    "alpha = 1": {"alpha": 1.0},
    "not a number": {"gamma": float("nan")},
    "another structure": {"structure": "some"},
}
OF_A_GRAPH = [
    function
    for name in theory.__all__
    if inspect.isfunction(function := getattr(theory, name)) and "n_d" in inspect.signature(function).parameters
]


@pytest.mark.parametrize("bad", BAD_GRAPHS.values(), ids=BAD_GRAPHS)
@pytest.mark.parametrize("function", OF_A_GRAPH, ids=lambda function: function.__name__)
def test_every_function_of_a_graph_refuses_what_is_no_graph(function, bad):
    graph = {"n": 20, "r": 2, "n_d": 5, "alpha": 0.5, "beta": 0.2, "gamma": 0.3, "structure": "all"}
    further = {"k": 3} if "k" in inspect.signature(function).parameters else {}
    function(**graph, **further)

    with pytest.raises(ValueError, match="must be"):
        function(**(graph | bad), **further)


def test_an_error_states_the_rule_and_then_the_values():
    with pytest.raises(ValueError, match=r"0 <= beta < gamma < alpha < 1, got beta=0.2, gamma=0.1, alpha=0.5"):
        theory.degrees(20, 2, 5, 0.5, 0.2, 0.1)


@pytest.mark.parametrize("k", [-1, 60, 2.5, None])
def test_eigenvalue_refuses_a_k_that_counts_no_eigenvalue(k):
    with pytest.raises(ValueError, match=r"k must be a whole number in 0\.\.n\(r\+1\)-1"):
        theory.eigenvalue(20, 2, 5, 0.5, 0.2, 0.3, k=k)


def test_whole_numbers_of_numpy_are_whole_numbers():
    n, r, n_d, k = np.array([20, 2, 5, 3])

    assert theory.eigenvalue(n, r, n_d, 0.5, 0.2, 0.3, k=k) == theory.eigenvalue(20, 2, 5, 0.5, 0.2, 0.3, k=3)
