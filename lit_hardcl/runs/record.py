"""The record of a training: its configuration beside the checkpoints, its clock, what it logged."""

import math
import time
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import yaml
from lightning.pytorch.cli import SaveConfigCallback
from lightning.pytorch.plugins.environments import SLURMEnvironment

from lit_hardcl.evaluation import ACCURACIES
from lit_hardcl.files import whole
from lit_hardcl.runs.layout import run_of
from lit_hardcl.runs.logging import keep_best, log_config
from lit_hardcl.runs.reading import write_weights
from lit_hardcl.stopping import GRACE, SIGTERM, Terminated, end_peers

RECORDED = ("best", "last", "history", "seconds", "images")


class RunRecord(SaveConfigCallback):
    """Writes a training's configuration once it has really begun, and keeps time, best values and the logged ones.

    The configuration goes into a YAML beside the checkpoints, into every checkpoint, so that
    ``load_from_checkpoint`` needs no arguments, and into W&B's config. Nothing is written before the first step, so
    that bad input leaves no run folder; a file of an earlier run is never overwritten. What was kept goes into every
    checkpoint too, so that a resumed run's summary is that of the whole training.
    """

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Start the records."""
        self.best: dict[str, float] = {}
        self.last: dict[str, float] = {}
        self.history: dict[int, dict[str, float]] = {}
        self.seconds, self.images, self._written = 0.0, 0, False
        self._model_config: dict[str, Any] = yaml.safe_load(self._dump())["model"]

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Start the clock; from here on a SIGTERM waits for the end of a step."""
        self._listen(trainer)
        SIGTERM.peers = [peer for peer in getattr(trainer.strategy.launcher, "procs", []) if hasattr(peer, "poll")]
        SIGTERM.patience = GRACE if trainer.world_size == 1 else GRACE / 2.5  # peers may never come to the step's end
        self._since = time.perf_counter()

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Keep what the epoch before has logged at its end."""
        self._keep_logged(trainer, trainer.current_epoch - 1)

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Count images; after the first step, write the configuration; after a SIGTERM, save and end."""
        if not self._written and trainer.is_global_zero:
            self._write_config(trainer)
            self._written = True
        if isinstance(batch, (tuple, list)) and len(batch) > 1:
            self.images += len(batch[1]) * trainer.world_size
        # An epoch's last step is none to stop at: Lightning would not go back to what comes after it.
        stepped = (batch_idx + 1) % trainer.accumulate_grad_batches == 0
        if stepped and not trainer.is_last_batch and trainer.strategy.reduce_boolean_decision(SIGTERM.came, all=False):
            if trainer.checkpoint_callback and (run := run_of(trainer)):
                trainer.save_checkpoint(run.last, weights_only=False)
            raise Terminated

    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Stop the clock of training."""
        self._listen(trainer)
        if not trainer.sanity_checking and trainer.training is False and hasattr(self, "_since"):
            self.seconds += time.perf_counter() - self._since

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Remember the accuracies, and start the clock again."""
        if trainer.sanity_checking:
            return
        self._since = time.perf_counter()
        self._keep_logged(trainer, trainer.current_epoch, validated=True)
        for name in ACCURACIES:
            if (value := trainer.callback_metrics.get(name)) is not None:
                self.last[name] = float(value)
                self.best[name] = max(float(value), self.best.get(name, 0.0))

    def on_test_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Hear a SIGTERM."""
        self._listen(trainer)

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        """End the other processes, before Lightning takes their end for a failure and kills this one."""
        SIGTERM.patience = 0.0
        for code in end_peers(SIGTERM.peers):
            if not isinstance(exception, KeyboardInterrupt):
                how = f"was killed by signal {-code}" if code < 0 else f"had exit code {code}"
                exception.add_note(f"a process {how}")
        getattr(trainer.strategy.launcher, "procs", []).clear()

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Stop the clock; a SIGTERM need not wait any more."""
        SIGTERM.patience = 0.0
        self.seconds += time.perf_counter() - self._since
        self._keep_logged(trainer, trainer.current_epoch - 1)

    def on_fit_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Write the weights of the checkpoints as safetensors, which other programs read without running anything."""
        if trainer.is_global_zero and (run := run_of(trainer)):
            for checkpoint in (run.checkpoints / "best.ckpt", run.last):
                if checkpoint.is_file():
                    write_weights(checkpoint)

    def on_save_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Put the model's configuration where ``load_from_checkpoint`` looks for it, and the record beside it."""
        self._keep_logged(trainer, trainer.current_epoch)
        now = time.perf_counter()
        self.seconds, self._since = self.seconds + now - self._since, now
        checkpoint["run_record"] = {name: getattr(self, name) for name in RECORDED}
        checkpoint["hyper_parameters"] = {
            "_class_path": self._model_config["class_path"],
            "_instantiator": "lightning.pytorch.cli.instantiate_module",
            **self._model_config.get("init_args", {}),
        }

    def on_load_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Go on with a record."""
        record = checkpoint.get("run_record", {})
        for name in record.keys() & set(RECORDED):  # and nothing else that a stranger's says
            setattr(self, name, record[name])

    def _listen(self, trainer: pl.Trainer) -> None:
        """Take SIGTERM from Lightning, whose handler hangs with several processes; where SLURM requeues, leave it."""
        environment = trainer._accelerator_connector.cluster_environment
        if not (isinstance(environment, SLURMEnvironment) and environment.auto_requeue):
            SIGTERM.listen()

    def _keep_logged(self, trainer: pl.Trainer, epoch: int, validated: bool = False) -> None:
        """File the logged values, as they stand, under their epoch: ``val_`` ones after validation, others without."""
        logged = {name: float(value) for name, value in trainer.callback_metrics.items()}
        if row := {n: v for n, v in logged.items() if n.startswith("val_") == validated and math.isfinite(v)}:
            self.history.setdefault(epoch, {}).update(row)

    def _write_config(self, trainer: pl.Trainer) -> None:
        if run := run_of(trainer):
            _write_new(run.config, self._dump())
        for logger in trainer.loggers:
            log_config(logger, yaml.safe_load(self._dump()))
            keep_best(logger, ACCURACIES)

    def _dump(self) -> str:
        return self.parser.dump(self.config, skip_none=False)


def _write_new(path: Path, text: str) -> None:
    """Write a file under this name or, where another text stands there, under the next free one."""
    version = 0
    while (name := path if version == 0 else path.with_stem(f"{path.stem}-v{version}")).exists():
        if name.read_text(errors="replace") == text:
            return
        version += 1
    with whole(name) as part:
        part.write_text(text)
