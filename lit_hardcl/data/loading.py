"""Fetching: which images a training epoch takes in which order, and whole batches out of memory or files."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from jaxtyping import Float, Int64, UInt8
from torch import Tensor
from torch.utils.data import Dataset, DistributedSampler
from torchvision.transforms.v2.functional import center_crop, resize, resized_crop

from lit_hardcl.contract import Batch
from lit_hardcl.data.folders import decoded
from lit_hardcl.data.images import Images
from lit_hardcl.data.raw_batch import RawBatch
from lit_hardcl.views.batch_views import clean_view
from lit_hardcl.views.crops import crop_boxes
from lit_hardcl.views.draws import draw, draw_at, generator_of
from lit_hardcl.views.recipe import Augmentation

_SHORTER_SIDE = 1.14  # of the view's size, before the central crop: 256 for 224, as ImageNet is evaluated


class Pick(NamedTuple):
    """An image's row, its position in the epoch's order, and the epoch: all that its random views depend on."""

    row: int
    position: int
    epoch: int


class TrainingSampler(DistributedSampler[Pick]):
    """Every training image at most once an epoch, in an order that depends on the seed and the epoch alone.

    Batch b of n images over W processes holds the images of batch b of W·n images in one process. It is a
    DistributedSampler so that Lightning leaves it in place and tells it the epoch; the rows may change between epochs.
    """

    def __init__(self, rows: Int64[Tensor, " rows"], processes: int, rank: int, seed: int) -> None:
        # Of the data set it only wants the length.
        super().__init__(rows, num_replicas=processes, rank=rank, seed=seed, drop_last=True)  # type: ignore[arg-type]
        self.rows = rows

    def __iter__(self) -> Iterator[Pick]:
        rows, epoch, count = self.rows, self.epoch, len(self)
        order = rows[torch.randperm(len(rows), generator=generator_of(self.seed, epoch, 0))].tolist()
        positions = range(self.rank, count * self.num_replicas, self.num_replicas)
        return (Pick(order[position], position, epoch) for position in positions)

    def __len__(self) -> int:
        return len(self.rows) // self.num_replicas


class RandomBatches(Dataset[RawBatch]):
    """Training images, fetched a batch at a time with the random numbers of their views.

    Rows may also come as plain numbers, from a sampler that somebody else put in place; their views are then drawn
    from torch's own generator. Of files, ``clean_view`` adds the clean crop behind the random ones.
    """

    def __init__(
        self, images: Images, size: int, recipe: Augmentation, num_views: int, seed: int, clean_view: bool = False
    ) -> None:
        self.images, self.size, self.recipe, self.num_views, self.seed = images, size, recipe, num_views, seed
        self.clean_view = clean_view

    def __len__(self) -> int:
        return len(self.images)

    def __getitems__(self, picks: list[Pick] | list[int]) -> RawBatch:
        """Return the raw batch of these images."""
        rows = torch.tensor([pick.row if isinstance(pick, Pick) else pick for pick in picks])
        draws = self._draws(picks)
        if self.images.pixels is not None:
            pixels = self.images.pixels[rows]
        else:
            crops = [self._crops(row, draws[:, place]) for place, row in enumerate(rows.tolist())]
            pixels = torch.stack(crops, dim=1)
        return RawBatch(pixels, self.images.targets[rows], self.images.indices[rows], draws.view(torch.int32))

    def _draws(self, picks: list[Pick] | list[int]) -> Float[Tensor, "views batch numbers"]:
        positions = [pick.position for pick in picks if isinstance(pick, Pick)]
        if len(positions) < len(picks):
            return draw(self.num_views, len(picks), torch.default_generator)
        return draw_at(positions, self.num_views, self.seed, picks[0].epoch)  # type: ignore[union-attr]

    def _crops(self, row: int, draws: Float[Tensor, "views numbers"]) -> UInt8[Tensor, "crops 3 height width"]:
        """Crop in the worker: whole photographs would be too much to send to the device."""
        image = decoded(self.images.files[row])  # type: ignore[index]
        _, height, width = image.shape
        boxes = crop_boxes(draws, height, width, self.recipe.crop_scale, self.recipe.crop_ratio)
        size = [self.size, self.size]
        crops = [resized_crop(image, *box, size=size, antialias=True) for box in boxes.tolist()]
        return torch.stack([*crops, _centre(image, self.size)] if self.clean_view else crops)


class CleanBatches(Dataset[Batch]):
    """Images without any randomness, fetched a batch at a time, already normalised."""

    def __init__(self, images: Images, size: int, mean: tuple[float, ...], std: tuple[float, ...]) -> None:
        self.images, self.size, self.mean, self.std = images, size, mean, std

    def __len__(self) -> int:
        return len(self.images)

    def __getitems__(self, rows: list[int]) -> Batch:
        """Return the batch of these images."""
        numbers = torch.tensor(rows)
        if self.images.pixels is not None:
            pixels = self.images.pixels[numbers]
        else:
            pixels = torch.stack([_centre(decoded(self.images.files[row]), self.size) for row in rows])  # type: ignore[index]
        views = [clean_view(pixels, self.size, self.mean, self.std)]
        return Batch(views, self.images.targets[numbers], self.images.indices[numbers])


def _centre(image: UInt8[Tensor, "3 rows columns"], size: int) -> UInt8[Tensor, "3 {size} {size}"]:
    return center_crop(resize(image, [round(_SHORTER_SIDE * size)], antialias=True), [size, size])


def as_fetched(batch: Any) -> Any:
    """Collate nothing, since batches are fetched whole; a lambda could not be sent to workers."""
    return batch
