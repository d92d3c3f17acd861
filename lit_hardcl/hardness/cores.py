"""A core of the training images, in the manner of SAS: of each latent class those most similar to the rest of it."""

import warnings

import torch
from jaxtyping import Float, Int
from sklearn.cluster import KMeans
from sklearn.exceptions import ConvergenceWarning
from torch import Tensor

from lit_hardcl.errors import Refusal, check_seed, is_whole
from lit_hardcl.functional import unit_vectors
from lit_hardcl.functional.similarity import at_least_float32


def mean_direction(views: list[Float[Tensor, "images width"]]) -> Float[Tensor, "images width"]:
    """Average each image's views as unit vectors.

    The inner product of two images' averages is the mean cosine over all pairs of a view of one and a view of the
    other: their expected augmentation similarity, without a matrix of views. It must not be normalised again.
    """
    return torch.stack([unit_vectors(view) for view in views]).mean(dim=0)


def latent_classes(features: Float[Tensor, "images width"], clusters: int, seed: int = 0) -> Int[Tensor, " images"]:
    """Cluster the images by k-means: classes for data without labels.

    Raises:
        ValueError: unless there are from one to as many clusters as images.
    """
    check_seed(seed)
    if not is_whole(clusters, 1, len(features)):
        raise Refusal(f"clusters must be from 1 to the number of images, {len(features)}, got {clusters}")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # equal images make fewer clusters, which does no harm
        numbers = KMeans(clusters, n_init=3, random_state=seed).fit_predict(features.numpy())
    return torch.from_numpy(numbers).long()


@torch.no_grad()
def select_core(
    features: Float[Tensor, "images width"],
    classes: Int[Tensor, " images"],
    share: float,
    redundancy: float = 0.5,
) -> Int[Tensor, " selected"]:
    """Choose of each class the share of images that are most similar to it, and not too much to each other.

    With ``s`` the similarity of two images, class ``V`` gives the set ``S`` of its size that greedily maximises

        ``sum over j in S, i in V of s_ij  -  redundancy * sum over i, j in S of s_ij``      (i and j differ)

    after SAS (Joshi and Mirzasoleiman, arXiv:2302.09195). Its objective, the similarity of what is chosen to what is
    left, is ``redundancy=1``: a cut, the same for a set and for what the set leaves, so that the best 80 % of a class
    would be all but its best 20 %. At most one half the sum never falls with an image more, and greedy choice reaches
    ``1 - 1/e`` of the best one's (for ``(1 + s) / 2``, which orders sets of one size as ``s`` does). For its shares,
    arXiv:2501.01317 (Fig. 1) took 20 % of CIFAR-10, 95 % of CIFAR-100, 80 % of STL-10 and 60 % of TinyImageNet.

    Takes memory for the features alone, and time for the features of a class with each image chosen.

    Args:
        features: rows, one per image, whose inner products are the similarities: of :func:`mean_direction`.
        classes: a number per image: labels, or :func:`latent_classes`.
        share: part of each class, above 0 and below 1; rounded, and at least one image.
        redundancy: weight from 0, each image by its similarity to the class alone, to 1.

    Returns:
        Rows of the chosen images, ascending. Of equally good images the first is taken.

    Raises:
        ValueError: if ``share`` or ``redundancy`` is outside its range, a row is longer than 1 or not finite, or an
            image has no class (-1).
    """
    if not 0 < share < 1:
        raise Refusal(f"share must be above 0 and below 1, got {share}")
    if not 0 <= redundancy <= 1:
        raise Refusal(f"redundancy must be in 0 ... 1, got {redundancy}")
    if not (at_least_float32(features).norm(dim=1) <= 1.001).all():
        raise Refusal("features must be averages of unit vectors, as mean_direction makes them, got a longer row")
    if (classes < 0).any():
        raise Refusal(f"every image needs a class, got {int((classes < 0).sum())} without one; cluster them")
    chosen = []
    for number in classes.unique():
        rows = (classes == number).nonzero().flatten()
        chosen.append(rows[_greedy(features[rows], max(1, int(share * len(rows) + 0.5)), redundancy)])
    return torch.cat(chosen).sort().values


def _greedy(features: Tensor, size: int, redundancy: float) -> list[int]:
    gains = features @ features.sum(dim=0) - features.square().sum(dim=1)
    chosen: list[int] = []
    for _ in range(size):
        best = int((gains == gains.max()).nonzero()[0])
        chosen.append(best)
        gains -= 2 * redundancy * (features @ features[best])
        gains[best] = -torch.inf
    return chosen
