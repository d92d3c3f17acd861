"""Fetching: which images a training epoch takes in which order, and whole batches out of memory or files."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, DistributedSampler

from lit_hardcl.contract import Batch
from lit_hardcl.data.images import Images
from lit_hardcl.data.raw_batch import Making
from lit_hardcl.views.batch_views import clean_view
from lit_hardcl.views.draws import draw, draw_at, generator_of


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
        self.skipped = 0  # of the next epoch's picks of this process

    def __iter__(self) -> Iterator[Pick]:
        rows, epoch, count = self.rows, self.epoch, len(self)
        order = rows[torch.randperm(len(rows), generator=generator_of(self.seed, epoch, 0))].tolist()
        positions = range(self.rank, count * self.num_replicas, self.num_replicas)[self.skipped :]
        return (Pick(order[position], position, epoch) for position in positions)

    def __len__(self) -> int:
        return len(self.rows) // self.num_replicas


class TrainingLoader(DataLoader[Any]):
    """A loader that goes on within an epoch, after the batches that a checkpoint's training has had of it."""

    _had = _epoch_of_skipped = _skipped = 0

    def __iter__(self) -> Iterator[Any]:  # type: ignore[override]
        """Go through the epoch's batches, but not again through those before the checkpoint."""
        sampler, skipped = self.sampler, 0
        if isinstance(sampler, TrainingSampler):  # Lightning puts others in place to overfit
            skipped = self._skipped if sampler.epoch == self._epoch_of_skipped else 0
            sampler.skipped, self._skipped = skipped * self.batch_size, 0  # type: ignore[operator]
        for self._had, batch in enumerate(super().__iter__(), start=skipped + 1):
            yield batch

    def state_dict(self) -> dict[str, int]:
        """The epoch, and how many of its batches were had."""
        return {"epoch": getattr(self.sampler, "epoch", 0), "batches": self._had}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Go on after them, if it is in this epoch that the training goes on; of no state, begin the epoch."""
        self._epoch_of_skipped, self._skipped = state.get("epoch", 0), state.get("batches", 0)


class RandomBatches(Dataset[Any]):
    """Training images, fetched a batch at a time with the random numbers of their views.

    Rows may also come as plain numbers, from a sampler that somebody else put in place; their views are then drawn
    from torch's own generator.
    """

    def __init__(self, images: Images, making: Making, num_views: int, seed: int) -> None:
        self.images, self.making, self.num_views, self.seed = images, making, num_views, seed

    def __len__(self) -> int:
        return len(self.images)

    def __getitems__(self, picks: list[Pick] | list[int]) -> Any:
        """Return the raw batch of these images, of the kind of their source."""
        images = self.images
        rows = torch.tensor([pick.row if isinstance(pick, Pick) else pick for pick in picks])
        draws = self._draws(picks)
        fetched = images.source.fetch(rows, draws, self.making)
        return images.source.batch(fetched, images.targets[rows], images.indices[rows], draws.view(torch.int32))

    def _draws(self, picks: list[Pick] | list[int]) -> Float[Tensor, "views batch numbers"]:
        positions = [pick.position for pick in picks if isinstance(pick, Pick)]
        if len(positions) < len(picks):
            return draw(self.num_views, len(picks), torch.default_generator)
        return draw_at(positions, self.num_views, self.seed, picks[0].epoch)  # type: ignore[union-attr]


class CleanBatches(Dataset[Batch]):
    """Images without any randomness, fetched a batch at a time, already normalised."""

    def __init__(self, images: Images, making: Making) -> None:
        self.images, self.making = images, making

    def __len__(self) -> int:
        return len(self.images)

    def __getitems__(self, rows: list[int]) -> Batch:
        """Return the batch of these images."""
        numbers = torch.tensor(rows)
        size, _, *colours = self.making[:4]
        view = clean_view(self.images.source.clean(numbers, size), size, *colours)
        return Batch([view], self.images.targets[numbers], self.images.indices[numbers])


def as_fetched(batch: Any) -> Any:
    """Collate nothing, since batches are fetched whole; a lambda could not be sent to workers."""
    return batch
