"""ContrastiveDataModule: a data set by name, its variant, its random views, and its clean ones."""

import os
import warnings
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import torch
from jaxtyping import Int64
from lightning.pytorch import LightningDataModule
from torch import Tensor
from torch.utils.data import DataLoader, DistributedSampler

from lit_hardcl.contract import Batch
from lit_hardcl.data.images import Images
from lit_hardcl.data.loading import CleanBatches, RandomBatches, TrainingLoader, TrainingSampler, as_fetched
from lit_hardcl.data.raw_batch import Making
from lit_hardcl.data.reload import ReloadOnce
from lit_hardcl.data.sets import data_set
from lit_hardcl.data.settings import check_a_batch_fits, check_batch, check_imbalance, check_mix_fraction, read_indices
from lit_hardcl.data.splits import held_out_images, training_images
from lit_hardcl.data.variants import keep, long_tail, mix_classes, rows_of, subset, without_mixed
from lit_hardcl.errors import check_choice, check_given, check_seed, check_whole
from lit_hardcl.trust import Trusting
from lit_hardcl.views.recipe import Augmentation


class ContrastiveDataModule(Trusting, LightningDataModule):
    """Batches of random views for training and of clean views for everything else.

    Every loader's batches reach a module as `Batch`. The held-out images are never trained on. The images' order and
    random views depend on the seed and the epoch alone: not on the number of processes or workers, nor on whether a run
    was resumed.

    Args:
        dataset: name in `DATASETS`, or the import path of a `DataSet` of your own, such as ``mine.SET``.
        data_dir: the folder with the data.
        batch_size: images per process; the last, smaller batch of a training epoch is left out.
        num_views: random views of each image.
        clean_view: whether a training batch also has each image's clean view, as the last of its views.
        num_workers: processes that fetch batches, at most 1024; of use for images in files only.
        train_size: number of training images, chosen by seed, of each class its share; None for all.
        mix_fraction: share of the training images mixed with another class (see `mix_classes`).
        remove_mixed: whether the mixed images are left out again.
        imbalance: size of the largest training class over the smallest (see `long_tail`).
        train_indices: original indices of the images to train on, or a text or JSON file with them; None for all.
        seed: seed of the variants, the order and the views; None for that of ``seed_everything``, or else 0.
        download: whether missing data may be downloaded.
        augmentation: the recipe of the random views; None for the data set's own.
        image_size: height and width of the views; None for the data set's own.
        eval_batch_size: batch size of the clean loaders; None for ``batch_size``.
        pin_memory: whether to pin memory; None for whenever there is a GPU.
        compile: whether views are made by ``torch.compile``: faster after a first batch of up to a minute.
        split: images held out: the data set's ``"test"`` images, or ``"validation"`` images to tune on, its own or a
            fixed fifth of the training images of each class.

    Raises:
        ValueError: if a value is outside its range; later, if data are missing or fewer than a batch.
    """

    def __init__(
        self,
        dataset: str = "digits",
        data_dir: str = "data",
        batch_size: int = 256,
        num_views: int = 2,
        num_workers: int = 0,
        mix_fraction: float = 0.0,
        imbalance: float = 1.0,
        train_indices: str | list[int] | None = None,
        seed: int | None = None,
        download: bool = False,
        augmentation: Augmentation | None = None,
        image_size: int | None = None,
        eval_batch_size: int | None = None,
        pin_memory: bool | None = None,
        clean_view: bool = False,
        train_size: int | None = None,
        remove_mixed: bool = False,
        compile: bool = False,
        split: Literal["test", "validation"] = "test",
    ) -> None:
        super().__init__()
        check_batch(batch_size)
        self.seed = int(os.environ.get("PL_GLOBAL_SEED", 0)) if seed is None else seed
        check_given(num_views=num_views, num_workers=num_workers)
        check_whole(0, 1024, num_workers=num_workers)
        check_seed(self.seed)
        check_whole(-(2**63), train_size=train_size)
        check_mix_fraction(mix_fraction)
        check_imbalance(imbalance)
        check_choice("split", split, "test", "validation")
        self.source = data_set(dataset)
        self.dataset, self.data_dir, self.split = dataset, data_dir, split
        self.batch_size = batch_size
        self.num_views = num_views
        self.clean_view = clean_view
        self.compile = compile
        self.num_workers = num_workers
        self.train_size = train_size
        self.mix_fraction = mix_fraction
        self.remove_mixed = remove_mixed
        self.imbalance = imbalance
        self.train_indices = train_indices
        self.download = download
        self.augmentation = augmentation or self.source.augmentation
        self.image_size = self.source.image_size if image_size is None else image_size
        self.eval_batch_size = batch_size if eval_batch_size is None else eval_batch_size
        self.pin_memory = torch.cuda.is_available() if pin_memory is None else pin_memory
        check_whole(1, num_views=num_views, eval_batch_size=self.eval_batch_size)
        check_whole(8, image_size=self.image_size)
        self._kept: Tensor | None = None
        self._training: TrainingLoader | None = None
        self._within: dict[str, int] = {}  # an epoch, as a checkpoint has it
        self._reload = ReloadOnce()

    @property
    def channels(self) -> int:
        """Channels of an image: 1 or 3."""
        return self.source.channels

    @property
    def num_classes(self) -> int:
        """Number of classes; reads the data if only they can tell."""
        return self.source.num_classes or len(self.class_names)

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names in the order of the class numbers; reads the data if only they can tell."""
        return self.source.class_names or self.held_out_images.class_names

    @property
    def making(self) -> Making:
        """How views are made."""
        colours = self.source.mean, self.source.std
        return Making(self.image_size, self.augmentation, *colours, self.clean_view, self.compile)

    @property
    def coarse_targets(self) -> list[int] | None:
        """Coarse class of each class, read from the data; None if the data set has no coarse classes."""
        return None if self.source.coarse_targets is None else self.source.coarse_targets(Path(self.data_dir))

    @property
    def mixed_indices(self) -> Int64[Tensor, " mixed"]:
        """Original indices of the training images that are mixed with another class."""
        return self.train_images.mixed_indices

    @cached_property
    def train_images(self) -> Images:
        """The training images after all variants, before `keep`."""
        images = training_images(self.source, Path(self.data_dir), self.split, self.download)
        images = mix_classes(subset(images, self.train_size, self.seed), self.mix_fraction, self.seed)
        images = long_tail(without_mixed(images) if self.remove_mixed else images, self.imbalance, self.seed)
        return images if self.train_indices is None else keep(images, read_indices(self.train_indices))

    @cached_property
    def held_out_images(self) -> Images:
        """The images of the split, which are never trained on."""
        return held_out_images(self.source, Path(self.data_dir), self.split, self.download)

    def keep(self, indices: list[int] | Tensor | None) -> None:
        """Train on these original indices only, from the next epoch on; None restores all training images.

        To be called alike on every process.

        Raises:
            ValueError: if the indices are empty, repeated, not among the training images, or fewer than a batch.
        """
        kept = None if indices is None else torch.as_tensor(indices).cpu()
        rows = self._rows(kept)
        check_a_batch_fits(len(rows), self._processes()[0], self.batch_size)
        self._kept = kept
        if self._training is not None:
            self._training.sampler.rows = rows  # type: ignore[attr-defined]
        if self.trainer is not None:
            self._reload.ask(self.trainer)

    def prepare_data(self) -> None:
        """Download what is missing, if that is allowed; what has been read then need not be read again."""
        if self.download:
            self.setup()

    def setup(self, stage: str | None = None) -> None:
        """Read the images that the stage needs, so that whatever is wrong with them shows before any training."""
        self._within = {}
        if stage in (None, "fit"):
            check_a_batch_fits(len(self._rows(self._kept)), self._processes()[0], self.batch_size)
        if not self.held_out_images.source.decodes:
            # Lightning's advice is wrong here: indexing a tensor in memory is faster than receiving it from a worker.
            warnings.filterwarnings("ignore", message=".*does not have many workers")

    def train_dataloader(self) -> DataLoader:
        """Load raw batches in random order; `on_after_batch_transfer` makes their views."""
        self._reload.done(self.trainer)
        rows = self._rows(self._kept)
        check_a_batch_fits(len(rows), self._processes()[0], self.batch_size)
        sampler = TrainingSampler(rows, *self._processes(), self.seed)
        batches = RandomBatches(self.train_images, self.making, self.num_views, self.seed)
        self._training = self._loader(
            TrainingLoader, dataset=batches, batch_size=self.batch_size, sampler=sampler, drop_last=True
        )
        self._training.load_state_dict(self._within)  # Lightning does not where a schedule has asked for its length
        return self._training

    def clean_train_dataloader(self) -> DataLoader:
        """Load clean views of all training images in their own order, whichever are kept."""
        return self._clean_loader(self.train_images)

    def val_dataloader(self) -> DataLoader:
        """Load clean views of the held-out images."""
        return self._clean_loader(self.held_out_images)

    test_dataloader = predict_dataloader = val_dataloader

    def on_after_batch_transfer(self, batch: Any, dataloader_idx: int) -> Batch:
        """Make the views of a raw batch where it lies; clean batches pass."""
        return batch if isinstance(batch, Batch) else Batch(batch.views(self.making), batch.targets, batch.indices)

    def state_dict(self) -> dict[str, Any]:
        """Return the original indices that are kept and the place in the epoch, where a resumed run goes on."""
        return {"kept": self._kept, "within": self._training.state_dict() if self._training else {}}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Keep what was kept, without a look at the training images, which `test` and `predict` need not have."""
        self._kept, self._within = state_dict["kept"], state_dict.get("within", {})

    def _rows(self, kept: Tensor | None) -> Int64[Tensor, " rows"]:
        return torch.arange(len(self.train_images)) if kept is None else rows_of(self.train_images, kept)

    def _processes(self) -> tuple[int, int]:
        return (1, 0) if self.trainer is None else (self.trainer.world_size, self.trainer.global_rank)

    def _clean_loader(self, images: Images) -> DataLoader:
        batches = CleanBatches(images, self.making)
        processes, rank = self._processes()
        shares: dict[str, Any] = {"num_replicas": processes, "rank": rank, "shuffle": False}
        sampler: DistributedSampler[int] | None = DistributedSampler(batches, **shares) if processes > 1 else None
        return self._loader(dataset=batches, batch_size=self.eval_batch_size, sampler=sampler)

    def _loader(self, kind: type[DataLoader] = DataLoader, **settings: Any) -> Any:
        # Keywords only: Lightning rebuilds the loaders of predict from their attributes.
        return kind(
            num_workers=self.num_workers,
            persistent_workers=self.num_workers > 0,
            pin_memory=self.pin_memory,
            collate_fn=as_fetched,
            **settings,
        )
