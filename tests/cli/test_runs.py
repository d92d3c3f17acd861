"""Runs through the command line: reproduced from their configuration, resumed, recorded, and read back."""

import csv
import json

import pytest
import torch
import yaml
from commands import CONFIGS, TINY, assert_same, newest
from nets import FlatNet

from lit_hardcl import ContrastiveDataModule, SimCLRCombined


def trained(checkpoint):
    """The parts of a checkpoint that training makes; paths and times left out."""
    return {name: checkpoint[name] for name in ("state_dict", "optimizer_states", "lr_schedulers", "global_step")} | {
        "probe": checkpoint["callbacks"]["OnlineLinearProbe"]
    }


def test_the_printed_configuration_given_back_reproduces_the_run_bit_for_bit(run, tmp_path):
    options = [*TINY, "-c", CONFIGS / "methods/margin.yaml", "--seed_everything", "3", "--data.seed", "5"]
    assert run("fit", *options, "--trainer.logger.save_dir", "first")[0] == 0
    code, printed, _ = run("fit", *options, "--print_config")
    assert code == 0
    (tmp_path / "printed.yaml").write_text(printed)
    assert run("fit", "-c", "printed.yaml", "--trainer.logger.save_dir", "second")[0] == 0
    first, second = newest(tmp_path / "first"), newest(tmp_path / "second")
    assert_same(trained(first), trained(second))
    assert run("fit", *options, "--seed_everything", "4", "--trainer.logger.save_dir", "third")[0] == 0
    assert not torch.equal(*(w["state_dict"]["backbone.1.weight"] for w in (first, newest(tmp_path / "third"))))

    (saved,) = (tmp_path / "first").rglob("config.yaml")
    assert run("fit", "-c", saved, "--trainer.logger.save_dir", "fourth")[0] == 0
    assert_same(trained(first), trained(newest(tmp_path / "fourth")))


@pytest.mark.parametrize("method", ["combined", "moco_combined", "spacl"])
@pytest.mark.filterwarnings("ignore:The dirpath has changed")
def test_a_killed_run_goes_on_to_the_same_weights(method, run, tmp_path):
    longer = [*TINY, "-c", CONFIGS / f"methods/{method}.yaml", "--trainer.max_epochs", "4"]
    assert run("fit", *longer, "--trainer.logger.save_dir", "whole")[0] == 0
    (tmp_path / "killer.py").write_text(
        "import lightning.pytorch as pl\n\n\nclass Killer(pl.Callback):\n"
        "    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):\n"
        "        if trainer.global_step == 26:\n            raise KeyboardInterrupt\n"
    )
    code, _, errors = run("fit", *longer, "--trainer.logger.save_dir", "killed", "--trainer.callbacks+=killer.Killer")
    assert code == 130
    (last,) = (tmp_path / "killed").rglob("last.ckpt")
    assert f"--ckpt_path {last.relative_to(tmp_path)}" in errors
    assert run("fit", *longer, "--trainer.logger.save_dir", "resumed", "--ckpt_path", last)[0] == 0
    whole, resumed = newest(tmp_path / "whole"), newest(tmp_path / "resumed")
    assert_same(trained(whole), trained(resumed))
    parts = whole["optimizer_states"][0].get("parts", [None])
    assert len(parts) == (3 if method == "spacl" else 1)
    assert len(list((tmp_path / "resumed").rglob("config.yaml"))) == 1

    records = [json.loads(next((tmp_path / run).rglob("summary.json")).read_text()) for run in ("whole", "resumed")]
    assert list(records[0]["history"]) == ["0", "1", "2", "3"]
    assert records[0]["history"]["1"].keys() >= {"train_loss", "val_linear_top1", "val_knn_top1"}
    for part in ("history", "accuracy"):  # of the whole training, not of what came after the interruption
        assert records[1][part] == records[0][part]


@pytest.mark.filterwarnings("ignore:The dirpath has changed")
def test_a_run_ended_by_sigterm_within_an_epoch_goes_on_to_the_same_weights(run, tmp_path):
    options = [*TINY, "--trainer.max_epochs", "3", "--trainer.accumulate_grad_batches", "2"]
    assert run("fit", *options, "--trainer.logger.save_dir", "whole")[0] == 0
    (tmp_path / "ender.py").write_text(
        "import os, signal\n\nimport lightning.pytorch as pl\n\n\nclass Ender(pl.Callback):\n"
        "    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):\n"
        "        if trainer.global_step == 8:  # for two batches; a second signal changes nothing\n"
        "            os.kill(os.getpid(), signal.SIGTERM)\n"
    )
    code, _, errors = run("fit", *options, "--trainer.logger.save_dir", "ended", "--trainer.callbacks+=ender.Ender")
    assert code == 143
    (last,) = (tmp_path / "ended").rglob("last.ckpt")
    assert torch.load(last, weights_only=True)["global_step"] == 9  # of 6 an epoch
    told = f"ended by SIGTERM; the same command with --ckpt_path {last.relative_to(tmp_path)} goes on from there"
    assert errors.strip().splitlines()[-1] == told
    assert run("fit", *options, "--trainer.logger.save_dir", "resumed", "--ckpt_path", last)[0] == 0
    assert_same(trained(newest(tmp_path / "whole")), trained(newest(tmp_path / "resumed")))


@pytest.mark.parametrize(
    "validation", [["--trainer.check_val_every_n_epoch", "2"], ["--trainer.limit_val_batches", "0"]]
)
@pytest.mark.filterwarnings("ignore:.*could not find the monitored key")
def test_the_last_checkpoint_is_of_the_last_epoch(validation, run, tmp_path):
    assert run("fit", *TINY, "--trainer.max_epochs", "3", *validation)[0] == 0
    assert newest(tmp_path)["global_step"] == 33
    best = [torch.load(file, weights_only=True)["global_step"] for file in tmp_path.rglob("best.ckpt")]
    assert best == ([22] if "2" in validation else [])


def test_weights_that_are_no_numbers_do_not_replace_good_ones(run, tmp_path):
    (tmp_path / "poison.py").write_text(
        "import lightning.pytorch as pl\nimport torch\n\n\nclass Poison(pl.Callback):\n"
        "    def on_train_batch_end(self, trainer, pl_module, *step):\n"
        "        if trainer.global_step == 22:  # the last step of the second epoch: no loss will tell\n"
        "            with torch.no_grad():\n                pl_module.projection_head[0].weight[0] = torch.nan\n"
    )
    code, _, errors = run("fit", *TINY, "--trainer.callbacks+=poison.Poison")
    assert code == 2
    assert "stopped being finite at step 22" in errors
    saved = newest(tmp_path)
    assert saved["global_step"] == 11
    assert all(value.isfinite().all() for value in saved["state_dict"].values())


def test_a_checkpoint_of_other_options_is_refused_by_their_names(run, tmp_path):
    assert run("fit", *TINY)[0] == 0
    last = next(tmp_path.rglob("last.ckpt"))
    code, _, errors = run("fit", *TINY, "--ckpt_path", last, "--model.optimizer.lr", "0.9")
    assert code == 2
    assert "init_args.optimizer.init_args.lr: 0.1 in the checkpoint, 0.9 here" in errors
    code, _, errors = run("validate", *TINY, "-c", CONFIGS / "methods/removal.yaml", "--ckpt_path", last)
    assert code == 2
    assert "class_path: 'lit_hardcl.SimCLRCombined' in the checkpoint, 'lit_hardcl.SimCLRRemoval' here" in errors


@pytest.mark.filterwarnings("ignore:The dirpath has changed")
def test_a_run_is_recorded_and_its_checkpoint_validates_and_predicts(run, tmp_path):
    code, output, _ = run("fit", *TINY, "--yardsticks", "true")
    assert code == 0
    folder = tmp_path / "runs/SimCLRCombined-digits/version_0"
    names = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    files = ("best.ckpt", "last.ckpt", "best.safetensors", "last.safetensors", "config.yaml", "summary.json")
    inside = {f"checkpoints/{name}" for name in files}
    assert names == {"metrics.csv", *inside}
    assert {path.name for path in tmp_path.iterdir()} == {"runs"}

    summary = json.loads((folder / "checkpoints/summary.json").read_text())
    logged = [row["val_linear_top1"] for row in csv.DictReader((folder / "metrics.csv").read_text().splitlines())]
    logged = [float(value) for value in logged if value]
    assert summary["accuracy"]["final"]["val_linear_top1"] == pytest.approx(logged[-1])
    assert summary["accuracy"]["best"]["val_linear_top1"] == pytest.approx(max(logged))
    assert set(summary["accuracy"]) == {*("final", "best", "trained backbone", "untrained backbone", "raw pixels")}
    assert summary["accuracy"]["raw pixels"]["val_knn_top1"] > 0.95  # digits are easy to raw pixels, and that is said
    for line in ("final", "best", "untrained backbone", "raw pixels", "images/s", "checkpoint", "metrics"):
        assert line in output
    assert str(folder / "metrics.csv") in output.replace("runs/", str(tmp_path) + "/runs/")

    config, best = folder / "checkpoints/config.yaml", folder / "checkpoints/best.ckpt"
    code, output, _ = run("validate", "-c", config, "--ckpt_path", best)
    assert code == 0
    assert f"{summary['accuracy']['best']['val_linear_top1']:.4f}"[:6] in output
    assert run("test", "-c", config, "--ckpt_path", best)[0] == 0
    code, output, _ = run("predict", "-c", config, "--ckpt_path", best)
    assert code == 0
    (file,) = tmp_path.rglob("features.pt")
    assert str(file.relative_to(tmp_path)) in output
    module = SimCLRCombined.load_from_checkpoint(best, trusted=["nets"]).eval()
    images = ContrastiveDataModule().val_dataloader()
    with torch.no_grad():
        expected = torch.cat([module(views[0]) for views, _, _ in images])
    torch.testing.assert_close(torch.load(file, weights_only=True), expected)
    assert len(list(tmp_path.rglob("config*.yaml"))) == 1  # of the fit only

    assert isinstance(module.backbone, FlatNet)
    assert module.criterion.margin == 0.03


def test_an_epochs_values_are_recorded_also_when_they_have_not_changed(run, tmp_path):
    (tmp_path / "same.py").write_text(
        "import lightning.pytorch as pl\n\n\nclass Same(pl.Callback):\n"
        "    def on_validation_epoch_end(self, trainer, pl_module):\n        self.log('val_same', 0.5)\n\n"
        "    def on_train_epoch_end(self, trainer, pl_module):\n        self.log('same', 0.25)\n"
    )
    every_second = ["--trainer.max_epochs", "4", "--trainer.check_val_every_n_epoch", "2"]
    assert run("fit", *TINY, *every_second, "--trainer.callbacks+=same.Same")[0] == 0
    history = json.loads(next(tmp_path.rglob("summary.json")).read_text())["history"]
    assert [(row["same"], row.get("val_same")) for row in history.values()] == [
        (0.25, None),
        (0.25, 0.5),
        (0.25, None),
        (0.25, 0.5),
    ]


def test_without_a_logger_nothing_lands_in_the_current_folder_and_nothing_is_overwritten(run, tmp_path):
    options = [*TINY, "--trainer.logger", "false", "--trainer.default_root_dir", "out"]
    assert run("fit", *options)[0] == 0
    first = (tmp_path / "out/checkpoints/config.yaml").read_text()
    with pytest.warns(UserWarning, match="exists and is not empty"):
        assert run("fit", *options, "--seed_everything", "1")[0] == 0
    assert {path.name for path in tmp_path.iterdir()} == {"out"}
    assert (tmp_path / "out/checkpoints/config.yaml").read_text() == first
    assert yaml.safe_load((tmp_path / "out/checkpoints/config-v1.yaml").read_text())["seed_everything"] == 1


@pytest.mark.filterwarnings("ignore:.*does not have many workers")
def test_a_module_of_the_current_folder_is_found_and_trained(run, tmp_path):
    (tmp_path / "mine.py").write_text("from nets import Foreign\n\n\nclass Mine(Foreign):\n    pass\n")
    options = ["--model", "mine.Mine", "--trainer.max_epochs", "1", "--trainer.enable_progress_bar", "false"]
    code, output, _ = run("fit", *options, "--trainer.log_every_n_steps", "1")
    assert code == 0
    assert "Mine on digits: 1 epochs, 5 steps" in output


def test_an_optimizer_and_a_scheduler_are_chosen_by_class_path(run, tmp_path):
    options = [
        *("--model.optimizer", "torch.optim.AdamW", "--model.optimizer.lr", "0.01"),
        *("--model.scheduler", "torch.optim.lr_scheduler.CosineAnnealingLR", "--model.scheduler.T_max", "22"),
    ]
    assert run("fit", *TINY, *options)[0] == 0
    saved = newest(tmp_path)
    assert "exp_avg" in saved["optimizer_states"][0]["state"][0]
    assert saved["lr_schedulers"][0]["T_max"] == 22
    assert saved["lr_schedulers"][0]["last_epoch"] == 22  # stepped with every optimizer step


def test_statistics_are_added_by_name_and_lie_in_the_metrics_by_epoch(run, tmp_path):
    options = ["--trainer.callbacks+=SimilarityStatistics", "--trainer.callbacks.subset_size=300"]
    code, _, errors = run("fit", *TINY, *options)
    assert code == 0, errors
    folder = tmp_path / "runs/SimCLRCombined-digits/version_0"
    rows = list(csv.DictReader((folder / "metrics.csv").read_text().splitlines()))
    rows = [row for row in rows if row["similarity_alpha"]]
    assert [row["epoch"] for row in rows] == ["0", "1"]
    for row in rows:
        assert float(row["similarity_beta"]) < float(row["similarity_gamma"]) < float(row["similarity_alpha"]) < 1
        assert 0 < float(row["difficult_share"]) < float(row["difficult_precision"]) < 1
    assert (folder / "similarity.png").is_file()


def test_a_subset_that_is_too_small_is_refused_in_a_sentence(run, tmp_path):
    code, _, errors = run(
        "fit", *TINY, "--trainer.callbacks+=SimilarityStatistics", "--trainer.callbacks.subset_size=100"
    )
    assert code == 2
    assert errors.strip().splitlines()[-1].startswith("error: subset_size must be at least a batch")
    assert list(tmp_path.iterdir()) == []
