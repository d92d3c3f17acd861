"""Classifiers on frozen features: votes counted by hand, and a probe that separates what can be separated."""

import math

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader

from lit_hardcl.evaluation import extract_features, fit_linear_probe, knn_predict, logistic_predict, thinned
from lit_hardcl.evaluation.classify import knn_scores

# Unit vectors in the plane, by their angle in degrees.
BANK = torch.stack([torch.tensor([math.cos(math.radians(a)), math.sin(math.radians(a))]) for a in (0, 10, 90, 100)])
TARGETS = torch.tensor([0, 1, 1, 2])


def at(degrees):
    return torch.tensor([[math.cos(math.radians(degrees)), math.sin(math.radians(degrees))]])


def test_the_votes_of_three_neighbours_by_hand():
    # At 4 degrees: cosines .99756 (0), .99452 (1), .06976 (1); weights relative to the first, temperature .5.
    weights = [math.exp((math.cos(math.radians(a)) - math.cos(math.radians(4))) / 0.5) for a in (4, 6, 86)]
    scores = knn_scores(at(4), BANK, TARGETS, num_classes=3, k=3, temperature=0.5)
    torch.testing.assert_close(scores, torch.tensor([[weights[0], weights[1] + weights[2], 0.0]]))
    assert knn_predict(at(4), BANK, TARGETS, num_classes=3, k=3, temperature=0.5).tolist() == [1]
    assert knn_predict(at(4), BANK, TARGETS, num_classes=3, k=1).tolist() == [0]


def test_rows_without_a_label_do_not_vote():
    assert knn_predict(at(0), BANK, torch.tensor([-1, 2, 1, 1]), num_classes=3, k=1).tolist() == [2]


def test_a_small_temperature_does_not_overflow():
    assert knn_scores(at(4), BANK, TARGETS, num_classes=3, temperature=1e-4).isfinite().all()


def test_chunks_change_nothing_and_more_neighbours_than_rows_are_all_rows():
    queries = torch.randn(10, 2)
    whole = knn_scores(queries, BANK, TARGETS, 3, k=50)
    torch.testing.assert_close(whole, knn_scores(queries, BANK, TARGETS, 3, k=4, chunk=3))


def test_neighbours_need_labels_and_positive_numbers():
    with pytest.raises(ValueError, match="need labels"):
        knn_predict(at(0), BANK, torch.full((4,), -1), num_classes=3)
    with pytest.raises(ValueError, match="k must be at least 1, got 0"):
        knn_predict(at(0), BANK, TARGETS, num_classes=3, k=0)


def test_a_probe_separates_shifted_and_scaled_clusters_and_ignores_the_unlabelled():
    generator = torch.Generator().manual_seed(0)
    targets = torch.arange(300) % 3
    centres = torch.tensor([[0.0, 100.0], [0.01, 100.0], [0.0, 103.0]])
    features = centres[targets] + torch.randn(300, 2, generator=generator) * torch.tensor([0.001, 0.3])
    marked = targets.clone()
    marked[::7] = -1
    probe = fit_linear_probe(features, marked, num_classes=3)
    assert (probe(features).argmax(dim=1) == targets).float().mean() > 0.99


def test_a_probe_is_the_same_for_the_same_seed():
    features, targets = torch.randn(50, 4), torch.arange(50) % 2
    one, other = (fit_linear_probe(features, targets, 2, epochs=3, batch_size=8) for _ in range(2))
    assert torch.equal(one.weight, other.weight)
    different = fit_linear_probe(features, targets, 2, epochs=3, batch_size=8, seed=1)
    assert not torch.equal(one.weight, different.weight)


def test_a_probe_needs_labels_and_positive_numbers():
    with pytest.raises(ValueError, match="needs labels"):
        fit_linear_probe(torch.randn(3, 2), torch.full((3,), -1), 2)
    with pytest.raises(ValueError, match="learning_rate must be positive and at most 1e30, got 0.0"):
        fit_linear_probe(torch.randn(3, 2), torch.zeros(3).long(), 2, learning_rate=0.0)


def test_without_standardising_the_first_step_is_that_of_plain_sgd():
    features, targets = torch.tensor([[3.0, 0.0], [0.0, 1.0]]), torch.tensor([0, 1])
    probe = fit_linear_probe(features, targets, 2, epochs=1, learning_rate=0.5, standardise=False)
    # From zero both classes have 1/2: each row pulls by a half of itself, averaged over two rows.
    torch.testing.assert_close(probe.weight, 0.5 * torch.tensor([[0.75, -0.25], [-0.75, 0.25]]))
    torch.testing.assert_close(probe.bias, torch.zeros(2))


def test_a_logistic_regression_separates_clusters_ignores_the_unlabelled_and_thins_evenly():
    targets = torch.arange(300) // 100
    features = torch.tensor([[0.0, 5.0], [4.0, 5.0], [0.0, 900.0]])[targets] + torch.rand(300, 2)
    marked = targets.clone()
    marked[::7] = -1
    assert torch.equal(logistic_predict(features, features, marked), targets)
    assert torch.equal(logistic_predict(features, features, marked, max_images=9), targets)
    with pytest.raises(ValueError, match=r"at least two classes, got \[1\]"):
        logistic_predict(features, features, torch.where(targets == 1, 1, -1))


def test_all_views_are_passed_where_they_are_combined():
    images = torch.randn(2, 5, 1, 2, 2)
    batches = [(list(images), torch.arange(5), torch.arange(5))]
    rows = extract_features(nn.Flatten(), batches, combine=lambda views: torch.cat(views, dim=1)).features
    torch.testing.assert_close(rows, torch.cat([images[0].flatten(1), images[1].flatten(1)], dim=1))
    assert torch.equal(extract_features(nn.Flatten(), batches).features, images[0].flatten(1))


def test_features_are_extracted_in_evaluation_mode_and_the_mode_restored():
    model = nn.Sequential(nn.Flatten(), nn.BatchNorm1d(4))
    images = torch.randn(6, 1, 2, 2)
    batches = [([images[:4]], torch.arange(4), torch.arange(4)), ([images[4:]], torch.arange(2), torch.arange(4, 6))]
    features, targets, indices = extract_features(model, batches)
    torch.testing.assert_close(features, model.eval()(images))
    assert targets.tolist() == [0, 1, 2, 3, 0, 1]
    assert indices.tolist() == list(range(6))
    model.train()
    extract_features(model, batches)
    assert model.training


def test_a_thinned_loader_keeps_images_of_the_whole_data_set():
    rows = [([torch.tensor([float(row)])], torch.tensor([row // 10]), torch.tensor([row])) for row in range(40)]
    loader = DataLoader(rows, batch_size=3, collate_fn=lambda batch: batch)
    kept = [row for batch in thinned(loader, 8) for _, _, (row,) in batch]
    assert len(kept) == 8
    assert {int(row) // 10 for row in kept} == {0, 1, 2, 3}
    assert len([row for batch in thinned(loader, 100) for row in batch]) == 40


def test_no_image_is_refused():
    with pytest.raises(ValueError, match="no image"):
        extract_features(nn.Flatten(), [])


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64])
def test_features_of_a_model_of_another_precision_are_float32(dtype):
    model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(12, 3)).to(dtype)
    batch = ([torch.randn(4, 3, 2, 2)], torch.arange(4), torch.arange(4))
    assert extract_features(model, [batch]).features.dtype == torch.float32
