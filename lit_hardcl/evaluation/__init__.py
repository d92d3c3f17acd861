"""What features are worth: extraction, classification on frozen features, statistics."""

from lit_hardcl.evaluation.classify import fit_linear_probe, knn_predict
from lit_hardcl.evaluation.features import Features, extract_features, thinned
from lit_hardcl.evaluation.geometry import alignment, rank_me, uniformity

__all__ = [
    "Features",
    "alignment",
    "extract_features",
    "fit_linear_probe",
    "knn_predict",
    "rank_me",
    "thinned",
    "uniformity",
]
