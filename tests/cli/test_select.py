"""``select`` through the command line: the file it writes is trained on, and what cannot be chosen is refused."""

import json

import pytest
import torch
from commands import BACKBONE, TINY

from lit_hardcl import ContrastiveDataModule
from lit_hardcl.cli.commands import select
from lit_hardcl.evaluation import extract_features, random_view_batches

VARIANT = ["--data.imbalance", "5", "--data.mix_fraction", "0.2", "--data.train_size", "1000", "--data.seed", "4"]


@pytest.mark.parametrize(("by", "variant"), [("clusters", []), ("labels", VARIANT)])
def test_a_core_is_selected_and_trained_on(by, variant, run, weights, tmp_path):
    options = ["net.pt", *BACKBONE, *variant, "--share", "0.3", "--by", by]
    code, output, errors = run("select", *options)
    assert (code, errors) == (0, "")
    core = json.loads((tmp_path / "core.json").read_text())
    settings = {"imbalance": 5, "mix_fraction": 0.2, "train_size": 1000, "seed": 4} if variant else {}
    whole, data = ContrastiveDataModule(**settings), ContrastiveDataModule(train_indices="core.json", **settings)
    assert data.train_images.indices.tolist() == core["indices"]
    none = {"train_size": None, "mix_fraction": 0, "remove_mixed": False, "imbalance": 1, "train_indices": None}
    assert core["variant"] == {**none, "seed": whole.seed, **settings}
    assert core["images"] == len(whole.train_images)
    assert f"{len(core['indices'])} of {core['images']} images of digits, from 10 {by}" in output
    if by == "labels":
        sizes = whole.train_images.targets.bincount()
        assert data.train_images.targets.bincount().tolist() == [int(0.3 * size + 0.5) for size in sizes]
    assert core["command"] == ["lit-hardcl", "select", *options]
    assert len(core["sha256"]) == 64
    assert core["versions"].keys() >= {"torch", "scikit-learn"}

    assert run("select", *options, "--output", "again.json")[0] == 0
    assert json.loads((tmp_path / "again.json").read_text())["indices"] == core["indices"]
    other = ["--seed", "1", "--output", "other.json"]
    assert run("select", *options, *other)[0] == 0
    assert json.loads((tmp_path / "other.json").read_text())["indices"] != core["indices"]

    fit = ["--data.train_indices", "core.json", *variant, "--data.batch_size", "64", "--trainer.max_epochs", "1"]
    code, output, _ = run("fit", *TINY, *fit, "--trainer.log_every_n_steps", "1")
    assert code == 0
    assert f"1 epochs, {len(core['indices']) // 64} steps" in output


BAD_CHOICES = {
    "no share": ([], "share must be above 0 and below 1, got None"),
    "nothing": (["--share", "0"], "share must be above 0 and below 1, got 0.0"),
    "everything": (["--share", "1"], "share must be above 0 and below 1, got 1.0"),
    "more than that": (["--share", "1.5"], "got 1.5"),
    "clusters above the images": (["--share", "0.2", "--clusters", "2000"], "number of images, 1437, got 2000"),
    "no cluster": (["--share", "0.2", "--clusters", "0"], "clusters must be from 1"),
    "clusters of labels": (["--share", "0.2", "--clusters", "5", "--by", "labels"], "with --by clusters only, got 5"),
    "no view": (["--share", "0.2", "--views", "0"], "views must be at least 1, got 0"),
    "redundancy": (["--share", "0.2", "--redundancy", "-1"], "redundancy must be in 0 ... 1, got -1"),
}


@pytest.mark.parametrize("case", BAD_CHOICES)
def test_a_choice_that_cannot_be_made_is_refused(case, run, weights, tmp_path):
    options, message = BAD_CHOICES[case]
    code, output, errors = run("select", "net.pt", *BACKBONE, *options)
    assert (code, output) == (2, "")
    assert message in errors
    assert [path.name for path in tmp_path.iterdir()] == ["net.pt"]


def test_random_views_of_every_image_are_those_of_the_recipe_and_the_seed():
    data = ContrastiveDataModule(batch_size=100, clean_view=True)
    batches = list(random_view_batches(data, data.train_images, 3, seed=1))
    assert torch.equal(torch.cat([batch.indices for batch in batches]), data.train_images.indices)
    assert all(len(batch.views) == 3 for batch in batches)
    assert not torch.equal(batches[0].views[0], batches[0].views[1])
    again = next(iter(random_view_batches(data, data.train_images, 3, seed=1)))
    assert torch.equal(again.views[2], batches[0].views[2])
    other = next(iter(random_view_batches(data, data.train_images, 3, seed=2)))
    assert not torch.equal(other.views[2], batches[0].views[2])
    rows = extract_features(torch.nn.Flatten(), batches, combine=lambda views: torch.stack(views).mean(dim=0))
    torch.testing.assert_close(rows.features[:100], torch.stack(batches[0].views).mean(dim=0).flatten(1))


def test_labels_to_choose_by_must_be_there(weights):
    data = ContrastiveDataModule()
    data.train_images.targets[:3] = -1
    with pytest.raises(ValueError, match="--by labels needs a label on every image, got 3 without one"):
        select.command("net.pt", share=0.2, by="labels", backbone=weights, data=data)
