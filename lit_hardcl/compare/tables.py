"""The tables of a comparison: a row per run, and means with intervals and paired differences."""

import csv
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import Any

from scipy import stats

from lit_hardcl.compare.plan import Training
from lit_hardcl.evaluation.catalogue import ACCURACIES, CATALOGUE

METRICS = {  # column of results.csv: row and name in a summary's accuracies
    prefix + name.removeprefix("val_"): (place, name)
    for prefix, place in (("", "trained backbone"), ("online_", "final"))
    for name in ACCURACIES
}
FEATURES = [row.name for row in CATALOGUE if row.needs != "training images"]
SIGNIFICANT = 0.05
FEWEST_SEEDS = 3


@dataclass(frozen=True)
class Difference:
    """A method against the baseline, seed by seed.

    Attributes:
        mean: mean of the differences; NaN without a common seed.
        half_width: half of their 95 % interval (Student's t); NaN with fewer than two seeds.
        p_value: p-value of the paired t test, corrected by Holm for the number of methods; NaN with fewer than two
            seeds.
    """

    mean: float
    half_width: float
    p_value: float


class Comparison:
    """Finished runs, and what can be said of them.

    Differences and tests are within one variant; between variants nothing is tested.

    Args:
        finished: each run with its ``summary.json``.
        baseline: the method that the others are held against.
        metric: a column of ``METRICS``.
    """

    def __init__(self, finished: Sequence[tuple[Training, dict[str, Any]]], baseline: str, metric: str) -> None:
        self.rows = [_row(training, summary) for training, summary in finished]
        self.curves = {(t.variant, t.method, t.seed): _curve(summary) for t, summary in finished}
        self.methods = list(dict.fromkeys(training.method for training, _ in finished))
        self.variants = list(dict.fromkeys(training.variant for training, _ in finished))
        self.baseline = baseline
        self.metric = metric

    def values(self, variant: str, method: str, column: str | None = None) -> dict[int, float]:
        """A column's value for each seed; seeds that lack it are left out."""
        column = column or self.metric
        rows = [row for row in self.rows if (row["variant"], row["method"]) == (variant, method)]
        return {row["seed"]: row[column] for row in rows if column in row}

    def difference(self, variant: str, method: str) -> Difference:
        """The method against the baseline, on the seeds that both have."""
        others = [name for name in self.methods if name != self.baseline]
        raw = {name: _paired_p(self._differences(variant, name)) for name in others}
        given = self._differences(variant, method)
        return Difference(fmean(given) if given else math.nan, half_width(given), holm(raw)[method])

    def best(self, variant: str) -> str | None:
        """The method with the highest mean, if it differs significantly from the baseline; else ``None``.

        A baseline that is best has to differ significantly from every other method. All methods must have the same
        seeds, three at least: two may agree by chance.
        """
        values = {method: self.values(variant, method) for method in self.methods}
        seeds = {frozenset(given) for given in values.values()}
        if len(seeds) != 1 or len(*seeds) < FEWEST_SEEDS:
            return None
        means = {method: fmean(given.values()) for method, given in values.items()}
        first = max(means, key=lambda method: means[method])
        against = [name for name in means if name != self.baseline] if first == self.baseline else [first]
        p_values = [self.difference(variant, method).p_value for method in against]
        return first if p_values and all(p < SIGNIFICANT for p in p_values) else None

    def csv(self) -> str:
        """A row per run, with everything that its last epochs have logged."""
        fixed = ["variant", "method", "seed", *METRICS, "seconds"]
        logged = sorted({name for row in self.rows for name in row} - {*fixed, "folder"})
        file = io.StringIO()
        writer = csv.DictWriter(file, [*fixed, *logged, "folder"], restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows(self.rows)
        return file.getvalue()

    def markdown(self) -> str:
        """A table for each variant; in bold the best method, if it is significantly so."""
        wanted = ("similarity_gap", "difficult_precision", *FEATURES)
        extra = [name for name in wanted if any(name in row for row in self.rows)]
        titles = ["", f"{self.metric}, %", "seeds", f"minus {self.baseline}", "p", "knn_top1, %", *extra]
        lines = []
        for variant in self.variants:
            lines += [f"### {variant}", ""] if variant else []
            lines += ["| " + " | ".join(titles) + " |", "|---" * len(titles) + "|"]
            best = self.best(variant)
            for method in self.methods:
                values = list(self.values(variant, method).values())
                cell = percent(values)
                cells = [method.replace("|", "\\|"), f"**{cell}**" if method == best else cell, str(len(values))]
                if method == self.baseline:
                    cells += ["", ""]
                else:
                    difference = self.difference(variant, method)
                    cells += [_signed(difference), _number(difference.p_value, ".3f")]
                cells.append(percent(list(self.values(variant, method, "knn_top1").values())))
                for name in extra:
                    column = list(self.values(variant, method, name).values())
                    cells.append(f"{fmean(column):.4f}" if column else "-")
                lines.append("| " + " | ".join(cells) + " |")
            lines.append("")
        lines.append(
            "Mean ± half the 95 % interval over the seeds (Student's t); differences and p values are paired by seed, "
            f"p is of the paired t test, corrected by Holm for the number of methods. Bold: the highest mean, where "
            f"p < {SIGNIFICANT} against {self.baseline} and all methods have the same {FEWEST_SEEDS} or more seeds."
        )
        return "\n".join(lines) + "\n"

    def _differences(self, variant: str, method: str) -> list[float]:
        ours, theirs = self.values(variant, method), self.values(variant, self.baseline)
        return [ours[seed] - theirs[seed] for seed in ours.keys() & theirs.keys()]


def half_width(values: Sequence[float]) -> float:
    """Half the 95 % interval of a mean by Student's t; NaN for fewer than two values."""
    if len(values) < 2:
        return math.nan
    return float(stats.t.ppf(0.975, len(values) - 1)) * stdev(values) / math.sqrt(len(values))


def percent(values: Sequence[float]) -> str:
    """Mean and half interval, in percent."""
    return f"{100 * fmean(values):.2f} ± {_number(100 * half_width(values), '.2f')}" if values else "-"


def holm(p_values: dict[str, float]) -> dict[str, float]:
    """Holm's step-down correction; what is NaN stays so and does not count."""
    known = sorted((name for name, p in p_values.items() if not math.isnan(p)), key=lambda name: p_values[name])
    corrected, largest = dict(p_values), 0.0
    for place, name in enumerate(known):
        largest = max(largest, min(1.0, (len(known) - place) * p_values[name]))
        corrected[name] = largest
    return corrected


def _paired_p(differences: Sequence[float]) -> float:
    if len(differences) < 2:
        return math.nan
    if max(differences) - min(differences) < 1e-6:  # no spread to hold them against, but that of rounding
        return 1.0 if abs(differences[0]) < 1e-6 else math.nan
    return float(stats.ttest_1samp(differences, 0.0).pvalue)


def _signed(difference: Difference) -> str:
    if math.isnan(difference.mean):
        return "-"
    return f"{100 * difference.mean:+.2f} ± {_number(100 * difference.half_width, '.2f')}"


def _number(value: float, form: str) -> str:
    return "-" if math.isnan(value) else format(value, form)


def _row(training: Training, summary: dict[str, Any]) -> dict[str, Any]:
    """What a run says, with the last value that each epoch's log has of everything but accuracies."""
    row: dict[str, Any] = {"variant": training.variant, "method": training.method, "seed": training.seed}
    for column, (place, name) in METRICS.items():
        if (value := summary["accuracy"].get(place, {}).get(name)) is not None:
            row[column] = value
    logged = {name: value for epoch in summary["history"].values() for name, value in epoch.items()}
    row |= {name: value for name, value in logged.items() if not name.startswith(("val_", "train_"))}
    return {**row, "seconds": round(summary["seconds"], 1), "folder": str(training.folder)}


def _curve(summary: dict[str, Any]) -> dict[int, float]:
    """Held-out accuracy of the online probe at each epoch."""
    name = METRICS["online_linear_top1"][1]
    return {int(epoch) + 1: row[name] for epoch, row in summary["history"].items() if name in row}
