"""What features are worth: extraction, classification on frozen features, statistics."""

from lit_hardcl.evaluation.catalogue import ACCURACIES, CATALOGUE, Statistic
from lit_hardcl.evaluation.classify import (
    NeighbourSettings,
    ProbeSettings,
    fit_linear_probe,
    knn_predict,
    logistic_predict,
)
from lit_hardcl.evaluation.features import Features, extract_features, of_rows, random_view_batches, thinned
from lit_hardcl.evaluation.frozen import (
    FrozenFeatures,
    accuracies,
    cache_key,
    cached,
    frozen_features,
    measured,
    unmixed,
)
from lit_hardcl.evaluation.geometry import alignment, rank_me, tolerance, uniformity
from lit_hardcl.evaluation.levels import SimilarityLevels, pair_similarities, similarity_levels
from lit_hardcl.hardness.cores import latent_classes, mean_direction, select_core
from lit_hardcl.hardness.margins import difficult_examples

__all__ = [
    "ACCURACIES",
    "CATALOGUE",
    "Features",
    "FrozenFeatures",
    "NeighbourSettings",
    "ProbeSettings",
    "SimilarityLevels",
    "Statistic",
    "accuracies",
    "alignment",
    "cache_key",
    "cached",
    "difficult_examples",
    "extract_features",
    "fit_linear_probe",
    "frozen_features",
    "knn_predict",
    "latent_classes",
    "logistic_predict",
    "mean_direction",
    "measured",
    "of_rows",
    "pair_similarities",
    "random_view_batches",
    "rank_me",
    "select_core",
    "similarity_levels",
    "thinned",
    "tolerance",
    "uniformity",
    "unmixed",
]
