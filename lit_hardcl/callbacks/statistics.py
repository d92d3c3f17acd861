"""Rows of the catalogue, logged in training."""

from jaxtyping import Int, Shaped
from torch import Tensor

from lit_hardcl.callbacks.online import HeldOut
from lit_hardcl.errors import Refusal, check_whole
from lit_hardcl.evaluation.catalogue import CATALOGUE
from lit_hardcl.evaluation.features import evenly


class OnlineStatistics(HeldOut):
    """Logs statistics of the held-out images' features that validation computes anyway, under their catalogue's names.

    In ``test``, with the prefix ``test_``. Features of one view of each image are all there is: what needs two views,
    or a classifier trained to its end, ``lit-hardcl evaluate`` measures.

    Args:
        names: names in `lit_hardcl.evaluation.CATALOGUE`, rows that need features, or these and labels; ``None``: all
            such.
        most: images measured, at least 2, evenly spaced; uniformity takes time with the square of their number.

    Raises:
        ValueError: if a name is of no such row, or ``most`` below 2.
    """

    def __init__(self, names: list[str] | None = None, most: int = 8192) -> None:
        super().__init__()
        rows = {row.name: row for row in CATALOGUE if row.needs in ("features", "labels")}
        check_whole(2, most=most)
        if strange := [name for name in names or () if name not in rows]:
            raise Refusal(f"names must be of {', '.join(rows)}, got {', '.join(strange)}")
        self.rows = list(rows.values()) if names is None else [rows[name] for name in names]
        self.most = most

    def row_of(self, features: Shaped[Tensor, "batch width"]) -> Shaped[Tensor, "batch columns"]:
        """The features."""
        return features

    def log_rows(self, rows: Shaped[Tensor, "images columns"], targets: Int[Tensor, " images"], stage: str) -> None:
        """Log the statistics; what needs labels is of the images that have one."""
        some = evenly(len(rows), self.most).to(rows.device)
        rows, targets = rows[some], targets[some]
        given = {"features": (rows,), "labels": (rows[targets >= 0], targets[targets >= 0])}
        for row in self.rows:
            if len(given[row.needs][0]):
                name = row.name if stage == "val" else f"{stage}_{row.name}"
                self.log(name, row.function(*given[row.needs]), sync_dist=True)  # type: ignore[attr-defined]
