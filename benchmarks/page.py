"""Write docs/performance.md and its figure from the results: ``python benchmarks/page.py``. No number is typed."""

import json
from pathlib import Path
from statistics import median

from turns import RESULTS, ratio

from lit_hardcl.plots import COLOURS, new_figure

DOCS = Path(__file__).parent.parent / "docs"
TARGETS = {  # result, program, compared with, wanted ratio, whether at most or at least
    "views": [
        ("lightly views, 2 workers", "our views", 8.0, ">="),
        ("kornia views", "our views", 2.0, ">="),
        ("lightly views, 0 workers", "our views", None, ""),
        ("torchvision views, 2 workers", "our views", None, ""),
    ],
    "steps": [
        ("ours, plain", "limit", 1.05, "<="),
        ("ours, combined loss and probe", "limit", 1.08, "<="),
        ("ours, plain, memory given back", "ours, plain", None, ""),
        ("lightly", "ours, plain", 1.4, ">="),
        ("lightly, channels_last", "ours, plain", None, ""),
        ("solo-learn", "ours, plain", 1.15, ">="),
        ("stable-pretraining, batched views", "ours, plain", 1.15, ">="),
        ("stable-pretraining, views by workers", "ours, plain", 1.15, ">="),
    ],
}
# Why a target is missed: to be filled in by whoever has found out, by program; a script cannot know.
REASONS: dict[str, str] = {}
INTRO = """# Performance

*Written by `benchmarks/page.py` from the files in `benchmarks/results/`; `make bench` measures and writes anew.*

Ratios, not times: machines are noisy. Every program lives in a process of its own, and while one has its turn all
others are stopped, data-loading workers included; a ratio is the median over rounds of two times of one round, with
quartiles. All programs have the same network, images and allocator settings. Peers are used as their documentation
shows.
solo-learn 1.0.2 asks for torch 1.9.1 and does not import beside today's: its loss function is its own, its step is
written after its source.
"""
ALLOCATION = """
## Memory that is kept

glibc gives every tensor above 32 MB back to the system and asks for it again, and the page faults cost more than the
arithmetic. `MALLOC_MMAP_MAX_=0 MALLOC_TRIM_THRESHOLD_=17179869184`, set before Python starts, keeps the memory: the
process stays as large as it ever was. The Makefile and the Dockerfile set them. What it gains and what it costs is the
table's line "memory given back" beside "ours, plain": MB at most is the largest resident size of the process that
trains, without its data-loading workers.

## Options

`channels_last` is on. `--data.compile true` compiles the views,
`--trainer.callbacks+=lit_hardcl.callbacks.CompileBackbone` the backbone; both take up to a minute at the first step.
`--trainer.precision bf16-mixed` is for GPUs. `fused: true` of the optimizer, a step in one kernel, is in the
configurations of colour images. `lit-hardcl profile -c ...` shows where a step of your own run goes.
"""


def result(name: str) -> dict:
    """A result's numbers, empty if it was not measured."""
    file = RESULTS / f"{name}.json"
    return json.loads(file.read_text()) if file.exists() else {}


def targets(name: str) -> list[str]:
    """A table of ratios beside their targets."""
    seconds, peaks = result(name)["seconds"], result(name)["peaks"]
    lines = ["| | MB at most | its time relative to | median (quartiles) | target | |", "|---|---|---|---|---|---|"]
    for program, base, target, sign in TARGETS[name]:
        if not seconds.get(program) or not seconds.get(base):
            lines.append(f"| {program} | | {base} | not measured | {sign} {target or ''} | did not run here |")
            continue
        middle, low, high = ratio(seconds, program, base)
        met = target is None or (middle <= target if sign == "<=" else middle >= target)
        note = ("met" if target else "") if met else f"missed; {REASONS.get(program, 'reason not examined')}"
        wanted = f"{sign} {target}" if target else ""
        spread = f"{middle:.2f} ({low:.2f} to {high:.2f})"
        lines.append(f"| {program} | {peaks[program]:,.0f} | {base} | {spread} | {wanted} | {note} |")
    return lines


def losses() -> list[str]:
    """The losses' lines beside their targets."""
    lines = ["| | measured | target | |", "|---|---|---|---|"]
    for line in result("losses")["lines"]:
        measured, target = line["measured"], line["target"]
        wanted = "" if target is None else f"<= {target}"
        if measured is None:
            lines.append(f"| {line['what']} | - | {wanted} | did not run here |")
            continue
        met = target is None or measured <= target
        note = ("met" if target else "") if met else f"missed; {REASONS.get(line['what'], 'reason not examined')}"
        digits = 2 if measured >= 0.1 else 4
        lines.append(f"| {line['what']} | {measured:.{digits}f} | {wanted} | {note} |")
    return lines


def scaling() -> list[str]:
    """Small tables of how parts of a step grow."""
    numbers = result("scaling")
    lines = []
    for key, title in (("batch", "images in a batch, 32x32"), ("size", "pixels, 128 images")):
        lines += [f"| {title} | views | network | combined loss |", "|---|---|---|---|"]
        for value, parts in numbers[key].items():
            cells = (f"{1000 * median(parts[part]):.1f} ms" for part in ("views", "network", "loss"))
            lines.append(f"| {value} | {' | '.join(cells)} |")
        lines.append("")
    lines += ["| classes | the online probe's step |", "|---|---|"]
    lines += [f"| {classes} | {time:.1f} ms |" for classes, time in numbers["classes"].items()]
    lines += ["", "| processes sharing the cores | images/s |", "|---|---|"]
    return lines + [f"| {count} | {rate:,.0f} |" for count, rate in numbers["processes"].items()]


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
    lines = [INTRO]
    machine = {**result("steps").get("machine", {}), **result("steps").get("versions", {})}
    lines.append("; ".join(f"{name} {value}" for name, value in machine.items()) + ".\n")
    loads = [
        f"{name} {load[0]:.1f} to {load[1]:.1f}"
        for name in ("start", "scaling", "spacl_selection", "losses", "views", "steps")
        if (load := result(name).get("load"))
    ]
    lines.append(f"Processes that wanted a core, before and after each measurement: {', '.join(loads)}.\n")
    if result("losses"):
        lines += [
            "## Losses\n",
            "Forward and backward; N images have two projections of 128 dims and features of 512.\n",
        ]
        lines += [*losses(), ""]
    for name, title in (("steps", "Training step"), ("views", "Two views of 32x32 images")):
        if result(name):
            lines += [f"## {title}\n", *targets(name), ""]
    if result("steps"):
        lines.append("![A step's time relative to the limit](images/performance.png)\n")
    if times := result("start").get("seconds"):
        start = median(times)
        met = "met" if start <= 1.5 else f"missed; {REASONS.get('start', 'reason not examined')}"
        lines += ["## Start", "", "From imports to the end of the first step of `fit` on digits: "]
        lines[-1] += f"{start:.2f} s (target: at most 1.5 s; {met})\n"
    if shares := result("spacl_selection").get("shares"):
        lines += ["## SPACL's selections\n", "Anchors, farthest positives and screening of 256 images with 4 views:"]
        lines[-1] += f" {shares['none']:.1%} of a step, with labels {shares['labels']:.1%} (target: at most 25 %; "
        lines[-1] += "met)\n" if max(shares.values()) <= 0.25 else "missed)\n"
    if result("scaling"):
        lines += ["## Scaling\n", *scaling()]
    if gpu := result("gpu"):
        lines += ["\n## GPU\n", *(f"- {name}: {value}" for name, value in gpu["numbers"].items())]
    return "\n".join([*lines, ALLOCATION])


def main() -> None:
    """Write the page and draw the figure."""
    (DOCS / "performance.md").write_text(text())
    if result("steps"):
        figure()


if __name__ == "__main__":
    main()
