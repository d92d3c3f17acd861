"""Two processes do what one does: same pairs, same loss, same gradients, same counts."""

import csv
import subprocess
import sys
from pathlib import Path

import processes
import pytest
import torch
from treatments import METHODS

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    """Steps of every treatment: in one process, and in two."""
    settings = [
        {"margin": margin, "temperature_scale": scale, "pos_high": 0.15, "pos_low": 0.6}
        for margin, scale in METHODS.values()
    ]
    one = [processes.step(processes.Both(), setting, processes.views()) for setting in settings]
    two = processes.in_two(processes.steps, tmp_path_factory.mktemp("two"), settings)
    return dict(zip(METHODS, zip(one, *two, strict=True), strict=True))


@pytest.mark.parametrize("method", METHODS)
def test_the_same_pairs_are_chosen(both, method):
    one, first, second = both[method]
    # Anchors stand view by view in each process: its 5 images' first views, then their second.
    rows = torch.cat([first["chosen"][:5], second["chosen"][:5], first["chosen"][5:], second["chosen"][5:]])
    assert torch.equal(rows, one["chosen"])
    assert 0 < rows.sum() < rows.numel()


@pytest.mark.parametrize("method", METHODS)
def test_the_mean_loss_is_that_of_one_process(both, method):
    one, first, second = both[method]
    torch.testing.assert_close((first["loss"] + second["loss"]) / 2, one["loss"], rtol=1e-12, atol=0)


@pytest.mark.parametrize("method", METHODS)
def test_the_parameters_gradients_are_those_of_one_process(both, method):
    one, first, second = both[method]
    assert torch.equal(first["gradient"], second["gradient"])
    error = (first["gradient"] - one["gradient"]).norm() / one["gradient"].norm()
    assert error <= 1e-10


def test_without_the_gather_each_process_contrasts_its_own_images(tmp_path):
    settings = {"margin": 0.1, "pos_high": 0.15, "pos_low": 0.6, "gather_distributed": False}
    two = processes.in_two(processes.steps, tmp_path, [settings])
    for rank, results in enumerate(two):
        alone = processes.step(processes.Both(), settings, processes.views().chunk(2, dim=1)[rank])
        torch.testing.assert_close(results[0]["loss"], alone["loss"], rtol=1e-12, atol=0)


@pytest.mark.parametrize("count", [1, 2, 4])
def test_every_loss_of_rows_is_that_of_one_process(count, tmp_path):
    alone = processes.row_losses(0, 1)
    for shares in zip(*processes.in_two(processes.row_losses_both_ways, tmp_path, count, count=count), strict=True):
        for (loss, gradient), each in zip(alone, zip(*shares, strict=True), strict=True):
            losses, gradients = zip(*each, strict=True)
            torch.testing.assert_close(sum(losses) / count, loss, rtol=1e-12, atol=0)
            torch.testing.assert_close(torch.cat(gradients, dim=1), gradient, rtol=1e-10, atol=1e-14)


def test_processes_may_gather_different_numbers_of_rows(tmp_path):
    first, second = processes.in_two(processes.uneven, tmp_path)
    assert torch.equal(first, second)
    assert first[:, 0].tolist() == [0, 1, 1, 1]


def test_rows_without_indices_all_count(tmp_path):
    assert [share.item() for share in processes.in_two(processes.unindexed, tmp_path)] == [0.5, 0.5]


def fit(folder, *options):
    """Train through the command line in ``folder``; the last row of its metrics."""
    command = [
        *(sys.executable, str(ROOT / "train.py"), "fit", "-c", str(ROOT / "configs/quickstart.yaml")),
        *("--model.backbone", "nets.FlatNet", "--model.projection_head", "nets.FlatHead", "--trainer.max_epochs", "2"),
        *("--trainer.check_val_every_n_epoch", "1", "--trainer.precision", "64-true", "--yardsticks", "false"),
        *("--data.eval_batch_size", "49", "--trainer.log_every_n_steps", "1"),
        *options,
    ]
    folder.mkdir()
    (folder / "nets.py").write_text((Path(__file__).parent / "nets.py").read_text())
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    (metrics,) = folder.rglob("metrics.csv")
    rows = list(csv.DictReader(metrics.read_text().splitlines()))
    losses = [float(row["train_loss"]) for row in rows if row["train_loss"]]
    accuracies = [
        {name: float(row[name]) for name in row if name.startswith("val_")} for row in rows if row["val_linear_top1"]
    ]
    return losses, accuracies


def test_a_fit_of_two_processes_logs_the_losses_and_counts_of_one(tmp_path):
    one_losses, one_accuracies = fit(tmp_path / "one", "--data.batch_size", "128")
    two_losses, two_accuracies = fit(
        tmp_path / "two",
        *("--data.batch_size", "64", "--trainer.devices", "2", "--trainer.strategy", "ddp"),
    )
    assert len(one_losses) == 22
    assert two_losses == pytest.approx(one_losses, rel=1e-6)
    assert two_accuracies == one_accuracies
    for row in one_accuracies:
        for share in row.values():
            assert share * 360 == pytest.approx(round(share * 360), abs=1e-3)  # 360 held-out images, counted once


@pytest.fixture(scope="module")
def spacl_both(tmp_path_factory):
    one = [processes.spacl_step(processes.SPACLStep(settings)) for settings in processes.SPACL_SETTINGS]
    return list(zip(one, *processes.in_two(processes.spacl_steps, tmp_path_factory.mktemp("spacl")), strict=True))


@pytest.mark.parametrize("number", range(len(processes.SPACL_SETTINGS)), ids=lambda n: str(processes.SPACL_SETTINGS[n]))
def test_spacls_encoder_gradients_are_those_of_one_process(spacl_both, number):
    one, first, second = spacl_both[number]
    assert torch.equal(first["gradient"], second["gradient"])
    assert (first["gradient"] - one["gradient"]).norm() <= 1e-10 * one["gradient"].norm()
    torch.testing.assert_close((first["loss"] + second["loss"]) / 2, one["loss"], rtol=1e-12, atol=0)
    torch.testing.assert_close((first["kept"] + second["kept"]) / 2, one["kept"], rtol=1e-6, atol=0)


def test_a_spacl_fit_of_two_processes_logs_the_losses_of_one(tmp_path):
    options = ["-c", str(ROOT / "configs/methods/spacl.yaml"), "--trainer.max_epochs", "1"]
    one_losses, one_accuracies = fit(tmp_path / "one", *options, "--data.batch_size", "128")
    two_losses, two_accuracies = fit(
        tmp_path / "two",
        *(*options, "--data.batch_size", "64", "--trainer.devices", "2", "--trainer.strategy", "ddp"),
    )
    assert len(one_losses) == 11
    assert two_losses == pytest.approx(one_losses, rel=1e-6)
    assert two_accuracies == one_accuracies


def test_all_processes_stop_where_the_loss_of_one_is_no_number(tmp_path):
    assert processes.in_two(processes.watched, tmp_path) == [[1, 1], [1, 1]]
