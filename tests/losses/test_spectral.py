"""The spectral loss on a graph: it is the theory's, and what it learns are the graph's top eigenvectors."""

import numpy as np
import pytest
import torch

from lit_hardcl import theory
from lit_hardcl.losses import SpectralLoss

# Two classes of two images, one of each difficult; entries are multiples of an eighth.
ADJACENCY = theory.adjacency(2, 1, 1, 0.5, 0.125, 0.25, "all")


def of_graph(criterion, embeddings):
    """The loss, exactly in expectation: of all edges, as often as they weigh, each against the nodes' own shares."""
    copies = torch.from_numpy(np.rint(8 * ADJACENCY).astype(int))
    edges = torch.cat([torch.tensor([[i, j]]).expand(copies[i, j], 2) for i in range(4) for j in range(4)])
    anchors, ends = embeddings[edges[:, 0]], embeddings[edges[:, 1]]
    nobody = torch.zeros(len(edges), dtype=torch.long)  # whose keys, but for the positive, do not count ...
    images = torch.cat([nobody, nobody - 1])  # ... so that the second half are the negatives, drawn for themselves
    return criterion.of_rectangle(
        anchors, torch.cat([ends, ends]), torch.arange(len(edges)), anchor_images=nobody, key_images=images
    )


@pytest.mark.parametrize("margin", [0.0, 0.3])
def test_the_loss_of_a_graph_is_the_theorys(margin):
    embeddings = torch.randn(4, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    loss = of_graph(SpectralLoss(normalize=False, margin=margin), embeddings)
    due = theory.spectral_loss(ADJACENCY, embeddings.numpy(), margin=np.full((4, 4), margin))
    assert loss.item() == pytest.approx(due, rel=1e-10)


def test_a_temperature_divides_the_inner_products_like_the_theorys():
    embeddings = torch.randn(4, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    loss = of_graph(SpectralLoss(normalize=False, temperature_scale=0.7), embeddings)
    due = theory.spectral_loss(ADJACENCY, embeddings.numpy() / 0.7**0.5)
    assert loss.item() == pytest.approx(due, rel=1e-10)


def test_its_minimiser_spans_the_top_eigenvectors_of_the_normalised_adjacency():
    values, vectors = np.linalg.eigh(theory.normalized_adjacency(2, 1, 1, 0.5, 0.125, 0.25, "all"))
    top, weights = vectors[:, -2:], np.sqrt(values[-2:])
    degrees = ADJACENCY.sum(axis=1, keepdims=True) / ADJACENCY.sum()
    criterion = SpectralLoss(normalize=False)

    best = torch.from_numpy(top * weights / np.sqrt(degrees)).requires_grad_()
    least = of_graph(criterion, best)
    assert torch.autograd.grad(least, best)[0].abs().max() < 1e-10

    found = torch.randn(4, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(1)).requires_grad_()
    descent = torch.optim.LBFGS([found], max_iter=300, tolerance_grad=1e-10, line_search_fn="strong_wolfe")

    def closure():
        descent.zero_grad()
        loss = of_graph(criterion, found)
        loss.backward()
        return loss

    descent.step(closure)
    assert of_graph(criterion, found).item() == pytest.approx(least.item(), abs=1e-8)
    span, _ = np.linalg.qr(np.sqrt(degrees) * found.detach().numpy())
    cosines = np.linalg.svd(top.T @ span, compute_uv=False)
    assert cosines.min() > 1 - 1e-6
