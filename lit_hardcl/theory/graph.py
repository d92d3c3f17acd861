"""The similarity graph of difficult examples: its degrees, and its matrices where they are asked for."""

from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from lit_hardcl.theory.checks import check_graph

Structure = Literal["all", "matched"]
Matrix = NDArray[np.float64]


def degrees(
    n: int, r: int, n_d: int, alpha: float, beta: float, gamma: float, structure: Structure = "all"
) -> dict[str, float]:
    """Degrees of the similarity graph (arXiv:2501.01317, Sec. 3.2, Eq. 21 and 24).

    The graph has ``r + 1`` classes of ``n`` augmented samples, ordered class by class, the last ``n_d`` of each
    difficult. Its edges weigh 1 on the diagonal, alpha within a class, gamma between difficult samples of different
    classes and beta between all other samples of different classes. It is a stylised model: what follows from it are
    bounds in that model, not predictions of accuracy. Every function of a graph takes these seven arguments.

    Args:
        n: samples of a class, at least 1.
        r: number of classes less one, at least 1.
        n_d: difficult samples of a class, in 0..n.
        alpha: weight of an edge within a class, below 1.
        beta: weight of an edge between easy samples of different classes, at least 0.
        gamma: weight of an edge between difficult samples of different classes, between beta and alpha.
        structure: "all" puts gamma on every difficult cross-class pair (Eq. 21); "matched" only where both are the
            t-th difficult sample of their classes (Eq. 24). The paper's proofs use both.

    Returns:
        ``c2`` of an easy sample; ``c1`` of a difficult one; ``c_removed`` of a sample once the difficult ones are
        removed; ``c0``, the paper's abbreviation ``1 - alpha + n alpha + (n - n_d) r beta``, which is no degree.

    Raises:
        ValueError: unless ``0 <= beta < gamma < alpha < 1`` and the counts are whole numbers in their ranges.

    Example:
        >>> degrees(4, 1, 2, 0.5, 0.125, 0.25)
        {'c0': 2.75, 'c1': 3.25, 'c2': 3.0, 'c_removed': 1.75}
    """
    check_graph(n, r, n_d, alpha, beta, gamma, structure)
    c2 = 1 - alpha + n * (alpha + r * beta)
    raised_edges = r * n_d if structure == "all" else r
    return {
        "c0": 1 - alpha + n * alpha + (n - n_d) * r * beta,
        "c1": c2 + raised_edges * (gamma - beta),
        "c2": c2,
        "c_removed": 1 - alpha + (n - n_d) * (alpha + r * beta),
    }


def volume(n: int, r: int, n_d: int, alpha: float, beta: float, gamma: float, structure: Structure = "all") -> float:
    """Sum of all entries of the adjacency matrix; arguments and errors as in `degrees`."""
    c = degrees(n, r, n_d, alpha, beta, gamma, structure)
    return (r + 1) * ((n - n_d) * c["c2"] + n_d * c["c1"])


def adjacency(
    n: int, r: int, n_d: int, alpha: float, beta: float, gamma: float, structure: Structure = "all"
) -> Matrix:
    """The dense ``(n (r + 1), n (r + 1))`` matrix of edge weights; arguments and errors as in `degrees`."""
    check_graph(n, r, n_d, alpha, beta, gamma, structure)
    pairs = pair_kinds(n, r, n_d, structure)
    weights = np.where(pairs.same_class, alpha, beta)
    weights[pairs.raised] = gamma
    np.fill_diagonal(weights, 1)
    return weights


def normalized_adjacency(
    n: int, r: int, n_d: int, alpha: float, beta: float, gamma: float, structure: Structure = "all"
) -> Matrix:
    """The dense ``D^-1/2 A D^-1/2``, whose spectrum the bounds speak of; arguments and errors as in `degrees`."""
    c = degrees(n, r, n_d, alpha, beta, gamma, structure)
    scale = np.tile(np.repeat([c["c2"], c["c1"]], [n - n_d, n_d]), r + 1) ** -0.5
    return adjacency(n, r, n_d, alpha, beta, gamma, structure) * np.outer(scale, scale)


class PairKinds(NamedTuple):
    """Boolean ``(N, N)`` matrices: which pairs of samples are of which kind."""

    same_class: NDArray[np.bool_]
    both_difficult: NDArray[np.bool_]
    one_difficult: NDArray[np.bool_]
    raised: NDArray[np.bool_]  # cross-class pairs of weight gamma


def pair_kinds(n: int, r: int, n_d: int, structure: Structure) -> PairKinds:
    """The kinds of all pairs of a graph whose arguments were checked, in the order of `adjacency`."""
    label, position = np.divmod(np.arange(n * (r + 1)), n)
    difficult = position >= n - n_d
    same_class = label[:, None] == label
    both = difficult[:, None] & difficult
    raised = both & ~same_class
    if structure == "matched":
        raised &= position[:, None] == position
    return PairKinds(same_class, both, difficult[:, None] ^ difficult, raised)
