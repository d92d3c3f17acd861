"""What is difficult: bands of ranks, hard sets, scores of images, margins, cores of a data set."""

from lit_hardcl.hardness.band import Band
from lit_hardcl.hardness.choosing import hardest
from lit_hardcl.hardness.cores import latent_classes, mean_direction, select_core
from lit_hardcl.hardness.difficult_rows import DifficultRows, chunks
from lit_hardcl.hardness.hard_sets import HardSets, hard_sets
from lit_hardcl.hardness.image_scores import ImageScores
from lit_hardcl.hardness.margins import difficult_examples, margins

__all__ = [
    "Band",
    "DifficultRows",
    "HardSets",
    "ImageScores",
    "chunks",
    "difficult_examples",
    "hard_sets",
    "hardest",
    "latent_classes",
    "margins",
    "mean_direction",
    "select_core",
]
