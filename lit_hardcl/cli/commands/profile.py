"""``lit-hardcl profile``: where the time of a training step goes, as a table and a bar."""

from typing import Any

from lit_hardcl.cli.commands.predict import Prediction
from lit_hardcl.cli.refusals import check_read
from lit_hardcl.cli.training import command_line, leaving_nothing
from lit_hardcl.plots import check_figure_file, step_shares
from lit_hardcl.profiling import profile_steps, wait_for_kernels


class Profile(Prediction):
    """The options of ``fit``, and how many steps; builds all, and runs nothing."""

    def add_arguments_to_parser(self, parser: Any) -> None:
        """Add the numbers of steps, and the figure's file."""
        super().add_arguments_to_parser(parser)
        parser.add_argument("--steps", type=int, default=30, help="Steps that count.")
        parser.add_argument("--warmup", type=int, default=5, help="Steps before them that do not.")
        parser.add_argument("--output", type=str, default="profile.png", help="File of the bar.")


def run(args: list[str]) -> None:
    """Train for some steps, and show where the time of one goes."""
    check_read(args, "--ckpt_path", "null")
    check_read(args, "--yardsticks", "false")
    wait_for_kernels()
    line = command_line(args, run=False, line=Profile)
    steps, warmup, output = line.config.steps, line.config.warmup, line.config.output
    check_figure_file(output)
    with leaving_nothing(line, "fit"):
        profiler = profile_steps(line.trainer, line.model, line.datamodule, steps, warmup)
    total = sum(profiler.seconds.values()) / steps
    title = f"{type(line.model).__name__}: {total * 1000:.1f} ms a step, {steps} steps after {warmup}"
    if line.trainer.is_global_zero:
        step_shares(profiler.shares, title).savefig(output, dpi=130)
        print(f"\n{title}")
        for part, share in profiler.shares.items():
            print(f"{part:10}{profiler.seconds[part] / steps * 1000:10.2f} ms{share:8.1%}")
        print(f"figure    {output}")
