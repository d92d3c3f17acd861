"""Data: data sets by name, their variants, and batches of random views made on the device."""

from lit_hardcl.contract import Batch
from lit_hardcl.data.datamodule import ContrastiveDataModule
from lit_hardcl.data.entry import DataSet
from lit_hardcl.data.images import Images
from lit_hardcl.data.raw_batch import CroppedBatch, RawBatch
from lit_hardcl.data.sets import DATASETS
from lit_hardcl.data.sources import Files, InMemory, Source
from lit_hardcl.data.variants import keep, long_tail, mix_classes, subset, without_mixed
from lit_hardcl.views.batch_views import clean_view, random_views
from lit_hardcl.views.draws import draw
from lit_hardcl.views.recipe import Augmentation

__all__ = [
    "DATASETS",
    "Augmentation",
    "Batch",
    "ContrastiveDataModule",
    "CroppedBatch",
    "DataSet",
    "Files",
    "Images",
    "InMemory",
    "RawBatch",
    "Source",
    "clean_view",
    "draw",
    "keep",
    "long_tail",
    "mix_classes",
    "random_views",
    "subset",
    "without_mixed",
]
