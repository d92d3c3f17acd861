"""The theory from the command line: what is printed is what the functions say, for numbers, runs and checkpoints."""

import csv

import numpy as np
import pytest
import torch
from commands import TINY

from lit_hardcl import ContrastiveDataModule, SimCLRCombined, theory
from lit_hardcl.cli.commands.trained import load_run

SMALL = {"n": 20, "r": 2, "n_d": 5, "alpha": 0.5, "beta": 0.2, "gamma": 0.3}
OPTIONS = [part for name, value in SMALL.items() for part in (f"--{name}", str(value))]


def row(printed, start):
    """The numbers of the printed line that starts so."""
    (line,) = (line for line in printed.splitlines() if line.startswith(start))
    return [float(word) for word in line.removeprefix(start).split() if word not in ("yes", "no")]


def log(folder, *rows):
    """A run's metrics.csv as Lightning's CSVLogger writes it, a row for each dict."""
    folder.mkdir(parents=True)
    with (folder / "metrics.csv").open("w", newline="") as file:
        levels = ["similarity_alpha", "similarity_beta", "similarity_gamma"]
        writer = csv.DictWriter(file, ["epoch", "train_loss", *levels])
        writer.writeheader()
        writer.writerows({**dict(zip(levels, row.pop("levels", []), strict=False)), **row} for row in rows)


def test_spectrum_prints_the_blocks_of_all_three_graphs(run, tmp_path):
    code, printed, _ = run("theory", "spectrum", *OPTIONS, "--k", 3)
    expected = [
        (block, f"{value:.6g}", str(count))
        for graph, structure in ((SMALL | {"n_d": 0}, "all"), (SMALL, "all"), (SMALL, "matched"))
        for block, value, count in theory.spectrum_blocks(**graph, structure=structure)
    ]
    assert code == 0
    assert [tuple(line.split()[-4:-1]) for line in printed.splitlines() if line.count("-") and "_" in line] == expected
    for structure in ("all", "matched"):
        assert f"{theory.eigenvalue(**SMALL, structure=structure, k=3):.6g} in {structure}" in printed
    assert (tmp_path / "theory_spectrum.png").stat().st_size > 10_000


def test_bounds_prints_each_theorem_and_draws_the_map(run, tmp_path):
    code, printed, _ = run("theory", "bounds", *OPTIONS, "--delta", 0.1, "--k", 4)
    exact = theory.eigenvalue(**SMALL, structure="matched", k=4)
    values = {
        "no difficult samples (Thm 3.3), margin (Thm 4.3)": theory.eigenvalue_no_difficult(**SMALL),
        "difficult samples: Thm 3.4 as stated": theory.eigenvalue_difficult_stated(**SMALL),
        'difficult samples: Thm 3.4 corrected, "all"': theory.eigenvalue_difficult_corrected(**SMALL, structure="all"),
        'difficult samples: exact, "matched"': exact,
        "difficult samples removed (Cor. 4.1)": theory.eigenvalue_removed(**SMALL),
    }
    assert code == 0
    for start, value in values.items():
        assert row(printed, start) == pytest.approx([value, theory.error_bound(0.1, value)], rel=1e-4)
    assert row(printed, "temperature (Thm 4.5)") == pytest.approx([theory.temperature_bound(**SMALL, delta=0.1).E_T])
    limit = theory.worsening_limit(**SMALL)
    assert f"Thm 3.4 is stated for k = 3..7; as stated it exceeds Thm 3.3 for n_d < {limit:.5g} only" in printed
    helpful = theory.helpful_remedies(**SMALL, structure="matched", k=4)
    assert helpful
    assert f'(exact, "matched", k = 4): {", ".join(helpful)}\n' in printed
    assert '(exact, "all", k = 4): none\n' in printed
    assert (tmp_path / "theory_bounds.png").stat().st_size > 10_000


def test_remedies_prints_margins_temperatures_and_thresholds(run, tmp_path):
    code, printed, _ = run("theory", "remedies", *OPTIONS)
    assert code == 0
    all_, matched = (theory.margins(**SMALL, structure=s, normalized=True) for s in ("all", "matched"))
    hot, warm = (theory.temperatures(**SMALL, structure=s) for s in ("all", "matched"))
    assert row(printed, "both difficult, other class, weight γ") == pytest.approx(
        [all_["diff_cross"], matched["diff_cross_matched"], hot["diff_cross"], warm["diff_cross"]], rel=1e-5
    )
    assert row(printed, "one difficult, same class") == pytest.approx(
        [all_["one_same_class"], matched["one_same_class"], hot["one"], warm["one"]], rel=1e-5
    )
    assert row(printed, '"matched", r + 1 <= k < r + n_d') == pytest.approx(
        [theory.removal_threshold(**SMALL, against="matched")], rel=1e-4
    )
    bound = theory.temperature_bound(**SMALL)
    assert f"factor of {bound.factor:.6g}" in printed
    assert f"is below {bound.stated_rhs:.4g}, as stated" in printed
    assert (tmp_path / "theory_remedies.png").exists()


def test_conditions_are_told_apart(run):
    strange = ["--n", 50, "--n_d", 4, "--alpha", 0.2, "--beta", 0.1, "--gamma", 0.15, "--output", ""]
    _, printed, _ = run("theory", "remedies", *strange)
    answers = [line.split()[-1] for line in printed.splitlines() if line.endswith((" yes", " no"))]
    assert answers[-3:] == ["yes", "no", "yes"]  # as Thm 4.5 states it, it does not suffice against Thm 3.4


def test_one_structure_and_no_figure(run, tmp_path):
    for name in ("spectrum", "bounds", "remedies"):
        code, printed, _ = run("theory", name, *OPTIONS, "--structure", "matched", "--output", "")
        assert code == 0
        assert "matched" in printed
        assert '"all"' not in printed.replace('"all", k = r + 1', "")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("change", [{"n_d": 0}, {"n_d": 20}, {"beta": 0}, {"beta": 0, "n_d": 0}], ids=str)
def test_the_edges_of_the_parameters_are_no_errors(change, run):
    edge = [part for name, value in (SMALL | change).items() for part in (f"--{name}", str(value))]
    for name in ("spectrum", "remedies", "bounds"):
        drawn = ["--output", ""] if name == "bounds" and "n_d" in change else []
        assert run("theory", name, *edge, *drawn)[0] == 0


def test_collapse_of_random_vectors(run, tmp_path):
    options = ["--negatives", 30, "--dim", 4, "--positives", 9, "--seed", 3, "--tau", 0.2, "--tolerance", 20]
    code, printed, _ = run("theory", "collapse", *options)
    rng = np.random.default_rng(3)
    own, others = rng.normal(size=(9, 4)), rng.normal(size=(9, 30, 4))
    own /= np.linalg.norm(own, axis=-1, keepdims=True)
    others /= np.linalg.norm(others, axis=-1, keepdims=True)
    found = theory.collapse_statistics(own, others, 0.2)
    angle = np.degrees(found.angle)
    assert code == 0
    expected = np.quantile(angle, [0.05, 0.5, 0.95])
    assert row(printed, "from a positive to its best anchor, degrees") == pytest.approx(expected, rel=1e-3)
    assert f"(best anchor within 20 degrees): {np.mean(angle <= 20):.1%}" in printed
    assert 0 < np.mean(angle <= 20) < 1
    assert f"probability {theory.hull_miss_probability(30, 4):.3g}" in printed
    assert (tmp_path / "theory_collapse.png").exists()


def test_collapse_of_a_checkpoint(run, tmp_path):
    assert run("fit", *TINY, "--trainer.max_epochs", "1", "--seed_everything", "7")[0] == 0
    checkpoint = next(tmp_path.rglob("last.ckpt"))
    code, printed, _ = run("theory", "collapse", "--trust", "nets", "--checkpoint", checkpoint, "--positives", 5)
    module = SimCLRCombined.load_from_checkpoint(checkpoint, trusted=["nets"]).eval()
    data = ContrastiveDataModule(batch_size=128, seed=7)
    views = data.on_after_batch_transfer(next(iter(data.train_dataloader())), 0).views
    with torch.no_grad():
        z0, z1 = (module.projection_head(module(view[:5])) for view in views)
    angles = torch.cosine_similarity(z0, z1).arccos().rad2deg().double().numpy()
    assert code == 0
    assert "5 positives: the first of 128 images" in printed
    assert "254 negatives of each, 128 dimensions, tau = 0.5" in printed
    assert row(printed, "from a positive to the encoder's anchor, degrees") == pytest.approx(
        np.quantile(angles, [0.05, 0.5, 0.95]), rel=1e-2
    )
    assert (
        "tau = 0.1\n"
        in run("theory", "collapse", "--trust", "nets", "--checkpoint", checkpoint, "--positives", 1, "--tau", 0.1)[1]
    )


def test_a_loaded_run_has_its_weights_its_seed_and_the_images_it_kept(run, tmp_path):
    assert run("fit", *TINY, "--trainer.max_epochs", "1", "--seed_everything", "7")[0] == 0
    checkpoint = next(tmp_path.rglob("last.ckpt"))
    saved = torch.load(checkpoint, weights_only=True)
    saved["ContrastiveDataModule"]["kept"] = kept = ContrastiveDataModule().train_images.indices[:200]
    torch.save(saved, checkpoint)
    config = checkpoint.with_name("config.yaml").rename(checkpoint.with_name("config-v1.yaml"))
    other = config.read_text().replace("margin: 0.03", "margin: 9.0").replace("batch_size: 128", "batch_size: 64")
    checkpoint.with_name("config.yaml").write_text(other)  # of an earlier run, of another model
    module, data = load_run(checkpoint, "nets")
    assert isinstance(module, SimCLRCombined)
    assert not module.training
    assert all(torch.equal(value, saved["state_dict"][name]) for name, value in module.state_dict().items())
    assert (data.seed, data.batch_size) == (7, 128)
    assert set(next(iter(data.train_dataloader())).indices.tolist()) <= set(kept.tolist())


@pytest.mark.parametrize("place", ["runs/version_0", "runs", "runs/version_0/checkpoints"])
def test_the_similarities_of_a_run_are_the_last_ones_logged(place, run, tmp_path):
    first, last = {"epoch": 0, "levels": [0.9, 0.1, 0.5]}, {"epoch": 4, "levels": [0.6, 0.25, 0.375]}
    log(tmp_path / "runs/version_0", first, last, {"epoch": 5, "train_loss": 3.0}, {"levels": ["nan", 0.2, "nan"]})
    (tmp_path / "runs/version_0/checkpoints").mkdir()
    code, printed, _ = run("theory", "bounds", "--run", place, "--n", 100, "--output", "")
    assert code == 0
    assert f"measured in epoch 4 of {place}: alpha = 0.6, beta = 0.25, gamma = 0.375" in printed
    clean = theory.eigenvalue_no_difficult(100, 9, 8, 0.6, 0.25, 0.375)
    assert row(printed, "no difficult samples (Thm 3.3), margin (Thm 4.3)")[0] == pytest.approx(clean, rel=1e-4)


def test_a_negative_beta_counts_as_zero_and_says_so(run, tmp_path):
    log(tmp_path / "one", {"epoch": 1, "levels": [0.6, -0.02, 0.3]})
    for name in ("spectrum", "bounds", "remedies"):
        code, printed, _ = run("theory", name, "--run", "one", "--output", "")
        assert code == 0
        assert "beta = -0.02 is taken as 0" in printed
        assert "alpha = 0.6, beta = 0, gamma = 0.3" in printed


@pytest.mark.parametrize("levels", [[0.2, 0.3, 0.25], [0.5, 0.3, 0.2], [0.4, 0.1, 0.4], [1.0, 0.1, 0.4]], ids=str)
def test_a_run_that_the_theory_does_not_fit_is_refused_with_what_was_measured(levels, run, tmp_path):
    log(tmp_path / "one", {"epoch": 1, "levels": levels})
    code, _, errors = run("theory", "bounds", "--run", "one")
    alpha, beta, gamma = levels
    assert code == 2
    assert (
        f"0 <= beta < gamma < alpha < 1, this run has alpha = {alpha:g}, beta = {beta:g}, gamma = {gamma:g}" in errors
    )
    assert run("theory", "bounds", "--run", "one", "--output", "", *OPTIONS[6:])[0] == 0  # all three are given


def test_a_run_without_statistics_is_told_how_to_get_them(run, tmp_path):
    log(tmp_path / "one", {"epoch": 1, "train_loss": 2.0})
    code, _, errors = run("theory", "bounds", "--run", "one")
    assert code == 2
    assert "--trainer.callbacks+=lit_hardcl.SimilarityStatistics" in errors


BAD = {
    "k too small": (["bounds", "--k", "2"], "k must be a whole number in r+1..n(r+1)-1, got k=2"),
    "k of nothing": (["spectrum", "--k", "0"], "k, the width of the features, must be at least 1, got 0"),
    "k too large": (["spectrum", "--k", "60"], "k must be a whole number in 0..n(r+1)-1, got k=60"),
    "no classes": (["bounds", "--r", "0"], "r, the number of classes less one, must be a whole number >= 1, got r=0"),
    "n_d above n": (["remedies", "--n_d", "21"], "must be a whole number in 0..n, got n_d=21, n=20"),
    "order": (["spectrum", "--beta", "0.4"], "must be ordered 0 <= beta < gamma < alpha < 1, got beta=0.4"),
    "alpha": (["spectrum", "--alpha", "1"], "alpha=1"),
    "delta": (["bounds", "--delta", "2"], "delta must be in 0..1, got delta=2.0"),
    "structure": (["bounds", "--structure", "some"], "structure"),
    "no run": (["bounds", "--run", "none"], "there is none in none"),
    "no folder": (["bounds", "--output", "none/x.png"], "output must lie in a folder that exists, got none/x.png"),
    "no picture": (["spectrum", "--output", "x.doc"], "output must end in one of"),
}
BAD_COLLAPSE = {
    "tau": (["--tau", "0"], "tau must be positive and finite, got tau=0.0"),
    "no positives": (["--positives", "0"], "positives must be at least 1, got 0"),
    "no negatives": (["--negatives", "0"], "at least one negative is needed, got n_negatives=0"),
    "no dimensions": (["--dim", "0"], "dim must be a whole number >= 1, got dim=0"),
    "tolerance": (["--tolerance", "0"], "tolerance is an angle in degrees, above 0 and at most 180, got 0.0"),
    "no checkpoint": (["--checkpoint", "none.ckpt"], "there is no file none.ckpt"),
    "both": (["--checkpoint", "none.ckpt", "--dim", "3"], "leave out negatives=None, dim=3"),
    "foreign checkpoint": (["--checkpoint", "foreign.ckpt"], "a run's checkpoint names its model"),
}


@pytest.mark.parametrize("case", BAD)
def test_it_is_refused_by_name(case, run, tmp_path):
    options, message = BAD[case]
    code, _, errors = run("theory", options[0], *OPTIONS, *options[1:])
    assert code == 2
    assert message in errors
    assert "Traceback" not in errors
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("case", BAD_COLLAPSE)
def test_collapse_refuses_it_by_name(case, run, tmp_path):
    torch.save({"state_dict": {}}, tmp_path / "foreign.ckpt")
    options, message = BAD_COLLAPSE[case]
    code, _, errors = run("theory", "collapse", *options)
    assert code == 2
    assert message in errors
    assert "Traceback" not in errors
    assert not (tmp_path / "theory_collapse.png").exists()


def test_without_difficult_samples_no_remedy_is_said_to_pay(run):
    code, printed, _ = run("theory", "remedies", "--n_d", 0, "--output", "")
    assert code == 0
    assert "n_d = 0: without difficult samples there is nothing to remedy, and no remedy pays" in printed
    assert "yes" not in printed
