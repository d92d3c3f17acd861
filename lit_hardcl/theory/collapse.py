"""When an anchor collapses onto its positive: certificates, the true minimiser, and the hull condition."""

from dataclasses import dataclass
from math import atan2, pi

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import linprog
from scipy.special import softmax

from lit_hardcl.errors import Refusal
from lit_hardcl.theory.checks import check_temperature, unit_vectors

Vector = NDArray[np.float64]

STATIONARY = 1e-9
"""The residual up to which a point counts as stationary."""


class NoAnchorFoundError(Refusal, RuntimeError):
    """A temperature so small that the search for a best anchor does not end."""


@dataclass(frozen=True)
class Collapse:
    """Whether the best anchor is the positive itself. Returned by `collapse`; ``x`` is that best anchor."""

    C: float
    """``<m, p>`` for the weighted mean m of the negatives."""
    residual: float
    """``||m - C p||``, the part of the gradient along the sphere, times tau."""
    is_stationary: bool
    """Residual 0 (up to 1e-9): Thm 2.1 as corrected, C = 0 included."""
    is_global_minimiser: bool
    """Whether p is a best anchor on the whole sphere; for one positive the same as stationary."""
    stated_condition: bool
    """Thm 2.1 as stated, which asks for C != 0 as well."""
    angle_lower: float
    """No best anchor is nearer to p than this angle, in radians."""
    angle_upper: float
    """No best anchor is farther from p than this angle, in radians; pi where every negative equals p."""


def collapse(p: ArrayLike, negatives: ArrayLike, tau: float = 1.0) -> Collapse:
    """Whether InfoNCE with one positive is best solved by putting the anchor on it ("SnaPhArd", ICLR 2026, Thm 2.1).

    The anchor x minimises ``log sum_j exp(<x, n_j> / tau) - <x, p> / tau`` on the unit sphere. It collapses, x = p, iff
    ``m = sum_j w_j n_j`` is a multiple ``C p``, with w the softmax of ``<n_j, p> / tau``. As stated, the theorem
    divides by C and so leaves out C = 0: p = e1 with negatives e2 and -e2 collapses. As corrected, C = 0 counts.
    The loss is convex in x, so for unit vectors a stationary p is the global minimiser, the only one unless every
    negative equals p. (For several positives, or negatives longer than 1, it need not be.) The encoders are taken as
    free points: this tells what the loss asks for, not what a network attains.

    Args:
        p: the positive, ``(d,)``, of unit norm.
        negatives: ``(J, d)``, of unit norm, J >= 1.
        tau: temperature, positive.

    Raises:
        ValueError: for vectors that are not of unit norm, no negatives, or tau out of range.

    Example:
        >>> collapse([1, 0], [[0, 1], [0, -1]]).is_global_minimiser
        True
    """
    p, negatives = unit_vectors(p, negatives)
    check_temperature(tau)
    m = softmax(negatives @ p / tau) @ negatives
    C = float(m @ p)
    residual = float(np.linalg.norm(m - C * p))
    is_stationary = residual <= STATIONARY
    return Collapse(
        C=C,
        residual=residual,
        is_stationary=is_stationary,
        is_global_minimiser=is_stationary,
        stated_condition=is_stationary and abs(C) > STATIONARY,
        angle_lower=residual / (1 / tau + 2),
        angle_upper=2 * atan2(residual, 1 - C) if 1 - C > 1e-12 else pi,
    )


def optimal_anchor(p: ArrayLike, negatives: ArrayLike, tau: float = 1.0) -> Vector:
    """The unit vector that minimises the loss of `collapse`; p itself where every negative equals p.

    Solved on the unit ball, where the problem is convex, by accelerated projected gradient: on the sphere a small tau
    makes local minima (p = e1 with negatives e2, -e2, e3, -e3 has one at -p for tau < .5). The solution is certified
    by ``p - m(x) = ||p - m(x)|| x``. Arguments and errors as in `collapse`.

    Raises:
        NoAnchorFoundError: if the certificate is not reached, for a tau too small for the iteration.

    Example:
        >>> optimal_anchor([1, 0], [[0, 1]], tau=1.0).round(3)
        array([ 0.707, -0.707])
    """
    p, negatives = unit_vectors(p, negatives)
    check_temperature(tau)
    away = p - negatives
    away = away[np.linalg.norm(away, axis=1) > 1e-12]  # a negative on p only adds a constant to the loss's exponential
    if not len(away):
        return p
    longest = np.linalg.norm(away, axis=1).max()
    step = tau / min(1.0, longest**2)
    x = ahead = p
    momentum = 1.0
    for _ in range(100_000):
        pull = softmax(-away @ x / tau) @ away
        strength = np.linalg.norm(pull)
        if np.linalg.norm(pull - strength * x) <= 1e-13 * strength + 1e-15 * longest:
            return x / np.linalg.norm(x)
        moved = ahead + step * softmax(-away @ ahead / tau) @ away
        moved /= max(1.0, float(np.linalg.norm(moved)))
        if (ahead - moved) @ (moved - x) > 0:  # the momentum points uphill: drop it
            momentum, ahead = 1.0, moved
        else:
            following = (1 + (1 + 4 * momentum**2) ** 0.5) / 2
            ahead = moved + (momentum - 1) / following * (moved - x)
            momentum = following
        x = moved
    raise NoAnchorFoundError(f"no certified minimiser after 100000 steps, got tau={tau}; a larger tau converges faster")


def hull_interval(p: ArrayLike, negatives: ArrayLike) -> tuple[float, float] | None:
    """The c for which ``c p`` lies in the convex hull of the negatives, as (low, high); None if there is none.

    Cor. 2.2 ("SnaPhArd", ICLR 2026) as corrected: if None, the anchor does not collapse. As stated it is enough that
    no c != 0 exists; p = e1 with negatives e2 and -e2, interval (0, 0), is the counterexample. The converse fails:
    an interval does not make p stationary. Found by two linear programs, feasible within 1e-10; an end nearer to 0 than
    1e-9 is 0.0. Arguments and errors as in `collapse`.

    Example:
        >>> hull_interval([1, 0], [[0, 1]]) is None
        True
    """
    p, negatives = unit_vectors(p, negatives)
    along = negatives @ p
    # A reflection that takes p to the first axis leaves the other d - 1 coordinates for the constraints.
    mirror = p.copy()
    mirror[0] += 1.0 if p[0] >= 0 else -1.0
    across = (negatives - np.outer(negatives @ mirror, mirror) * (2 / (mirror @ mirror)))[:, 1:]
    ends = []
    for sign in (1, -1):
        found = linprog(
            sign * along,
            A_eq=np.vstack([across.T, np.ones(len(along))]),
            b_eq=np.append(np.zeros(across.shape[1]), 1.0),
            options={"primal_feasibility_tolerance": 1e-10, "dual_feasibility_tolerance": 1e-10},
        )
        if found.status == 2:
            return None
        if found.status != 0:
            raise RuntimeError(f"the linear program failed: {found.message}")
        ends.append(float(along @ found.x))
    low, high = sorted(0.0 if abs(end) < STATIONARY else end for end in ends)
    return low, high
