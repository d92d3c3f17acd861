"""Difficulty scores of training images: accumulated step by step, then their means."""

from collections.abc import Iterable

import torch
from jaxtyping import Float, Int
from torch import Tensor

from lit_hardcl import distributed
from lit_hardcl.errors import Refusal
from lit_hardcl.hardness.margins import margins
from lit_hardcl.hardness.selected_pairs import SelectedPairs


class ImageScores:
    """The newest score of every training image, and what has been accumulated towards the next.

    Attributes:
        indices: numbers of all training images, ascending.
        targets: their classes; -1 where unknown.
        values: their scores; NaN where there is none yet.

    Raises:
        ValueError: if an index repeats.
    """

    def __init__(self, indices: Int[Tensor, " images"], targets: Int[Tensor, " images"] | None = None) -> None:
        self.indices, order = indices.cpu().long().sort()
        if (self.indices.diff() == 0).any():
            raise Refusal("the indices of the training images must not repeat")
        self.targets = torch.full_like(self.indices, -1) if targets is None else targets.cpu().long()[order]
        self.values = torch.full((len(self.indices),), torch.nan, dtype=torch.float64)
        # Sums of score, of rows seen, and of target: one row per image, a last one for images that are none of these.
        self._sums = torch.zeros(len(self.indices) + 1, 3, dtype=torch.float64)
        self._pending: list[tuple[Tensor, ...]] = []  # indices, scores, times seen, targets

    def add_pairs(
        self,
        pairs: Iterable[SelectedPairs],
        targets: Int[Tensor, " anchors"],
        indices: Int[Tensor, " anchors"],
        key_indices: Int[Tensor, " keys"],
    ) -> None:
        """Add how strongly the images of a step stand in its selected pairs, without waiting for a device.

        The similarities of ``pairs`` are overwritten, each part's before the next is asked for.
        """
        of_anchors, of_keys = [], []
        for part in pairs:
            strength = part.similarity.clamp_(min=0).mul_(part.selected).div_(len(key_indices))
            of_anchors.append(strength.sum(dim=1))
            of_keys.append(strength.sum(dim=0))
        as_anchor, as_key = torch.cat(of_anchors), torch.stack(of_keys).sum(dim=0)
        self._pending.append((indices, as_anchor, torch.ones_like(as_anchor), targets))
        self._pending.append((key_indices, as_key, torch.zeros_like(as_key), torch.zeros_like(key_indices)))

    def add_margins(
        self, logits: Float[Tensor, "rows classes"], targets: Int[Tensor, " rows"], indices: Int[Tensor, " rows"]
    ) -> None:
        """Add minus the gap between the two largest softmax outputs of each row, without waiting for a device.

        Raises:
            ValueError: if there are not two classes.
        """
        gaps = margins(logits)
        self._pending.append((indices, -gaps, torch.ones_like(gaps), targets))

    def bring_together(self) -> None:
        """Sum what all processes have added; every process must call it."""
        if not self._pending:
            return
        device = self._pending[0][0].device
        indices, *columns = (torch.cat(column).cpu() for column in zip(*self._pending, strict=True))
        self._pending = []
        rows = torch.searchsorted(self.indices, indices).clamp(max=len(self.indices) - 1)
        rows = rows.where(self.indices[rows] == indices, len(self.indices))
        sums = torch.zeros_like(self._sums).index_add_(0, rows, torch.stack([c.double() for c in columns], dim=1))
        if distributed.world_size() > 1:
            sums = sums.to(device)
            distributed.sum_across(sums)
        self._sums += sums.cpu()

    def take_means(self) -> None:
        """Make the means of what was accumulated the newest scores, and begin to accumulate anew.

        An image that was not seen since the last time keeps the score it had.

        Raises:
            ValueError: if indices were seen that are not among the images'.
        """
        self.bring_together()
        strays = int(self._sums[-1, 1])
        if strays:
            raise Refusal(
                f"training batches must hold the {len(self.indices)} training images alone, indices "
                f"{int(self.indices[0])} ... {int(self.indices[-1])}, got {strays} rows with other indices"
            )
        score, seen, target = self._sums[:-1].unbind(dim=1)
        known = seen > 0
        self.values[known] = score[known] / seen[known]
        learn = known & (self.targets < 0)
        self.targets[learn] = (target[learn] / seen[learn]).long()
        self._sums = torch.zeros_like(self._sums)

    def give(self, indices: Int[Tensor, " given"], values: Float[Tensor, " given"]) -> None:
        """Take these as the newest scores.

        Raises:
            ValueError: unless there is one for every image, and no other.
        """
        strange, missing = (
            one[~torch.isin(one, other)] for one, other in ((indices, self.indices), (self.indices, indices))
        )
        if len(strange) or len(missing):
            raise Refusal(
                f"scores must be given for each of the {len(self.indices)} training images and no other, got "
                f"{len(missing)} without one {missing[:3].tolist()}, {len(strange)} for others {strange[:3].tolist()}"
            )
        self.values[torch.searchsorted(self.indices, indices)] = values

    def state_dict(self) -> dict[str, Tensor]:
        """All there is, as plain tensors; what processes have added is summed, so every process must call it."""
        self.bring_together()
        return {"indices": self.indices, "targets": self.targets, "values": self.values, "sums": self._sums}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Go on with saved scores.

        Raises:
            ValueError: if they are of other images.
        """
        if not torch.equal(state["indices"], self.indices):
            raise Refusal(
                f"the checkpoint's scores are of {len(state['indices'])} training images that are not the "
                f"{len(self.indices)} here: give the data options of that run"
            )
        self.targets, self.values, self._sums = (state[name].clone() for name in ("targets", "values", "sums"))
        self._pending = []
