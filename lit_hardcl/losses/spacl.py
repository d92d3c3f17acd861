"""SPACL's loss: hard positives against the negatives that count."""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.profiler import record_function

from lit_hardcl import distributed
from lit_hardcl.errors import Refusal, check_choice
from lit_hardcl.functional import nt_xent_rows, screen_negatives, unit_vectors
from lit_hardcl.functional.contrast import check_treatment
from lit_hardcl.functional.pools import check_share
from lit_hardcl.functional.similarity import whole_float32
from lit_hardcl.losses.rows import by_rows, check_floating


class SPACLLoss(nn.Module):
    """Contrast of anchors with several positives each and with screened negatives (SPACL, ICLR 2026, Sec. 2, step 6).

    ``-log(sum over positives / (sum over positives + sum over kept negatives))`` of exp(cosine / temperature), mean
    over the anchors. Kept are each anchor's most similar negatives, up to a share of their whole similarity
    (:func:`~lit_hardcl.functional.screen_negatives`). Any embeddings will do.

    Args:
        temperature: positive and finite.
        screening_share: the paper's λ_Q, in (0, 1]; 1 keeps every negative.
        screening_similarity: term that is summed, never negative. ``"exp"``: exp(cosine / temperature), so that what is
            dropped is a share of the loss's own sum. ``"linear"``: (1 + cosine) / 2, which drops less.
        gather_distributed: whether the negatives of all processes count. Each must bring equally many.

    Raises:
        ValueError: if a setting breaks its rule.

    Example:
        >>> criterion = SPACLLoss(temperature=0.5)
        >>> criterion(torch.randn(8, 16), positives=torch.randn(8, 2, 16), negatives=torch.randn(30, 16)).shape
        torch.Size([])
    """

    def __init__(
        self,
        temperature: float,
        screening_share: float = 0.95,
        screening_similarity: str = "exp",
        gather_distributed: bool = True,
    ) -> None:
        super().__init__()
        check_treatment(temperature, margin=0.0, temperature_scale=1.0)
        check_share(screening_share)
        check_choice("screening_similarity", screening_similarity, "exp", "linear")
        self.temperature = temperature
        self.screening_share = screening_share
        self.screening_similarity = screening_similarity
        self.gather_distributed = gather_distributed

    def forward(
        self,
        anchors: Float[Tensor, "anchors dim"],
        positives: Float[Tensor, "anchors positives dim"],
        negatives: Float[Tensor, "negatives dim"],
        labels: Int[Tensor, " anchors"] | None = None,
        negative_labels: Int[Tensor, " negatives"] | None = None,
    ) -> Float[Tensor, ""]:
        """Mean loss of this process's anchors. 0 for an anchor whose negatives all have its label.

        Args:
            anchors: this process's, of any length.
            positives: projections of each anchor's positives.
            negatives: projections of this process; shared by all anchors.
            labels: an anchor is not contrasted with negatives of its own label, such as views of the same image. If
                processes are gathered, labels must have one meaning on all of them. ``None``: with every negative.
            negative_labels: labels of the negatives; both or neither.

        Raises:
            ValueError: if shapes do not match, only one kind of labels is given, or there is no negative.
        """
        return self.with_share_kept(anchors, positives, negatives, labels, negative_labels)[0]

    def with_share_kept(
        self,
        anchors: Float[Tensor, "anchors dim"],
        positives: Float[Tensor, "anchors positives dim"],
        negatives: Float[Tensor, "negatives dim"],
        labels: Int[Tensor, " anchors"] | None = None,
        negative_labels: Int[Tensor, " negatives"] | None = None,
    ) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
        """As :meth:`forward`, with the share of the negatives' number that screening kept."""
        _check_shapes(anchors, positives, negatives, labels, negative_labels)
        if self.gather_distributed:
            negatives = distributed.gather_with_gradient(negatives)
            negative_labels = None if negative_labels is None else distributed.gather(negative_labels)
        with torch.autocast(anchors.device.type, enabled=False), whole_float32():
            to_positives = torch.einsum("ad,apd->ap", unit_vectors(anchors), unit_vectors(positives))
        counts = torch.zeros(2, dtype=torch.long, device=anchors.device)  # negatives kept, and all that count

        def row_losses(similarity: Tensor, rows: slice, to_positives: Tensor) -> Tensor:
            exclude = torch.zeros_like(similarity, dtype=torch.bool)
            if labels is not None and negative_labels is not None:
                exclude = labels[rows].unsqueeze(1) == negative_labels
            kept = self.kept(similarity, exclude)
            counts.add_(torch.stack([kept.sum(), (~exclude).sum()]))
            both = torch.cat([to_positives[rows], similarity], dim=1)
            is_positive = torch.zeros_like(both, dtype=torch.bool)
            is_positive[:, : to_positives.shape[1]] = True
            dropped = torch.cat([torch.zeros_like(to_positives[rows], dtype=torch.bool), ~kept], dim=1)
            return nt_xent_rows(both / self.temperature, is_positive, exclude=dropped)

        with record_function("loss"):
            loss = by_rows(anchors, negatives, row_losses, others=[to_positives])
        return loss, counts[0] / counts[1].clamp(min=1)

    @torch.no_grad()
    def kept(
        self, similarity: Float[Tensor, "anchors negatives"], exclude: Bool[Tensor, "anchors negatives"]
    ) -> Bool[Tensor, "anchors negatives"]:
        """Which negatives screening keeps, of cosines."""
        with record_function("selection"):
            return self._kept(similarity, exclude)

    def _kept(
        self, similarity: Float[Tensor, "anchors negatives"], exclude: Bool[Tensor, "anchors negatives"]
    ) -> Bool[Tensor, "anchors negatives"]:
        if self.screening_similarity == "linear":
            return screen_negatives((1 + similarity).clamp(min=0) / 2, self.screening_share, exclude)
        # Shares of a row do not change with a factor: no exponential of more than 0, whatever the temperature.
        largest = similarity.masked_fill(exclude, -torch.inf).amax(dim=1, keepdim=True).clamp(min=-1)
        return screen_negatives(((similarity - largest) / self.temperature).exp(), self.screening_share, exclude)

    def extra_repr(self) -> str:
        """Settings, as ``print`` shows them."""
        names = ("temperature", "screening_share", "screening_similarity", "gather_distributed")
        return ", ".join(f"{name}={getattr(self, name)}" for name in names)


def _check_shapes(
    anchors: Tensor, positives: Tensor, negatives: Tensor, labels: Tensor | None, negative_labels: Tensor | None
) -> None:
    check_floating(anchors, positives, negatives)
    if positives.ndim != 3 or len(positives) != len(anchors) or positives.shape[1] < 1:
        raise Refusal(
            f"each of the {len(anchors)} anchors needs at least one positive, as (anchors, positives, dim), got "
            f"{tuple(positives.shape)}"
        )
    if len(negatives) == 0:
        raise Refusal("there must be at least 1 negative, got 0: there is nothing to contrast")
    if (labels is None) != (negative_labels is None):
        raise Refusal("labels must be given for anchors and negatives or for neither, got one of them")
    if labels is None or negative_labels is None:
        return
    if (len(labels), len(negative_labels)) != (len(anchors), len(negatives)):
        raise Refusal(
            f"labels must belong to the {len(anchors)} anchors and {len(negatives)} negatives, got {len(labels)} and "
            f"{len(negative_labels)}"
        )
