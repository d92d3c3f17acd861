"""Backbones and heads: everything that holds weights."""

from lit_hardcl.models.backbones import ResNet, feature_width, passed, untracked
from lit_hardcl.models.heads import Discriminator, Generator, ProjectionHead
from lit_hardcl.models.weights import load_backbone, misfit

__all__ = [
    "Discriminator",
    "Generator",
    "ProjectionHead",
    "ResNet",
    "feature_width",
    "load_backbone",
    "misfit",
    "passed",
    "untracked",
]
