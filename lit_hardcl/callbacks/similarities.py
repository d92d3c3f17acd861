"""How similar the pairs of a training are: of one class, of two, difficult ones, and the ones selected in its steps."""

from typing import Any

import lightning.pytorch as pl
import torch
from jaxtyping import Int
from torch import Tensor

from lit_hardcl import distributed
from lit_hardcl.contract import read_step
from lit_hardcl.errors import Refusal, check_whole
from lit_hardcl.evaluation import (
    Features,
    SimilarityLevels,
    difficult_examples,
    extract_features,
    fit_linear_probe,
    of_rows,
    pair_similarities,
    similarity_levels,
)
from lit_hardcl.hardness.band import Band, band_of, check_own_band
from lit_hardcl.hardness.selected_pairs import selected_range, selection_counts
from lit_hardcl.plots import Figure, similarity_histogram
from lit_hardcl.runs import log_figure, run_of


class SimilarityStatistics(pl.Callback):
    """Measures, at the end of training epochs, what arXiv:2501.01317 says about difficult examples and pairs.

    On clean views of a fixed subset of the training images it logs ``similarity_alpha``, ``similarity_beta``,
    ``similarity_gamma``, ``similarity_gap``, ``similarity_t`` and ``similarity_eigenvalue``, of
    `lit_hardcl.evaluation.SimilarityLevels`; difficult examples are found by a linear probe trained anew on the
    subset's features. From the features that training steps returned it logs ``difficult_share``, of all pairs the
    share selected by Eq. 12, and ``difficult_precision``, of the selected pairs with labels the share of different
    classes (Fig. 4c). The features rank the pairs, also where the loss selects by its projections.

    Labels are only looked at: the training stays the same to the last bit, also if it uses none. Works with any module
    whose ``forward`` gives features and any data module that has ``clean_train_dataloader()``, which loads all training
    images in an order of their own. Processes share the work; their numbers are those of one process where the network
    treats each image alone.

    Args:
        subset_size: training images measured, at least a batch and two of each class; all, if there are fewer. Two
            of each class are in the subset, the others are chosen at random among those with a label. Time grows with
            its third power: 1024 images take about a quarter of a second besides their forward pass.
        every_n_epochs: measure the subset at the end of every n-th epoch, and of the last.
        hardest_share: part of each class's images that counts as difficult examples, in (0, 1).
        pos_high: rank where the band begins, see `lit_hardcl.hardness.Band`; ``None``: the criterion's. If that has
            none, share and precision are not logged.
        pos_low: rank where it ends.
        every_n_steps: count the selected pairs of every n-th batch.
        figure: whether to save at the end ``similarity.png``, a histogram of the similarities, in the run's folder;
            with W&B also log it.
        seed: seed of the choice of the subset and of the probe.

    Raises:
        ValueError: if a number breaks its rule; before training, if the subset is too small, there are fewer than two
            classes, or the data module cannot load clean training images.
    """

    def __init__(
        self,
        subset_size: int = 1024,
        every_n_epochs: int = 1,
        hardest_share: float = 0.08,
        pos_high: float | None = None,
        pos_low: float | None = None,
        every_n_steps: int = 10,
        figure: bool = True,
        seed: int = 0,
    ) -> None:
        check_whole(4, subset_size=subset_size)
        check_whole(1, every_n_epochs=every_n_epochs, every_n_steps=every_n_steps)
        check_whole(-(2**63), seed=seed)
        if not 0 < hardest_share < 1:
            raise Refusal(f"hardest_share must be in (0, 1), got {hardest_share}")
        check_own_band(pos_high, pos_low)
        self.subset_size = subset_size
        self.every_n_epochs = every_n_epochs
        self.hardest_share = hardest_share
        self.pos_high = pos_high
        self.pos_low = pos_low
        self.every_n_steps = every_n_steps
        self.figure = figure
        self.seed = seed
        self._rows = torch.arange(0)
        self._counts = torch.zeros(4, dtype=torch.long)
        self._measured: tuple[Tensor, Tensor, Tensor] | None = None

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Choose the subset."""
        if stage != "fit":
            return
        data = trainer.datamodule  # type: ignore[attr-defined]
        if not hasattr(data, "clean_train_dataloader"):
            raise Refusal("SimilarityStatistics needs a data module that has clean_train_dataloader()")
        images = getattr(data, "train_images", None)
        count = len(data.clean_train_dataloader().dataset)
        targets = torch.zeros(count, dtype=torch.long) if images is None else images.targets
        classes = len(targets[targets >= 0].unique())
        if images is not None and classes < 2:
            raise Refusal(f"SimilarityStatistics needs labels of at least two classes, got {classes}: leave it out")
        least = max(getattr(data, "batch_size", 0), 2 * classes)
        if self.subset_size < least:
            raise Refusal(
                "subset_size must be at least a batch and two images of each class, here "
                f"{least}, got {self.subset_size}"
            )
        self._rows = subset(targets, self.subset_size, self.seed)
        self._measured = None

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Count from nothing."""
        self._counts = torch.zeros(4, dtype=torch.long, device=pl_module.device)

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Count the pairs of this step that the band selects."""
        band = self.band(pl_module)
        if band is None or batch_idx % self.every_n_steps:
            return
        features, targets, _ = read_step(outputs)
        features = features.float()
        counts = selection_counts(features, targets, band)
        distributed.sum_across(counts)
        self._counts = self._counts.to(features.device) + counts

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Log the counts as shares, and measure the subset."""
        pairs, selected, labelled, different = self._counts.tolist()
        if pairs:
            self._log("difficult_share", selected / pairs)
        if labelled:
            self._log("difficult_precision", different / labelled)
        # Written down already, so that a checkpoint of this moment starts the next epoch from nothing.
        self._counts.zero_()
        epoch = trainer.current_epoch + 1
        is_last = trainer.should_stop or epoch == trainer.max_epochs or 0 < trainer.max_steps <= trainer.global_step
        if is_last or epoch % self.every_n_epochs == 0:
            data = trainer.datamodule  # type: ignore[attr-defined]
            own = self._rows[distributed.rank() :: distributed.world_size()]
            loader = of_rows(data.clean_train_dataloader(), own)
            columns = extract_features(pl_module, loader, data.on_after_batch_transfer)
            levels = self.measure(Features(*(distributed.gather_uneven(column) for column in columns)))._asdict()
            for name in ("alpha", "beta", "gamma", "gap", "t", "eigenvalue"):
                self._log(f"similarity_{name}", levels[name])

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Draw the similarities as they were last measured."""
        if self._measured is None or not self.figure or not trainer.is_global_zero or trainer.fast_dev_run:  # type: ignore[attr-defined]
            return
        drawn = self.drawn(self.band(pl_module))
        if run := run_of(trainer):
            run.folder.mkdir(parents=True, exist_ok=True)
            drawn.savefig(run.folder / "similarity.png", dpi=130)
        for logger in trainer.loggers:
            log_figure(logger, "similarity", drawn)

    def state_dict(self) -> dict[str, Any]:
        """What is counted so far in this epoch."""
        return {"counts": self._counts.tolist()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on counting, where a checkpoint was written between the last step and the end of its epoch."""
        self._counts = torch.tensor(state_dict["counts"])

    def band(self, pl_module: pl.LightningModule) -> Band | None:
        """The callback's own band or else that of the module's loss; ``None``: nothing or everything is selected."""
        return band_of(pl_module, self.pos_high, self.pos_low)

    def measure(self, columns: Features) -> SimilarityLevels:
        """Levels of the subset's features, which are kept for the figure."""
        # One order whatever the number of processes, because the probe's training depends on it; stable, because of
        # data without indices each process numbers its rows from 0 on.
        features, targets, _ = (column[columns.indices.argsort(stable=True)] for column in columns)
        probe = fit_linear_probe(features, targets, int(targets.max()) + 1, epochs=50, seed=self.seed)
        difficult = difficult_examples(probe(features), targets, self.hardest_share)
        levels = similarity_levels(features, targets, difficult)
        self._measured = features, targets, difficult
        return levels

    def drawn(self, band: Band | None) -> Figure:
        """The similarities as they were last measured, with what the band selects.

        Raises:
            ValueError: if nothing was measured.
        """
        if self._measured is None:
            raise Refusal("there is no figure of similarities that were not measured: call measure first")
        pairs = pair_similarities(*self._measured)
        return similarity_histogram(*pairs, None if band is None else selected_range(self._measured[0], band))

    def _log(self, name: str, value: float) -> None:
        self.log(name, value, sync_dist=True)  # type: ignore[attr-defined]


def subset(targets: Int[Tensor, " images"], size: int, seed: int) -> Int[Tensor, " rows"]:
    """Rows of ``size`` labelled images, ascending: two of each class, then any, at random."""
    order = torch.randperm(len(targets), generator=torch.Generator().manual_seed(seed))
    order = order[targets[order] >= 0]
    first_two = torch.zeros(len(order), dtype=torch.bool)
    for each in targets[order].unique():
        first_two[(targets[order] == each).nonzero().flatten()[:2]] = True
    return torch.cat([order[first_two], order[~first_two]])[:size].sort().values
