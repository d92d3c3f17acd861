"""The spectral contrastive loss on a similarity graph, and the matrix factorisation it equals up to a constant."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lit_hardcl.theory.checks import require
from lit_hardcl.theory.graph import Matrix


def spectral_loss(A: ArrayLike, f: ArrayLike, margin: ArrayLike | None = None) -> float:
    """The spectral contrastive loss in expectation form (HaoChen et al., 2021; arXiv:2501.01317, Thm 4.2).

    ``-2 E[f(x).f(x+)] + E[(f(x).f(x') + m(x, x'))^2]``, positives drawn with probability ``A / A.sum()``, x and x'
    independently by degree. Equals `factorization_loss` less the squared norm of ``D^-1/2 A D^-1/2``, where with a
    margin the first term reads ``f(x).f(x+) + m(x, x+)`` as well: a constant in f, kept so that both losses agree.

    Args:
        A: edge weights ``(N, N)``, symmetric, non-negative, without an isolated node.
        f: features ``(N, dim)`` of the nodes.
        margin: ``(N, N)``, as `margin_matrix` gives with ``normalized=True``; none by default.

    Raises:
        ValueError: for an ``A`` that is no such graph, or shapes that do not go together.
    """
    A, weights, f, margin = _checked(A, f, margin)
    similarity = f @ f.T + margin
    return float(-2 * np.sum(A / A.sum() * similarity) + weights @ similarity**2 @ weights)


def factorization_loss(A: ArrayLike, f: ArrayLike, margin: ArrayLike | None = None) -> float:
    """``||D^-1/2 A D^-1/2 - M - F F^T||^2`` with ``F = sqrt(d / d.sum()) f`` (arXiv:2501.01317, Thm 4.2).

    ``M_ij = sqrt(w_i w_j) m_ij`` with ``w = d / d.sum()``; unscaled margins break the identity. Arguments and errors
    as in `spectral_loss`.
    """
    A, weights, f, margin = _checked(A, f, margin)
    pairs = np.sqrt(np.outer(weights, weights))
    return float(np.sum((A / (A.sum() * pairs) - pairs * (f @ f.T + margin)) ** 2))


def _checked(
    A: ArrayLike, f: ArrayLike, margin: ArrayLike | None
) -> tuple[Matrix, NDArray[np.float64], Matrix, Matrix]:
    A, f = np.asarray(A, dtype=np.float64), np.asarray(f, dtype=np.float64)
    margin = np.zeros(A.shape) if margin is None else np.asarray(margin, dtype=np.float64)
    require(A.ndim == 2 and A.shape[0] == A.shape[1] > 0, "A must be square", A=A.shape)
    require(bool(np.all(A >= 0)), "A must be non-negative", minimum=A.min())
    require(np.allclose(A, A.T), "A must be symmetric", difference=np.abs(A - A.T).max())
    require(bool(np.all(A.sum(axis=1) > 0)), "every node of A needs an edge", least_degree=A.sum(axis=1).min())
    require(f.ndim == 2 and len(f) == len(A), "f must hold a row for each node of A", f=f.shape, A=A.shape)
    require(margin.shape == A.shape, "margin must be of the shape of A", margin=margin.shape, A=A.shape)
    degree = A.sum(axis=1)
    return A, degree / degree.sum(), f, margin
