"""Write docs/performance.md and its figure from the results: ``python benchmarks/page.py``. No number is typed."""

import json
from pathlib import Path
from statistics import median, quantiles
from typing import Any

from turns import ALLOCATOR, RESULTS, ratio

from lit_hardcl.plots import COLOURS, new_figure

DOCS = Path(__file__).parent.parent / "docs"
NAMES = ("start", "scaling", "spacl_selection", "gpu", "losses", "views", "steps")
TARGETS: dict[str, list[tuple[str, str, dict[str, float]]]] = {  # result: program, compared with, target
    "steps": [
        ("ours, plain", "limit", {"at_most": 1.05}),
        ("ours, combined loss and probe", "limit", {"at_most": 1.08}),
        ("ours, plain, memory given back", "ours, plain", {}),
        ("lightly", "ours, plain", {"at_least": 1.4}),
        ("lightly, channels_last", "ours, plain", {}),
        ("solo-learn", "ours, plain", {"at_least": 1.15}),
        ("stable-pretraining, batched views", "ours, plain", {"at_least": 1.15}),
        ("stable-pretraining, views by workers", "ours, plain", {"at_least": 1.15}),
    ],
    "views": [
        ("lightly views, 2 workers", "our views", {"at_least": 8.0}),
        ("kornia views", "our views", {"at_least": 2.0}),
        ("lightly views, 0 workers", "our views", {}),
        ("torchvision views, 2 workers", "our views", {}),
    ],
}
# Why a target is missed: to be filled in by whoever has found out, by line; a script cannot know.
REASONS: dict[str, str] = {
    "stable-pretraining, batched views": "within its quartiles; code of d21aab3 the same evening: 1.33",
}
HEAD = ["| | measured (quartiles) | target | |", "|---|---|---|---|"]
RELATIVE_HEAD = ["| | MB at most | its time relative to | median (quartiles) | target | |", "|---|---|---|---|---|---|"]
INTRO = """# Performance

*Written by `benchmarks/page.py` from the files in `benchmarks/results/`; `make bench` measures and writes anew.*

Ratios where there can be: machines are noisy, this one by a third within minutes. A ratio is the median over rounds of
two times of one round, with its quartiles. All programs of a comparison have the same allocator settings, which keep
memory (see the end of this page).
"""
LOSSES = """## Losses

Forward and backward of N images with two projections of 128 dims and, where pairs are selected, features of 512; the
losses take turns within one process. *Plain* is NT-Xent, *combined* has margin and temperature for selected pairs, and
*naive* writes the equations down: all pairs in one matrix, masked, for the combined loss sorted. *Extra MB* is how far
one pass raises the resident size of a process of its own that gives memory back.
"""
STEPS = """## Training step

Small ResNet-18 of width 16, batch 256, two views of 32x32 colour images, the same images and optimizer for all. Every
program lives in a process of its own, and while one has its turn all others are stopped, data-loading workers included.
*Limit* is forward, backward and optimizer of the network and its projection head alone, on one batch that is there.
*MB at most* is the largest resident size of the process that trains, without its data-loading workers. Peers are used
as their documentation shows, each with its own projection head; solo-learn 1.0.2 asks for torch 1.9.1 and does not
import beside today's, so that its loss function is its own and its step is written after its source.
"""
VIEWS = """## Two views of 32x32 images

Programs in turns, as above.
"""
SPACL = """## SPACL's selections

Anchors, farthest positives and screening of {batch} images with 4 views, as a share of a step of the quick start's
network; the two take turns within one process.
"""
SCALING = """## Scaling

Milliseconds, or images per second, of one run: median (quartiles) of rounds in which all lines of a table take their
turn. The network of the training step, views of it with features of 128; the online probe learns from 512 features of
128; the processes share 256 images a step.
"""
OPTIONS = """## Memory that is kept

glibc gives every tensor above 32 MB back to the system and asks for it again, and the page faults cost more than the
arithmetic. `{allocator}`, set before Python starts, keeps the memory: the process
stays as large as it ever was. The Makefile, the Dockerfile and `lit-hardcl compare` set them. What they gain and cost
is the line "memory given back" under "Training step", beside "ours, plain".

## Options

On the command line the callback `ChannelsLast` is on. `--data.compile true` compiles the views,
`--trainer.callbacks+=lit_hardcl.callbacks.CompileBackbone` the backbone; both take up to a minute at the first step.
`--trainer.precision bf16-mixed` and `--model.optimizer.fused true` are for GPUs; Lightning refuses a fused optimizer
together with mixed precision and `gradient_clip_val`. `lit-hardcl profile -c ...` shows where a step of your own run
goes.
"""


def result(name: str) -> dict:
    """A result's numbers, empty if it was not measured."""
    file = RESULTS / f"{name}.json"
    return json.loads(file.read_text()) if file.exists() else {}


def row(*starts: str, measured: float | None, quartiles: Any = (), **target: float | None) -> str:
    """A line of a table: what was measured, its target, and whether that is met."""
    sign, wanted = next(((sign, value) for sign, value in target.items() if value is not None), ("", None))
    aim = "" if wanted is None else f"{'<=' if sign == 'at_most' else '>='} {wanted:,}"
    shown, note = "not measured", "did not run here"
    if measured is not None:
        digits = 4 if measured < 0.1 else 2 if measured < 10 else 0
        median_, *ends = (f"{value:,.{digits}f}" for value in (measured, *quartiles))
        shown, note = median_ + (f" ({' to '.join(ends)})" if ends else ""), ""
        if wanted is not None:
            met = measured <= wanted if sign == "at_most" else measured >= wanted
            note = "met" if met else f"missed; {REASONS.get(starts[0], 'reason not examined')}"
    return "| " + " | ".join([*starts, shown, aim, note]) + " |"


def table(lines: list[dict[str, Any]]) -> list[str]:
    """Lines beside their targets."""
    return [*HEAD, *(row(line["what"], **{k: v for k, v in line.items() if k != "what"}) for line in lines), ""]


def relative(name: str) -> list[str]:
    """A table of ratios of programs that took turns, beside their targets."""
    seconds, peaks = result(name)["seconds"], result(name)["peaks"]
    lines = [*RELATIVE_HEAD]
    for program, base, target in TARGETS[name]:
        ran = seconds.get(program) and seconds.get(base)
        middle, *quartiles = ratio(seconds, program, base) if ran else (None,)
        peak = f"{peaks[program]:,.0f}" if program in peaks else ""
        lines.append(row(program, peak, base, measured=middle, quartiles=quartiles, **target))
    return [*lines, ""]


def spread(values: list[float], unit: float = 1.0, digits: int = 1) -> str:
    """Median and quartiles."""
    low, _, high = quantiles(values, n=4)
    return "{} ({} to {})".format(*(f"{unit * value:,.{digits}f}" for value in (median(values), low, high)))


def scaling() -> list[str]:
    """Small tables of how parts of a step grow."""
    numbers = result("scaling")
    lines = [SCALING]
    for key, title, parts in (
        ("batch", "images in a batch, 32x32", ("views", "network", "loss")),
        ("size", "pixels, 128 images", ("views", "network")),
    ):
        names = ["combined loss" if part == "loss" else part for part in parts]
        lines += [f"| {title} | {', ms | '.join(names)}, ms |", "|---" * (1 + len(parts)) + "|"]
        for value, seconds in numbers[key].items():
            lines.append(f"| {value} | {' | '.join(spread(seconds[part], 1000) for part in parts)} |")
        lines.append("")
    lines += ["| classes | the online probe's step, ms |", "|---|---|"]
    lines += [f"| {classes} | {spread(times, 1000, 2)} |" for classes, times in numbers["classes"].items()]
    lines += ["", "| processes sharing the cores | images/s |", "|---|---|"]
    return [*lines, *(f"| {count} | {spread(rates, digits=0)} |" for count, rates in numbers["processes"].items()), ""]


def machine() -> str:
    """What was measured on and when: processor, versions, commits and load."""
    results = {name: found for name in NAMES if (found := result(name))}
    known: dict[str, set[str]] = {}
    for found in results.values():
        for name, value in {**found["machine"], **found["versions"], "commit": found["commit"]}.items():
            known.setdefault(name, set()).add(str(value))
    loads = ", ".join(f"{name} {found['load']:.1f}" for name, found in results.items())
    return (
        "; ".join(f"{name} {' or '.join(sorted(values))}" for name, values in known.items())
        + f".\n\nOne-minute load average as each began, which the one before it raises: {loads}.\n"
    )


def figure() -> None:
    """Bars of the steps' times relative to the limit."""
    seconds = result("steps")["seconds"]
    names = [name for name, times in seconds.items() if times][::-1]
    drawn, axes = new_figure(8, 3)
    ratios = [ratio(seconds, name, "limit") for name in names]
    errors = list(zip(*((middle - low, high - middle) for middle, low, high in ratios), strict=True))
    colours = [COLOURS["same"] if name.startswith("ours") else "#bbbbbb" for name in names]
    axes.barh(names, [middle for middle, *_ in ratios], xerr=errors, color=colours)
    axes.axvline(1, color=COLOURS["ink"], linewidth=1)
    axes.set_xlabel("a training step's time relative to the network's own; quartiles")
    drawn.savefig(DOCS / "images" / "performance.png", dpi=130)


def text() -> str:
    """The page, from what was measured."""
    lines = [INTRO, machine()]
    if found := result("losses"):
        lines += [LOSSES, *table(found["lines"])]
    if result("steps"):
        lines += [STEPS, *relative("steps"), "![A step's time relative to the limit](images/performance.png)\n"]
    if result("views"):
        lines += [VIEWS, *relative("views")]
    if found := result("start"):
        low, middle, high = quantiles(found["seconds"], n=4)
        line = {"what": "`fit` on digits, seconds", "measured": middle, "quartiles": (low, high), "at_most": 1.5}
        lines += ["## Start\n", "From imports to the end of the first step, a process for each run.\n", *table([line])]
    if found := result("spacl_selection"):
        lines.append(SPACL.format(batch=found["batch"]))
        kinds = {"none": "without labels", "labels": "with labels"}
        shares = [(kinds[kind], share) for kind, share in found["shares"].items()]
        lines += table([{"what": k, "measured": s[0], "quartiles": s[1:], "at_most": 0.25} for k, s in shares])
    if result("scaling"):
        lines += scaling()
    if found := result("gpu"):
        lines += ["## GPU\n", f"{found['device']}.\n", *table(found["lines"])]
    settings = " ".join(f"{name}={value}" for name, value in ALLOCATOR.items())
    return "\n".join([*lines, OPTIONS.format(allocator=settings)])


def main() -> None:
    """Write the page and draw the figure."""
    (DOCS / "performance.md").write_text(text())
    if result("steps"):
        figure()


if __name__ == "__main__":
    main()
