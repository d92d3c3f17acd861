"""What is difficult: bands of ranks, hard sets, scores of images, margins, cores of a data set."""

from lit_hardcl.hardness.band import Band
from lit_hardcl.hardness.cores import latent_classes, mean_direction, select_core
from lit_hardcl.hardness.difficult_rows import DifficultRows, chunks
from lit_hardcl.hardness.hard_sets import HardSets, hard_sets
from lit_hardcl.hardness.image_scores import ImageScores, hardest

__all__ = [
    "Band",
    "DifficultRows",
    "HardSets",
    "ImageScores",
    "chunks",
    "hard_sets",
    "hardest",
    "latent_classes",
    "mean_direction",
    "select_core",
]
