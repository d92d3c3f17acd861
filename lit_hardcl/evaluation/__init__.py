"""What features are worth: extraction, classification on frozen features, statistics."""

from lit_hardcl.evaluation.classify import fit_linear_probe, knn_predict
from lit_hardcl.evaluation.features import Features, extract_features, of_rows, thinned
from lit_hardcl.evaluation.statistics import SimilarityLevels, difficult_examples, pair_similarities, similarity_levels

__all__ = [
    "Features",
    "SimilarityLevels",
    "difficult_examples",
    "extract_features",
    "fit_linear_probe",
    "knn_predict",
    "of_rows",
    "pair_similarities",
    "similarity_levels",
    "thinned",
]
