"""What each method of configs/compare/landscape.yaml costs: its step on digits, and its loss alone in time and memory.

A step makes the views of 128 digits, trains the quick start's network on them and takes the optimizer's step. A loss
alone is forward and backward of 512 images with two projections of 128 dims. All take turns within this process; a
ratio to SimCLR is the median over rounds. Memory is what one pass of 4,096 images adds to a process of its own.
"""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
import yaml
from losses import DIM, WIDTH, high_water
from turns import ALLOCATOR, alternate, ratio, save

from lit_hardcl.cli.training import command_line
from lit_hardcl.losses import Rectangle, RowLoss
from lit_hardcl.models.momentum import follow

CONFIGS = Path(__file__).parent.parent / "configs"
COMPARISON = yaml.safe_load((CONFIGS / "compare" / "landscape.yaml").read_text())
BASELINE = "SimCLR"


def built(method: str) -> Any:
    """Module and data module of a method, as the comparison has them."""
    arm = COMPARISON["methods"][method]
    files = [COMPARISON["base"], *arm.get("config", [])]
    arguments = [part for file in files for part in ("-c", str(CONFIGS / "compare" / file))]
    arguments += [f"--{name}={value}" for name, value in arm.get("options", {}).items()]
    return command_line([*arguments, "--seed_everything=0"], run=False)


def batches(data: Any) -> Iterator[Any]:
    """Batches with their views, without end."""
    loader = data.train_dataloader()
    while True:
        for raw in loader:
            yield data.on_after_batch_transfer(raw, 0)


def step(method: str) -> Callable[[], object]:
    """A training step of the method, views included."""
    cli = built(method)
    model = cli.model.train()
    cli.datamodule.setup("fit")
    source = batches(cli.datamodule)
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.01, momentum=0.9)

    def run() -> None:
        views, targets, model.indices = next(source)
        optimizer.zero_grad()
        model.objective(views, targets, 0).loss.backward()
        optimizer.step()
        if hasattr(model, "key_backbone"):
            follow(model.key_backbone, model.backbone, model.momentum)
            follow(model.key_head, model.projection_head, model.momentum)

    return run


def loss(method: str, images: int) -> Any:
    """Forward and backward of the method's loss of two views; ``None`` if it has another kind."""
    model = built(method).model
    criterion, synthetic = model.criterion, getattr(model, "synthetic", None)
    if not isinstance(criterion, RowLoss):
        return None
    generator = torch.Generator().manual_seed(0)
    z = [torch.randn(images, DIM, generator=generator).requires_grad_() for _ in range(2)]
    h = [torch.randn(images, WIDTH, generator=generator) for _ in range(2)]
    numbers = torch.arange(images)
    if synthetic is not None:
        own = torch.arange(2 * images)

        def draw(kind: Any, columns: int, stream: int, rows: slice = slice(None)) -> torch.Tensor:
            return kind(len(range(*rows.indices(2 * images))), columns)

        def of_queue() -> None:
            anchors = torch.cat(z)
            given = anchors, anchors.detach(), own.roll(images), own
            made = synthetic.of(Rectangle(*given), draw)
            criterion.of_rectangle(*given, own_keys=made).backward()

        return of_queue
    named = {"indices": numbers % 1700} if criterion.uses_indices else {}
    return lambda: criterion(*z, *h, numbers % 10, **named).backward()


def extra_memory(method: str, images: int) -> float:
    """What one pass adds to the resident size, in MB, in a process that gives memory back."""
    environment = {key: value for key, value in os.environ.items() if key not in ALLOCATOR}
    command = [sys.executable, __file__, "--memory", method, str(images)]
    return float(subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout)


def main() -> None:
    """Print what each costs, and save it."""
    if "--memory" in sys.argv:
        print(high_water(*(loss(sys.argv[2], images) for images in (8, int(sys.argv[3])))))
        return
    if any(os.environ.get(key) != value for key, value in ALLOCATOR.items()):
        os.execve(sys.executable, [sys.executable, *sys.argv], {**os.environ, **ALLOCATOR})
    methods = list(COMPARISON["methods"])
    losses = {name: run for name in methods if (run := loss(name, 512)) is not None}
    seconds = {"step": alternate({name: step(name) for name in methods}, 9), "loss": alternate(losses, 9)}
    lines = []
    for name in methods:
        line: dict[str, Any] = {"method": name, "step": ratio(seconds["step"], name, BASELINE)}
        if name in losses:
            line |= {"loss": ratio(seconds["loss"], name, BASELINE), "memory": extra_memory(name, 4096)}
        lines.append(line)
        shown = f"{line['loss'][0]:8.2f}{line['memory']:8.0f} MB" if name in losses else ""
        print(f"  {name:28}{line['step'][0]:8.2f}{shown}")
    save("methods", threads=torch.get_num_threads(), lines=lines)


if __name__ == "__main__":
    main()
