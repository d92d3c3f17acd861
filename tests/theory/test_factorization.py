"""The spectral contrastive loss is a matrix factorisation."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lit_hardcl import theory

from .strategies import checked, graphs, structures

seeds = st.integers(0, 2**32 - 1)


def paper_loss(A, f, m):
    """The expectations, pair by pair, and the constant that makes both losses agree."""
    degree, volume = A.sum(axis=1), A.sum()
    positive = independent = 0.0
    for i in range(len(A)):
        for j in range(len(A)):
            positive += A[i, j] / volume * (f[i] @ f[j] + m[i, j])
            independent += degree[i] * degree[j] / volume**2 * (f[i] @ f[j] + m[i, j]) ** 2
    return -2 * positive + independent


@checked
@given(graphs(max_n=4, max_r=2), structures, seeds)
def test_the_spectral_loss_is_the_papers_expectation(graph, structure, seed):
    rng = np.random.default_rng(seed)
    A = theory.adjacency(*graph, structure)
    f, m = rng.normal(size=(len(A), 3)), rng.normal(size=A.shape)

    assert theory.spectral_loss(A, f, margin=m) == pytest.approx(paper_loss(A, f, m), rel=1e-12)
    assert theory.spectral_loss(A, f) == pytest.approx(paper_loss(A, f, 0 * m), rel=1e-12)


@checked
@given(st.integers(1, 8), st.integers(1, 4), st.booleans(), seeds)
def test_both_losses_differ_by_a_constant_on_any_graph(nodes, dim, with_margin, seed):
    rng = np.random.default_rng(seed)
    A = rng.uniform(size=(nodes, nodes))
    A += A.T
    degree = A.sum(axis=1)
    f = rng.normal(size=(nodes, dim))
    margin = rng.normal(size=A.shape) if with_margin else None

    constant = np.sum(A**2 / np.outer(degree, degree))
    difference = theory.factorization_loss(A, f, margin) - theory.spectral_loss(A, f, margin)
    assert difference == pytest.approx(constant, rel=1e-10)


@checked
@given(graphs(max_n=5, max_r=3), structures, seeds)
def test_normalized_margins_turn_the_loss_into_that_of_clean_data(graph, structure, seed):
    n, r, _, *weights = graph
    A = theory.adjacency(*graph, structure)
    f = np.random.default_rng(seed).normal(size=(len(A), 3))
    F = np.sqrt(A.sum(axis=1, keepdims=True) / A.sum()) * f

    with_margin = theory.factorization_loss(A, f, theory.margin_matrix(*graph, structure, normalized=True))
    assert with_margin == pytest.approx(np.sum((theory.normalized_adjacency(n, r, 0, *weights) - F @ F.T) ** 2))


def test_the_best_features_leave_the_remaining_eigenvalues():
    graph, dim = (6, 2, 2, 0.5, 0.1, 0.3), 4
    A = theory.adjacency(*graph)
    values, vectors = np.linalg.eigh(theory.normalized_adjacency(*graph))
    weights = A.sum(axis=1, keepdims=True) / A.sum()
    f = vectors[:, -dim:] * np.sqrt(values[-dim:]) / np.sqrt(weights)

    assert theory.factorization_loss(A, f) == pytest.approx(np.sum(theory.spectrum(*graph)[dim:] ** 2))


GRAPH = np.array([[1.0, 0.5], [0.5, 1.0]])
BAD = {
    "not square": (np.ones((2, 3)), np.ones((2, 1)), None),
    "empty": (np.ones((0, 0)), np.ones((0, 1)), None),
    "not symmetric": (np.array([[1.0, 0.5], [0.4, 1.0]]), np.ones((2, 1)), None),
    "negative": (-GRAPH, np.ones((2, 1)), None),
    "isolated": (np.diag([1.0, 0.0]), np.ones((2, 1)), None),
    "too few features": (GRAPH, np.ones((1, 1)), None),
    "features of no width": (GRAPH, np.ones(2), None),
    "another margin": (GRAPH, np.ones((2, 1)), np.ones((3, 3))),
}


@pytest.mark.parametrize("arguments", BAD.values(), ids=BAD)
@pytest.mark.parametrize("loss", [theory.spectral_loss, theory.factorization_loss])
def test_a_loss_refuses_what_is_no_graph_with_features(loss, arguments):
    loss(GRAPH, np.ones((2, 1)), np.ones((2, 2)))

    with pytest.raises(ValueError, match=", got "):
        loss(*arguments)
