"""``lit-hardcl compare``: methods x variants x seeds from one YAML, their table and their figures."""

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean
from typing import Any, Literal

from jsonargparse.typing import Path_fr

from lit_hardcl.cli.configuration import check_configuration
from lit_hardcl.cli.training import configuration
from lit_hardcl.compare import Arm, Comparison, Training, alone_in, run_all, summary_of, trainings
from lit_hardcl.compare.launchers.local import check_same_options
from lit_hardcl.compare.plan import as_folder, varied_number
from lit_hardcl.compare.tables import half_width
from lit_hardcl.errors import Refusal, check_given, check_whole
from lit_hardcl.files import check_place, whole
from lit_hardcl.plots import accuracy_intervals, accuracy_per_epoch, against_number


@dataclass(frozen=True)
class ArmOptions:
    """One method of a comparison, or one variant of its data, as a YAML has it.

    Args:
        config: overlays, in their order; relative to the YAML.
        options: options of ``fit`` by their dotted names, such as ``data.mix_fraction``.
    """

    config: list[Path_fr] = field(default_factory=list)
    options: dict[str, Any] = field(default_factory=dict)


def command(
    methods: dict[str, ArmOptions] | None = None,
    base: Path_fr | list[Path_fr] | None = None,
    output: str = "runs/compare",
    overlays: list[Path_fr] | None = None,
    variants: dict[str, ArmOptions] | None = None,
    options: dict[str, Any] | None = None,
    seeds: list[int] | None = None,
    baseline: str | None = None,
    metric: Literal["linear_top1", "knn_top1", "online_linear_top1", "online_knn_top1"] = "linear_top1",
    jobs: int = 1,
    wandb_project: str | None = None,
    dry_run: bool = False,
) -> None:
    """Train every method with every variant and seed, and compare them.

    Each run is an ordinary ``fit`` in a process and a folder of its own. What is finished is not run again, what was
    killed goes on from its last checkpoint, and a run that fails does not stop the others. Ends with ``results.csv``,
    ``results.md`` and figures in the output folder.

    Args:
        methods: overlays and options of each method; to be given.
        base: the data set's configuration, or several files; to be given.
        output: folder of the runs, the tables and the figures.
        overlays: configurations that all runs get after the base.
        variants: overlays and options of each variant of the data; none: the data as they are.
        options: options of ``fit`` that all runs get, by their dotted names.
        seeds: numbers, a run for each; 0, 1, 2 if not given.
        baseline: the method that the others are held against; the first one if not given.
        metric: accuracy that the table compares: the linear probe or the nearest neighbours, on frozen features after
            training (of at most 5,000 images of each split, as in a run's summary) or online.
        jobs: runs at a time; each gets its share of the processor's cores, and all of them the same GPUs.
        wandb_project: log to this W&B project too, the comparison's runs in one group.
        dry_run: check all runs and list those that are not finished, but run none.
    """
    if not methods or not base:
        raise Refusal("methods and base must be given, such as by -c configs/compare/quick.yaml")
    check_given(jobs=jobs)
    check_whole(1, jobs=jobs)
    folder = check_place(output, folder=True)
    first = baseline if baseline is not None else next(iter(methods), "")
    if first not in methods:
        raise Refusal(f"baseline must be one of the methods, {', '.join(methods)}; got {first}")
    files = [*(base if isinstance(base, list) else [base]), *(overlays or [])]
    quiet = {"trainer.enable_progress_bar": False, **(options or {})}
    seeds = [0, 1, 2] if seeds is None else seeds
    arms, of_data = _arms(methods), _arms(variants or {})
    for file in (*files, *(one for arm in (*arms.values(), *of_data.values()) for one in arm.config)):
        check_configuration(Path(file))
    planned = trainings([os.fspath(file) for file in files], arms, of_data, seeds, quiet, folder, wandb_project)
    _check(planned)
    done = sum(summary_of(training) is not None for training in planned)
    print(f"{len(planned)} runs, {done} of them finished before; all in {folder}", flush=True)

    if dry_run:
        print("\n".join(training.name for training in planned if summary_of(training) is None))
        return
    failures = []
    try:
        with alone_in(folder) as lock:
            for number, (training, error) in enumerate(run_all(planned, jobs, lock), start=1):
                print(f"[{number}/{len(planned)}] {training.name}: {error or _told(training, metric)}", flush=True)
                if error:
                    failures.append(training.name)
                _write(planned, first, metric, folder, of_data)
    except (KeyboardInterrupt, OSError) as stop:
        stop.add_note("the same command goes on from there")
        raise
    table = folder / "results.md"
    print("\n" + table.read_text() if table.is_file() else "\nno run has finished")
    if failures:
        raise SystemExit(f"{len(failures)} runs failed, and are tried again by the same command: {'; '.join(failures)}")
    print(f"table and figures in {folder}")


def _arms(given: Mapping[str, ArmOptions]) -> dict[str, Arm]:
    return {name: Arm([os.fspath(file) for file in arm.config], arm.options) for name, arm in given.items()}


def _check(planned: list[Training]) -> None:
    """Refuse, before the first run, what cannot run, and what an earlier comparison ran with other options."""
    # A configuration takes a moment, and those of a method's seeds differ in the seed alone.
    known: dict[tuple[str, str], dict[str, Any]] = {}
    for training in planned:
        kind = training.variant, training.method
        try:
            known[kind] = known.get(kind) or configuration(list(training.options))
        except (SystemExit, ValueError):
            print(f"{training.name} cannot be run:", file=sys.stderr)
            raise
        check_same_options(training, {**known[kind], "seed_everything": training.seed})


def _told(training: Training, metric: str) -> str:
    comparison = Comparison([(training, summary_of(training) or {})], training.method, metric)
    (row,) = comparison.rows
    return f"{metric} {row.get(metric, float('nan')):.4f}, {row['seconds']:.0f} s of training"


def _write(planned: list[Training], baseline: str, metric: str, folder: Path, variants: Mapping[str, Arm]) -> None:
    """Write the tables and figures of what is finished."""
    finished = [(training, summary) for training in planned if (summary := summary_of(training))]
    if not finished:
        return
    comparison = Comparison(finished, baseline, metric)
    for name, text in (("results.csv", comparison.csv()), ("results.md", comparison.markdown())):
        with whole(folder / name) as part:
            part.write_text(text)
    ordered = [baseline, *(method for method in comparison.methods if method != baseline)]
    for variant in comparison.variants:
        ending = f"_{as_folder(variant)}" if variant else ""
        values = {m: [100 * v for v in comparison.values(variant, m).values()] for m in ordered}
        values = {method: given for method, given in values.items() if given}
        if values:
            widths = {method: half_width(given) for method, given in values.items()}
            accuracy_intervals(values, widths, variant).savefig(folder / f"accuracy{ending}.png", dpi=150)
        curves = {method: _mean_curve(comparison, variant, method) for method in ordered}
        accuracy_per_epoch(curves, variant).savefig(folder / f"epochs{ending}.png", dpi=150)
    if number := varied_number(variants):
        option, places = number
        accuracies = {method: _over(comparison, method, places, metric, 100) for method in ordered}
        gaps = {method: _over(comparison, method, places, "similarity_gap", 1) for method in ordered}
        if any(accuracies.values()):
            against_number(accuracies, gaps, option).savefig(folder / f"{option}.png", dpi=150)


def _over(
    comparison: Comparison, method: str, places: Mapping[str, float], column: str, factor: float
) -> dict[float, list[float]]:
    """A method's values of a column at each variant's number."""
    values = {places[variant]: comparison.values(variant, method, column) for variant in comparison.variants}
    return {place: [factor * value for value in given.values()] for place, given in values.items() if given}


def _mean_curve(comparison: Comparison, variant: str, method: str) -> dict[int, float]:
    """Mean over the seeds, in percent, at the epochs that all of them have."""
    curves = [curve for (v, m, _), curve in comparison.curves.items() if (v, m) == (variant, method)]
    epochs = set.intersection(*map(set, curves)) if curves else set()
    return {epoch: 100 * fmean(curve[epoch] for curve in curves) for epoch in sorted(epochs)}
