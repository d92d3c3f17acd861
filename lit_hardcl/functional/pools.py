"""SPACL's choices: the anchor and the hard positives of each pool of candidates, and the negatives that count."""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from lit_hardcl.errors import Refusal, is_whole
from lit_hardcl.functional.similarity import at_least_float32, whole_float32


@torch.no_grad()
def hardest_candidate(
    pool: Float[Tensor, "pools candidates dim"] | Float[Tensor, "candidates dim"],
    present: Bool[Tensor, "pools candidates"] | None = None,
    among: Bool[Tensor, "pools candidates"] | None = None,
) -> Int[Tensor, " pools"]:
    """Candidate of largest mean dissimilarity to the rest of its pool: SPACL's dynamic anchor (its Sec. 2, steps 1-2).

    ``argmax_u mean_{v in C - u} d(u, v)`` with d minus the inner product. Values that differ by rounding only, 16 units
    in the last place of 1, are tied, and the lowest index wins. Float32 or better, without gradient.

    Args:
        pool: unit vectors; one set of candidates for each pool, or one set out of which ``present`` marks every pool.
        present: True where a candidate is in the pool; ``None``: everywhere. Each pool needs one.
        among: the candidates that may be chosen, hardness being measured against the whole pool all the same.

    Example:
        >>> hardest_candidate(torch.tensor([[[1.0, 0.0], [0.8, 0.6], [0.0, 1.0]]]))
        tensor([2])
    """
    pool = at_least_float32(pool)
    present = _everywhere(pool) if present is None else present
    members = present.to(pool.dtype)
    with torch.autocast(pool.device.type, enabled=False), whole_float32():
        total = torch.einsum("bp,pd->bd" if pool.ndim == 2 else "bp,bpd->bd", members, pool)
        to_others = _similarity(pool, total) - pool.square().sum(dim=-1)
    hardness = -to_others / (members.sum(dim=1, keepdim=True) - 1).clamp(min=1)
    return _first_of_largest(hardness, present if among is None else among & present)


@torch.no_grad()
def farthest_points(
    pool: Float[Tensor, "pools candidates dim"] | Float[Tensor, "candidates dim"],
    start: Int[Tensor, " pools"],
    count: int,
    present: Bool[Tensor, "pools candidates"] | None = None,
) -> Int[Tensor, "pools count"]:
    """Candidates chosen one by one, each the farthest from those before: SPACL's hard positives (its Sec. 2, step 3).

    ``argmax_u min_{v chosen} d(u, v)`` with d minus the inner product, from ``start`` on, which is not in the result.
    Ties and precision as in :func:`hardest_candidate`; no candidate comes twice.

    Args:
        pool: pool, as there.
        start: index of each pool's first point, its anchor.
        count: number to choose beside it; a pool in which ``present`` marks no more has no defined result.
        present: mask, as there.

    Raises:
        ValueError: unless ``1 <= count <= candidates - 1``.

    Example:
        >>> farthest_points(torch.tensor([[[1.0, 0.0], [0.8, 0.6], [0.0, 1.0]]]), torch.tensor([0]), count=2)
        tensor([[2, 1]])
    """
    check_count(count, pool.shape[-2])
    pool = at_least_float32(pool)
    free = _everywhere(pool) if present is None else present
    closest = torch.full(free.shape, -torch.inf, dtype=pool.dtype, device=pool.device)
    chosen = [start]
    for _ in range(count):
        last = chosen[-1].unsqueeze(1)
        free = free.scatter(1, last, False)
        points = pool[chosen[-1]] if pool.ndim == 2 else pool.take_along_dim(last.unsqueeze(2), dim=1).squeeze(1)
        with torch.autocast(pool.device.type, enabled=False), whole_float32():
            closest = torch.maximum(closest, _similarity(pool, points))
        chosen.append(_first_of_largest(-closest, free))
    return torch.stack(chosen[1:], dim=1)


@torch.no_grad()
def screen_negatives(
    similarity: Float[Tensor, "anchors keys"],
    share: float,
    exclude: Bool[Tensor, "anchors keys"] | None = None,
) -> Bool[Tensor, "anchors keys"]:
    """Mark the fewest most similar keys whose similarities sum to ``share`` of their anchor's sum (SPACL, step 5).

    Each kept key is at least as similar as each dropped one; of equal ones at the end the lower indices are kept. A sum
    that misses by rounding only has reached the share. At least one key is kept where one is not excluded.

    Args:
        similarity: not negative, for a share of signed numbers does not grow with their count: :math:`exp(s/τ)`, say,
            or :math:`(1+s)/2` of cosines s.
        share: the paper's λ_Q; 1 keeps all.
        exclude: True where a key does not count. Never marked.

    Raises:
        ValueError: unless ``0 < share <= 1``.

    Example:
        >>> screen_negatives(torch.tensor([[1.0, 6.0, 3.0]]), share=0.9)
        tensor([[False,  True,  True]])
    """
    check_share(share)
    counted = torch.ones_like(similarity, dtype=torch.bool) if exclude is None else ~exclude
    if share == 1:
        return counted
    similarity = at_least_float32(similarity)
    ranked, order = similarity.masked_fill(~counted, -1).sort(dim=1, descending=True, stable=True)
    reached = ranked.clamp(min=0).cumsum(dim=1)
    enough = share * reached[:, -1:] * (1 - 16 * torch.finfo(reached.dtype).eps)
    kept = torch.cat([torch.ones_like(counted[:, :1]), reached[:, :-1] < enough], dim=1)
    return torch.zeros_like(counted).scatter(1, order, kept) & counted


def check_count(count: int, candidates: int) -> None:
    """Raise ``ValueError`` unless a pool of so many candidates has ``count`` beside its anchor."""
    if not is_whole(count, 1, candidates - 1):
        raise Refusal(
            f"the number of positives must be at least 1 and at most {candidates - 1}, the candidates of a pool of "
            f"{candidates} beside its anchor, got {count}"
        )


def check_share(share: float) -> None:
    """Raise ``ValueError`` unless ``0 < share <= 1``."""
    if not 0 < share <= 1:
        raise Refusal(f"the share of the negatives' similarity that is kept must be in (0, 1], got {share}")


def _everywhere(pool: Tensor) -> Tensor:
    return torch.ones(pool.shape[:-1] if pool.ndim == 3 else (1, len(pool)), dtype=torch.bool, device=pool.device)


def _similarity(
    pool: Float[Tensor, "*pools candidates dim"], points: Float[Tensor, "points dim"]
) -> Float[Tensor, "points candidates"]:
    """Inner products of each pool's candidates with its one point."""
    return torch.einsum("bd,pd->bp" if pool.ndim == 2 else "bd,bpd->bp", points, pool)


def _first_of_largest(
    values: Float[Tensor, "pools candidates"], allowed: Bool[Tensor, "pools candidates"]
) -> Int[Tensor, " pools"]:
    values = values.masked_fill(~allowed, -torch.inf)
    tied = values >= values.amax(dim=1, keepdim=True) - 16 * torch.finfo(values.dtype).eps
    return tied.to(torch.uint8).argmax(dim=1)
