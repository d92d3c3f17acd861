"""What the theory accepts: the one place where its arguments are checked."""

from math import inf
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lit_hardcl.errors import Refusal, check_choice
from lit_hardcl.errors import is_whole as whole

UNIT_TOLERANCE = 1e-5
"""How far a norm may be from 1: float32 embeddings pass, unnormalised ones do not."""


def require(holds: bool, rule: str, **values: object) -> None:
    """Raise a ``ValueError`` that states the rule, then the values, unless the rule holds."""
    if not holds:
        raise Refusal(f"{rule}, got " + ", ".join(f"{name}={value!r}" for name, value in values.items()))


def check_graph(n: int, r: int, n_d: int, alpha: float, beta: float, gamma: float, structure: str) -> None:
    """Refuse parameters that describe no similarity graph of arXiv:2501.01317.

    The ordering is strict even where ``n_d = 0`` leaves gamma without an edge: one rule, whatever the sweep.

    Raises:
        ValueError: unless ``n >= 1``, ``r >= 1``, ``0 <= n_d <= n`` are whole numbers,
            ``0 <= beta < gamma < alpha < 1`` and the structure is "all" or "matched".
    """
    require(whole(n), "n, the samples of a class, must be a whole number >= 1", n=n)
    require(whole(r), "r, the number of classes less one, must be a whole number >= 1", r=r)
    require(whole(n_d, 0, n), "n_d, the difficult samples of a class, must be a whole number in 0..n", n_d=n_d, n=n)
    require(
        bool(0 <= beta < gamma < alpha < 1),
        "edge weights must be ordered 0 <= beta < gamma < alpha < 1",
        beta=beta,
        gamma=gamma,
        alpha=alpha,
    )
    check_choice("structure", structure, "all", "matched")


def check_temperature(tau: float) -> None:
    """Refuse a softmax temperature that is not positive and finite, or so far from 1 that a product of it is not."""
    require(bool(0 < tau < inf), "tau must be positive and finite", tau=tau)
    require(bool(1e-30 <= tau <= 1e30), "tau must be in 1e-30..1e30", tau=tau)


def unit_vectors(p: ArrayLike, negatives: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The positive ``(d,)`` and the negatives ``(J, d)`` in float64, with the last rounding of their norms removed.

    Raises:
        ValueError: unless there is at least one negative, the widths agree, and every norm is 1 within 1e-5.
    """
    p, negatives = np.asarray(p, dtype=np.float64), np.asarray(negatives, dtype=np.float64)
    require(negatives.size > 0, "at least one negative is needed", shape=negatives.shape)
    require(
        p.ndim == 1 and negatives.ndim == 2 and negatives.shape[1] == p.size,
        "p must be of shape (d,) and negatives of shape (J, d)",
        p=p.shape,
        negatives=negatives.shape,
    )
    return _normalised("p", p), _normalised("negatives", negatives)


def _normalised(name: str, vectors: NDArray[Any]) -> NDArray[np.float64]:
    norms = np.linalg.norm(vectors, axis=-1, keepdims=True)
    worst = norms.flat[np.argmax(np.abs(norms - 1))]
    require(bool(abs(worst - 1) <= UNIT_TOLERANCE), f"{name} must be of unit norm", norm=float(worst))
    return vectors / norms
