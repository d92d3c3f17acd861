"""DifficultyFilter: what it scores, whom it removes, when, and what it refuses."""

import csv
import json
import math

import lightning.pytorch as pl
import pytest
import torch
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.loggers import CSVLogger
from nets import FlatHead, FlatNet, Foreign
from torch.utils.data import DataLoader, Subset
from trainers import quiet_trainer

from lit_hardcl import ContrastiveDataModule, DifficultyFilter, OnlineLinearProbe, SimCLR, SimCLRRemoval
from lit_hardcl.hardness.choosing import hardest

BAND = {"pos_high": 0.1, "pos_low": 0.5}


class Diary(pl.Callback):
    """Writes down, for every epoch, what was trained on and what the steps returned."""

    def __init__(self):
        self.epochs, self.outputs, self.held_out, self.validations = {}, {}, [], 0

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        self.epochs.setdefault(trainer.current_epoch, []).extend(batch[2].tolist())
        self.outputs.setdefault(trainer.current_epoch, []).append(outputs)

    def on_validation_batch_end(self, trainer, pl_module, outputs, batch, batch_idx, dataloader_idx=0):
        self.held_out.extend(batch[2].tolist())

    def on_validation_end(self, trainer, pl_module):
        self.validations += not trainer.sanity_checking


def digits(**settings):
    return ContrastiveDataModule("digits", **{"batch_size": 128, "pin_memory": False, "seed": 0, **settings})


def module(**settings):
    pl.seed_everything(0)
    return SimCLRRemoval(
        **{**BAND, "backbone": FlatNet(), "temperature": 0.5, "projection_head": FlatHead(), **settings}
    )


def fit(model, data, *callbacks, folder=None, ckpt_path=None, **settings):
    logger = CSVLogger(folder, name="", version="") if folder else False
    options = {"max_epochs": 3, "logger": logger, "log_every_n_steps": 1, "num_sanity_val_steps": 0, **settings}
    trainer = quiet_trainer(*callbacks, **options)
    trainer.fit(model, data, ckpt_path=ckpt_path, weights_only=ckpt_path is not None)
    return trainer


def table(folder, epoch):
    rows = list(csv.DictReader((folder / f"difficulty_epoch_{epoch}.csv").read_text().splitlines()))
    return {int(row["index"]): (float(row["score"]), int(row["class"]), row["kept"] == "1") for row in rows}


def removed(folder, epoch):
    return {index for index, (_, _, is_kept) in table(folder, epoch).items() if not is_kept}


def test_pairs_scores_are_the_mean_strength_of_an_images_selected_pairs(tmp_path):
    diary, data = Diary(), digits()
    fit(module(), data, DifficultyFilter("pairs", [2], 0.1), diary, folder=tmp_path)

    strengths, seen = {}, {}
    for outputs in diary.outputs[0] + diary.outputs[1]:
        features = torch.nn.functional.normalize(outputs["features"])
        cosines, rows = (features @ features.T).tolist(), outputs["indices"].tolist()
        for anchor, index in enumerate(rows):
            seen[index] = seen.get(index, 0) + 1
            keys = sorted(cosines[anchor][:anchor] + cosines[anchor][anchor + 1 :], reverse=True)
            high, low = keys[math.floor(0.1 * len(keys))], keys[math.floor(0.5 * len(keys))]
            for key, cosine in enumerate(cosines[anchor]):
                if key != anchor and low <= cosine < high:
                    for image in (index, rows[key]):
                        strengths[image] = strengths.get(image, 0) + max(cosine, 0) / len(rows)
    scores = table(tmp_path, 2)
    assert scores.keys() == set(data.train_images.indices.tolist())
    for index, (score, _, _) in scores.items():
        if index in seen:
            assert score == pytest.approx(strengths[index] / seen[index], rel=1e-3, abs=1e-4)
        else:
            assert math.isnan(score)


def test_margin_scores_are_minus_the_probes_mean_softmax_gap(tmp_path):
    probe, diary, gaps = OnlineLinearProbe(), Diary(), {}

    class Loop(pl.Callback):
        def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
            if trainer.current_epoch > 0:
                return
            for logits, index in zip(probe.scores(outputs["features"]), outputs["indices"].tolist(), strict=True):
                first, second, *_ = sorted(logits.softmax(0).tolist(), reverse=True)
                gaps.setdefault(index, []).append(first - second)

    fit(module(), digits(), probe, Loop(), DifficultyFilter("margin", [1], 0.1), diary, folder=tmp_path, max_epochs=2)

    for index, (score, _, _) in table(tmp_path, 1).items():
        assert score == pytest.approx(-sum(gaps[index]) / 2, abs=1e-6) if index in gaps else math.isnan(score)
    assert max(map(len, gaps.values())) > 1


def test_the_hardest_go_ties_by_index_and_an_image_without_a_score_stays():
    values = torch.tensor([0.5, 0.9, 0.5, torch.nan, 0.5, 0.1])
    classes = torch.tensor([0, 0, 1, 1, 2, 2])
    assert hardest(values, classes, 0.5, per_class=False).tolist() == [True, True, True, False, False, False]
    assert hardest(values, classes, 0.5, per_class=True).tolist() == [False, True, True, False, True, False]
    assert not hardest(values, classes, 0.0, per_class=False).any()


@pytest.mark.parametrize("workers", [0, 1])
@pytest.mark.parametrize("validation", [None, 0])
def test_training_goes_on_with_the_kept_images_alone(workers, validation, tmp_path):
    diary, data = Diary(), digits(num_workers=workers, eval_batch_size=360)
    difficulty = DifficultyFilter("pairs", [1, 2], [0.1, 0.4], restore_at=4)
    trainer = fit(*(module(), data, difficulty, diary), folder=tmp_path, max_epochs=5, limit_val_batches=validation)

    everything = set(data.train_images.indices.tolist())
    first, second = removed(tmp_path, 1), removed(tmp_path, 2)
    assert (len(first), len(second)) == (round(0.1 * 1437), round(0.4 * 1437))
    assert [len(diary.epochs[epoch]) // 128 for epoch in range(5)] == [11, 10, 6, 6, 11]
    assert not first & set(diary.epochs[1])
    assert not second & set(diary.epochs[2] + diary.epochs[3])
    assert set(diary.epochs[2]) < everything - second
    assert set(diary.epochs[4]) & second
    assert diary.validations == (5 if validation is None else 0)
    assert set(diary.held_out) == (set(data.held_out_images.indices.tolist()) if validation is None else set())
    assert trainer.reload_dataloaders_every_n_epochs == 0


def test_what_is_out_is_logged_and_saved_and_how_much_of_it_is_mixed(tmp_path):
    data = digits(mix_fraction=0.2)
    fit(module(), data, DifficultyFilter("pairs", [1], 0.25), folder=tmp_path)

    rows = [row for row in csv.DictReader((tmp_path / "metrics.csv").read_text().splitlines()) if row["filter_removed"]]
    out, mixed = removed(tmp_path, 1), set(data.mixed_indices.tolist())
    assert [float(row["filter_removed"]) for row in rows] == [len(out)] * 3
    for name, value in {
        "filter_removed_share": len(out) / 1437,
        "filter_mixed_share": len(mixed) / 1437,
        "filter_mixed_precision": len(out & mixed) / len(out),
        "filter_mixed_recall": len(out & mixed) / len(mixed),
    }.items():
        assert float(rows[-1][name]) == pytest.approx(value, rel=1e-6)
    labels = dict(zip(data.train_images.indices.tolist(), data.train_images.targets.tolist(), strict=True))
    scores = table(tmp_path, 1)
    assert {index: label for index, (_, label, _) in scores.items()} == labels
    worst_kept = max(score for score, _, is_kept in scores.values() if is_kept and not math.isnan(score))
    assert worst_kept <= min(score for score, _, is_kept in scores.values() if not is_kept)
    assert {path.name for path in tmp_path.iterdir()} == {"metrics.csv", "difficulty_epoch_1.csv"}


def test_without_a_logger_it_filters_and_writes_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    diary, data = Diary(), digits()
    data.keep(data.train_images.indices[:200])  # by an earlier fit
    fit(module(), data, DifficultyFilter("pairs", [1], 0.25), diary, max_epochs=2)
    assert [len(diary.epochs[epoch]) for epoch in (0, 1)] == [11 * 128, 8 * 128]
    assert list(tmp_path.iterdir()) == []


def test_per_class_every_class_loses_its_share(tmp_path):
    data = digits(imbalance=4)
    fit(module(), data, DifficultyFilter("pairs", [1], 0.3, per_class=True), folder=tmp_path, max_epochs=2)
    sizes, scores = data.train_images.targets.bincount().tolist(), table(tmp_path, 1).values()
    assert [sum(label == number and not kept for _, label, kept in scores) for number in range(10)] == [
        round(0.3 * size) for size in sizes
    ]


@pytest.mark.parametrize("per_class", [False, True])
def test_two_processes_remove_the_images_that_one_removes(per_class, tmp_path):
    def run(folder, batch_size, **settings):
        data = digits(batch_size=batch_size, mix_fraction=0.1)
        difficulty = DifficultyFilter("pairs", [1, 2], [0.1, 0.3], per_class=per_class)
        archive = Archive(tmp_path / folder)
        fit(
            *(module(), data, difficulty, archive),
            folder=tmp_path / folder,
            precision="64-true",
            limit_val_batches=1,
            **settings,
        )

    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    run("one", 128)
    run("two", 64, devices=2, strategy="ddp_fork")
    for epoch in (1, 2):
        assert removed(tmp_path / "one", epoch) == removed(tmp_path / "two", epoch)
        one, two = table(tmp_path / "one", epoch), table(tmp_path / "two", epoch)
        assert all(two[i][0] == pytest.approx(one[i][0], rel=1e-9, nan_ok=True) for i in one)
    first, second = (json.loads((tmp_path / f"two/{rank}.json").read_text()) for rank in range(2))
    whole = json.loads((tmp_path / "one/0.json").read_text())
    assert first["kept"] == second["kept"]
    assert sorted(first["trained"] + second["trained"]) == sorted(whole["trained"])
    assert first["metrics"] == second["metrics"] == pytest.approx(whole["metrics"])


class Archive(Diary):
    """A diary that every process leaves behind as a file."""

    def __init__(self, folder):
        super().__init__()
        self.folder = folder

    def on_fit_end(self, trainer, pl_module):
        metrics = {name: value.item() for name, value in trainer.callback_metrics.items() if "filter" in name}
        kept = trainer.datamodule.state_dict()["kept"].tolist()
        trained = self.epochs[max(self.epochs)]
        content = json.dumps({"kept": kept, "trained": trained, "metrics": metrics})
        (self.folder / f"{trainer.global_rank}.json").write_text(content)


@pytest.mark.parametrize("score", ["pairs", "margin"])
@pytest.mark.filterwarnings("ignore:The dirpath has changed")
def test_a_resumed_run_keeps_what_the_unbroken_run_keeps(score, tmp_path):
    def run(folder, epochs, ckpt_path=None):
        model, diary = module(), Diary()
        saved = ModelCheckpoint(tmp_path / folder, filename="{epoch}", save_top_k=-1, save_on_train_epoch_end=True)
        difficulty = DifficultyFilter(score, [2, 4], [0.2, 0.3], restore_at=3)
        callbacks = [difficulty, OnlineLinearProbe(), saved, diary]
        fit(model, digits(), *callbacks, folder=tmp_path / folder, max_epochs=epochs, ckpt_path=ckpt_path)
        return model.state_dict(), diary.epochs

    weights, epochs = run("whole", 6)
    assert len(epochs[2]) == 8 * 128
    for after in (1, 2, 3):
        folder = f"resumed after {after}"
        resumed_weights, resumed = run(folder, 6, tmp_path / "whole" / f"epoch={after - 1}.ckpt")
        assert resumed == {epoch: epochs[epoch] for epoch in range(after, 6)}
        assert removed(tmp_path / folder, 4) == removed(tmp_path / "whole", 4)
        for name, value in weights.items():
            assert torch.equal(value, resumed_weights[name]), name


@pytest.mark.filterwarnings("ignore:The dirpath has changed")
@pytest.mark.filterwarnings("ignore:You're resuming from a checkpoint that ended before the epoch")  # by equal epochs
@pytest.mark.parametrize("done", [1, 2, 3], ids=["filtered", "filtered again", "restored"])
def test_a_run_resumed_from_the_validation_of_an_epoch_that_filters_takes_the_same_steps(done, tmp_path):
    def run(folder, ckpt_path=None):
        model, diary = module(), Diary()
        saved = ModelCheckpoint(tmp_path / folder, filename="{epoch}", save_top_k=-1, save_on_train_epoch_end=False)
        difficulty = DifficultyFilter("pairs", [1, 2], [0.3, 0.5], restore_at=3)
        trainer = fit(model, digits(), difficulty, saved, diary, max_epochs=4, ckpt_path=ckpt_path)
        return trainer.global_step, diary.epochs, model.state_dict()

    steps, epochs, weights = run("whole")
    assert steps == 11 + 7 + 5 + 11
    again = run("resumed", tmp_path / "whole" / f"epoch={done - 1}.ckpt")
    assert again[:2] == (steps, {epoch: epochs[epoch] for epoch in range(done, 4)})
    assert all(torch.equal(value, again[2][name]) for name, value in weights.items())


def test_the_schedule_ends_with_the_training_though_images_went():
    model = module()
    trainer = fit(model, digits(), DifficultyFilter("pairs", [1, 2], [0.3, 0.5], restore_at=4), max_epochs=5)
    (schedule,) = (config.scheduler for config in trainer.lr_scheduler_configs)
    assert trainer.global_step == 11 + 7 + 5 + 5 + 11
    assert schedule.total_steps == trainer.global_step
    assert schedule.get_last_lr() == [pytest.approx(0)]


class Positions(pl.LightningDataModule):
    """Somebody's data module, whose one courtesy is keep(indices)."""

    def __init__(self, images=64, indexed=True, classes=4):
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        pixels = torch.randn(images, 1, 4, 5, generator=generator)
        self.rows = [
            ([pixels[i]], i % classes, i) if indexed else ([pixels[i]], i % classes, -1) for i in range(images)
        ]
        self.kept = range(images)

    def keep(self, indices):
        self.kept = range(len(self.rows)) if indices is None else indices.tolist()

    def train_dataloader(self):
        return DataLoader(Subset(self.rows, self.kept), batch_size=8, drop_last=True)


class Stranger(Foreign):
    """Somebody's module that returns indices."""

    def training_step(self, batch, batch_idx):
        return {**super().training_step(batch, batch_idx), "indices": batch[2]}


@pytest.mark.filterwarnings("ignore:.*does not have many workers")
@pytest.mark.filterwarnings("ignore:.*have no `val_dataloader`")
@pytest.mark.filterwarnings("ignore:The dirpath has changed")
def test_any_data_module_with_keep_is_filtered_and_resumed(tmp_path):
    def run(folder, ckpt_path=None):
        diary, saved = Diary(), ModelCheckpoint(tmp_path / folder, filename="{epoch}", save_top_k=-1)
        pl.seed_everything(0)
        difficulty = DifficultyFilter("pairs", [2], 0.25, per_class=True, pos_high=0.2)
        fit(
            *(Stranger(pixels=20), Positions(), difficulty, saved, diary),
            folder=tmp_path / folder,
            max_epochs=5,
            ckpt_path=ckpt_path,
        )
        return diary.epochs

    whole = run("whole")
    assert [len(set(whole[epoch])) for epoch in range(5)] == [64, 64, 48, 48, 48]
    assert set(whole[2]) == set(range(64)) - removed(tmp_path / "whole", 2)
    assert sorted(index % 4 for index in removed(tmp_path / "whole", 2)) == sorted([0, 1, 2, 3] * 4)
    assert run("resumed", tmp_path / "whole/epoch=2.ckpt") == {epoch: whole[epoch] for epoch in (3, 4)}


@pytest.mark.parametrize("form", ["csv", "json"])
def test_given_scores_filter_before_the_first_epoch_and_a_runs_file_can_be_given_to_another(form, tmp_path):
    fit(module(), digits(), DifficultyFilter("pairs", [1], 0.2), folder=tmp_path / "first", max_epochs=2)
    file = tmp_path / "first/difficulty_epoch_1.csv"
    if form == "json":
        scores = {index: score for index, (score, _, _) in table(tmp_path / "first", 1).items()}
        file = tmp_path / "scores.json"
        file.write_text(json.dumps(scores))
    diary = Diary()

    fit(
        *(module(), digits(), DifficultyFilter("given", [0], 0.2, scores_file=str(file)), diary),
        folder=tmp_path / "second",
        max_epochs=1,
    )

    assert removed(tmp_path / "second", 0) == removed(tmp_path / "first", 1)
    assert len(diary.epochs[0]) == 8 * 128
    assert not removed(tmp_path / "first", 1) & set(diary.epochs[0])


OPTIONS = {
    "no epoch": ({"at_epochs": []}, "at_epochs must name one or more epochs"),
    "negative": ({"at_epochs": [-1]}, r"got \[-1\]"),
    "before training": ({"at_epochs": [0, 2]}, r"from 1 on for 'pairs', got \[0, 2\]"),
    "repeated": ({"at_epochs": [2, 2]}, r"ascending, .* got \[2, 2\]"),
    "all": ({"share": 1.0}, r"share must be in \[0, 1\), .* got 1.0"),
    "below nothing": ({"share": -0.1}, "got -0.1"),
    "no number": ({"share": math.nan}, "got nan"),
    "too many shares": ({"share": [0.1, 0.2]}, "one for each of at_epochs"),
    "restored before": ({"restore_at": 1}, "restore_at must come after the first of at_epochs"),
    "file without given": ({"scores_file": "a.csv"}, "scores_file goes with score='given'"),
    "given without file": ({"score": "given"}, "scores_file goes with score='given'"),
    "half a band": ({"pos_low": 0.5}, "pos_low needs pos_high"),
    "band": ({"pos_high": 0.5, "pos_low": 0.2}, "0 <= pos_high < pos_low <= 1"),
    "cadence": ({"every_n_steps": 0}, "every_n_steps must be at least 1, got 0"),
}


def test_an_unknown_score_is_refused(unchecked_shapes):
    with pytest.raises(ValueError, match="score must be 'pairs', 'margin' or 'given', got 'loss'"):
        DifficultyFilter("loss", [1], 0.1)


@pytest.mark.parametrize("case", OPTIONS)
def test_an_option_out_of_its_range_is_refused(case):
    options, message = OPTIONS[case]
    with pytest.raises(ValueError, match=message):
        DifficultyFilter(**{"score": "pairs", "at_epochs": [1], "share": 0.1, **options})


def unlabelled():
    data = digits()
    data.train_images.targets[7] = -1
    return data


NEEDS = {
    "no keep": (module, lambda: DataLoader([0]), {}, "a data module with a method keep"),
    "too late": (module, digits, {"at_epochs": [3]}, "must be below max_epochs=3, got 3"),
    "restored too late": (module, digits, {"restore_at": 9}, "must be below max_epochs=3, got 9"),
    "no band": (lambda: SimCLR(backbone=FlatNet(), temperature=0.5), digits, {}, "needs a band .* give pos_high"),
    "no probe": (module, digits, {"score": "margin"}, "needs an OnlineLinearProbe among the trainer's callbacks"),
    "no label": (module, unlabelled, {"per_class": True}, "per_class needs a label on every image, got 1 without"),
    "no image": (lambda: Stranger(20), Positions, {"share": 0.999, "pos_high": 0.1}, "64 of 64|of 64 images are 64"),
    "no batch": (module, digits, {"share": 0.95}, "must leave a whole batch to every process, 128 .* leaves 72"),
}


@pytest.mark.parametrize("case", NEEDS)
@pytest.mark.filterwarnings("ignore:.*does not have many workers")
@pytest.mark.filterwarnings("ignore:.*have no `val_dataloader`")
def test_what_it_needs_is_asked_for_before_training(case):
    model, data, options, message = NEEDS[case]
    diary = Diary()
    with pytest.raises(ValueError, match=message):
        fit(
            *(model(), data(), diary, DifficultyFilter(**{"score": "pairs", "at_epochs": [1], "share": 0.1, **options}))
        )
    assert diary.epochs == {}


@pytest.mark.filterwarnings("ignore:.*does not have many workers")
@pytest.mark.filterwarnings("ignore:.*have no `val_dataloader`")
def test_batches_without_indices_and_with_strange_ones_are_refused():
    difficulty = DifficultyFilter("pairs", [1], 0.1, pos_high=0.1)
    with pytest.raises(ValueError, match='must return "indices".*got none'):
        fit(Foreign(pixels=20), Positions(), difficulty)
    with pytest.raises(ValueError, match=r"indices 0 \.\.\. 63, got 64 rows with other indices"):
        fit(Stranger(pixels=20), Positions(indexed=False), difficulty)


def test_a_class_that_would_vanish_is_named(tmp_path):
    data = digits()
    images = data.train_images
    scores = dict(zip(images.indices.tolist(), (images.targets == 3).double().tolist(), strict=True))
    (tmp_path / "scores.json").write_text(json.dumps(scores))
    difficulty = DifficultyFilter("given", [1], 0.2, scores_file=str(tmp_path / "scores.json"))
    with pytest.raises(ValueError, match=r"are all of class 3: lower share or set per_class"):
        fit(module(), data, difficulty)


FILES = {
    "missing": (None, "there is no file"),
    "no scores": ("index,loss\n1,2\n", "columns index and score"),
    "no number": ("index,score\n1,hard\n", "could not convert"),
    "broken": ('{"1": ', "JSON object"),
    "repeated": ("index,score\n1,2\n1,3\n", "once, got index 1 again"),
    "repeated in JSON": ('{"1": 2, "1": 3}', "once, got index 1 again"),
    "infinite": ("index,score\n1,inf\n", "finite"),
    "out of range": ("index,score\n99999,2\n", r"1437 without one .*, 1 for others \[99999\]"),
}


@pytest.mark.parametrize("case", FILES)
def test_a_file_of_scores_that_is_none_is_refused(case, tmp_path):
    text, message = FILES[case]
    if text is not None:
        (tmp_path / "scores").write_text(text)
    with pytest.raises(ValueError, match=message):
        fit(module(), digits(), DifficultyFilter("given", [0], 0.2, scores_file=str(tmp_path / "scores")))


def test_more_than_was_scored_cannot_go():
    with pytest.raises(ValueError, match="718 .*, but only 128 have been scored"):
        fit(module(), digits(), DifficultyFilter("pairs", [1], 0.5), limit_train_batches=1, limit_val_batches=0)
