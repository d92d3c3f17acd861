"""What a step returns is written once and read once: of this library's modules, and of anybody's."""

import pytest
import torch

from lit_hardcl.contract import evaluated, read_step, step_output, unpack
from lit_hardcl.evaluation import extract_features, fit_linear_probe, knn_predict
from lit_hardcl.losses import SupConLoss


@pytest.mark.parametrize("outputs", [torch.zeros(()), {"loss": torch.zeros(())}], ids=["loss only", "no features"])
def test_a_step_that_returns_no_features_is_told_so(outputs):
    with pytest.raises(ValueError, match="a training_step that returns"):
        read_step(outputs)


def test_features_that_do_not_match_their_targets_are_refused():
    with pytest.raises(ValueError, match="got 5 for 2 targets"):
        read_step({"features": torch.zeros(5, 3), "targets": torch.zeros(2)})


def test_one_target_per_image_serves_all_its_views():
    _, targets, _ = read_step({"features": torch.zeros(4, 3), "targets": torch.tensor([1, 2])})
    assert targets.tolist() == [1, 2, 1, 2]


def test_what_a_step_writes_is_what_callbacks_read():
    features = torch.randn(4, 3, requires_grad=True)
    written = step_output(features, torch.tensor([1, 2]), torch.tensor([7, 8]), views=2)
    read = read_step(written, indexed=True)
    assert torch.equal(read.features, features)
    assert not read.features.requires_grad
    assert read.targets.tolist() == [1, 2, 1, 2]
    assert read.indices.tolist() == [7, 8, 7, 8]


def test_indices_are_repeated_for_all_views_and_missing_ones_refused_only_where_needed():
    outputs = {"features": torch.zeros(4, 3), "targets": torch.tensor([1, 2])}
    assert read_step({**outputs, "indices": torch.tensor([7, 8])}).indices.tolist() == [7, 8, 7, 8]
    assert read_step(outputs).indices is None
    assert read_step({**outputs, "indices": torch.arange(3)}).indices is None
    with pytest.raises(ValueError, match='must return "indices".*got none'):
        read_step(outputs, indexed=True)
    with pytest.raises(ValueError, match="got 3 for 4 rows"):
        read_step({**outputs, "indices": torch.arange(3)}, indexed=True)


def test_no_rows_at_all_are_refused():
    with pytest.raises(ValueError, match="got 4 for 0 targets"):
        read_step({"features": torch.zeros(4, 3), "targets": torch.zeros(0)})


@pytest.mark.parametrize("rest", [(), (torch.tensor([5, 6]),), ({"not": "indices"},)], ids=["none", "some", "other"])
@pytest.mark.parametrize("is_list", [True, False])
def test_a_batch_is_unpacked_whether_it_has_views_or_images_and_indices_or_not(rest, is_list):
    images, targets = torch.randn(2, 1, 4, 4), torch.tensor([0, 1])
    views, classes, indices = unpack(([images] if is_list else images, targets, *rest))
    assert len(views) == 1
    assert views[0] is images
    assert classes is targets
    assert indices is (rest[0] if rest and isinstance(rest[0], torch.Tensor) else None)


def test_an_evaluation_step_that_returned_nothing_is_made_up_for_by_the_module():
    images, targets = torch.randn(2, 1, 4, 4), torch.tensor([0, 1])
    net = torch.nn.Conv2d(1, 2, 3)
    read = evaluated(net, None, (images, targets))
    assert torch.equal(read.features, net(images).flatten(1).detach())
    assert not read.features.requires_grad
    assert (read.targets is targets, read.indices) == (True, None)
    given = {"features": torch.ones(2, 3), "targets": targets, "indices": torch.tensor([4, 5])}
    assert evaluated(net, given, None).indices.tolist() == [4, 5]


NO_CLASSES = {
    "one-hot": torch.eye(4),
    "soft": torch.full((4, 3), 1 / 3),
    "whole one-hot": torch.eye(4).long(),
    "floats": torch.zeros(4),
    "booleans": torch.zeros(4, dtype=torch.bool),
    "a list": [0, 1, 0, 1],
}


@pytest.mark.usefixtures("unchecked_shapes")
@pytest.mark.parametrize("case", NO_CLASSES)
def test_targets_that_are_no_class_numbers_are_refused_wherever_they_are_read(case):
    targets, rows = NO_CLASSES[case], torch.rand(4, 3)
    for reader in (
        lambda: read_step({"features": rows, "targets": targets}),
        lambda: evaluated(torch.nn.Identity(), None, (rows, targets)),
        lambda: extract_features(torch.nn.Identity(), [(rows, targets)]),
        lambda: SupConLoss(0.5)(rows, rows, targets=targets),
        lambda: knn_predict(rows, rows, targets, 3),
        lambda: fit_linear_probe(rows, targets, 3),
    ):
        with pytest.raises(ValueError, match=r"targets must be a tensor of class numbers, .*argmax\(dim=1\)"):
            reader()


def test_targets_beyond_the_classes_are_refused_by_every_classifier():
    rows, targets = torch.rand(4, 3), torch.tensor([0, 1, 2, -1])
    for classifier in (knn_predict, fit_linear_probe):
        arguments = (rows, rows, targets) if classifier is knn_predict else (rows, targets)
        classifier(*arguments, 3)
        with pytest.raises(ValueError, match="targets must be below the number of classes, 2, got 2"):
            classifier(*arguments, 2)
