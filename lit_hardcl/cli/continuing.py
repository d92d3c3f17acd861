"""Going on with a training: which checkpoint, whether of the same model, and whether anything is left to train."""

import os
import sys
from pathlib import Path
from typing import Any

from lightning.pytorch import Trainer

from lit_hardcl.errors import Refusal
from lit_hardcl.runs import (
    differences,
    model_config,
    read_checkpoint,
    run_config,
    run_of,
    seeded,
    whole_checkpoints,
)


def found(path: str, config: dict[str, Any]) -> tuple[Path, dict[str, Any]]:
    """The checkpoint at a path, read; at ``last``, the newest one.

    Raises:
        Refusal: if there is none, or it is of other model options than the configuration's.
    """
    return newest(config) if path == "last" else (Path(path), check_model(Path(path), config))


def newest(config: dict[str, Any]) -> tuple[Path, dict[str, Any]]:
    """The newest whole checkpoint of the configuration's model and data, below the folder that its logger writes to.

    Raises:
        Refusal: if there is none.
    """
    trainer, model, data = config["trainer"], {"init_args": {}, **config["model"]}, seeded(config)["data"]
    loggers = trainer["logger"] if isinstance(trainer["logger"], list) else [trainer["logger"]]
    given = [(logger.get("init_args") or {}).get("save_dir") for logger in loggers if isinstance(logger, dict)]
    folder = Path(next(filter(None, given), None) or trainer.get("default_root_dir") or ".")
    for file, saved in whole_checkpoints(folder, _tell):
        there = {"model": model_config(saved), "data": run_config(file, saved).get("data")}
        if not differences({"model": model, "data": data}, there):
            _tell(f"--ckpt_path last is {file}")
            return file, saved
    raise Refusal(f"--ckpt_path last found no checkpoint of this model and these data below {folder}")


def check_model(path: Path, config: dict[str, Any]) -> dict[str, Any]:
    """Read a checkpoint; refuse one of other model options than these.

    Raises:
        Refusal: naming the options.
    """
    saved = read_checkpoint(path)
    there = model_config(saved)
    if there and (lines := differences({"init_args": {}, **config["model"]}, there)):
        raise Refusal(
            f"the model options differ from those of {path}; give the config.yaml beside it:\n  " + "\n  ".join(lines)
        )
    return saved


def check_length(path: Path, saved: dict[str, Any], trainer: dict[str, Any]) -> None:
    """Refuse a checkpoint with more epochs or steps than there are to be; tell of one that has all.

    Raises:
        Refusal: naming both numbers.
    """
    loop = saved.get("loops", {}).get("fit_loop", {}).get("epoch_progress", {}).get("current", {})
    for name, done in (("max_epochs", loop.get("processed", 0)), ("max_steps", saved.get("global_step", 0))):
        most = trainer.get(name)
        if most is not None and 0 <= most <= done:
            words = f"{path} has {done} {name[4:]} done, trainer.{name} is {most}: nothing is left to train"
            if done > most:
                raise Refusal(f"{words}; raise --trainer.{name}")
            _tell(words)


def going_on(trainer: Trainer) -> str:
    """How to go on with a training that has not come to its end."""
    if getattr(trainer.strategy, "_start_method", "popen") != "popen":  # spawned or forked: only they know their folder
        return "the same command with --ckpt_path and the run's last.ckpt, if there is one, goes on from there"
    run = run_of(trainer)
    files = [run.last, run.last.with_name("best.ckpt")] if run else []
    whole = next((file for file in files if file.is_file()), None)
    return f"the same command with --ckpt_path {whole} goes on from there" if whole else "nothing was saved yet"


def _tell(words: str) -> None:
    if os.environ.get("LOCAL_RANK", "0") == "0":
        print(words, file=sys.stderr)
