"""``theory``: the papers' theorems for parameters, for a run or for a checkpoint, as a table and a figure."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lit_hardcl import plots, theory
from lit_hardcl.cli.commands.printing import print_table, save_figure
from lit_hardcl.cli.commands.theory_collapse import collapse
from lit_hardcl.errors import Refusal
from lit_hardcl.runs import logged_similarities
from lit_hardcl.theory.graph import Structure

KINDS = {
    "diff_cross": "both difficult, other class, weight γ",
    "diff_cross_unmatched": "both difficult, other class, weight β",
    "diff_same_class": "both difficult, same class",
    "diff_same_sample": "a difficult sample and itself",
    "one_same_class": "one difficult, same class",
    "one_cross": "one difficult, other class",
}


def graph(
    n: int = 5000,
    r: int = 9,
    n_d: int | None = None,
    alpha: float | None = None,
    beta: float | None = None,
    gamma: float | None = None,
    run: Path | None = None,
) -> dict[str, Any]:
    """The similarity graph that the options describe; what is not given is as the paper measures it on CIFAR-10.

    Args:
        n: samples of a class.
        r: number of classes less one.
        n_d: difficult samples of a class; 8 % of them by default.
        alpha: similarity of samples of a class, .472 by default.
        beta: similarity of samples of different classes, .191 by default.
        gamma: similarity of difficult samples of different classes, .209 by default.
        run: folder of a run whose ``SimilarityStatistics`` logged alpha, beta and gamma, to be taken where they are
            not given. A negative beta counts as 0.

    Raises:
        ValueError: if the run logged nothing, or its similarities are not ordered as the theory needs.
    """
    levels = {"alpha": 0.472, "beta": 0.191, "gamma": 0.209}
    if run is not None:
        logged = logged_similarities(run)
        levels = {name: logged[f"similarity_{name}"] for name in levels}
        print(f"measured in epoch {logged['epoch']:g} of {run}: " + _listed(levels))
    levels |= {name: value for name, value in (("alpha", alpha), ("beta", beta), ("gamma", gamma)) if value is not None}
    if run is not None and beta is None and levels["beta"] < 0:
        print(f"beta = {levels['beta']:.4g} is taken as 0, the least that the theory knows")
        levels["beta"] = 0.0
    if run is not None and not 0 <= levels["beta"] < levels["gamma"] < levels["alpha"] < 1:
        raise Refusal(
            f"the theory needs 0 <= beta < gamma < alpha < 1, this run has {_listed(levels)}: its bounds say nothing "
            "about it. Give --alpha, --beta or --gamma to put a number of your own in the place of a measured one"
        )
    chosen: dict[str, Any] = {"n": n, "r": r, "n_d": n_d, **levels}
    if n_d is None:
        chosen["n_d"] = round(0.08 * min(n, 2**63))  # more are refused
    theory.degrees(**chosen)  # refuses what is no graph
    print(f"{r + 1} classes of n = {n} samples, n_d = {chosen['n_d']} of each difficult; {_listed(levels)}\n")
    return chosen


def spectrum(
    structure: Structure | None = None, k: int | None = None, output: str = "theory_spectrum.png", **options: Any
) -> None:
    """Eigenvalues of the similarity graph, exactly, in blocks of equal ones.

    Args:
        structure: rule by which difficult samples of different classes are similar; both by default.
        k: name the eigenvalue that bounds features of this width, lambda_{k+1}.
        output: the figure's file; none if empty.
        options: numbers of the graph.
    """
    plots.check_figure_file(output)
    if k is not None and k < 1:
        raise Refusal(f"k, the width of the features, must be at least 1, got {k}")
    chosen = graph(**options)
    kinds, rows, spectra = _structures(structure), [], {}
    exact = {} if k is None else {kind: theory.eigenvalue(**chosen, structure=kind, k=k) for kind in kinds}
    spectra["no difficult samples"] = theory.spectrum_blocks(**chosen | {"n_d": 0})
    for kind in kinds:
        spectra[kind] = theory.spectrum_blocks(**chosen, structure=kind)
    for name, blocks in spectra.items():
        first = 1
        for block, value, count in blocks:
            rows.append([name, block, f"{value:.6g}", str(count), f"{first}-{first + count - 1}"])
            first += count
    print_table(["graph", "block", "eigenvalue", "times", "ranks"], rows)
    for name, value in exact.items():
        print(f"\nfeatures of width k = {k} are bounded by eigenvalue k + 1: {value:.6g} in {name}")
    save_figure(plots.eigenvalue_stairs(spectra, k), output)


def bounds(
    structure: Structure | None = None,
    k: int | None = None,
    delta: float = 1.0,
    output: str = "theory_bounds.png",
    **options: Any,
) -> None:
    """Bounds on the error of a linear probe, and a map of where removal, margin and temperature lower them.

    Args:
        structure: rule by which difficult samples of different classes are similar; both by default.
        k: width of the features, at least r + 1; r + 1 by default.
        delta: error of recovering an image's label from one view of it; by default the bounds are in units of it.
        output: the figure's file, over gamma - beta and n_d / n; none if empty.
        options: numbers of the graph.
    """
    plots.check_figure_file(output)
    theory.error_bound(delta, 0.0)  # refuses a delta that is no error
    chosen = graph(**options)
    n, r, n_d = chosen["n"], chosen["r"], chosen["n_d"]
    k = r + 1 if k is None else k
    kinds = _structures(structure)
    exact: dict[str, tuple[Structure, bool]] = {f'exact, "{kind}", k = {k}': (kind, False) for kind in kinds}
    cases: dict[str, tuple[Structure, bool]] = {"Thm 3.4 as stated": ("all", True), **exact}
    helpful = {
        name: theory.helpful_remedies(**chosen, structure=kind, k=k, as_stated=stated)
        for name, (kind, stated) in cases.items()
    }
    limit = theory.worsening_limit(**chosen)
    values = {"no difficult samples (Thm 3.3), margin (Thm 4.3)": theory.eigenvalue_no_difficult(**chosen)}
    if n_d:
        values["difficult samples: Thm 3.4 as stated"] = theory.eigenvalue_difficult_stated(**chosen)
    for kind in kinds:
        if n_d:
            corrected = theory.eigenvalue_difficult_corrected(**chosen, structure=kind)
            values[f'difficult samples: Thm 3.4 corrected, "{kind}"'] = corrected
        values[f'difficult samples: exact, "{kind}"'] = theory.eigenvalue(**chosen, structure=kind, k=k)
    if k < (n - n_d) * (r + 1):
        values["difficult samples removed (Cor. 4.1)"] = theory.eigenvalue_removed(**chosen)
    rows = [[name, f"{value:.5g}", f"{theory.error_bound(delta, value):.8g}"] for name, value in values.items()]
    if chosen["beta"] > 0:
        rows.append(["temperature (Thm 4.5)", "", f"{theory.temperature_bound(**chosen, delta=delta).E_T:.8g}"])
    print_table([f"k = {k}, delta = {delta:g}", "eigenvalue", "error bound"], rows)
    print(f"\nThm 3.4 is stated for k = {r + 1}..{r + n_d}; as stated it exceeds Thm 3.3 for n_d < {limit:.5g} only")
    for name, remedies in helpful.items():
        print(f"remedies with a lower bound than none ({name}): {', '.join(remedies) or 'none'}")
    if output:
        gaps = np.geomspace(1e-4, 0.999, 100) * (chosen["alpha"] - chosen["beta"])
        counts = np.unique(np.geomspace(1, n, 100).round().astype(int))
        places = {name: _sweep(chosen, gaps, counts, k, *case) for name, case in cases.items()}
        point = (chosen["gamma"] - chosen["beta"], n_d / n) if n_d else None
        save_figure(plots.remedy_map(places, gaps, counts / n, point), output)


def _sweep(
    chosen: dict[str, Any], gaps: NDArray[Any], counts: NDArray[Any], k: int, structure: Structure, as_stated: bool
) -> NDArray[Any]:
    """The place in `REGIONS` of what helps, for each number of difficult samples and each gap."""
    regions, places = list(plots.REGIONS), np.zeros((len(counts), len(gaps)), dtype=int)
    for row, n_d in enumerate(counts.tolist()):
        for column, gap in enumerate(gaps.tolist()):
            case = chosen | {"n_d": n_d, "gamma": chosen["beta"] + gap}
            found = theory.helpful_remedies(**case, structure=structure, k=k, as_stated=as_stated)
            places[row, column] = regions.index(tuple(sorted(found)))
    return places


def remedies(structure: Structure | None = None, output: str = "theory_remedies.png", **options: Any) -> None:
    """Margins and temperatures that undo difficult samples, and the thresholds from which remedies pay.

    Args:
        structure: rule by which difficult samples of different classes are similar; both by default.
        output: the figure's file; none if empty.
        options: numbers of the graph.
    """
    plots.check_figure_file(output)
    chosen = graph(**options)
    kinds = _structures(structure)
    margins: dict[str, dict[str, float]] = {}
    temperatures: dict[str, dict[str, float]] = {}
    for kind in kinds:
        margin = theory.margins(**chosen, structure=kind, normalized=True)
        temperature = theory.temperatures(**chosen, structure=kind)
        same, one = temperature["diff_same_class"], temperature["one"]
        margins[kind] = {"diff_cross": margin.get("diff_cross_matched", 0.0), **margin}
        temperatures[kind] = {**temperature, "diff_same_sample": same, "one_same_class": one, "one_cross": one}
    columns = {f'margin, "{kind}"': row for kind, row in margins.items()}
    columns |= {f'temperature, "{kind}"': row for kind, row in temperatures.items()}
    rows = []
    for pair, words in KINDS.items():
        rows.append([words, *(f"{row[pair]:.6g}" if pair in row else "-" for row in columns.values())])
    print_table(["", *columns], rows)
    gap, n_d = chosen["gamma"] - chosen["beta"], chosen["n_d"]
    if n_d == 0:
        print("\nn_d = 0: without difficult samples there is nothing to remedy, and no remedy pays")
        save_figure(plots.remedy_bars(margins, temperatures, KINDS), output)
        return
    print(f"\nremoval pays where gamma - beta, here {gap:.4g}, exceeds")
    thresholds = {
        "as stated, against Thm 3.4 as stated": theory.removal_threshold_printed(**chosen),
        "the same, solved for the gap": theory.removal_threshold(**chosen),
        '"matched", r + 1 <= k < r + n_d': theory.removal_threshold(**chosen, against="matched"),
        '"all", k = r + 1 (never for larger k)': theory.removal_threshold(**chosen, against="all_k_r1"),
    }
    print_table(["", "threshold", "met"], [[name, f"{at:.5g}", _yes(gap > at)] for name, at in thresholds.items()])
    if chosen["beta"] > 0:
        stated, corrected = (theory.temperature_bound(**chosen, structure=kind) for kind in ("all", "matched"))
        print(f"\ntemperatures, whose bound has a factor of {stated.factor:.6g} (Thm 4.5), pay where n_d, here {n_d},")
        conditions = {
            f"is below {stated.stated_rhs:.4g}, as stated (necessary, not sufficient)": stated.stated_condition,
            "meets the exact condition against Thm 3.4 as stated": stated.exact_condition,
            'meets it against Thm 3.4 corrected, "matched"': corrected.exact_condition,
        }
        print_table(["", "met"], [[name, _yes(met)] for name, met in conditions.items()])
    save_figure(plots.remedy_bars(margins, temperatures, KINDS), output)


def _structures(structure: Structure | None) -> tuple[Structure, ...]:
    return ("all", "matched") if structure is None else (structure,)


def _listed(levels: dict[str, float]) -> str:
    return ", ".join(f"{name} = {value:.4g}" for name, value in levels.items())


def _yes(met: bool) -> str:
    return "yes" if met else "no"


command = {"spectrum": spectrum, "bounds": bounds, "remedies": remedies, "collapse": collapse}
