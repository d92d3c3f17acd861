"""Numbers derived independently of this library."""

import json
from pathlib import Path

import numpy as np
import pytest

from lit_hardcl import theory

CASES = json.loads((Path(__file__).parents[1] / "golden" / "theory.json").read_text())["cases"]


def eigenvalues(**graph):
    return {
        "thm33": theory.eigenvalue_no_difficult(**graph),
        "thm34": theory.eigenvalue_difficult_stated(**graph),
        "thm34_matched": theory.eigenvalue_difficult_corrected(**graph, structure="matched"),
        "removal": theory.eigenvalue_removed(**graph),
    }


def blocks(**graph):
    return {name: [value, multiplicity] for name, value, multiplicity in theory.spectrum_blocks(**graph)}


def scaled_margins(**graph):
    return theory.margins(**graph, normalized=True) | {"vol": theory.volume(**graph)}


def spectral(**graph):
    A, margin = theory.adjacency(**graph), theory.margin_matrix(**graph, normalized=True)
    i, j = np.indices((len(A), 3))
    features = ((3 * i + 5 * j) % 7 - 3) / 4
    return {
        "loss": theory.spectral_loss(A, features),
        "const": np.sum(theory.normalized_adjacency(**graph) ** 2),
        "mf": theory.factorization_loss(A, features),
        "margin_loss": theory.spectral_loss(A, features, margin=margin),
        "margin_mf": theory.factorization_loss(A, features, margin=margin),
        "vol": theory.volume(**graph),
    }


def removal_thresholds(**graph):
    return {
        "stated": theory.removal_threshold_printed(**graph),
        "thm34": theory.removal_threshold(**graph, against="stated"),
        "matched": theory.removal_threshold(**graph, against="matched"),
        "all_k_r1": theory.removal_threshold(**graph, against="all_k_r1"),
    }


def temperature_bound(**graph):
    found = theory.temperature_bound(**graph)
    return vars(found) | {
        "stated": found.stated_condition,
        "exact": found.exact_condition,
        "matched": theory.temperature_bound(**graph, structure="matched").exact_condition,
    }


def worsening_limit(**graph):
    holds = theory.eigenvalue_difficult_stated(**graph) > theory.eigenvalue_no_difficult(**graph)
    return {"limit": theory.worsening_limit(**graph), "holds": holds}


def gradient_bound(**counts):
    return {
        "euclidean": theory.gradient_bound(**counts),
        "tangential": theory.gradient_bound(**counts, tangential=True),
        "theta": theory.steepest_angle(**counts),
    }


def collapse(p, negatives, tau):
    found = theory.collapse(p, negatives, tau)
    assert found.is_global_minimiser == found.is_stationary
    hull = theory.hull_interval(p, negatives)
    x_star = theory.optimal_anchor(p, negatives, tau)
    return vars(found) | {
        "stationary": found.is_stationary,
        "hull": hull,
        "nonzero": hull is not None and (hull[0] < 0 or hull[1] > 0),
        "x_star": x_star,
        "angle": 2 * np.arcsin(np.linalg.norm(x_star - p) / 2),
    }


COMPUTED = {
    "degrees": theory.degrees,
    "eigs": eigenvalues,
    "spectrum": lambda **graph: {"spectrum": theory.spectrum(**graph)},
    "blocks": blocks,
    "margins_scaled": scaled_margins,
    "margins_tiny": theory.margins,
    "spectral": spectral,
    "temperatures": theory.temperatures,
    "removal_thresholds": removal_thresholds,
    "temperature_bound": temperature_bound,
    "temperature_cond": temperature_bound,
    "worsening_limit": worsening_limit,
    "wigner_x0": lambda r, f: {"x0": theory.wigner_x0(r, f)},
    "grad_bound": gradient_bound,
    "collapse": collapse,
    "wendel": lambda J, d: {"value": theory.hull_miss_probability(J, d)},
}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_the_golden_numbers_are_met(case):
    (compute,) = [function for prefix, function in COMPUTED.items() if case["name"].startswith(prefix)]
    expected = case["expected"]
    if isinstance(expected, list):
        expected = {"spectrum": expected}

    computed = compute(**case["inputs"])

    for name, value in expected.items():
        if value is None or isinstance(value, bool):
            assert computed[name] is value or computed[name] == np.bool_(value), name
        else:
            atol = 1e-8 if name == "hull" else 1e-12
            np.testing.assert_allclose(computed[name], value, rtol=1e-9, atol=atol, err_msg=name)
