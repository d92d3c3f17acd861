"""The exact spectrum of the similarity graph, from blocks reduced by symmetry: no dense matrix, no eigensolver."""

from collections.abc import Mapping
from itertools import accumulate
from math import hypot, sqrt

import numpy as np

from lit_hardcl.theory.checks import require, whole
from lit_hardcl.theory.graph import Matrix, Structure, degrees


def spectrum_blocks(
    n: int, r: int, n_d: int, alpha: float, beta: float, gamma: float, structure: Structure = "all"
) -> list[tuple[str, float, int]]:
    """Distinct eigenvalues of ``D^-1/2 A D^-1/2`` as ``(name, value, multiplicity)``, largest first.

    Permuting the samples of a class and permuting the classes leave the graph unchanged, so every eigenvector either
    is constant on the easy and on the difficult samples of a class, or sums to zero over one of the two:

    - ``trivial_1``, ``trivial_2``: the same for all classes; the first is the eigenvalue 1.
    - ``std_plus``, ``std_minus``: sums to zero over the classes. When all samples are of one kind, only
      ``std_plus`` exists, and no ``trivial_2``.
    - ``easy_within``: sums to zero over the easy samples of a class.
    - ``diff_within`` ("all"), ``diff_within_triv`` and ``diff_within_std`` ("matched"): sums to zero over the
      difficult ones.

    Blocks of multiplicity 0 are left out. Arguments and errors as in `degrees`.

    Example:
        >>> for name, value, multiplicity in spectrum_blocks(4, 1, 2, 0.5, 0.125, 0.25, "matched"):
        ...     print(f"{name:16} {value:.4f} x {multiplicity}")
        trivial_1        1.0000 x 1
        std_plus         0.6349 x 1
        diff_within_triv 0.2000 x 1
        trivial_2        0.1833 x 1
        easy_within      0.1667 x 2
        std_minus        0.1418 x 1
        diff_within_std  0.1200 x 1
    """
    c = degrees(n, r, n_d, alpha, beta, gamma, structure)
    classes, n_e = r + 1, n - n_d
    own, gap, contrast = 1 - alpha, gamma - beta, alpha - beta
    easy = (own + n_e * contrast) / c["c2"]
    if structure == "all":
        difficult = (own + n_d * (alpha - gamma)) / c["c1"]
        within = [("diff_within", own / c["c1"], classes * (n_d - 1))]
    else:
        difficult = (own - gap + n_d * contrast) / c["c1"]
        within = [
            ("diff_within_triv", (own + r * gap) / c["c1"], n_d - 1),
            ("diff_within_std", (own - gap) / c["c1"], r * (n_d - 1)),
        ]
    blocks = [("trivial_1", 1.0, 1), ("easy_within", own / c["c2"], classes * (n_e - 1)), *within]
    if n_e and n_d:
        coupling = sqrt(n_e * n_d / (c["c1"] * c["c2"])) * contrast
        middle, radius = (easy + difficult) / 2, hypot((easy - difficult) / 2, coupling)
        blocks += [
            ("trivial_2", second_trivial(c, alpha), 1),
            ("std_plus", middle + radius, r),
            ("std_minus", middle - radius, r),
        ]
    else:
        blocks.append(("std_plus", easy if n_e else difficult, r))
    return sorted((block for block in blocks if block[2] > 0), key=lambda block: -block[1])


def spectrum(n: int, r: int, n_d: int, alpha: float, beta: float, gamma: float, structure: Structure = "all") -> Matrix:
    """All ``n (r + 1)`` eigenvalues of ``D^-1/2 A D^-1/2``, descending; arguments and errors as in `degrees`."""
    _, values, multiplicities = zip(*spectrum_blocks(n, r, n_d, alpha, beta, gamma, structure), strict=True)
    return np.repeat(values, multiplicities)


def eigenvalue(
    n: int, r: int, n_d: int, alpha: float, beta: float, gamma: float, structure: Structure = "all", *, k: int
) -> float:
    """The exact ``lambda_{k+1}``, the eigenvalue that bounds the error of ``k``-dimensional features.

    Args:
        n: argument of `degrees`, as are r, n_d, alpha, beta, gamma and structure.
        k: width of the features, in 0..n (r + 1) - 1; ``k = 0`` gives the largest eigenvalue, 1.

    Raises:
        ValueError: for a ``k`` out of range, and as `degrees` does.

    Example:
        >>> eigenvalue(4, 1, 0, 0.5, 0.125, 0.25, k=2) == 0.5 / 3
        True
    """
    blocks = spectrum_blocks(n, r, n_d, alpha, beta, gamma, structure)
    require(whole(k, 0, n * (r + 1) - 1), "k must be a whole number in 0..n(r+1)-1", k=k, n=n, r=r)
    reached = accumulate(multiplicity for _, _, multiplicity in blocks)
    return next(value for (_, value, _), last in zip(blocks, reached, strict=True) if k < last)


def second_trivial(c: Mapping[str, float], alpha: float) -> float:
    """The eigenvalue ``trivial_2`` from the `degrees` of a graph; at ``n_d = n`` an upper bound on the spectrum."""
    return (1 - alpha + (c["c1"] - c["c2"]) * c["c_removed"] / c["c2"]) / c["c1"]
