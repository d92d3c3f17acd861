"""Backbones and heads: everything that holds weights."""

from lit_hardcl.models.backbones import ResNet, feature_width
from lit_hardcl.models.heads import ProjectionHead

__all__ = ["ProjectionHead", "ResNet", "feature_width"]
