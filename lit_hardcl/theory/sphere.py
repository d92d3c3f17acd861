"""Constants of InfoNCE on the unit sphere: how steep it can be, and how often random negatives pin nothing."""

from math import cos, exp, log, pi, sin, tan

from scipy.optimize import brentq
from scipy.special import bdtr, expit

from lit_hardcl.theory.checks import check_temperature, require, whole


def gradient_bound(n_pos: int, n_neg: int, tau: float = 1.0, tangential: bool = False) -> float:
    """The largest gradient norm of ``log(1 + s- / s+)`` in the anchor ("SnaPhArd", ICLR 2026, Lemma 2.4).

    ``(2 / tau) / (1 + (n_pos / n_neg) exp(-2 / tau))``, attained where anchor and negatives coincide opposite the
    positives; 1 + tanh 1 = 1.76 for one of each at tau = 1. The stated asymptotic bound 2 is its supremum over
    ``n_neg`` at tau = 1, never attained; in general the supremum is ``2 / tau``. But at the point that attains it the
    gradient is radial: along the sphere, where an anchor moves, the maximum is the ``tangential`` one, at
    `steepest_angle`. (Its formula takes positives and negatives to coincide with one another; random search with up
    to 12 points agrees, a proof is missing.)

    Args:
        n_pos: number of positives, at least 1.
        n_neg: number of negatives, at least 1.
        tau: temperature, positive.
        tangential: bound the gradient's part along the sphere instead of all of it.

    Raises:
        ValueError: for an argument out of range.

    Example:
        >>> round(gradient_bound(1, 1), 6), round(gradient_bound(1, 1, tangential=True), 6)
        (1.761594, 1.269841)
    """
    _check_counts(n_pos, n_neg, tau)
    if not tangential:
        return 2 / tau / (1 + n_pos / n_neg * exp(-2 / tau))
    angle = steepest_angle(n_pos, n_neg, tau)
    return 2 / tau * sin(angle) * float(expit(2 * cos(angle) / tau - log(n_pos / n_neg)))


def steepest_angle(n_pos: int, n_neg: int, tau: float = 1.0) -> float:
    """The angle between anchor and negatives, in radians, at which the tangential `gradient_bound` is attained.

    The positives stand opposite the negatives. Arguments and errors as in `gradient_bound`.
    """
    _check_counts(n_pos, n_neg, tau)
    lead = log(n_pos / n_neg)
    return float(
        brentq(lambda angle: 1 / tan(angle) - 2 / tau * sin(angle) * expit(lead - 2 * cos(angle) / tau), 1e-9, pi / 2)
    )


def hull_miss_probability(n_negatives: int, dim: int) -> float:
    """Probability that the line through p misses the convex hull of independent uniform negatives (Wendel, 1962).

    ``2^-(J-1) sum_{k <= d-2} binom(J-1, k)``: the chance that the premise of Cor. 2.2 ("SnaPhArd", ICLR 2026), as
    corrected, holds for J spread-out negatives in d dimensions. One half at J = 2 d - 2; with many more it all but
    vanishes.

    Args:
        n_negatives: J, at least 1.
        dim: d, at least 1.

    Raises:
        ValueError: for an argument out of range.

    Example:
        >>> round(hull_miss_probability(254, 128), 9)
        0.5
    """
    require(whole(n_negatives), "at least one negative is needed", n_negatives=n_negatives)
    require(whole(dim), "dim must be a whole number >= 1", dim=dim)
    if dim == 1:
        return 0.0
    return float(bdtr(min(dim - 2, n_negatives - 1), n_negatives - 1, 0.5))


def _check_counts(n_pos: int, n_neg: int, tau: float) -> None:
    require(whole(n_pos), "at least one positive is needed", n_pos=n_pos)
    require(whole(n_neg), "at least one negative is needed", n_neg=n_neg)
    check_temperature(tau)
