"""What guards every method: against a loss that is no number, weights that do not fit, options of earlier versions."""

import io
import math
import os
from collections.abc import Iterable
from contextvars import ContextVar
from pathlib import Path
from typing import IO, Any

import lightning.pytorch as pl
import torch
from jaxtyping import Float
from lightning.fabric.utilities.cloud_io import _load
from lightning.pytorch.core.saving import CHECKPOINT_PAST_HPARAMS_KEYS, load_hparams_from_tags_csv
from torch import Tensor

from lit_hardcl.distributed import sum_across
from lit_hardcl.earlier import renewed
from lit_hardcl.errors import Refusal
from lit_hardcl.files import read_yaml
from lit_hardcl.models import misfit
from lit_hardcl.trust import check_arguments, check_named, own_package

INSTANTIATOR = "lightning.pytorch.cli.instantiate_module"  # what reads the options of this library's checkpoints
_LOOSELY = ContextVar("strict=False was asked for", default=False)  # Lightning asks the module without telling it


class Safeguarded(pl.LightningModule):
    """A LightningModule that does not train on after a NaN, nor load what does not fit."""

    def __init__(self) -> None:
        super().__init__()
        self._failed_at = torch.tensor(math.inf)

    def watch(self, loss: Float[Tensor, ""]) -> None:
        """Stop a training whose loss is no number, before a checkpoint of it replaces a good one.

        All processes stop if one has such a loss: the others would wait for it.

        On a GPU the answer is awaited only every ``log_every_n_steps`` and before a checkpoint is written; the step
        named is the first bad one all the same.

        Raises:
            Refusal: naming the step.
        """
        sum_across(bad := (~loss.detach().isfinite()).float())
        step = torch.where(bad > 0, float(self.global_step), math.inf)
        self._failed_at = torch.minimum(self._failed_at.to(step.device), step)
        if loss.device.type == "cpu" or self.global_step % max(1, self.trainer.log_every_n_steps) == 0:  # type: ignore[attr-defined]
            self._stop_if_failed()

    def on_fit_start(self) -> None:
        """Forget what an earlier training came to.

        Raises:
            Refusal: if the trainer's ``gradient_clip_val`` is negative or NaN: the steps would go uphill.
        """
        self._failed_at = torch.tensor(math.inf)
        clip = self.trainer.gradient_clip_val
        if clip is not None and not clip >= 0:
            raise Refusal(f"gradient_clip_val must be at least 0, got {clip}: steps would go uphill")

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Refuse to write weights that a NaN has reached.

        Raises:
            Refusal: naming the step.
        """
        self._stop_if_failed()
        weights = {name for name, _ in self.named_parameters()}
        spoilt = [
            # A buffer may hold -inf, as attention masks do; what training has spoilt is infinite upwards, too.
            (~value.isfinite() if name in weights else value.isnan() | value.isposinf()).any()
            for name, value in checkpoint.get("state_dict", {}).items()
            if isinstance(value, Tensor) and value.is_floating_point()  # a backbone's extra state may be anything
        ]
        if spoilt and torch.stack(spoilt).any():
            self._failed_at = torch.tensor(float(self.global_step))
            self._stop_if_failed()

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Refuse weights that belong to another model, unless they are to be loaded loosely.

        Raises:
            Refusal: naming what is missing, unexpected or of another shape.
        """
        loosely = _LOOSELY.get() or not self.strict_loading
        if not loosely and (wrong := misfit(self.state_dict(), checkpoint.get("state_dict", {}))):
            raise Refusal(f"the checkpoint does not fit this {type(self).__name__}: {wrong}")

    @classmethod
    def load_from_checkpoint(
        cls,
        checkpoint_path: Any,
        map_location: Any = None,
        hparams_file: Any = None,
        strict: bool | None = None,
        weights_only: bool | None = None,
        trusted: Iterable[str] = (),
        **settings: Any,
    ) -> Any:
        """As Lightning's, also for checkpoints whose options are spelt as in an earlier version.

        Nothing is imported or built but classes of this library, torch.nn, torch.optim, torchvision, timm, this class's
        own package and those ``trusted``: a checkpoint of a stranger runs no code of his, unless ``weights_only=False``
        lets it.

        Raises:
            Refusal: naming what the checkpoint would have imported.
        """
        weights_only = weights_only is not False
        checkpoint_path = cls._safely(checkpoint_path, trusted, hparams_file, weights_only, settings)
        token = _LOOSELY.set(strict is False)
        try:
            return super().load_from_checkpoint(
                checkpoint_path, map_location, hparams_file, strict, weights_only, **settings
            )
        finally:
            _LOOSELY.reset(token)

    @classmethod
    def _safely(
        cls, path: Any, trusted: Iterable[str], hparams_file: Any, weights_only: bool, settings: dict[str, Any]
    ) -> Any | IO[bytes]:
        """The checkpoint's path or, if its options need another spelling, the checkpoint with it, as an open file."""
        checkpoint = _load(path, "cpu", weights_only=weights_only)
        options = checkpoint.get("hyper_parameters") if isinstance(checkpoint, dict) else None
        new = renewed(options)
        if weights_only and isinstance(checkpoint, dict):
            given = _all_options(checkpoint, new if hparams_file is None else _options_in(Path(hparams_file)))
            cls._check({key: value for key, value in given.items() if key not in settings}, trusted)
        if new == options and isinstance(path, (str, os.PathLike)) and os.path.isfile(path):
            return path
        if new != options:
            checkpoint["hyper_parameters"] = new
        torch.save(checkpoint, file := io.BytesIO())
        file.seek(0)
        return file

    @classmethod
    def _check(cls, options: dict[str, Any], trusted: Iterable[str]) -> None:
        name, instantiator = options.get("_class_path"), options.get("_instantiator", INSTANTIATOR)
        if instantiator != INSTANTIATOR:  # the oldest Lightning imports any
            raise Refusal(
                f"the instantiator {instantiator!r} from the checkpoint is not in the allowlist: {INSTANTIATOR}"
            )
        arguments = {key: value for key, value in options.items() if key not in ("_class_path", "_instantiator")}
        own = own_package(cls, trusted)
        if name is None:
            check_arguments(cls, arguments, "the checkpoint's model", own)
        else:
            check_named({"class_path": name, "init_args": arguments}, cls, "the checkpoint's model", own)

    def _stop_if_failed(self) -> None:
        if self._failed_at.isfinite():
            raise Refusal(
                f"the loss, the features or the weights stopped being finite at step {int(self._failed_at)}: training "
                "ends here, the last checkpoint is kept. Try a lower learning rate, a higher temperature or "
                "gradient_clip_val"
            )


def _options_in(file: Path) -> Any:
    return load_hparams_from_tags_csv(file) if file.suffix == ".csv" else read_yaml(file, "hparams_file")


def _all_options(checkpoint: dict[str, Any], new: Any) -> dict[str, Any]:
    """Options as Lightning gathers them, also from where its first versions left them."""
    options: dict[str, Any] = {}
    for part in (*(checkpoint.get(name) for name in CHECKPOINT_PAST_HPARAMS_KEYS), new):
        if part and not isinstance(part, dict):
            raise Refusal(f"a checkpoint's options must be by name, got {part!r}")
        options |= part or {}
    return options
