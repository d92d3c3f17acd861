"""Both papers' theorems as exact functions, as stated and as corrected (see docs/theory.md)."""

from lit_hardcl.theory.bounds import (
    eigenvalue_difficult_corrected,
    eigenvalue_difficult_stated,
    eigenvalue_no_difficult,
    eigenvalue_removed,
    error_bound,
    removal_threshold,
    removal_threshold_printed,
    wigner_x0,
    worsening_limit,
)
from lit_hardcl.theory.collapse import Collapse, collapse, hull_interval, optimal_anchor
from lit_hardcl.theory.eigenvalues import eigenvalue, spectrum, spectrum_blocks
from lit_hardcl.theory.embeddings import CollapseStatistics, collapse_statistics, hull_distance
from lit_hardcl.theory.factorization import factorization_loss, spectral_loss
from lit_hardcl.theory.graph import adjacency, degrees, normalized_adjacency, volume
from lit_hardcl.theory.helpful import helpful_remedies
from lit_hardcl.theory.remedies import (
    TemperatureBound,
    margin_matrix,
    margins,
    temperature_bound,
    temperature_matrix,
    temperatures,
)
from lit_hardcl.theory.sphere import gradient_bound, hull_miss_probability, steepest_angle

__all__ = [
    "Collapse",
    "CollapseStatistics",
    "TemperatureBound",
    "adjacency",
    "collapse",
    "collapse_statistics",
    "degrees",
    "eigenvalue",
    "eigenvalue_difficult_corrected",
    "eigenvalue_difficult_stated",
    "eigenvalue_no_difficult",
    "eigenvalue_removed",
    "error_bound",
    "factorization_loss",
    "gradient_bound",
    "helpful_remedies",
    "hull_distance",
    "hull_interval",
    "hull_miss_probability",
    "margin_matrix",
    "margins",
    "normalized_adjacency",
    "optimal_anchor",
    "removal_threshold",
    "removal_threshold_printed",
    "spectral_loss",
    "spectrum",
    "spectrum_blocks",
    "steepest_angle",
    "temperature_bound",
    "temperature_matrix",
    "temperatures",
    "volume",
    "wigner_x0",
    "worsening_limit",
]
