"""A new training loader asked of Lightning, once: here, where data modules and callbacks both reach it."""

from typing import Any


class ReloadOnce:
    """Lets a trainer ask for its training loader anew at the next epoch.

    Lightning counts an epoch's batches when it asks for the loader, and validates after the last one: with fewer
    batches it would never validate again. Whoever asks while a new loader is coming anyway changes nothing.
    """

    def __init__(self) -> None:
        self._before: int | None = None

    def ask(self, trainer: Any) -> None:
        """Have the loader asked for at the next epoch."""
        if trainer.reload_dataloaders_every_n_epochs != 1:
            self._before, trainer.reload_dataloaders_every_n_epochs = trainer.reload_dataloaders_every_n_epochs, 1

    def done(self, trainer: Any) -> None:
        """Leave the trainer as it was; to be called once the loader was asked for."""
        if self._before is not None:
            trainer.reload_dataloaders_every_n_epochs, self._before = self._before, None
