"""Random graphs and random negatives for the property tests."""

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st

checked = settings(derandomize=True, deadline=None, max_examples=60)

structures = st.sampled_from(["all", "matched"])


@st.composite
def graphs(draw, max_n=7, max_r=4, max_n_d=None):
    """Six valid arguments of a graph; weights at least .01 apart, so that no comparison hangs on rounding."""
    n = draw(st.integers(1, max_n))
    n_d = draw(st.integers(0, n if max_n_d is None else min(n, max_n_d)))
    beta, gamma, alpha = sorted(draw(st.lists(st.integers(1, 98), min_size=3, max_size=3, unique=True)))
    return n, draw(st.integers(1, max_r)), n_d, alpha / 100, beta / 100, gamma / 100


def unit(vectors):
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


@st.composite
def configurations(draw, mirrored=False):
    """A positive, its negatives and a temperature; mirrored at the positive, the negatives make it stationary."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    dim, count = draw(st.integers(2, 6)), draw(st.integers(1, 8))
    p = unit(rng.normal(size=dim))
    negatives = unit(rng.normal(size=(count, dim)))
    if mirrored:
        negatives = np.vstack([negatives, 2 * np.outer(negatives @ p, p) - negatives])
    return p, negatives, draw(st.sampled_from([1.0, 0.5, 0.1]))
