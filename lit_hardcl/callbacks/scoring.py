"""Where a filter's scores come from: the selected pairs of a step, a probe's margins, or a file."""

from pathlib import Path
from typing import Any, Literal

import lightning.pytorch as pl

from lit_hardcl.callbacks.linear import OnlineLinearProbe
from lit_hardcl.contract import read_step
from lit_hardcl.errors import Refusal, check_whole
from lit_hardcl.hardness.band import band_of, check_own_band
from lit_hardcl.hardness.image_scores import ImageScores
from lit_hardcl.hardness.score_files import read_scores
from lit_hardcl.hardness.selected_pairs import selected_pairs


class Scoring:
    """What a training step adds to the scores; arguments as those of `DifficultyFilter`."""

    def __init__(
        self,
        score: Literal["pairs", "margin", "given"],
        scores_file: str | None,
        pos_high: float | None,
        pos_low: float | None,
        every_n_steps: int,
    ) -> None:
        if (score == "given") != (scores_file is not None):
            raise Refusal(f"scores_file goes with score='given' and only with it, got {scores_file} and {score!r}")
        check_own_band(pos_high, pos_low)
        check_whole(1, every_n_steps=every_n_steps)
        self.score, self.scores_file = score, scores_file
        self.pos_high, self.pos_low, self.every_n_steps = pos_high, pos_low, every_n_steps
        self._probe: OnlineLinearProbe | None = None

    def check_needs(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Refuse a training that lacks a band or a probe."""
        if self.score == "pairs" and band_of(pl_module, self.pos_high, self.pos_low) is None:
            raise Refusal(
                "score='pairs' needs a band of selected pairs, but neither the filter nor the module's criterion has "
                "one: give pos_high (about one over the number of classes) and pos_low"
            )
        self._probe = next((each for each in trainer.callbacks if isinstance(each, OnlineLinearProbe)), None)  # type: ignore[attr-defined]
        if self.score == "margin" and self._probe is None:
            raise Refusal("score='margin' needs an OnlineLinearProbe among the trainer's callbacks, got none")

    def begin(self, images: Any) -> ImageScores | None:
        """Scores of the data module's training images, with those of the file; ``None``: neither tells the images."""
        scores = None if images is None else ImageScores(images.indices, images.targets)
        if self.scores_file is not None:
            indices, values = read_scores(Path(self.scores_file))
            scores = scores or ImageScores(indices)
            scores.give(indices, values)
        return scores

    def add(self, scores: ImageScores, pl_module: pl.LightningModule, outputs: Any, batch_idx: int) -> None:
        """Score the images of a step."""
        if batch_idx % self.every_n_steps or self.score == "given":
            return
        features, targets, indices = read_step(outputs, indexed=True)
        if indices is None:
            return
        if self.score == "margin" and self._probe is not None:
            if (logits := self._probe.scores(features.float())) is not None:
                scores.add_margins(logits, targets, indices)
        elif band := band_of(pl_module, self.pos_high, self.pos_low):
            scores.add_pairs(selected_pairs(features, band), targets, indices, band.keys(indices))
