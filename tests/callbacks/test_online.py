"""The online evaluators: exact counts, no trace in the module, and any module whose step returns features."""

import lightning.pytorch as pl
import pytest
import torch
from nets import FlatNet, Foreign
from torch.utils.data import BatchSampler, DataLoader
from torchmetrics.functional.classification import multiclass_accuracy
from trainers import quiet_trainer

from lit_hardcl import ContrastiveDataModule, OnlineKNN, OnlineLinearProbe, SimCLR
from lit_hardcl.callbacks import OnlineStatistics
from lit_hardcl.callbacks.online import first_of_each
from lit_hardcl.evaluation import Statistic, extract_features, of_rows, rank_me, uniformity


def fit(module, data, *callbacks, max_epochs=1):
    trainer = quiet_trainer(*callbacks, max_epochs=max_epochs)
    trainer.fit(module, data)
    return trainer


def simclr():
    pl.seed_everything(0)
    return SimCLR(backbone=FlatNet(), temperature=0.5)


class Recorder(pl.Callback):
    """Collects the held-out features, the targets, and the newest training features."""

    def on_train_epoch_start(self, trainer, pl_module):
        self.training = []

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        self.training.append((outputs["features"], outputs["targets"]))

    def on_validation_epoch_start(self, trainer, pl_module):
        self.held_out = []

    def on_validation_batch_end(self, trainer, pl_module, outputs, batch, batch_idx, dataloader_idx=0):
        self.held_out.append((outputs["features"], outputs["targets"]))


def test_the_logged_accuracies_are_the_shares_of_held_out_images_classified_right():
    probe, knn, seen = OnlineLinearProbe(), OnlineKNN(k=5), Recorder()
    trainer = fit(simclr(), ContrastiveDataModule(batch_size=128, eval_batch_size=100), probe, knn, seen, max_epochs=2)
    features, targets = (torch.cat(column) for column in zip(*seen.held_out, strict=True))
    bank, classes = (torch.cat(column) for column in zip(*seen.training, strict=True))
    assert len(targets) == 360
    assert len(bank) == 11 * 128 * 2

    right = (probe.probe(features).argmax(dim=1) == targets).sum().item()
    assert trainer.callback_metrics["val_linear_top1"].item() == pytest.approx(right / 360, abs=1e-7)
    five = probe.probe(features).topk(5, dim=1).indices
    assert trainer.callback_metrics["val_linear_top5"].item() == pytest.approx(
        (five == targets[:, None]).any(dim=1).sum().item() / 360, abs=1e-7
    )
    cosines = torch.nn.functional.normalize(features) @ torch.nn.functional.normalize(bank).T
    right = 0
    for row, target in zip(cosines, targets, strict=True):
        votes = torch.zeros(10)
        for place in row.topk(5).indices:
            votes[classes[place]] += (row[place] / 0.1).exp()
        right += int(votes.argmax() == target)
    assert trainer.callback_metrics["val_knn_top1"].item() == pytest.approx(right / 360, abs=1e-7)


def test_watching_changes_nothing_in_what_is_watched():
    alone, watched = simclr(), simclr()
    fit(alone, ContrastiveDataModule(batch_size=128))
    pl.seed_everything(0)
    fit(watched, ContrastiveDataModule(batch_size=128), OnlineLinearProbe(), OnlineKNN())
    assert alone.state_dict().keys() == watched.state_dict().keys()
    for name, value in alone.state_dict().items():
        assert torch.equal(value, watched.state_dict()[name])


class Counting(FlatNet):
    """Counts how often it is called, in training and in evaluation."""

    calls = 0

    def forward(self, images):
        Counting.calls += 1
        return super().forward(images)


def test_no_image_passes_a_second_time():
    module = SimCLR(backbone=Counting(), temperature=0.5)
    Counting.calls = 0
    fit(module, ContrastiveDataModule(batch_size=128), OnlineLinearProbe(), OnlineKNN())
    sanity = 2  # validation batches before training, as Lightning does
    assert Counting.calls == 11 + 3 + sanity


def test_the_shares_are_those_of_torchmetrics():
    probe, seen = OnlineLinearProbe(), Recorder()
    trainer = fit(simclr(), ContrastiveDataModule(batch_size=128), probe, seen)
    features, targets = (torch.cat(column) for column in zip(*seen.held_out, strict=True))
    for top in (1, 5):
        expected = multiclass_accuracy(probe.probe(features), targets, num_classes=10, top_k=top, average="micro")
        assert trainer.callback_metrics[f"val_linear_top{top}"].item() == pytest.approx(expected.item(), abs=1e-7)


def test_the_probe_stays_in_float32_whatever_the_trainers_precision():
    probe = OnlineLinearProbe()
    trainer = quiet_trainer(probe, max_epochs=1, precision="bf16-true")
    trainer.fit(simclr(), ContrastiveDataModule(batch_size=128))
    assert probe.probe.weight.dtype == torch.float32


def test_a_saved_probe_of_another_size_is_refused():
    probe = OnlineLinearProbe(num_classes=3)
    probe.load_state_dict({"probe": torch.nn.Linear(4, 7).state_dict(), "optimizer": {}})
    probe._classes = 3
    with pytest.raises(ValueError, match="for 7 classes and 4 features, but here are 3 and 4"):
        probe.scores(torch.zeros(2, 4))


@pytest.mark.filterwarnings("ignore:The dirpath has changed")
def test_a_resumed_probe_is_the_uninterrupted_one(tmp_path):
    def run(folder, epochs, ckpt_path=None):
        probe = OnlineLinearProbe()
        keep = pl.callbacks.ModelCheckpoint(tmp_path / folder, filename="last")
        trainer = quiet_trainer(probe, keep, max_epochs=epochs)
        pl.seed_everything(0)
        module = SimCLR(backbone=FlatNet(), temperature=0.5, scheduler=None)
        trainer.fit(module, ContrastiveDataModule(batch_size=128), ckpt_path=ckpt_path, weights_only=True)
        return probe.probe, trainer.callback_metrics["val_linear_top1"]

    whole, accuracy = run("whole", 3)
    run("first", 1)
    resumed, resumed_accuracy = run("rest", 3, tmp_path / "first" / "last.ckpt")
    assert torch.equal(whole.weight, resumed.weight)
    assert torch.equal(accuracy, resumed_accuracy)


@pytest.mark.filterwarnings("ignore:.*does not have many workers")
def test_any_module_and_data_will_do_if_the_step_returns_features():
    def loader(count):
        images = torch.randn(count, 1, 4, 4)
        rows = [([images[i]], i % 2 if i % 3 else -1, i) for i in range(count)]
        return DataLoader(rows, batch_size=8)

    module = Foreign(pixels=16)
    probe, knn = OnlineLinearProbe(num_classes=2), OnlineKNN(num_classes=2)
    trainer = quiet_trainer(probe, knn, max_epochs=2, log_every_n_steps=1)
    trainer.fit(module, loader(32), loader(20))
    labelled = 13  # 20 images less every third
    for name in ("val_linear_top1", "val_knn_top1"):
        hits = trainer.callback_metrics[name].item() * labelled
        assert hits == pytest.approx(round(hits), abs=1e-4)
    assert "val_linear_top5" not in trainer.callback_metrics


@pytest.mark.parametrize("split", ["train_images", "held_out_images"])
def test_data_without_any_label_are_refused_before_training(split):
    data = ContrastiveDataModule(batch_size=128)
    getattr(data, split).targets.fill_(-1)
    with pytest.raises(ValueError, match=f"OnlineKNN needs labels, but of the {split.replace('_', ' ')} none has one"):
        fit(simclr(), data, OnlineKNN())


def test_images_without_a_label_neither_train_nor_vote_nor_count():
    data, clean, seen = ContrastiveDataModule(batch_size=128), ContrastiveDataModule(batch_size=128), Recorder()
    data.train_images.targets[::2] = -1
    data.held_out_images.targets[::3] = -1
    clean.train_images.targets[::2] = -1
    accuracies = []
    for module_data in (data, clean):
        pl.seed_everything(0)
        trainer = fit(simclr(), module_data, OnlineLinearProbe(), OnlineKNN(), seen)
        accuracies.append(trainer.callback_metrics)
    labelled = (data.held_out_images.targets >= 0).sum().item()
    for name in ("val_linear_top1", "val_knn_top1"):
        hits = accuracies[0][name].item() * labelled
        assert hits == pytest.approx(round(hits), abs=1e-3)
        assert accuracies[0][name] != accuracies[1][name]  # counted over 360 there


@pytest.mark.filterwarnings("ignore:Be aware that when using `ckpt_path`")
def test_validate_restores_the_probe_and_fills_the_bank(tmp_path):
    keep = pl.callbacks.ModelCheckpoint(tmp_path, filename="last")
    trainer = quiet_trainer(OnlineLinearProbe(), OnlineKNN(), keep, max_epochs=2)
    trainer.fit(simclr(), ContrastiveDataModule(batch_size=128))
    after_fit = trainer.callback_metrics["val_linear_top1"].item()

    again = quiet_trainer(OnlineLinearProbe(), OnlineKNN())
    for name, run in (("val", again.validate), ("test", again.test)):
        (metrics,) = run(simclr(), ContrastiveDataModule(), ckpt_path=tmp_path / "last.ckpt", weights_only=True)
        assert metrics[f"{name}_linear_top1"] == pytest.approx(after_fit)
        assert metrics[f"{name}_knn_top1"] > 0.5


def test_the_bank_keeps_the_newest_rows_only():
    knn = OnlineKNN(num_classes=5, bank_size=10)
    for step in range(5):
        outputs = {"features": torch.full((4, 3), float(step + 1)), "targets": torch.full((4,), step)}
        knn.on_train_batch_end(pl.Trainer(accelerator="cpu", logger=False), Foreign(), outputs, None, step)
    assert [int(targets[0]) for _, targets in knn._rows] == [2, 3, 4]


def test_the_first_row_of_each_index_counts():
    assert first_of_each(torch.tensor([7, 3, 7, 5, 3])).tolist() == [True, True, False, True, False]


def test_the_probe_sees_nothing_on_the_steps_between():
    every = OnlineLinearProbe(every_n_steps=5)
    fit(simclr(), ContrastiveDataModule(batch_size=128), every)
    assert {int(state["step"]) for state in every._built[1].state.values()} == {3}  # batches 0, 5 and 10 of 11


def test_the_number_of_classes_must_be_known_before_training():
    with pytest.raises(ValueError, match="OnlineKNN needs num_classes"):
        quiet_trainer(OnlineKNN(), max_epochs=1).fit(Foreign(), DataLoader([0]), DataLoader([0]))


@pytest.mark.filterwarnings("ignore:.*have no `val_dataloader`")
@pytest.mark.filterwarnings("ignore:The number of training batches")
@pytest.mark.parametrize("kind", [OnlineLinearProbe, OnlineKNN])
@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (torch.eye(4), r"class numbers, one for each image, got torch.float32 of shape \(4, 4\); .*argmax"),
        (torch.rand(4), "class numbers, one for each image, got torch.float32"),
        (torch.arange(4), "targets must be below the number of classes, 3, got 3"),
    ],
    ids=["one-hot", "soft", "beyond"],
)
def test_labels_that_are_no_class_numbers_are_refused(kind, labels, message):
    class Data(pl.LightningDataModule):
        num_classes = 3

        def train_dataloader(self):
            return DataLoader([(torch.rand(4, 1, 4, 4), labels, torch.arange(4))], batch_size=None)

    class Module(Foreign):
        def training_step(self, batch, batch_idx):
            return super().training_step(([batch[0]], *batch[1:]), batch_idx)

    with pytest.raises(ValueError, match=message):
        quiet_trainer(kind(), max_epochs=1).fit(Module(16), Data())


def test_every_negative_label_is_none():
    outputs = [{"features": torch.eye(4), "targets": torch.tensor([0, 1, none, none])} for none in (-1, -100)]
    probes = [OnlineLinearProbe(num_classes=2) for _ in outputs]
    for probe, output in zip(probes, outputs, strict=True):
        probe._classes = 2
        probe.on_train_batch_end(pl.Trainer(accelerator="cpu", logger=False), Foreign(), output, None, 0)
    assert torch.equal(probes[0].probe.weight, probes[1].probe.weight)


@pytest.mark.parametrize(
    ("kind", "settings"),
    [
        (OnlineLinearProbe, {"learning_rate": 0.0}),
        (OnlineLinearProbe, {"every_n_steps": 0}),
        (OnlineLinearProbe, {"num_classes": 0}),
        (OnlineKNN, {"k": 0}),
        (OnlineKNN, {"temperature": -1.0}),
        (OnlineKNN, {"bank_size": 0}),
    ],
    ids=str,
)
def test_a_setting_that_breaks_its_rule_is_refused(kind, settings):
    with pytest.raises(ValueError, match="must be"):
        kind(**settings)


@pytest.mark.filterwarnings("ignore:Be aware that when using `ckpt_path`")
def test_a_fit_may_follow_a_validation_and_another_module_gets_a_probe_of_its_own(tmp_path):
    keep, model, data = pl.callbacks.ModelCheckpoint(tmp_path, filename="last"), simclr(), ContrastiveDataModule()
    fit(model, data, OnlineLinearProbe(), keep)

    probe = OnlineLinearProbe()
    quiet_trainer(probe).validate(model, data, ckpt_path=tmp_path / "last.ckpt", weights_only=True)
    restored = probe.probe.weight.clone()
    fit(model, data, probe)  # crashed: the probe had been made in inference mode
    assert (restored != 0).any()
    assert probe.probe.weight.requires_grad

    fit(simclr(), data, probe)
    fresh = OnlineLinearProbe()
    fit(simclr(), data, fresh)
    assert torch.equal(probe.probe.weight, fresh.probe.weight)


def test_statistics_of_the_catalogue_are_those_of_the_features_that_validation_computed():
    statistics, seen = OnlineStatistics(), Recorder()
    trainer = fit(simclr(), ContrastiveDataModule(batch_size=128, eval_batch_size=100), statistics, seen)
    features = torch.cat([features for features, _ in seen.held_out])
    assert trainer.callback_metrics["uniformity"].item() == pytest.approx(uniformity(features))
    assert trainer.callback_metrics["rank_me"].item() == pytest.approx(rank_me(features))
    assert "val_linear_top1" not in trainer.callback_metrics

    some = OnlineStatistics(["uniformity"], most=2)
    trainer = fit(simclr(), ContrastiveDataModule(batch_size=128, eval_batch_size=100), some, seen)
    features = torch.cat([features for features, _ in seen.held_out])
    assert trainer.callback_metrics["uniformity"].item() == pytest.approx(uniformity(features[[0, -1]]))
    assert "rank_me" not in trainer.callback_metrics


def test_a_statistic_of_labels_is_of_the_images_that_have_one(monkeypatch):
    row = Statistic("count", "count", lambda features, targets: float(len(features) + len(targets)), "labels")
    monkeypatch.setattr("lit_hardcl.callbacks.statistics.CATALOGUE", (row,))
    data = ContrastiveDataModule(batch_size=128)
    data.held_out_images.targets[:50] = -1
    assert fit(simclr(), data, OnlineStatistics()).callback_metrics["count"] == 2 * 310


@pytest.mark.parametrize(
    ("options", "message"),
    [({"names": ["alignment"]}, "names must be of .*, got alignment"), ({"most": 1}, "most must")],
)
def test_a_statistic_that_validation_cannot_give_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        OnlineStatistics(**options)


class PlainData(pl.LightningDataModule):
    """Somebody's data module, whose clean batches are images and targets alone."""

    def __init__(self):
        super().__init__()
        self.rows = [(torch.full((1, 4, 4), float(i % 2)), i % 2) for i in range(20)]

    def clean_train_dataloader(self):
        return DataLoader(self.rows, batch_size=8)

    val_dataloader = clean_train_dataloader


@pytest.mark.filterwarnings("ignore:.*does not have many workers")
def test_clean_batches_of_somebodys_data_may_be_images_and_targets_alone():
    (metrics,) = quiet_trainer(OnlineKNN(num_classes=2)).validate(Foreign(pixels=16), PlainData())
    assert metrics["val_knn_top1"] == 1
    features = extract_features(Foreign(pixels=16), PlainData().clean_train_dataloader())
    assert features.indices.tolist() == list(range(20))


@pytest.mark.parametrize("evaluator", [OnlineLinearProbe, OnlineKNN])
def test_labels_beyond_the_number_of_classes_are_refused(evaluator):
    with pytest.raises(ValueError, match="targets must be below the number of classes, 4, got 9"):
        fit(simclr(), ContrastiveDataModule(batch_size=256), evaluator(num_classes=4))


class Kinds(PlainData):
    """The same images by other loaders and in other batches."""

    def __init__(self, kind):
        super().__init__()
        self.kind = kind

    def clean_train_dataloader(self):
        if self.kind == "batch sampler":
            return DataLoader(self.rows, batch_sampler=BatchSampler(range(20), 8, drop_last=False))
        if self.kind == "no indices":
            return DataLoader([(image, target, torch.rand(3)) for image, target in self.rows], batch_size=8)
        return DataLoader([{"image": image, "label": target} for image, target in self.rows], batch_size=8)

    def on_after_batch_transfer(self, batch, dataloader_idx):
        return (batch["image"], batch["label"]) if self.kind == "mapping" and isinstance(batch, dict) else batch


@pytest.mark.filterwarnings("ignore:.*does not have many workers")
@pytest.mark.parametrize("kind", ["batch sampler", "no indices", "mapping"])
def test_clean_loaders_of_other_kinds_fill_the_bank_and_tell_similarities(kind):
    (metrics,) = quiet_trainer(OnlineKNN(num_classes=2)).validate(Foreign(pixels=16), Kinds(kind))
    assert metrics["val_knn_top1"] == 1
    data = Kinds(kind)
    read = extract_features(
        Foreign(pixels=16), of_rows(data.clean_train_dataloader(), torch.arange(12)), data.on_after_batch_transfer
    )
    assert (read.targets.tolist(), read.indices.tolist()) == ([0, 1] * 6, list(range(12)))


@pytest.mark.filterwarnings("ignore:.*does not have many workers")
def test_a_batch_that_is_not_positional_is_refused_with_what_it_has():
    with pytest.raises(ValueError, match="got a dict of image, label: let the data module's on_after_batch_transfer"):
        quiet_trainer(OnlineKNN(num_classes=2)).validate(Foreign(pixels=16), Kinds("unread"))
