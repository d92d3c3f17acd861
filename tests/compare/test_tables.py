"""The tables of a comparison, against numbers worked out by hand and by scipy."""

import csv
import math
from pathlib import Path

import pytest
from scipy import stats

from lit_hardcl.compare import Arm, Comparison, Training
from lit_hardcl.compare.plan import varied_number
from lit_hardcl.compare.tables import half_width, holm

ACCURACIES = {
    "SimCLR": {0: 0.80, 1: 0.82, 2: 0.81},
    "removal": {0: 0.83, 1: 0.851, 2: 0.839},
    "margin": {0: 0.79, 1: 0.83, 2: 0.81},
}


def finished(accuracies=ACCURACIES, variant=""):
    """Runs as their summaries tell them."""
    runs = []
    for method, values in accuracies.items():
        for seed, value in values.items():
            history = {
                "0": {"train_loss": 3.0, "similarity_gap": 0.9, "val_linear_top1": 0.5},
                "1": {"similarity_gap": 0.1 + seed / 100, "val_linear_top1": value - 0.01},
            }
            accuracy = {"trained backbone": {"val_linear_top1": value, "val_knn_top1": value - 0.1}}
            accuracy["final"] = {"val_linear_top1": value - 0.01}
            training = Training(method, variant, seed, Path(f"runs/{method}/{seed}"), ())
            runs.append((training, {"accuracy": accuracy, "history": history, "seconds": 12.345}))
    return runs


def test_a_row_has_the_accuracies_and_the_last_of_what_was_logged():
    rows = list(csv.DictReader(Comparison(finished(), "SimCLR", "linear_top1").csv().splitlines()))
    assert len(rows) == 9
    assert rows[4] == {
        "variant": "",
        "method": "removal",
        "seed": "1",
        "linear_top1": "0.851",
        "knn_top1": "0.751",
        "online_linear_top1": "0.841",
        "online_knn_top1": "",
        "seconds": "12.3",
        "similarity_gap": "0.11",
        "folder": "runs/removal/1",
    }


def test_differences_are_paired_by_seed():
    runs = [run for run in finished() if (run[0].method, run[0].seed) != ("SimCLR", 0)]
    difference = Comparison(runs, "SimCLR", "linear_top1").difference("", "removal")
    assert difference.mean == pytest.approx((0.031 + 0.029) / 2)


def test_p_values_are_scipys_paired_ones_corrected_by_holm():
    comparison = Comparison(finished(), "SimCLR", "linear_top1")
    ours = {name: [*ACCURACIES[name].values()] for name in ACCURACIES}
    raw = {name: stats.ttest_rel(ours[name], ours["SimCLR"]).pvalue for name in ("removal", "margin")}
    assert raw["removal"] < raw["margin"]
    assert comparison.difference("", "removal").p_value == pytest.approx(2 * raw["removal"])
    assert comparison.difference("", "margin").p_value == pytest.approx(max(raw["margin"], 2 * raw["removal"]))


def test_holm_multiplies_by_the_number_of_hypotheses_left_and_never_falls():
    corrected = holm({"a": 0.01, "b": 0.04, "c": 0.03, "d": math.nan})
    assert corrected["a"] == pytest.approx(0.03)
    assert corrected["c"] == pytest.approx(0.06)
    assert corrected["b"] == pytest.approx(0.06)
    assert math.isnan(corrected["d"])
    assert holm({"a": 0.7, "b": 0.8}) == {"a": 1.0, "b": 1.0}


def test_half_an_interval_is_students():
    assert half_width([1.0, 2.0, 3.0]) == pytest.approx(4.302653 / math.sqrt(3), rel=1e-6)
    assert math.isnan(half_width([1.0]))


def test_only_a_significantly_best_method_is_bold():
    table = Comparison(finished(), "SimCLR", "linear_top1").markdown()
    assert "| removal | **84.00 ± 2.62** | 3 | +3.00 ± 0.25 | 0.001 | 74.00 ± 2.62 | 0.1100 |" in table
    assert table.count("**") == 2
    close = {"SimCLR": {0: 0.80, 1: 0.82, 2: 0.81}, "removal": {0: 0.83, 1: 0.81, 2: 0.82}}
    assert "**" not in Comparison(finished(close), "SimCLR", "linear_top1").markdown()
    one_seed = {"SimCLR": {0: 0.1}, "removal": {0: 0.9}}
    assert "**" not in Comparison(finished(one_seed), "SimCLR", "linear_top1").markdown()


def test_a_baseline_is_bold_if_every_other_method_is_significantly_worse():
    worse = {"removal": ACCURACIES["removal"], "SimCLR": ACCURACIES["SimCLR"]}
    assert Comparison(finished(worse), "removal", "linear_top1").best("") == "removal"
    unclear = {**worse, "margin": {0: 0.80, 1: 0.85, 2: 0.82}}
    assert Comparison(finished(unclear), "removal", "linear_top1").best("") is None


def test_methods_that_never_differ_have_a_p_value_of_one_and_no_warning():
    same = {"SimCLR": {0: 0.8, 1: 0.9}, "removal": {0: 0.8, 1: 0.9}}
    difference = Comparison(finished(same), "SimCLR", "linear_top1").difference("", "removal")
    assert (difference.mean, difference.p_value) == (0.0, 1.0)


def test_differences_that_are_equal_but_for_rounding_have_no_p_value():
    shares = {"SimCLR": {0: 348, 1: 343, 2: 340}, "removal": {0: 350, 1: 345, 2: 342}}
    rounded = {name: {seed: hits / 360 for seed, hits in its.items()} for name, its in shares.items()}
    comparison = Comparison(finished(rounded), "SimCLR", "linear_top1")
    assert math.isnan(comparison.difference("", "removal").p_value)
    assert comparison.best("") is None


def test_nothing_is_best_while_seeds_are_missing_or_only_two():
    some = {"SimCLR": ACCURACIES["SimCLR"], "removal": ACCURACIES["removal"]}
    assert Comparison(finished(some), "SimCLR", "linear_top1").best("") == "removal"
    runs = [run for run in finished(some) if (run[0].method, run[0].seed) != ("removal", 1)]
    assert Comparison(runs, "SimCLR", "linear_top1").best("") is None
    two = {"SimCLR": {0: 0.8, 1: 0.81}, "removal": {0: 0.9, 1: 0.911}}
    comparison = Comparison(finished(two), "SimCLR", "linear_top1")
    assert comparison.difference("", "removal").p_value < 0.05
    assert comparison.best("") is None


def test_names_stay_what_they_are():
    table = Comparison(finished({"a|b": {0: 0.8}, "nan": {0: 0.9}}), "a|b", "linear_top1").markdown()
    assert "| a\\|b | 80.00 ± - |" in table
    assert "| nan | 90.00 ± - |" in table


def test_what_is_missing_is_a_dash():
    runs = finished({"SimCLR": {0: 0.8}, "removal": {0: 0.9}}, "small") + finished({"SimCLR": {0: 0.8}}, "large")
    for _, summary in runs:
        summary["accuracy"]["trained backbone"].pop("val_knn_top1")
    lines = Comparison(runs, "SimCLR", "linear_top1").markdown().splitlines()
    assert "| removal | 90.00 ± - | 1 | +10.00 ± - | - | - | 0.1000 |" in lines
    assert "| removal | - | 0 | - | - | - | - |" in lines


@pytest.mark.parametrize(
    ("options", "number"),
    [
        (({"data.mix_fraction": 0.0}, {"data.mix_fraction": 0.2}), ("data.mix_fraction", {"a": 0.0, "b": 0.2})),
        (({"data.imbalance": 1}, {"data.imbalance": 10, "x": "y"}), ("data.imbalance", {"a": 1.0, "b": 10.0})),
        (({"data.mix_fraction": 0.2}, {"data.mix_fraction": 0.2}), None),
        (({"data.dataset": "digits"}, {"data.dataset": "cifar10"}), None),
        (({}, {"data.mix_fraction": 0.2}), None),
    ],
)
def test_a_figures_axis_is_the_one_number_that_tells_the_variants_apart(options, number):
    assert varied_number({name: Arm(options=its) for name, its in zip("ab", options, strict=True)}) == number
