"""Difficulty scores of training images: their means, and which images are the hardest."""

from collections.abc import Iterable

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from lit_hardcl import distributed
from lit_hardcl.errors import Refusal
from lit_hardcl.hardness.band import SelectedPairs


class ImageScores:
    """The newest score of every training image, and what has been accumulated towards the next.

    Attributes:
        indices: of all training images, ascending.
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
        if logits.shape[1] < 2:
            raise Refusal(f"a margin needs at least two classes, got {logits.shape[1]}")
        largest = logits.softmax(dim=1).topk(2, dim=1).values
        self._pending.append((indices, largest[:, 1] - largest[:, 0], torch.ones_like(largest[:, 0]), targets))

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


def hardest(
    values: Float[Tensor, " images"], targets: Int[Tensor, " images"], share: float, per_class: bool
) -> Bool[Tensor, " images"]:
    """Mark ``round(share * images)`` images of the highest values, of all or of each class; ties by place.

    A NaN is never marked.

    Raises:
        ValueError: if all images, with ``per_class`` all of one class, or more than have a value would be marked; if
            ``per_class`` and an image with a value has no class.

    Example:
        >>> hardest(torch.tensor([0.1, 0.9, 0.5, torch.nan]), torch.tensor([0, 0, 1, 1]), 0.25, per_class=False)
        tensor([False,  True, False, False])
    """
    if per_class and (unlabelled := int((~values.isnan() & (targets < 0)).sum())):
        raise Refusal(f"per_class needs a label on every image, got {unlabelled} without one: leave it out")
    marked = torch.zeros_like(values, dtype=torch.bool)
    for group in targets[targets >= 0].unique().tolist() if per_class else [None]:
        rows = torch.arange(len(values)) if group is None else (targets == group).nonzero().flatten()
        count, scored = round(share * len(rows)), rows[~values[rows].isnan()]
        of = "" if group is None else f" of class {group}"
        if count == len(rows) and count:
            raise Refusal(f"share must leave an image, but {share} of {len(rows)} images{of} are {count}: lower it")
        if count > len(scored):
            raise Refusal(
                f"share asks for {count} of {len(rows)} images{of}, but only {len(scored)} have been scored: score for "
                "longer, or lower share"
            )
        marked[scored[values[scored].argsort(descending=True, stable=True)[:count]]] = True
    return marked


def check_classes(removed: Bool[Tensor, " images"], targets: Int[Tensor, " images"]) -> None:
    """Raise a ValueError that names the classes of which no image is left, if there are any."""
    left = set(targets[~removed].tolist())
    if gone := [number for number in targets.unique().tolist() if number >= 0 and number not in left]:
        raise Refusal(
            f"a filter must leave images of every class, but {int(removed.sum())} of {len(removed)} images are all of "
            f"class {', '.join(map(str, gone))}: lower share or set per_class"
        )


def check_shares(scores: ImageScores, share: float, per_class: bool, smallest: int) -> None:
    """Raise what filtering would: `hardest` for any scores, `check_classes` for the scores there are.

    Raises:
        ValueError: also if fewer than ``smallest`` images would be left.
    """
    is_scored = not scores.values.isnan().all()
    removed = hardest(scores.values if is_scored else scores.indices.double(), scores.targets, share, per_class)
    if is_scored:
        check_classes(removed, scores.targets)
    if (left := int((~removed).sum())) < smallest:
        raise Refusal(
            f"share must leave a whole batch to every process, {smallest} images, got {share}, which leaves {left}: "
            "lower share or batch_size"
        )


def shares(
    indices: Int[Tensor, " images"], removed: Bool[Tensor, " images"], mixed_indices: Int[Tensor, " mixed"] | None
) -> dict[str, Tensor]:
    """How many images are out and, if some are and some are mixed, precision and recall of finding the mixed ones."""
    logged = {"filter_removed": removed.sum().float(), "filter_removed_share": removed.float().mean()}
    if removed.any() and mixed_indices is not None and len(mixed_indices):
        mixed = torch.isin(indices, mixed_indices.cpu())
        logged |= {
            "filter_mixed_share": mixed.float().mean(),
            "filter_mixed_precision": mixed[removed].float().mean(),
            "filter_mixed_recall": removed[mixed].float().mean(),
        }
    return logged
