"""DifficultyFilter: goes on with the training without the most difficult images."""

from typing import Any, Literal

import lightning.pytorch as pl
import torch
from jaxtyping import Bool, Int
from torch import Tensor

from lit_hardcl.callbacks.loaders import KeptImages
from lit_hardcl.callbacks.scoring import Scoring
from lit_hardcl.errors import Refusal, check_choice, check_whole, is_whole
from lit_hardcl.hardness.choosing import check_classes, check_shares, hardest, shares
from lit_hardcl.hardness.image_scores import ImageScores
from lit_hardcl.hardness.score_files import write_scores
from lit_hardcl.runs.layout import log_folder


class DifficultyFilter(pl.Callback):
    """Scores every training image and goes on without the hardest, by the data module's ``keep(indices)``.

    Scores, of which the higher is the more difficult:

    - ``"pairs"``: how often and how strongly an image stands in selected pairs (arXiv:2501.01317, Eq. 12), as anchor
      and as key: the mean over its views of the sum of the pairs' cosines, negative ones counted as 0, by the number
      of keys. Features rank the pairs, also where the loss selects by its projections.
    - ``"margin"``: minus the gap between the two largest softmax outputs of the trainer's `OnlineLinearProbe`, the
      mean over its views.
    - ``"given"``: read from ``scores_file``, such as the CSV of another run.

    Scores are accumulated from what the training steps return, at no extra forward, over the epochs since the last
    filtering. A fit begins with all images. All are ranked by their newest score, ties by index; one that is out keeps
    the score it went with, one that was never scored stays in. Held-out images are never touched. Logs, every epoch,
    ``filter_removed`` and ``filter_removed_share`` of the next; with a data module that has ``mixed_indices``, after a
    filtering also ``filter_mixed_precision`` (of the removed images, the share that is mixed; by chance
    ``filter_mixed_share``) and ``filter_mixed_recall`` (of the mixed images, the share removed; by chance
    ``filter_removed_share``). Writes ``difficulty_epoch_N.csv`` (index, score, class, kept) into the logger's folder.

    Several processes remove the same images; so does a resumed run. Fewer images are fewer steps: a
    :class:`~lit_hardcl.schedules.WarmupCosine` without ``total_steps`` is fitted anew to what is left, with a small
    jump; other schedules are not, and a resumed run may count its ``estimated_stepping_batches`` by kept images.

    All training images are those of the data module's ``train_images`` (``indices``, ``targets``) or, if it has none,
    the positions in its training data set. It needs one method, after which its ``train_dataloader`` is called again:

        >>> class Yours(pl.LightningDataModule):
        ...     def __init__(self, dataset):
        ...         super().__init__()
        ...         self.dataset, self.kept = dataset, range(len(dataset))
        ...
        ...     def keep(self, indices):  # a tensor, or None for all
        ...         self.kept = range(len(self.dataset)) if indices is None else indices.tolist()
        ...
        ...     def train_dataloader(self):
        ...         return torch.utils.data.DataLoader(torch.utils.data.Subset(self.dataset, self.kept), batch_size=2)
        >>> data = Yours(list(range(6)))
        >>> data.keep(torch.tensor([0, 1, 4, 5]))
        >>> [batch.tolist() for batch in data.train_dataloader()]
        [[0, 1], [4, 5]]

    Args:
        score: rule by which an image is difficult.
        at_epochs: numbers of epochs after which to filter, ascending; epoch N, as Lightning counts them from 0, is the
            first with fewer images. 0 filters before training, for ``"given"`` only.
        share: part of all training images that is out after a filtering, in [0, 1); one for all, or one for
            each of ``at_epochs``.
        per_class: remove this share of every class; needs labels.
        restore_at: number of epochs after which to train on all images again.
        scores_file: path for ``"given"``: a CSV with the columns index and score, or a JSON object from index to score.
        pos_high: rank, for ``"pairs"``, where the band begins (`lit_hardcl.hardness.Band`); ``None``: the criterion's.
        pos_low: rank where it ends.
        every_n_steps: score every n-th batch, at least 1.

    Raises:
        ValueError: if an option breaks its rule; before training, if what a score needs is missing, ``share`` leaves
            no image or no batch, or the file's images are not the training images; during training, if batches have no
            indices, or if a whole class would go.
    """

    def __init__(
        self,
        score: Literal["pairs", "margin", "given"],
        at_epochs: list[int],
        share: float | list[float],
        per_class: bool = False,
        restore_at: int | None = None,
        scores_file: str | None = None,
        pos_high: float | None = None,
        pos_low: float | None = None,
        every_n_steps: int = 1,
    ) -> None:
        each_share = [share] * len(at_epochs) if isinstance(share, (int, float)) else list(share)
        first = 0 if score == "given" else 1
        check_choice("score", score, "pairs", "margin", "given")
        check_whole(0, restore_at=restore_at)
        if (
            not at_epochs
            or not all(is_whole(each, first) for each in at_epochs)
            or sorted(set(at_epochs)) != list(at_epochs)
        ):
            raise Refusal(
                f"at_epochs must name one or more epochs, ascending, from {first} on for {score!r}, got {at_epochs}"
            )
        if len(each_share) != len(at_epochs) or not all(0 <= each < 1 for each in each_share):
            raise Refusal(f"share must be in [0, 1), one for all or one for each of at_epochs, got {share}")
        if restore_at is not None and (restore_at <= at_epochs[0] or restore_at in at_epochs):
            raise Refusal(f"restore_at must come after the first of at_epochs and be none of them, got {restore_at}")
        self.scoring = Scoring(score, scores_file, pos_high, pos_low, every_n_steps)
        self.per_class, self.restore_at = per_class, restore_at
        self.share_at: dict[int, float] = dict(zip(at_epochs, each_share, strict=True))
        self._forget(None)

    def _forget(self, data: Any) -> None:
        self._kept = KeptImages(data)
        self._scores: Any = None  # ImageScores, once the images are known
        self._removed: Bool[Tensor, " images"] | None = None
        self._unwritten: int | None = None
        self._before: list[Any] | None = None  # what was out in the epoch that has filtered, until it has ended
        self._is_late = False

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Check that all is there and, for 0 epochs, filter."""
        if stage != "fit":
            return
        self._forget(trainer.datamodule)  # type: ignore[attr-defined]
        self._check_needs(trainer)
        self.scoring.check_needs(trainer, pl_module)
        self._kept.keep(None, None)  # a data module may come from an earlier fit
        self._scores = self.scoring.begin(getattr(self._kept.data, "train_images", None))
        if self._scores is not None:
            self._check_shares(trainer)
        if 0 in self.share_at:
            self._filter(0)

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on with saved scores, and keep what was kept."""
        if not state_dict or self._kept.data is None:
            return
        self._scores = self._scores or ImageScores(state_dict["scores"]["indices"])
        self._scores.load_state_dict(state_dict["scores"])
        self._removed, self._unwritten = state_dict["removed"], None
        self._before = state_dict.get("before")
        self._is_late = self._before is not None
        # An epoch whose validation is to come has the loader that it had, or Lightning takes steps of the next one.
        out = self._removed if self._before is None else self._before[0]
        self._kept.keep(self._left(out), state_dict["changed"])

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Number the images of a data module that does not tell them, and go on with a resumed schedule."""
        if self._scores is None:
            self._scores = ImageScores(torch.arange(len(trainer.train_dataloader.dataset)))  # type: ignore[union-attr]
            self._check_shares(trainer)
        if not self._is_late:
            self.on_train_epoch_start(trainer, pl_module)

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Fit the learning rates to the steps that are left."""
        self._kept.go_on(trainer)

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Score the images of this step; after an epoch's last step, filter or restore where the options say so."""
        self.scoring.add(self._scores, pl_module, outputs, batch_idx)
        # Not at the end of the epoch: a checkpoint of its validation would miss it, and Lightning not make up for it.
        if trainer.is_last_batch or batch_idx + 1 >= trainer.num_training_batches:
            self._end_epoch(trainer, trainer.current_epoch + 1)

    def _end_epoch(self, trainer: pl.Trainer, done: int) -> None:
        self._scores.bring_together()
        before = self._removed
        if done in self.share_at:
            self._scores.take_means()
            self._filter(done, trainer.global_step)
        elif done == self.restore_at:
            self._removed = None
            self._kept.keep(None, (done, trainer.global_step))
        if done in (*self.share_at, self.restore_at):
            self._kept.ask_anew(trainer)
            self._before = [before]
        folder = log_folder(trainer)
        if self._unwritten is not None and folder is not None and trainer.is_global_zero:
            write_scores(folder / f"difficulty_epoch_{self._unwritten}.csv", self._scores, self._out())
        self._unwritten = None

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Log what is out; of an epoch resumed behind its filtering, keep the others only now."""
        if self._is_late:
            self._kept.keep(self._left(self._removed), self._kept.since)
            self._kept.ask_anew(trainer)
        self._before, self._is_late = None, False
        mixed = getattr(self._kept.data, "mixed_indices", None)
        self.log_dict(shares(self._scores.indices, self._out(), mixed), sync_dist=True)  # type: ignore[attr-defined]

    def state_dict(self) -> dict[str, Any]:
        """Scores, what is out, and since when: plain tensors and numbers."""
        if self._scores is None:
            return {}
        state = {"scores": self._scores.state_dict(), "removed": self._removed, "before": self._before}
        return {**state, "changed": self._kept.since}

    def _left(self, out: Bool[Tensor, " images"] | None) -> Int[Tensor, " left"] | None:
        return None if out is None else self._scores.indices[~out]

    def _out(self) -> Bool[Tensor, " images"]:
        return torch.zeros_like(self._scores.indices, dtype=torch.bool) if self._removed is None else self._removed

    def _filter(self, done: int, step: int = 0) -> None:
        scores = self._scores
        removed = hardest(scores.values, scores.targets, self.share_at[done], self.per_class)
        check_classes(removed, scores.targets)
        self._removed, self._unwritten = removed, done
        self._kept.keep(scores.indices[~removed], (done, step))

    def _check_shares(self, trainer: pl.Trainer) -> None:
        if self.per_class and not hasattr(self._kept.data, "train_images"):
            return  # the steps will tell the classes
        smallest = (getattr(self._kept.data, "batch_size", None) or 1) * trainer.world_size
        for share in self.share_at.values():
            check_shares(self._scores, share, self.per_class, smallest)

    def _check_needs(self, trainer: pl.Trainer) -> None:
        if not callable(getattr(self._kept.data, "keep", None)):
            raise Refusal(
                "DifficultyFilter needs a data module with a method keep(indices), got "
                f"{type(self._kept.data).__name__}: the class's docstring shows one"
            )
        last = trainer.max_epochs
        late = [epoch for epoch in (*self.share_at, self.restore_at or 0) if last and 0 < last <= epoch]
        if late and not trainer.fast_dev_run:  # type: ignore[attr-defined]
            raise Refusal(f"at_epochs and restore_at must be below max_epochs={last}, got {late[0]}")
