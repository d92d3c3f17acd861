"""What features are worth: extraction, classification on frozen features, statistics."""

from lit_hardcl.evaluation.classify import fit_linear_probe, knn_predict
from lit_hardcl.evaluation.features import Features, extract_features, thinned

__all__ = ["Features", "extract_features", "fit_linear_probe", "knn_predict", "thinned"]
