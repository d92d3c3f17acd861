"""``evaluate`` through the command line: this library's runs, foreign weights, and what is refused."""

import json

import pytest
import torch
import yaml
from commands import BACKBONE, CONFIGS, TINY
from nets import FlatNet
from torch import nn
from torchvision.models import mobilenet_v3_small

from lit_hardcl import ContrastiveDataModule
from lit_hardcl.evaluation import NeighbourSettings, ProbeSettings, frozen_features, measured

pytestmark = pytest.mark.filterwarnings("ignore:lbfgs failed to converge")


def test_a_run_is_evaluated_with_its_own_backbone_and_data(run, tmp_path):
    options = ["--data.imbalance", "4", "--seed_everything", "3", "--yardsticks", "true"]
    assert run("fit", *TINY, *options, "--trainer.log_every_n_steps", "1")[0] == 0
    (best,) = tmp_path.rglob("best.ckpt")
    summary = json.loads((best.parent / "summary.json").read_text())["accuracy"]["trained backbone"]

    code, output, errors = run("evaluate", best, "--trust", "nets", "--output", "all/numbers.json")
    assert (code, errors) == (0, "")
    numbers = json.loads((tmp_path / "all/numbers.json").read_text())
    images = ContrastiveDataModule(imbalance=4, seed=3).train_images
    assert numbers["images"] == {"train": len(images), "held_out": 360}
    assert f"{len(images)} training and 360 held-out images" in output
    # The same as the yardstick after the training, which looks at the same features.
    assert {name: numbers[name] for name in summary} == pytest.approx(summary)
    for line in ("linear probe", "nearest neighbours", "logistic regression", "effective rank", "alignment"):
        assert line in output
    assert not (best.parent / "evaluation.json").exists()

    assert run("evaluate", best, "--trust", "nets", "--data.imbalance", "1", "--probe.epochs", "1")[0] == 0
    numbers = json.loads((best.parent / "evaluation.json").read_text())
    assert numbers["images"]["train"] == 1437
    assert numbers["probe"]["epochs"] == 1


def test_weights_of_another_trainer_are_evaluated_as_the_functions_do(run, weights, tmp_path):
    config = CONFIGS / "evaluate/cifar100.yaml"
    assert run("evaluate", "net.pt", *BACKBONE, "--config", config, "--seed", "2", "--data.seed", "0")[0] == 0
    numbers = json.loads((tmp_path / "evaluation.json").read_text())
    frozen = frozen_features(weights, ContrastiveDataModule(), seed=2)
    settings = ProbeSettings(epochs=100, batch_size=512, learning_rate=0.1, standardise=False)
    expected = measured(frozen, 10, settings, NeighbourSettings(), seed=2)
    assert {name: numbers[name] for name in expected} == pytest.approx(expected)
    assert list(tmp_path.glob("*.part")) == []


def test_a_cache_serves_the_same_features_and_refuses_others(run, weights, tmp_path, monkeypatch):
    options = ["net.pt", *BACKBONE, "--cache", "features.pt", "--probe.epochs", "2"]
    assert run("evaluate", *options)[0] == 0
    first = (tmp_path / "evaluation.json").read_text()
    written = (tmp_path / "features.pt").stat().st_mtime_ns
    assert run("evaluate", *options)[0] == 0
    assert (tmp_path / "evaluation.json").read_text() == first
    assert (tmp_path / "features.pt").stat().st_mtime_ns == written

    for change, named in (
        (["--data.mix_fraction", "0.1"], "the images"),
        (["--data.augmentation.flip", "0.1"], "the views"),
        (["--seed", "1"], "the views"),
    ):
        code, _, errors = run("evaluate", *options, *change)
        assert (code, f"but {named} changed since features.pt was written" in errors) == (2, True), errors
    torch.save({f"encoder.{name}": value for name, value in FlatNet().state_dict().items()}, "net.pt")
    assert "but the backbone changed since" in run("evaluate", *options)[2]
    (tmp_path / "features.pt").write_text("no features")
    assert "features.pt is none" in run("evaluate", *options)[2]


def test_a_classifier_is_left_out(run, tmp_path):
    (tmp_path / "mine.py").write_text(
        "from torch import nn\nfrom torchvision.models import mobilenet_v3_small\n\n\n"
        "def grey(num_classes: int = 7) -> nn.Module:\n    net = mobilenet_v3_small(num_classes=num_classes)\n"
        "    net.features[0][0] = nn.Conv2d(1, 16, 3, 2, 1, bias=False)\n    return net\n"
    )
    net = mobilenet_v3_small(num_classes=5)
    net.features[0][0] = nn.Conv2d(1, 16, 3, 2, 1, bias=False)
    torch.save({"state_dict": {f"module.{name}": value for name, value in net.state_dict().items()}}, "tv.pt")
    options = ["tv.pt", "--backbone", "mine.grey", "--data.dataset", "digits", "--probe.epochs", "2"]
    code, _, errors = run("evaluate", *options)
    assert code == 2
    assert "classifier.3.weight ((5, 1024) there, (7, 1024) here) of another shape" in errors
    assert "parts, features, avgpool, classifier, got fc" in run("evaluate", *options, "--classifier", "fc")[2]
    assert run("evaluate", *options, "--classifier", "classifier")[0] == 0
    assert json.loads((tmp_path / "evaluation.json").read_text())["width"] == 576


BAD = {
    "no checkpoint": (["none.ckpt"], "checkpoint must be a checkpoint, but there is no file none.ckpt"),
    "no backbone": (["net.pt", "--data.dataset", "digits"], "such as --backbone lit_hardcl.models.ResNet"),
    "no data": (["net.pt", "--backbone", "nets.FlatNet"], "such as --data.dataset cifar10"),
    "another backbone": (["net.pt", *BACKBONE, "--backbone.pixels", "9"], "1.weight ((16, 1024) there, (16, 9) here)"),
    "another prefix": (["net.pt", *BACKBONE, "--prefix", "encoder."], "by prefix 'encoder.': 1.bias, 1.weight"),
    "no neighbour": (["net.pt", *BACKBONE, "--neighbours.k", "0"], "k must be at least 1"),
    "no epoch": (["net.pt", *BACKBONE, "--probe.epochs", "0"], "epochs must be at least 1, got 0"),
}


@pytest.mark.parametrize("case", BAD)
def test_it_is_refused_by_name_and_nothing_is_written(case, run, weights, tmp_path):
    options, message = BAD[case]
    code, output, errors = run("evaluate", *options)
    assert (code, output) == (2, "")
    assert message in errors
    assert [path.name for path in tmp_path.iterdir()] == ["net.pt"]


def test_several_runs_in_a_folder_must_not_be_mistaken(run, tmp_path):
    assert run("fit", *TINY)[0] == 0
    (best,) = tmp_path.rglob("best.ckpt")
    config = yaml.safe_load((best.parent / "config.yaml").read_text())
    config["data"]["init_args"]["mix_fraction"] = 0.5
    (best.parent / "config-v1.yaml").write_text(yaml.safe_dump(config))
    assert "several config.yaml with other data" in run("evaluate", best, "--trust", "nets")[2]
    config["data"]["init_args"]["mix_fraction"] = 0.0
    (best.parent / "config-v1.yaml").write_text(yaml.safe_dump(config | {"seed_everything": 1}))
    assert "several config.yaml with other data" in run("evaluate", best, "--trust", "nets")[2]  # they follow the seed
    config["model"]["init_args"]["margin"] = 9.0  # not this checkpoint's, then
    (best.parent / "config-v1.yaml").write_text(yaml.safe_dump(config))
    assert run("evaluate", best, "--trust", "nets", "--probe.epochs", "1")[0] == 0


def test_images_without_labels_have_a_geometry(weights):
    data = ContrastiveDataModule()
    data.held_out_images.targets.fill_(-1)
    numbers = measured(frozen_features(weights, data), 10, ProbeSettings(), NeighbourSettings())
    assert set(numbers) == {"alignment", "uniformity", "rank_me"}


PAPER = {"cifar10": (512, 1), "cifar100": (512, 0.1), "stl10": (256, 0.1), "tiny_imagenet": (512, 0.1)}


@pytest.mark.parametrize(("name", "row"), [*PAPER.items(), ("image_folder", (1024, 1))])
def test_the_probes_configurations_hold_the_papers_values(name, row):
    probe = yaml.safe_load((CONFIGS / f"evaluate/{name}.yaml").read_text())["probe"]
    assert (probe["batch_size"], probe["learning_rate"]) == row
