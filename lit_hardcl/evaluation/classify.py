"""Classifiers on frozen features: weighted nearest neighbours, a linear probe, and a logistic regression."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import Tensor, nn
from torch.nn import functional as F

from lit_hardcl.contract import check_targets
from lit_hardcl.errors import Refusal, check_positive, check_seed, check_whole
from lit_hardcl.evaluation.features import evenly
from lit_hardcl.functional import cosine_similarity
from lit_hardcl.functional.similarity import at_least_float32


@dataclass(frozen=True)
class ProbeSettings:
    """How a linear probe is trained; see :func:`~lit_hardcl.evaluation.fit_linear_probe`.

    Attributes:
        epochs: passes over the images.
        batch_size: images a step.
        learning_rate: its start, falling to 0.
        standardise: train on standardised features, with the rate divided by the root of their number.
    """

    epochs: int = 100
    batch_size: int = 512
    learning_rate: float = 1.0
    standardise: bool = True

    def __post_init__(self) -> None:
        check_whole(1, epochs=self.epochs, batch_size=self.batch_size)
        check_positive(learning_rate=self.learning_rate)


@dataclass(frozen=True)
class NeighbourSettings:
    """How nearest neighbours vote; see :func:`~lit_hardcl.evaluation.knn_predict`.

    Attributes:
        k: neighbours.
        temperature: the smaller, the more the nearest count.
    """

    k: int = 20
    temperature: float = 0.1

    def __post_init__(self) -> None:
        check_whole(1, k=self.k)
        check_positive(temperature=self.temperature)


def knn_predict(
    features: Float[Tensor, "queries width"],
    bank: Float[Tensor, "bank width"],
    bank_targets: Int[Tensor, " bank"],
    num_classes: int,
    k: int = 20,
    temperature: float = 0.1,
) -> Int[Tensor, " queries"]:
    """Class of each query by the weighted vote of its nearest neighbours; see :func:`knn_scores`.

    Example:
        >>> bank, targets = torch.tensor([[1.0, 0.0], [0.0, 1.0]]), torch.tensor([0, 1])
        >>> knn_predict(torch.tensor([[0.9, 0.1]]), bank, targets, num_classes=2, k=1)
        tensor([0])
    """
    return knn_scores(features, bank, bank_targets, num_classes, k, temperature).argmax(dim=1)


@torch.no_grad()
def knn_scores(
    features: Float[Tensor, "queries width"],
    bank: Float[Tensor, "bank width"],
    bank_targets: Int[Tensor, " bank"],
    num_classes: int,
    k: int = 20,
    temperature: float = 0.1,
    chunk: int = 1024,
) -> Float[Tensor, "queries classes"]:
    """Score of each class for each query: the sum of its neighbours' votes.

    The ``k`` rows of the bank most similar to a query vote for their classes with weight
    ``exp(cosine / temperature)`` (arXiv:1805.01978, Sec. 3.4). Rows of the bank without a label (-1) do not vote.

    Args:
        features: rows to classify.
        bank: rows with known classes.
        bank_targets: classes in 0..num_classes-1, or -1.
        num_classes: number of classes.
        k: neighbours, at least 1; all of the bank if it has fewer.
        temperature: positive; the smaller, the more the nearest count.
        chunk: queries compared with the bank at once, which bounds memory.

    Raises:
        ValueError: if ``k`` or ``temperature`` is not positive, or no row of the bank has a label.
    """
    check_whole(1, num_classes=num_classes, k=k, chunk=chunk)
    check_positive(temperature=temperature)
    check_targets(bank_targets, num_classes)
    labelled = bank_targets >= 0
    bank, bank_targets = bank[labelled], bank_targets[labelled]
    if len(bank) == 0:
        raise Refusal("nearest neighbours need labels, but no row of the bank has one")
    scores = []
    for queries in features.split(chunk):
        nearest = cosine_similarity(queries, bank).topk(min(k, len(bank)), dim=1)
        votes = torch.zeros(len(queries), num_classes, device=bank.device, dtype=nearest.values.dtype)
        # Relative to the nearest, so that no small temperature overflows; a row's ranking does not change.
        weights = ((nearest.values - nearest.values[:, :1]) / temperature).exp()
        scores.append(votes.scatter_add_(1, bank_targets[nearest.indices], weights))
    return torch.cat(scores)


def fit_linear_probe(
    features: Float[Tensor, "images width"],
    targets: Int[Tensor, " images"],
    num_classes: int,
    epochs: int = 100,
    batch_size: int = 512,
    learning_rate: float = 1.0,
    standardise: bool = True,
    seed: int = 0,
) -> nn.Linear:
    """Train a linear classifier on frozen features: SGD with momentum 0.9 and a cosine schedule.

    Images without a label (-1) are left out.

    Args:
        features: rows, one per image.
        targets: classes in 0..num_classes-1, or -1.
        num_classes: number of classes.
        epochs: passes over the images, at least 1.
        batch_size: images a step, at least 1.
        learning_rate: positive; its start, falling to 0.
        standardise: train on features of mean 0 and variance 1, with the rate divided by the root of their number, so
            that one rate fits all widths and scales; the standardisation is folded into the weights that come back.
            False trains on the features as they are with the rate as it is, the usual protocol of publications.
        seed: seed of the order of the images.

    Raises:
        ValueError: if no image has a label, or a number is not positive.
    """
    check_whole(1, num_classes=num_classes, epochs=epochs, batch_size=batch_size)
    check_positive(learning_rate=learning_rate)
    check_seed(seed)
    check_targets(targets, num_classes)
    labelled = targets >= 0
    features, targets = at_least_float32(features[labelled]).float(), targets[labelled]
    if len(features) == 0:
        raise Refusal("a linear probe needs labels, but no image has one")
    if standardise:
        mean, std = features.mean(dim=0), features.std(dim=0, correction=0).clamp(min=1e-6)
        learning_rate /= features.shape[1] ** 0.5
    else:
        mean, std = torch.zeros_like(features[0]), torch.ones_like(features[0])
    rows = (features - mean) / std
    # As zeros, by a way that draws no random number: evaluation must not change a training that it watches.
    probe = nn.utils.skip_init(nn.Linear, rows.shape[1], num_classes, device=rows.device)
    nn.init.zeros_(probe.weight)
    nn.init.zeros_(probe.bias)
    optimizer = torch.optim.SGD(probe.parameters(), lr=learning_rate, momentum=0.9)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs)
    generator = torch.Generator().manual_seed(seed)
    for _ in range(epochs):
        for batch in torch.randperm(len(rows), generator=generator).to(rows.device).split(batch_size):
            optimizer.zero_grad()
            F.cross_entropy(probe(rows[batch]), targets[batch]).backward()
            optimizer.step()
        scheduler.step()
    with torch.no_grad():
        probe.weight.div_(std)
        probe.bias.sub_(probe.weight @ mean)
    return probe.requires_grad_(False)


def logistic_predict(
    features: Float[Tensor, "queries width"],
    bank: Float[Tensor, "bank width"],
    bank_targets: Int[Tensor, " bank"],
    max_images: int = 5000,
    max_iter: int = 1000,
) -> Int[Tensor, " queries"]:
    """Class of each query by scikit-learn's logistic regression on standardised features.

    A cross-check of the probe, with another optimiser and an L2 penalty (C = 1).

    Args:
        features: rows to classify.
        bank: rows with known classes.
        bank_targets: classes, or -1 for rows to leave out.
        max_images: most rows of the bank to fit, evenly spaced.
        max_iter: iterations of L-BFGS; scikit-learn warns if it is reached.

    Raises:
        ValueError: if the bank has labels of fewer than two classes.
    """
    check_whole(1, max_images=max_images, max_iter=max_iter)
    labelled = (bank_targets >= 0).nonzero().flatten()
    rows = labelled[evenly(len(labelled), max_images)]
    classes = bank_targets[rows].unique()
    if len(classes) < 2:
        raise Refusal(f"a logistic regression needs labels of at least two classes, got {classes.tolist()}")
    regression = make_pipeline(StandardScaler(), LogisticRegression(max_iter=max_iter))
    regression.fit(bank[rows].cpu().numpy(), bank_targets[rows].cpu().numpy())
    return torch.from_numpy(regression.predict(features.cpu().numpy())).to(bank_targets)
