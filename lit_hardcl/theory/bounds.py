"""Eigenvalues and error bounds as the paper states them, and as corrected where a statement fails."""

from math import cos, inf, pi, sin
from typing import Literal

from scipy.optimize import brentq

from lit_hardcl.errors import check_choice
from lit_hardcl.theory.checks import check_graph, require, whole
from lit_hardcl.theory.eigenvalues import second_trivial
from lit_hardcl.theory.graph import Structure, degrees


def eigenvalue_no_difficult(
    n: int, r: int, n_d: int, alpha: float, beta: float, gamma: float, structure: Structure = "all"
) -> float:
    """``lambda_{k+1}`` of the graph without difficult samples (arXiv:2501.01317, Thm 3.3). Holds as stated.

    ``(1 - alpha) / c2``: exact for every k with ``r + 1 <= k < n (r + 1)``. The margins of Thm 4.3 give the graph this
    eigenvalue too. ``n_d``, gamma and ``structure`` make no difference; arguments and errors as in `degrees`.
    """
    return (1 - alpha) / degrees(n, r, n_d, alpha, beta, gamma, structure)["c2"]


def eigenvalue_difficult_stated(
    n: int, r: int, n_d: int, alpha: float, beta: float, gamma: float, structure: Structure = "all"
) -> float:
    """What Thm 3.4 of arXiv:2501.01317 uses for ``lambda_{k+1}`` with difficult samples, as stated.

    ``(1 - alpha + r (gamma - beta)) / c1``, for ``r + 1 <= k < n_d + r + 1``. The numerator is of the structure
    "matched", the degree ``c1`` of "all" (taken whatever ``structure`` is). It is an upper bound for neither:
    at n=20, r=1, n_d=18, alpha=.05, beta=.01, gamma=.03 it is .386, below the .442 without difficult samples
    (see `worsening_limit`), while `eigenvalue` at k=2 gives .447 ("matched") and .450 ("all").
    Arguments and errors as in `degrees`.
    """
    check_graph(n, r, n_d, alpha, beta, gamma, structure)
    return (1 - alpha + r * (gamma - beta)) / degrees(n, r, n_d, alpha, beta, gamma, "all")["c1"]


def eigenvalue_difficult_corrected(
    n: int, r: int, n_d: int, alpha: float, beta: float, gamma: float, structure: Structure = "matched"
) -> float:
    """Thm 3.4 of arXiv:2501.01317 as corrected: an upper bound on ``lambda_{k+1}`` for every ``k >= r + 1``.

    - "matched" (the default, because the theorem's range of k is true there only): the stated numerator over the
      degree ``c1`` of "matched". With ``1 <= n_d < n`` the eigenvalue exceeds `eigenvalue_no_difficult` exactly for
      ``r + 1 <= k < n_d + r + 1``, and attains the bound there except at ``k = r + n_d`` or where ``std_plus`` is
      smaller.
    - "all": ``trivial_2`` of `spectrum_blocks`, attained at ``k = r + 1`` unless ``std_plus`` is smaller. For
      ``r + 2 <= k <= r + 1 + (r + 1)(n - n_d - 1)`` the eigenvalue is `eigenvalue_no_difficult` to the last digit:
      there difficult samples do not hurt.

    `eigenvalue` gives the exact value for any k. Arguments and errors as in `degrees`.
    """
    c = degrees(n, r, n_d, alpha, beta, gamma, structure)
    return second_trivial(c, alpha) if structure == "all" else (1 - alpha + r * (gamma - beta)) / c["c1"]


def eigenvalue_removed(
    n: int, r: int, n_d: int, alpha: float, beta: float, gamma: float, structure: Structure = "all"
) -> float:
    """``lambda_{k+1}`` once the difficult samples are removed (arXiv:2501.01317, Cor. 4.1). Holds as stated.

    ``(1 - alpha) / c_removed``: Thm 3.3 with ``n - n_d`` samples a class, exact for ``r + 1 <= k < (n - n_d)(r + 1)``.
    1 where ``n_d = n`` leaves nothing. Arguments and errors as in `degrees`.
    """
    return (1 - alpha) / degrees(n, r, n_d, alpha, beta, gamma, structure)["c_removed"]


def error_bound(delta: float, eigenvalue: float) -> float:
    """Bound on the error of a linear probe, ``4 delta / (1 - lambda_{k+1}) + 8 delta`` (HaoChen et al., 2021).

    Args:
        delta: error of recovering the label of an image from one augmented view of it, in 0..1.
        eigenvalue: ``lambda_{k+1}``, from -1 to below 1. Under the noise of App. B.3 add ``wigner_x0(...) * epsilon /
            c2``.

    Raises:
        ValueError: for a ``delta`` out of range, or an eigenvalue of 1 or more, which bounds nothing.

    Example:
        >>> error_bound(0.01, 0.5)
        0.16
    """
    require(bool(0 <= delta <= 1), "delta must be in 0..1", delta=delta)
    require(bool(-1.001 < eigenvalue < 1), "a bound needs an eigenvalue below 1, at least -1", eigenvalue=eigenvalue)
    return 4 * delta / (1 - eigenvalue) + 8 * delta


def worsening_limit(
    n: int, r: int, n_d: int, alpha: float, beta: float, gamma: float, structure: Structure = "all"
) -> float:
    """The ``n_d`` below which Thm 3.4 as stated exceeds Thm 3.3 (arXiv:2501.01317): ``c2 / (1 - alpha)``.

    The paper displays the inequality without a condition. It fails at n=20, r=1, n_d=18, alpha=.05, beta=.01,
    gamma=.03, where the limit is 2.26. The corrected eigenvalue of "matched" exceeds Thm 3.3 always.
    ``n_d``, gamma and ``structure`` make no difference; arguments and errors as in `degrees`.
    """
    return degrees(n, r, n_d, alpha, beta, gamma, structure)["c2"] / (1 - alpha)


def removal_threshold(
    n: int,
    r: int,
    n_d: int,
    alpha: float,
    beta: float,
    gamma: float,
    structure: Structure = "all",
    *,
    against: Literal["stated", "matched", "all_k_r1"] = "stated",
) -> float:
    """The gap ``gamma - beta`` above which removing the difficult samples lowers the eigenvalue; inf if none does.

    Removal (`eigenvalue_removed`) is compared with one of:

    - "stated": Thm 3.4 as stated. Equivalent to the condition of Cor. 4.1 (arXiv:2501.01317), which has gamma on both
      sides (`removal_threshold_printed`), but solved for the gap.
    - "matched": Thm 3.4 as corrected for "matched", exact for ``r + 1 <= k < r + n_d`` if ``std_plus`` is not smaller.
    - "all_k_r1": ``trivial_2`` of "all", exact for ``k = r + 1`` if ``std_plus`` is not smaller. For every larger k
      removal makes the eigenvalue of "all" worse, whatever the gap.

    ``gamma`` and ``structure`` make no difference; arguments and errors as in `degrees`.

    Raises:
        ValueError: for another ``against``, and as `degrees` does.
    """
    check_choice("against", against, "stated", "matched", "all_k_r1")
    c = degrees(n, r, n_d, alpha, beta, gamma, structure)
    own, between, left = 1 - alpha, alpha + r * beta, c["c_removed"]
    if against == "stated":
        numerator, denominator = own * n_d * between, left - own * n_d
    elif against == "matched":
        numerator, denominator = own * n_d, float(n - n_d)
    else:
        numerator, denominator = own * c["c2"] * between, left**2 - own * c["c2"] if n_d else 0.0
    return numerator / (r * denominator) if denominator > 0 else inf


def removal_threshold_printed(
    n: int, r: int, n_d: int, alpha: float, beta: float, gamma: float, structure: Structure = "all"
) -> float:
    """The right-hand side of Cor. 4.1 (arXiv:2501.01317) as printed, which contains the gamma it is to bound.

    ``n_d (1 - alpha)(alpha + r gamma) / (r c_removed)``. The gap exceeds it exactly where it exceeds
    `removal_threshold`. ``structure`` makes no difference; arguments and errors as in `degrees`.
    """
    left = degrees(n, r, n_d, alpha, beta, gamma, structure)["c_removed"]
    return n_d * (1 - alpha) * (alpha + r * gamma) / (r * left)


def wigner_x0(r: int, difficult_fraction: float) -> float:
    """The point of Wigner's semicircle on -2..2 with the mass ``difficult_fraction / (r + 1)`` above it.

    Noise of size epsilon on the edges (arXiv:2501.01317, App. B.3) raises an eigenvalue bound by at most
    ``x0 epsilon / c2``, up to finite-size fluctuation. As stated ``difficult_fraction = n_d / n``, for every k: that
    is right for ``k = r + n_d`` only. Corrected, it is ``(k - r) / n``; 0, hence ``x0 = 2``, serves every k.

    Args:
        r: number of classes less one, at least 1.
        difficult_fraction: share of a class, in 0..1.

    Raises:
        ValueError: for an argument out of range.

    Example:
        >>> round(wigner_x0(9, 0.08), 6)
        1.886925
    """
    require(whole(r), "r, the number of classes less one, must be a whole number >= 1", r=r)
    require(bool(0 <= difficult_fraction <= 1), "a fraction must be in 0..1", difficult_fraction=difficult_fraction)
    tail = difficult_fraction / (r + 1)
    # With x0 = 2 cos(E/2) the paper's equation becomes Kepler's; as stated it is ill-conditioned near x0 = 2.
    return 2 * cos(brentq(lambda angle: angle - sin(angle) - 2 * pi * tail, 0, pi, xtol=1e-15) / 2)
