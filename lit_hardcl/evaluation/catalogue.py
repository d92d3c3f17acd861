"""The catalogue: what is measured on features, a row a statistic, read by evaluations, callbacks and comparisons."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Literal, NamedTuple

from torch import Tensor

from lit_hardcl.evaluation.classify import (
    NeighbourSettings,
    ProbeSettings,
    fit_linear_probe,
    knn_predict,
    logistic_predict,
)
from lit_hardcl.evaluation.features import Features
from lit_hardcl.evaluation.geometry import alignment, rank_me, tolerance, uniformity


@dataclass(frozen=True)
class Statistic:
    """A number about features.

    Attributes:
        name: key under which it is logged and written.
        label: words for it in tables.
        function: function from what it needs to a float.
        needs: arguments of the function: ``"features"`` of held-out images; these and their ``"labels"``, of the images
            that have one; features of two views of each image, ``"pairs"``; or a `Split`, ``"training images"``.
        higher_is_better: whether more is better; ``None`` where neither is.
        limit: the most it can be, from the numbers of images and of features; ``None`` where that needs no saying.
        is_check: whether it only checks another row, so that it is left out of a run's summary.
    """

    name: str
    label: str
    function: Callable[..., float]
    needs: Literal["features", "labels", "pairs", "training images"] = "features"
    higher_is_better: bool | None = None
    limit: Callable[[int, int], int] | None = None
    is_check: bool = False


class Split(NamedTuple):
    """Frozen features of training and of held-out images, and the settings of classifiers on them."""

    train: Features
    held_out: Features
    num_classes: int
    probe: ProbeSettings
    neighbours: NeighbourSettings
    seed: int = 0

    @property
    def is_labelled(self) -> bool:
        """Whether both have a label at all."""
        return bool((self.train.targets >= 0).any() and (self.held_out.targets >= 0).any())

    def share_right(self, predicted: Tensor) -> float:
        """Share of the held-out images with a label whose class is the predicted one."""
        targets = self.held_out.targets
        return (predicted == targets)[targets >= 0].float().mean().item()


def linear_top1(split: Split) -> float:
    """Accuracy of a linear probe."""
    settings = {**asdict(split.probe), "seed": split.seed}
    probe = fit_linear_probe(split.train.features, split.train.targets, split.num_classes, **settings)
    return split.share_right(probe(split.held_out.features).argmax(dim=1))


def knn_top1(split: Split) -> float:
    """Accuracy of weighted nearest neighbours."""
    bank = (split.train.features, split.train.targets, split.num_classes)
    return split.share_right(knn_predict(split.held_out.features, *bank, **asdict(split.neighbours)))


def logistic_top1(split: Split) -> float:
    """Accuracy of scikit-learn's logistic regression."""
    return split.share_right(logistic_predict(split.held_out.features, split.train.features, split.train.targets))


CATALOGUE = (
    Statistic("val_linear_top1", "linear probe", linear_top1, "training images", True),
    Statistic("val_knn_top1", "nearest neighbours", knn_top1, "training images", True),
    Statistic("val_logistic_top1", "logistic regression", logistic_top1, "training images", True, is_check=True),
    Statistic("alignment", "alignment", alignment, "pairs", False),
    Statistic("uniformity", "uniformity", uniformity, "features", False),
    Statistic("tolerance", "tolerance", tolerance, "labels"),
    Statistic("rank_me", "effective rank", rank_me, "features", True, limit=min),
)
# What runs log, record and compare of their accuracies.
ACCURACIES = tuple(row.name for row in CATALOGUE if row.needs == "training images" and not row.is_check)
