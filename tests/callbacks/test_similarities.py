"""The statistics callback: exact numbers, the same in two processes and after a resume, no trace in the training."""

import csv
import math

import lightning.pytorch as pl
import pytest
import reference
import torch
from lightning.pytorch.loggers import CSVLogger
from nets import FlatHead, FlatNet, Foreign
from torch import nn
from torch.testing import assert_close
from torch.utils.data import DataLoader
from trainers import quiet_trainer

from lit_hardcl import ContrastiveDataModule, SimCLR, SimCLRCombined, SimilarityStatistics
from lit_hardcl.callbacks.similarities import subset
from lit_hardcl.evaluation import difficult_examples, fit_linear_probe, similarity_levels
from lit_hardcl.functional import cosine_similarity, difficult_pairs
from lit_hardcl.hardness.band import Band
from lit_hardcl.hardness.image_scores import ImageScores
from lit_hardcl.hardness.selected_pairs import selected_pairs, selected_range, selection_counts

LEVELS = [f"similarity_{name}" for name in ("alpha", "beta", "gamma", "gap", "t", "eigenvalue")]
SELECTION = ["difficult_share", "difficult_precision"]


def combined(backbone=FlatNet, **settings):
    pl.seed_everything(0)
    band = {"margin": 0.03, "temperature_scale": 0.6, "pos_high": 0.15, "pos_low": 0.22}
    return SimCLRCombined(backbone=backbone(), projection_head=FlatHead(), temperature=0.5, **band, **settings)


def fit(module, callbacks=(), folder=None, ckpt_path=None, **settings):
    """Train on batches of 128 digits; what the logger wrote, by column and epoch."""
    data = settings.pop("data", None) or ContrastiveDataModule(batch_size=settings.pop("batch_size", 128))
    logger = False if folder is None else CSVLogger(folder, name="run")
    trainer = quiet_trainer(*callbacks, logger=logger, **{"max_epochs": 1, "log_every_n_steps": 1, **settings})
    trainer.fit(module, data, ckpt_path=ckpt_path, weights_only=None if ckpt_path is None else True)
    return trainer


def written(folder):
    """Values that are logged once an epoch, by name and epoch."""
    (file,) = folder.rglob("metrics.csv")
    values = {name: {} for name in LEVELS + SELECTION}
    for row in csv.DictReader(file.read_text().splitlines()):
        for name in values.keys() & row.keys():
            if row[name]:
                values[name][int(row["epoch"])] = float(row[name])
    return values


class Recorder(pl.Callback):
    """Keeps what the training steps of the last epoch returned."""

    def on_train_epoch_start(self, trainer, pl_module):
        self.steps = []

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        self.steps.append((outputs["features"], outputs["targets"]))


def test_each_epochs_levels_are_those_of_the_subsets_clean_views(tmp_path):
    module = combined()
    fit(module, [SimilarityStatistics(subset_size=200, hardest_share=0.1, seed=3)], tmp_path, max_epochs=2)
    data = ContrastiveDataModule()
    rows = subset(data.train_images.targets, 200, seed=3)
    batches = list(data.clean_train_dataloader())
    images = torch.cat([batch.views[0] for batch in batches])[rows]
    targets = torch.cat([batch.targets for batch in batches])[rows]
    with torch.no_grad():
        features = module.eval()(images)
    probe = fit_linear_probe(features, targets, 10, epochs=50, seed=3)
    levels = similarity_levels(features, targets, difficult_examples(probe(features), targets, 0.1))
    logged = written(tmp_path)
    for name in LEVELS:
        assert logged[name].keys() == {0, 1}
        expected = getattr(levels, name.removeprefix("similarity_"))
        assert logged[name][1] == pytest.approx(expected, rel=1e-4)
        assert logged[name][0] != pytest.approx(logged[name][1], rel=1e-4)


def test_the_share_and_precision_are_those_of_loops_over_every_fifth_batch(tmp_path):
    seen = Recorder()
    fit(combined(), [SimilarityStatistics(every_n_steps=5), seen], tmp_path, batch_size=24, limit_train_batches=7)
    counts = [reference.selection_counts(*seen.steps[step], 0.15, 0.22) for step in (0, 5)]
    pairs, selected, labelled, different = map(sum, zip(*counts, strict=True))
    assert pairs == 2 * 48 * 47
    logged = written(tmp_path)
    assert logged["difficult_share"][0] == pytest.approx(selected / pairs)
    assert logged["difficult_precision"][0] == pytest.approx(different / labelled)


def test_pairs_without_a_label_count_as_selected_but_not_as_wrong_or_right(tmp_path):
    data, seen = ContrastiveDataModule(batch_size=24), Recorder()
    data.train_images.targets[::2] = -1
    fit(combined(), [SimilarityStatistics(), seen], tmp_path, data=data, limit_train_batches=1)
    pairs, selected, labelled, different = reference.selection_counts(*seen.steps[0], 0.15, 0.22)
    assert 0 < labelled < selected
    logged = written(tmp_path)
    assert logged["difficult_share"][0] == pytest.approx(selected / pairs)
    assert logged["difficult_precision"][0] == pytest.approx(different / labelled)


class Random(nn.Sequential):
    """A network that draws from torch's global numbers in training and keeps running statistics."""

    num_features = 12

    def __init__(self):
        super().__init__(nn.Flatten(), nn.Linear(1024, 12), nn.BatchNorm1d(12), nn.Dropout(0.3))


def test_watching_changes_no_bit_of_what_is_watched():
    alone, watched = combined(Random), combined(Random)
    pl.seed_everything(1)
    fit(alone, max_epochs=3)
    pl.seed_everything(1)
    fit(watched, [SimilarityStatistics(subset_size=200, every_n_steps=1)], max_epochs=3)
    assert watched.training
    assert alone.state_dict().keys() == watched.state_dict().keys()
    for name, value in alone.state_dict().items():
        assert torch.equal(value, watched.state_dict()[name]), name


def test_two_processes_log_what_one_does(tmp_path):
    def run(folder, **settings):
        # Nothing is learned: training that differs in its last bits would not let the counts be compared.
        module = combined(optimizer=lambda params: torch.optim.SGD(params, lr=0.0), scheduler=None)
        statistics = SimilarityStatistics(subset_size=301, every_n_steps=2)
        fit(module, [statistics], tmp_path / folder, max_epochs=2, **settings)
        return written(tmp_path / folder)

    one = run("one", batch_size=128)
    two = run("two", batch_size=64, devices=2, strategy="ddp_fork")
    for name in LEVELS + SELECTION:
        assert one[name].keys() == {0, 1}
        assert two[name] == pytest.approx(one[name], rel=1e-4)
    assert one["difficult_precision"][0] != one["difficult_precision"][1]  # other views


class KeepsHalf(pl.Callback):
    """Removes the first half of the training images after the first epoch."""

    def on_train_epoch_end(self, trainer, pl_module):
        data = trainer.datamodule
        data.keep(data.train_images.indices[len(data.train_images) // 2 :])


def test_the_subset_stays_when_images_are_removed(tmp_path):
    still = {"optimizer": lambda params: torch.optim.SGD(params, lr=0.0), "scheduler": None}
    fit(combined(**still), [SimilarityStatistics(), KeepsHalf()], tmp_path, max_epochs=2)
    logged = written(tmp_path)
    for name in LEVELS:
        assert logged[name][0] == logged[name][1]


def test_the_subset_has_two_of_each_class_and_the_labelled_only():
    targets = torch.tensor([0] * 300 + [1] * 2 + [-1] * 300 + [2] * 3)
    rows = subset(targets, 20, seed=0)
    counts = targets[rows].bincount()
    assert len(rows.unique()) == counts.sum() == 20
    assert counts[1] == 2
    assert counts[2] >= 2
    assert not torch.equal(rows, subset(targets, 20, seed=1))
    assert len(subset(targets, 10_000, seed=0)) == 305


def test_a_plain_simclr_is_measured_too_and_its_pairs_by_a_band_of_the_callbacks_own(tmp_path):
    def simclr():
        pl.seed_everything(0)
        return SimCLR(backbone=FlatNet(), temperature=0.5)

    fit(simclr(), [SimilarityStatistics()], tmp_path / "plain", limit_val_batches=0)
    plain = written(tmp_path / "plain")
    assert plain["difficult_share"] == plain["difficult_precision"] == {}
    assert plain["similarity_alpha"][0] > plain["similarity_beta"][0]
    fit(simclr(), [SimilarityStatistics(pos_high=0.2, pos_low=None)], tmp_path / "band")
    assert written(tmp_path / "band")["difficult_share"][0] == pytest.approx(
        (255 - 52) / 255
    )  # below the one at rank 51
    fit(combined(), [SimilarityStatistics(pos_high=0.2, pos_low=1.0)], tmp_path / "over")
    assert written(tmp_path / "over")["difficult_share"][0] == pytest.approx(
        (255 - 52) / 255
    )  # below the one at rank 51


class Stops(pl.Callback):
    """Ends the training within its third epoch."""

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        trainer.should_stop = trainer.global_step == 30


@pytest.mark.parametrize(
    ("ending", "last"), [({"max_epochs": 5}, 4), ({"max_epochs": 9, "max_steps": 38}, 3), ({"max_epochs": 9}, 2)]
)
def test_the_last_epoch_is_measured_whatever_ends_the_training(ending, last, tmp_path):
    stops = [Stops()] if last == 2 else []
    fit(combined(), [SimilarityStatistics(every_n_epochs=2), *stops], tmp_path, **ending)
    assert written(tmp_path)["similarity_alpha"].keys() == {1, last} | ({3} if last == 4 else set())
    assert written(tmp_path)["difficult_share"].keys() == set(range(last + 1))


@pytest.mark.parametrize("at_validation", [True, False])
@pytest.mark.filterwarnings("ignore:The dirpath has changed")
def test_a_resumed_training_logs_what_an_unbroken_one_does(at_validation, tmp_path):
    def run(folder, epochs, ckpt_path=None):
        keep = pl.callbacks.ModelCheckpoint(
            tmp_path / folder / "saved", filename="last", save_on_train_epoch_end=not at_validation
        )
        module = combined(scheduler=None)
        fit(module, [SimilarityStatistics(), keep], tmp_path / folder, ckpt_path, max_epochs=epochs)
        return written(tmp_path / folder)

    whole = run("whole", 3)
    run("first", 2)
    rest = run("rest", 3, tmp_path / "first/saved/last.ckpt")
    assert whole["similarity_t"].keys() == {0, 1, 2}
    for name in LEVELS + SELECTION:
        assert rest[name].keys() == ({1, 2} if at_validation else {2})
        for epoch, value in rest[name].items():
            assert value == whole[name][epoch]


def test_the_figure_lies_in_the_runs_folder_unless_it_is_not_wanted(tmp_path):
    fit(combined(), [SimilarityStatistics()], tmp_path / "one")
    (file,) = tmp_path.rglob("*.png")
    assert file == tmp_path / "one/run/version_0/similarity.png"
    assert file.stat().st_size > 10_000
    fit(combined(), [SimilarityStatistics(figure=False)], tmp_path / "none")
    fit(combined(), [SimilarityStatistics()], tmp_path / "debug", fast_dev_run=True)
    assert list(tmp_path.rglob("*.png")) == [file]


def test_the_interval_is_between_the_medians_of_the_rows_thresholds():
    features = torch.randn(31, 6, generator=torch.Generator().manual_seed(0))
    similarity = torch.nn.functional.normalize(features) @ torch.nn.functional.normalize(features).T
    ranked = similarity.sort(dim=1, descending=True).values[:, 1:]  # the first is the row itself
    # Of 30 keys the selected ones stand below that of rank floor(.2 * 30) = 6, down to that of rank 15.
    low, high = selected_range(features, Band(0.2, 0.5))
    assert low == pytest.approx(ranked[:, 15].median().item())
    assert high == pytest.approx(ranked[:, 7].median().item())
    assert selected_range(features, Band(0.5, 0.51)) is None


def test_many_rows_are_selected_from_a_few_at_a_time():
    features = torch.randn(1500, 8, generator=torch.Generator().manual_seed(0))
    targets = torch.randint(-1, 3, (1500,), generator=torch.Generator().manual_seed(1))
    band, similarity = Band(0.15, 0.22), cosine_similarity(features)
    selected = difficult_pairs(similarity, 0.15, 0.22, torch.eye(1500, dtype=torch.bool))
    parts = [(part.anchors, part.selected.bool(), part.similarity.clone()) for part in selected_pairs(features, band)]
    assert len(parts) == 3, "a matrix of 4 MB has 699 of 1500 rows"
    for rows, marks, cosines in parts:
        assert torch.equal(marks, selected[rows])
        assert_close(cosines, similarity[rows])

    labelled = selected & (targets >= 0) & (targets >= 0).unsqueeze(1)
    different = labelled & (targets != targets.unsqueeze(1))
    expected = [1500 * 1499, *(int(kind.sum()) for kind in (selected, labelled, different))]
    assert selection_counts(features, targets, band).tolist() == expected
    low, high = selected_range(features, band)
    assert low == pytest.approx(similarity.masked_fill(~selected, 2).amin(dim=1).median().item())
    assert high == pytest.approx(similarity.masked_fill(~selected, -2).amax(dim=1).median().item())

    scores = ImageScores(torch.arange(750))
    indices = torch.arange(750).repeat(2)
    scores.add_pairs(selected_pairs(features, band), targets, indices, indices)
    scores.take_means()
    strength = similarity.clamp(min=0) * selected / 1500
    assert_close(scores.values.float(), (strength.sum(dim=0) + strength.sum(dim=1)).view(2, 750).mean(dim=0))


@pytest.mark.parametrize(
    "settings",
    [
        {"subset_size": 3},
        {"every_n_epochs": 0},
        {"every_n_steps": 0},
        {"hardest_share": 0.0},
        {"hardest_share": 1.0},
        {"hardest_share": math.nan},
        {"pos_high": 0.5, "pos_low": 0.4},
        {"pos_low": 0.4},
    ],
    ids=str,
)
def test_a_setting_that_breaks_its_rule_is_refused(settings):
    with pytest.raises(ValueError, match="must be|must hold|needs pos_high"):
        SimilarityStatistics(**settings)


def test_a_subset_smaller_than_a_batch_or_than_two_of_each_class_is_refused_before_training():
    for size, batch_size, least in ((100, 128, 128), (19, 16, 20)):
        with pytest.raises(ValueError, match=f"two images of each class, here {least}, got {size}"):
            fit(combined(), [SimilarityStatistics(subset_size=size)], batch_size=batch_size)


def test_data_that_cannot_be_measured_are_refused_before_training():
    data = ContrastiveDataModule(batch_size=128)
    data.train_images.targets.fill_(4)
    with pytest.raises(ValueError, match="at least two classes, got 1"):
        fit(combined(), [SimilarityStatistics()], data=data)
    with pytest.raises(ValueError, match="a data module that has clean_train_dataloader"):
        quiet_trainer(SimilarityStatistics(), max_epochs=1).fit(Foreign(), DataLoader([0]), DataLoader([0]))


class ForeignData(pl.LightningDataModule):
    """Somebody's data module: one loader with random order, one without, and nothing else."""

    def __init__(self, classes=2):
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        targets = [number % classes for number in range(40)]
        images = [torch.randn(1, 4, 4, generator=generator) + target for target in targets]
        self.images = [
            ([image], target, number) for number, (image, target) in enumerate(zip(images, targets, strict=True))
        ]

    def train_dataloader(self):
        return DataLoader(self.images, batch_size=8, shuffle=True)

    def clean_train_dataloader(self):
        return DataLoader(self.images, batch_size=16)


@pytest.mark.filterwarnings("ignore:.*does not have many workers")
@pytest.mark.filterwarnings("ignore:.*have no `val_dataloader`")
def test_any_module_and_data_module_will_do(tmp_path):
    statistics = SimilarityStatistics(subset_size=30, pos_high=0.2, every_n_steps=1)
    pl.seed_everything(0)
    module = Foreign(pixels=16)
    module.net[2] = nn.Tanh()  # no zeros, which would be tied
    fit(module, [statistics], tmp_path, data=ForeignData(), limit_val_batches=0)
    logged = written(tmp_path)
    assert logged["difficult_share"][0] == pytest.approx(5 / 7)  # below the one at rank 1 of 7
    assert logged["similarity_gap"][0] == pytest.approx(logged["similarity_gamma"][0] - logged["similarity_beta"][0])
    with pytest.raises(ValueError, match="needs two classes, got 1"):
        fit(Foreign(pixels=16), [SimilarityStatistics(subset_size=30)], data=ForeignData(1), limit_val_batches=0)


@pytest.mark.parametrize("precision", ["bf16-mixed", "bf16-true"])
def test_in_half_precision_pairs_are_ranked_in_float32(precision, tmp_path):
    fit(combined(), [SimilarityStatistics(every_n_steps=1)], tmp_path, precision=precision)
    logged = written(tmp_path)
    assert logged["difficult_share"][0] == pytest.approx(18 / 255, rel=0.1)
    assert all(math.isfinite(logged[name][0]) for name in LEVELS)


def test_there_is_no_figure_before_a_measurement():
    with pytest.raises(ValueError, match="not measured"):
        SimilarityStatistics().drawn(None)
