"""The data module: what is fetched, in which order, with which views, and what it refuses."""

import warnings

import pytest
import torch
from lightning.pytorch import Callback, LightningModule
from lightning.pytorch.plugins.precision import DoublePrecision, HalfPrecision
from torch.utils.data import DataLoader
from trainers import quiet_trainer

from lit_hardcl.data import DATASETS, Augmentation, Batch, ContrastiveDataModule
from lit_hardcl.data.loading import Pick, RandomBatches, TrainingSampler


class Notebook(LightningModule):
    """The smallest module that trains, writing down what it is given."""

    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(1, 1)
        self.trained, self.validated, self.predicted = [], [], []

    def training_step(self, batch, batch_idx):
        self.trained.append((self.current_epoch, batch))
        return self.layer(batch.views[0].mean().reshape(1)).sum()

    def validation_step(self, batch, batch_idx):
        self.validated.append(batch)

    def predict_step(self, batch, batch_idx):
        self.predicted.append(batch)
        return batch.indices

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.0)

    def batches(self, epoch):
        return [batch for at, batch in self.trained if at == epoch]

    def indices(self, epoch):
        return [index for batch in self.batches(epoch) for index in batch.indices.tolist()]


def trainer(**settings):
    return quiet_trainer(*settings.pop("callbacks", []), num_sanity_val_steps=0, **settings)


def digits(**settings):
    return ContrastiveDataModule("digits", **{"batch_size": 64, "pin_memory": False, **settings})


def training_batches(data, epoch=0, processes=1, rank=0):
    """One epoch's batches on one of several processes, without a trainer."""
    images = data.train_images
    sampler = TrainingSampler(torch.arange(len(images)), processes, rank, data.seed)
    sampler.set_epoch(epoch)
    batches = RandomBatches(images, data.making, data.num_views, data.seed)
    loader = DataLoader(
        batches,
        batch_size=data.batch_size // processes,
        sampler=sampler,
        drop_last=True,
        collate_fn=lambda batch: batch,
    )
    return [data.on_after_batch_transfer(batch, 0) for batch in loader]


def assert_same(first, second):
    for a, b in zip(first, second, strict=True):
        assert torch.equal(a.indices, b.indices)
        assert torch.equal(a.targets, b.targets)
        assert all(torch.equal(x, y) for x, y in zip(a.views, b.views, strict=True))


def test_a_fit_sees_random_views_of_the_training_set_and_clean_views_of_the_held_out_one():
    data, notebook = digits(num_views=3), Notebook()

    trainer(max_epochs=2).fit(notebook, data)

    assert len(notebook.trained) == 2 * (1437 // 64)
    for _, batch in notebook.trained:
        views, targets, indices = batch
        assert [view.shape for view in views] == [(64, 1, 32, 32)] * 3
        assert views[0].dtype == torch.float32
        assert targets.shape == indices.shape == (64,)
    held_out = data.held_out_images
    seen = [batch.indices for batch in notebook.validated[: -(-360 // 64)]]
    assert torch.cat(seen).tolist() == held_out.indices.tolist()
    assert all(len(batch.views) == 1 for batch in notebook.validated)
    pixels = (held_out.pixels.float() / 255 - data.source.mean[0]) / data.source.std[0]
    torch.testing.assert_close(notebook.validated[0].views[0], pixels[:64])


def test_an_epoch_has_every_image_at_most_once_with_its_label_and_no_held_out_image():
    data = digits()
    seen = torch.cat([batch.indices for batch in training_batches(data)])
    assert len(seen) == len(seen.unique()) == 22 * 64
    assert torch.isin(seen, data.train_images.indices).all()
    assert not torch.isin(seen, data.held_out_images.indices).any()
    label = dict(zip(data.train_images.indices.tolist(), data.train_images.targets.tolist(), strict=True))
    for batch in training_batches(data):
        assert [label[index] for index in batch.indices.tolist()] == batch.targets.tolist()


@pytest.mark.parametrize("seed", [0, 1])
def test_no_seed_and_no_variant_trains_on_a_held_out_image(seed):
    data = digits(seed=seed, mix_fraction=0.2, imbalance=4.0)
    assert not torch.isin(data.train_images.indices, data.held_out_images.indices).any()
    assert torch.equal(data.held_out_images.pixels, digits().held_out_images.pixels)


def test_predict_and_test_see_every_held_out_image_once_and_the_last_batch_whole():
    data, notebook = digits(eval_batch_size=100), Notebook()

    with warnings.catch_warnings():
        trainer().predict(notebook, data)

    assert [len(batch.indices) for batch in notebook.predicted] == [100, 100, 100, 60]
    assert torch.equal(torch.cat([batch.indices for batch in notebook.predicted]), data.held_out_images.indices)
    tested = torch.cat([batch.indices for batch in data.test_dataloader()])
    assert torch.equal(tested, data.held_out_images.indices)


def test_the_training_images_can_be_had_clean_and_in_order_whichever_are_kept():
    data = digits()
    data.keep(data.train_images.indices[:64])
    batches = list(data.clean_train_dataloader())
    assert torch.equal(torch.cat([batch.indices for batch in batches]), data.train_images.indices)
    assert all(isinstance(batch, Batch) and len(batch.views) == 1 for batch in batches)
    assert data.on_after_batch_transfer(batches[0], 0) is batches[0]


def test_batches_repeat_with_the_seed_and_the_epoch_and_differ_otherwise():
    first = training_batches(digits(seed=1), epoch=2)
    assert_same(first, training_batches(digits(seed=1), epoch=2))
    for seed, epoch in ((2, 1), (1, 3), (2, 2)):
        other = training_batches(digits(seed=seed), epoch=epoch)
        assert not torch.equal(first[0].indices, other[0].indices)
        assert not torch.equal(first[0].views[0], other[0].views[0])


def test_an_image_at_the_same_place_gets_other_views_in_the_next_epoch():
    data = digits()
    batches = RandomBatches(data.train_images, data.making, 2, seed=0)
    first, again, later = (batches.__getitems__([Pick(5, 0, epoch)]) for epoch in (3, 3, 4))
    assert torch.equal(first.draws, again.draws)
    assert not (first.draws == later.draws).any()


@pytest.mark.parametrize("precision", [HalfPrecision("bf16-true"), DoublePrecision()], ids=["bf16", "double"])
def test_the_views_do_not_depend_on_the_precision_that_a_trainer_converts_batches_to(precision):
    data = digits()
    raw = next(iter(data.train_dataloader()))
    as_drawn = data.on_after_batch_transfer(raw, 0)
    converted = data.on_after_batch_transfer(precision.convert_input(raw), 0)
    assert_same([as_drawn], [converted])


@pytest.mark.parametrize("processes", [2, 4])
def test_batches_of_several_processes_are_together_those_of_one(processes):
    data = digits(batch_size=48)
    whole = training_batches(data, epoch=1)

    parts = [training_batches(data, 1, processes, rank) for rank in range(processes)]

    assert {len(part) for part in parts} == {len(whole)}
    for together, batches in zip(whole, zip(*parts, strict=True), strict=True):
        assert torch.equal(torch.stack([batch.indices for batch in batches], dim=1).flatten(), together.indices)
        for view in range(2):
            shares = torch.stack([batch.views[view] for batch in batches], dim=1).flatten(0, 1)
            torch.testing.assert_close(shares, together.views[view], rtol=0, atol=1e-5)


class Archive(Notebook):
    """A notebook that every process leaves behind as a file."""

    def __init__(self, folder):
        super().__init__()
        self.folder = folder

    def on_fit_end(self):
        trained, validated = ([tuple(batch) for batch in batches] for batches in (self.batches(1), self.validated))
        bank = torch.cat([batch.indices for batch in self.trainer.datamodule.clean_train_dataloader()])
        torch.save((trained, validated, bank), self.folder / f"{self.global_rank}.pt")


def test_two_processes_share_an_epoch_and_the_clean_images(tmp_path):
    data, archive = digits(batch_size=24, eval_batch_size=50), Archive(tmp_path)

    trainer(max_epochs=2, check_val_every_n_epoch=2, devices=2, strategy="ddp_fork").fit(archive, data)

    parts, held_out, banks = zip(
        *[torch.load(tmp_path / f"{rank}.pt", weights_only=True) for rank in range(2)], strict=True
    )
    whole = training_batches(digits(batch_size=48), epoch=1)
    assert len(parts[0]) == len(parts[1]) == len(whole)
    for together, *batches in zip(whole, *parts, strict=True):
        for rank, (views, _, indices) in enumerate(batches):
            assert torch.equal(indices, together.indices[rank::2])
            torch.testing.assert_close(views, [view[rank::2] for view in together.views], rtol=0, atol=1e-5)
    seen = [torch.cat([indices for _, _, indices in part]) for part in held_out]
    assert torch.equal(torch.stack(seen, dim=1).flatten(), data.held_out_images.indices)
    # 1,437 is odd: one image is repeated to give every process as many.
    assert torch.equal(torch.stack(banks, dim=1).flatten()[:-1], data.train_images.indices)


def test_a_run_resumed_at_a_later_epoch_sees_what_it_would_have_seen(tmp_path):
    straight, before, after = Notebook(), Notebook(), Notebook()
    trainer(max_epochs=3).fit(straight, digits())
    first = trainer(max_epochs=2)
    first.fit(before, digits())
    first.save_checkpoint(tmp_path / "a.ckpt")

    trainer(max_epochs=3).fit(after, digits(), ckpt_path=tmp_path / "a.ckpt")

    assert_same(straight.batches(2), after.batches(2))


class KeepsFewer(Callback):
    """Keeps 200 images after the first epoch and all after the third."""

    def on_train_epoch_end(self, trainer, module):
        if trainer.current_epoch == 0:
            trainer.datamodule.keep(trainer.datamodule.train_images.indices[100:300])
        if trainer.current_epoch == 2:
            trainer.datamodule.keep(None)


@pytest.mark.parametrize("workers", [0, 1])
def test_what_is_kept_holds_from_the_next_epoch_on(workers):
    data, notebook = digits(num_workers=workers, eval_batch_size=360), Notebook()
    training = trainer(max_epochs=4, callbacks=[KeepsFewer()])

    training.fit(notebook, data)

    kept = set(data.train_images.indices[100:300].tolist())
    assert [len(notebook.indices(epoch)) for epoch in range(4)] == [22 * 64, 3 * 64, 3 * 64, 22 * 64]
    assert not set(notebook.indices(0)) <= kept
    assert set(notebook.indices(1)) <= kept
    assert set(notebook.indices(2)) <= kept
    assert notebook.indices(1) != notebook.indices(2)
    assert len(notebook.validated) == 4
    assert training.reload_dataloaders_every_n_epochs == 0


class KeepsAll(Callback):
    def on_train_epoch_end(self, trainer, module):
        trainer.datamodule.keep(None)


def test_a_run_that_starts_with_few_images_can_go_on_with_all():
    data, notebook = digits(), Notebook()
    data.keep(data.train_images.indices[:130])
    trainer(max_epochs=2, callbacks=[KeepsAll()]).fit(notebook, data)
    assert [len(notebook.indices(epoch)) for epoch in range(2)] == [2 * 64, 22 * 64]


@pytest.mark.parametrize("workers", [0, 1])
def test_without_a_trainer_a_loader_takes_what_is_kept_on_its_next_pass(workers):
    data = digits(num_workers=workers)
    loader = data.train_dataloader()
    assert sum(len(batch.indices) for batch in loader) == 22 * 64
    kept = data.train_images.indices[100:300]

    data.keep(kept)

    seen = torch.cat([batch.indices for batch in loader])
    assert len(seen) == 3 * 64
    assert torch.isin(seen, kept).all()


def test_what_is_kept_comes_back_with_a_checkpoint():
    data, resumed = digits(), digits()
    data.keep(data.train_images.indices[10:200])
    resumed.load_state_dict(data.state_dict())
    assert len(resumed.train_dataloader()) == 190 // 64
    resumed.load_state_dict(digits().state_dict())
    assert len(resumed.train_dataloader()) == 1437 // 64


def test_a_checkpoint_can_be_tested_where_the_training_images_are_missing(image_folder):
    data = ContrastiveDataModule("image_folder", data_dir=str(image_folder), image_size=16, pin_memory=False)
    for file in image_folder.glob("train/*/*"):
        file.unlink()
    data.setup("test")
    data.load_state_dict({"kept": torch.tensor([1, 2, 3])})
    assert sum(len(batch.indices) for batch in data.test_dataloader()) == 6


def test_a_resumed_run_on_other_images_is_refused():
    data = digits()
    data.load_state_dict({"kept": torch.arange(5000, 5100)})
    with pytest.raises(ValueError, match="must be among the 1437 training images"):
        data.train_dataloader()


def test_workers_fetch_the_same_batches():
    for alone, helped in zip(digits().train_dataloader(), digits(num_workers=1).train_dataloader(), strict=True):
        assert all(torch.equal(a, b) for a, b in zip(alone, helped, strict=True))


@pytest.mark.parametrize("workers", [0, 1])
def test_a_loader_begun_anew_goes_on_within_the_epoch_that_it_is_told_after_its_making(workers):
    whole = training_batches(digits(), epoch=3)
    loader = digits(num_workers=workers).train_dataloader()
    loader.load_state_dict({"epoch": 3, "batches": len(whole) - 2})
    batches = iter(loader)  # as Lightning does, which tells the epoch afterwards
    loader.sampler.set_epoch(3)
    for expected, batch in zip(whole[-2:], batches, strict=True):
        assert torch.equal(expected.indices, batch.indices)
    assert loader.state_dict() == {"epoch": 3, "batches": len(whole)}
    loader.sampler.set_epoch(4)
    assert len(list(loader)) == len(whole)


def test_lightning_may_put_its_own_sampler_in_place_to_overfit_a_batch():
    notebook = Notebook()
    with pytest.warns(UserWarning, match="overfit"):
        trainer(max_epochs=2, overfit_batches=1, limit_val_batches=0).fit(notebook, digits())
    (_, first), (_, second) = notebook.trained
    assert torch.equal(first.indices, second.indices)
    assert not torch.equal(first.views[0], second.views[0])


def test_only_the_train_indices_are_trained_on(tmp_path):
    chosen = digits().train_images.indices[50:150]
    lines, listed, named = (tmp_path / name for name in ("chosen.txt", "chosen.json", "core.json"))
    lines.write_text("\n".join(map(str, chosen.tolist())))
    listed.write_text(str(chosen.tolist()))
    named.write_text(f'{{"share": 0.1, "indices": {chosen.tolist()}}}')
    for given in (chosen.tolist(), str(lines), str(listed), str(named)):
        assert torch.equal(digits(train_indices=given).train_images.indices, chosen)


def test_variants_reach_the_training_images_alone():
    data = digits(mix_fraction=0.25, imbalance=8.0)
    sizes = data.train_images.targets.bincount()
    assert sizes[0] / sizes[9] == pytest.approx(8, rel=0.1)
    assert torch.isin(data.mixed_indices, data.train_images.indices).all()
    assert 0.15 < len(data.mixed_indices) / len(data.train_images) < 0.35
    assert digits().mixed_indices.tolist() == []


def test_the_mixed_images_can_be_removed_again_and_fewer_images_be_asked_for():
    mixed, removed = (
        digits(train_size=600, mix_fraction=0.25),
        digits(train_size=600, mix_fraction=0.25, remove_mixed=True),
    )
    assert len(mixed.train_images) == 600
    assert len(mixed.mixed_indices) == 150
    kept = mixed.train_images.indices[~torch.isin(mixed.train_images.indices, mixed.mixed_indices)]
    assert torch.equal(removed.train_images.indices, kept)


def test_classes_and_channels_are_known_without_any_data(tmp_path):
    for name in set(DATASETS) - {"image_folder"}:
        data = ContrastiveDataModule(name, data_dir=str(tmp_path))
        assert data.num_classes == {"cifar100": 100, "tiny_imagenet": 200, "materials": 200}.get(name, 10)
        assert data.channels == (1 if name in ("digits", "fashion_mnist") else 3)


def test_unlabelled_images_are_trained_on_with_a_target_of_minus_one(tmp_path, stl10):
    data = ContrastiveDataModule("stl10", data_dir=str(tmp_path), batch_size=11, image_size=32, pin_memory=False)
    (batch,) = training_batches(data)
    assert (batch.targets == -1).sum() == 7
    assert batch.views[0].shape == (11, 3, 32, 32)


def test_another_size_and_another_recipe_can_be_asked_for():
    still = Augmentation(crop_scale=(1.0, 1.0), crop_ratio=(1.0, 1.0), flip=0.0, jitter=0.0)
    data = digits(image_size=16, augmentation=still)
    batch = data.on_after_batch_transfer(next(iter(data.train_dataloader())), 0)
    place = {index: row for row, index in enumerate(data.train_images.indices.tolist())}
    clean = torch.cat([batch.views[0] for batch in data.clean_train_dataloader()])
    expected = clean[[place[index] for index in batch.indices.tolist()]]
    torch.testing.assert_close(batch.views, [expected, expected], rtol=0, atol=1e-5)


def test_a_batch_larger_than_the_training_set_is_refused_before_training():
    data, notebook = digits(batch_size=1438), Notebook()
    with pytest.raises(ValueError, match="batch_size must be at most .* 1437, got 1438: not one whole batch"):
        trainer(max_epochs=1).fit(notebook, data)
    assert notebook.validated == []


def test_the_clean_view_stands_behind_the_random_ones_which_stay_as_they_are():
    random, both = digits(num_views=2), digits(num_views=2, clean_view=True)
    pixels = dict(zip(both.train_images.indices.tolist(), both.train_images.pixels, strict=True))
    for without, batch in zip(training_batches(random), training_batches(both), strict=True):
        assert_same([without], [batch._replace(views=batch.views[:2])])
        whole = torch.stack([pixels[index] for index in batch.indices.tolist()]).float() / 255
        torch.testing.assert_close(batch.views[2], (whole - both.source.mean[0]) / both.source.std[0])


OWN = """
import torch
from lit_hardcl.data import DATASETS, DataSet
from lit_hardcl.data.images import in_memory

def load(root, train, download):
    count = 40 if train else 20
    return in_memory(torch.zeros(count, 1, 32, 32, dtype=torch.uint8), torch.arange(count) % 2, ("a", "b"))

SET = DataSet(load, 1, 32, (0.5,), (0.5,), DATASETS["digits"].augmentation, 2, ("a", "b"))
make = lambda: SET
NUMBER = 3
"""


def test_a_data_set_of_ones_own_is_given_by_its_import_path(tmp_path, monkeypatch):
    (tmp_path / "own_set.py").write_text(OWN)
    (tmp_path / "broken_set.py").write_text("1 / 0")
    monkeypatch.syspath_prepend(tmp_path)
    for name in ("own_set.SET", "own_set.make"):
        data = ContrastiveDataModule(name, batch_size=8)
        data.setup("fit")
        assert (len(data.train_images), data.num_classes) == (40, 2)
    with pytest.raises(ValueError, match=r"tiny_imagenet, got 'own_set.OTHER': one of your own is given by its import"):
        ContrastiveDataModule("own_set.OTHER")
    with pytest.raises(ValueError, match=r"or the import path of a DataSet, got 'own_set.NUMBER', which is a int"):
        ContrastiveDataModule("own_set.NUMBER")
    with pytest.raises(ValueError, match=r"got 'broken_set.SET', whose import fails: ZeroDivisionError"):
        ContrastiveDataModule("broken_set.SET")
