"""Views of images: uint8 and random numbers in, normalised views out, whole batches on the images' device."""

from lit_hardcl.views.batch_views import clean_view, random_views
from lit_hardcl.views.draws import draw
from lit_hardcl.views.recipe import Augmentation

__all__ = ["Augmentation", "clean_view", "draw", "random_views"]
