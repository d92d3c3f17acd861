"""The remedies that help are those whose own thresholds say so."""

import pytest
from hypothesis import given

from lit_hardcl import theory

from .strategies import checked, graphs

CIFAR = (5000, 9, 400, 0.472, 0.191, 0.209)


@checked
@given(graphs(max_n=40))
def test_against_theorem_3_4_as_stated_the_papers_conditions_decide(graph):
    n, r, n_d, _, beta, gamma = graph
    if n_d in (0, n):
        return
    helpful = theory.helpful_remedies(*graph, k=r + 1, as_stated=True)

    assert ("margin" in helpful) == (n_d < theory.worsening_limit(*graph))
    assert ("temperature" in helpful) == theory.temperature_bound(*graph).exact_condition
    if r + 1 < (n - n_d) * (r + 1):
        assert ("removal" in helpful) == (gamma - beta > theory.removal_threshold(*graph))


def test_against_the_exact_spectrum_the_answer_depends_on_the_structure():
    assert theory.helpful_remedies(*CIFAR, "matched", k=10) == ("margin", "removal")
    assert theory.helpful_remedies(*CIFAR, "matched", k=410) == ()
    assert theory.helpful_remedies(*CIFAR, "all", k=10) == ("margin", "removal", "temperature")
    assert theory.helpful_remedies(*CIFAR, "all", k=11) == ()


def test_nothing_to_remedy_and_nothing_left():
    assert theory.helpful_remedies(5000, 9, 0, 0.472, 0.191, 0.209, k=10) == ()
    assert theory.helpful_remedies(20, 2, 20, 0.5, 0.2, 0.3, "matched", k=3) == ("margin",)


def test_without_beta_there_is_no_temperature():
    assert "temperature" not in theory.helpful_remedies(5000, 9, 4, 0.472, 0.0, 0.209, k=10)


@pytest.mark.parametrize("k", [9, 50_000, 10.5])
def test_k_must_be_in_the_theorems_reach(k):
    with pytest.raises(ValueError, match=r"k must be a whole number in r\+1\.\.n\(r\+1\)-1"):
        theory.helpful_remedies(*CIFAR, k=k)
