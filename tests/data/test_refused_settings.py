"""Settings that the data module refuses, by name, with the rule and the value."""

import pytest

from lit_hardcl.data import ContrastiveDataModule

pytestmark = pytest.mark.refusal


def digits(**settings):
    return ContrastiveDataModule("digits", batch_size=64, pin_memory=False, **settings)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"batch_size": 0}, "batch_size must be at least 2, got 0"),
        ({"batch_size": -4}, "batch_size must be at least 2, got -4"),
        ({"batch_size": 1}, "batch_size .* got 1: a contrastive batch needs two images"),
        ({"eval_batch_size": 0}, "eval_batch_size must be at least 1, got 0"),
        ({"num_views": 0}, "num_views must be at least 1, got 0"),
        ({"num_workers": -1}, "num_workers must be at least 0, got -1"),
        ({"seed": -1}, "seed must be at least 0, got -1"),
        ({"image_size": 4}, "image_size must be at least 8, got 4"),
        ({"mix_fraction": 1.5}, r"mix_fraction must lie in 0 \.\.\. 1, got 1.5"),
        ({"mix_fraction": float("nan")}, "mix_fraction .* got nan"),
        ({"imbalance": 0.1}, "imbalance, .* must be at least 1, got 0.1"),
        ({"dataset": "mnist1d"}, "dataset must be one of cifar10, cifar100, digits, .*tiny_imagenet, got 'mnist1d'"),
    ],
)
def test_a_setting_outside_its_range_is_refused_before_any_data_are_touched(settings, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        ContrastiveDataModule(**{"dataset": "cifar10", "data_dir": str(tmp_path), **settings})


def test_keeping_fewer_images_than_a_batch_is_refused_and_changes_nothing():
    data = digits()
    with pytest.raises(ValueError, match="training images per process, 3, got 64"):
        data.keep(data.train_images.indices[:3])
    with pytest.raises(ValueError, match="at least one image, got none"):
        data.keep([])
    with pytest.raises(ValueError, match="must be among the 1437 training images"):
        data.keep(data.held_out_images.indices[:100])
    assert len(data.train_dataloader()) == 1437 // 64


def test_missing_data_are_asked_for_in_setup(tmp_path):
    data = ContrastiveDataModule("cifar10", data_dir=str(tmp_path))
    data.prepare_data()  # which has leave to download nothing
    with pytest.raises(ValueError, match="data_dir must hold CIFAR10.*--data.download=true"):
        data.setup("fit")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        *(("1\ntwo", "two"), ("[1, 2.5]", "others in"), ("[1, 2", "JSON list")),
        *(("{}", "under 'indices'"), ('{"indices": 3}', "under 'indices'"), ('{"indices": [true]}', "others in")),
    ],
)
def test_a_file_of_train_indices_that_holds_anything_else_is_named(tmp_path, text, message):
    file = tmp_path / "chosen.txt"
    file.write_text(text)
    with pytest.raises(ValueError, match=f"train_indices must hold .*{message}") as error:
        digits(train_indices=str(file)).setup("fit")
    assert str(file) in str(error.value)


def test_a_missing_file_of_train_indices_is_named(tmp_path):
    with pytest.raises(ValueError, match="there is no file .*chosen.txt"):
        digits(train_indices=str(tmp_path / "chosen.txt")).setup("fit")
