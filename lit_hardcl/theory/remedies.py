"""Margins and temperatures that undo difficult examples in the similarity graph, and what they promise."""

from dataclasses import dataclass
from math import inf, sqrt

import numpy as np

from lit_hardcl.theory.bounds import (
    eigenvalue_difficult_corrected,
    eigenvalue_difficult_stated,
    eigenvalue_no_difficult,
)
from lit_hardcl.theory.checks import require
from lit_hardcl.theory.graph import Matrix, Structure, degrees, pair_kinds, volume


def margins(
    n: int,
    r: int,
    n_d: int,
    alpha: float,
    beta: float,
    gamma: float,
    structure: Structure = "all",
    *,
    normalized: bool = False,
) -> dict[str, float]:
    """Margins that give the graph the factorisation target of clean data (arXiv:2501.01317, Thm 4.3).

    With ``M`` of these entries, ``D^-1/2 A D^-1/2 - D^1/2 M D^1/2`` is the matrix without difficult samples, exactly.
    The paper's six cases are right for "all". For "matched" they are not; there the difficult cross-class pairs
    fall into two kinds, and the seven cases returned are right.

    Args:
        n: argument of `degrees`, as are r, n_d, alpha, beta, gamma and structure.
        normalized: multiply by the graph's `volume`: the margins of the loss in expectation form (Thm 4.2 and
            `spectral_loss`), in units of the inner product of two features, not of a cosine.

    Returns:
        The margin of pairs with both samples difficult, by kind: ``diff_cross`` ("all") or ``diff_cross_matched`` and
        ``diff_cross_unmatched`` ("matched") between classes, ``diff_same_sample``, ``diff_same_class``; of pairs with
        one difficult sample: ``one_same_class``, ``one_cross``; and 0 for every ``other`` pair.

    Raises:
        ValueError: as `degrees` does.
    """
    c = degrees(n, r, n_d, alpha, beta, gamma, structure)
    c1, c2 = c["c1"], c["c2"]
    scale = volume(n, r, n_d, alpha, beta, gamma, structure) if normalized else 1.0
    both = -scale * (c1 - c2) / (c1**2 * c2)
    one = -scale * (sqrt(c1 / c2) - 1) / (c1 * c2)
    raised_edges = r * n_d if structure == "all" else r
    raised = scale * (gamma - beta) * (c2 - raised_edges * beta) / (c1**2 * c2)
    if structure == "all":
        cross = {"diff_cross": raised}
    else:
        cross = {"diff_cross_matched": raised, "diff_cross_unmatched": beta * both}
    return cross | {
        "diff_same_sample": both,
        "diff_same_class": alpha * both,
        "one_same_class": alpha * one,
        "one_cross": beta * one,
        "other": 0.0,
    }


def margin_matrix(
    n: int,
    r: int,
    n_d: int,
    alpha: float,
    beta: float,
    gamma: float,
    structure: Structure = "all",
    *,
    normalized: bool = False,
) -> Matrix:
    """The dense matrix of `margins`, in the order of `adjacency`; arguments and errors as there."""
    margin = margins(n, r, n_d, alpha, beta, gamma, structure, normalized=normalized)
    pairs = pair_kinds(n, r, n_d, structure)
    matrix = np.zeros(pairs.raised.shape)
    matrix[pairs.one_difficult] = margin["one_cross"]
    matrix[pairs.one_difficult & pairs.same_class] = margin["one_same_class"]
    matrix[pairs.both_difficult] = margin.get("diff_cross_unmatched", 0.0)
    matrix[pairs.both_difficult & pairs.same_class] = margin["diff_same_class"]
    matrix[pairs.raised] = margin["diff_cross" if structure == "all" else "diff_cross_matched"]
    matrix[np.diag(pairs.both_difficult.diagonal())] = margin["diff_same_sample"]
    return matrix


def temperatures(
    n: int, r: int, n_d: int, alpha: float, beta: float, gamma: float, structure: Structure = "all"
) -> dict[str, float]:
    """Temperatures that give the graph the factorisation target of clean data (arXiv:2501.01317, Thm 4.4).

    With ``T`` of these entries, the entrywise product of ``T`` and ``D^-1/2 A D^-1/2`` is the matrix without difficult
    samples, exactly. "matched" needs one case more than the paper has.

    Returns:
        The temperature of pairs with both samples difficult: ``diff_cross`` between classes (on edges of weight gamma;
        "matched" adds ``diff_cross_unmatched`` for the others), ``diff_same_class``, a sample with itself included;
        of pairs with ``one`` difficult sample; and 1 for every ``other`` pair. Arguments and errors as in `degrees`.
    """
    c = degrees(n, r, n_d, alpha, beta, gamma, structure)
    ratio = c["c1"] / c["c2"]
    named = {"diff_cross": ratio * beta / gamma, "diff_same_class": ratio, "one": sqrt(ratio), "other": 1.0}
    return named if structure == "all" else named | {"diff_cross_unmatched": ratio}


def temperature_matrix(
    n: int, r: int, n_d: int, alpha: float, beta: float, gamma: float, structure: Structure = "all"
) -> Matrix:
    """The dense matrix of `temperatures`, in the order of `adjacency`; arguments and errors as there."""
    temperature = temperatures(n, r, n_d, alpha, beta, gamma, structure)
    pairs = pair_kinds(n, r, n_d, structure)
    matrix = np.ones(pairs.raised.shape)
    matrix[pairs.one_difficult] = temperature["one"]
    matrix[pairs.both_difficult] = temperature["diff_same_class"]
    matrix[pairs.raised] = temperature["diff_cross"]
    return matrix


@dataclass(frozen=True)
class TemperatureBound:
    """What Thm 4.5 of arXiv:2501.01317 promises, and when that beats doing nothing. Returned by `temperature_bound`."""

    factor: float
    """``1 - f^2 + (gamma / beta)^2 f^2`` with ``f = n_d / n``; no smaller than either mean below."""
    mean_all: float
    """The exact mean of ``T^-2`` over the pairs of "all"."""
    mean_matched: float
    """The exact mean of ``T^-2`` over the pairs of "matched"."""
    E_T: float
    """The bound on the error, ``4 factor delta / (1 - lambda) + 8 delta``; never below the one without difficult."""
    lhs: float
    """``factor / (1 - lambda)`` with `eigenvalue_no_difficult`."""
    rhs: float
    """``1 / (1 - lambda)`` with difficult samples, untreated; the temperatures help where ``lhs < rhs``."""
    stated_rhs: float
    """The number of difficult samples of a class below which the paper states that they help."""
    stated_condition: bool
    """``n_d < stated_rhs``: necessary for ``lhs < rhs``, not sufficient."""
    exact_condition: bool
    """``lhs < rhs``, decided without cancellation."""


def temperature_bound(
    n: int,
    r: int,
    n_d: int,
    alpha: float,
    beta: float,
    gamma: float,
    structure: Structure = "all",
    *,
    delta: float = 1.0,
) -> TemperatureBound:
    """The bound under the temperatures of Thm 4.4, and its condition as stated and exact (arXiv:2501.01317, Thm 4.5).

    The stated condition allows ``n_d`` of order ``sqrt(n)`` only and is not sufficient: at n=50, r=9, n_d=4, alpha=.2,
    beta=.1, gamma=.15 it holds (4 < 4.045) while ``lhs`` 1.02266 > ``rhs`` 1.02218. That ``factor`` bounds the error
    is the paper's claim; the temperature loss is a weighted factorisation, whose minimiser is not that of clean data.

    Args:
        n: argument of `degrees`, as are r, n_d, alpha, beta and gamma; beta must be positive.
        structure: form of the untreated bound ``rhs``: "all" takes Thm 3.4 as stated, "matched" as corrected.
        delta: error of recovering the label from one view, in 0..1; 1 gives the bound in units of delta.

    Raises:
        ValueError: for ``beta = 0`` or a ``delta`` out of range, and as `degrees` does.
    """
    graph = n, r, n_d, alpha, beta, gamma
    c = degrees(*graph, structure)
    require(beta > 0, "temperature_bound divides by beta: beta must be positive", beta=beta)
    require(bool(0 <= delta <= 1), "delta must be in 0..1", delta=delta)
    f, c2, between = n_d / n, c["c2"], alpha + r * beta
    stretch = (gamma / beta) ** 2
    factor = 1 - f**2 + stretch * f**2
    lhs = factor / (1 - eigenvalue_no_difficult(*graph))
    target = r * (n * beta) ** 2
    if structure == "all":
        untreated = eigenvalue_difficult_stated(*graph)
        cost = n_d**2 * (gamma + beta) * c2 * (n * between + (n_d - 1) * r * (gamma - beta))
        target *= n * between - (n_d - 1) * (1 - alpha)
    else:
        untreated = eigenvalue_difficult_corrected(*graph, "matched")
        cost = n_d**2 * (gamma + beta) * c2
    q_all, q_matched = c2 / degrees(*graph, "all")["c1"], c2 / degrees(*graph, "matched")["c1"]
    stated_rhs = beta * sqrt(r * n / (between * (gamma + beta)))
    return TemperatureBound(
        factor=factor,
        mean_all=(1 - f) ** 2 + 2 * f * (1 - f) * q_all + (f * q_all) ** 2 * (1 + r * stretch) / (r + 1),
        mean_matched=(1 - f) ** 2
        + 2 * f * (1 - f) * q_matched
        + (f * q_matched) ** 2
        + r * n_d / (n**2 * (r + 1)) * q_matched**2 * (stretch - 1),
        E_T=4 * lhs * delta + 8 * delta,
        lhs=lhs,
        rhs=1 / (1 - untreated) if untreated < 1 else inf,
        stated_rhs=stated_rhs,
        stated_condition=bool(n_d < stated_rhs),
        exact_condition=bool(cost < target),
    )
