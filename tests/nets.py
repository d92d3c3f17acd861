"""Small networks and modules for tests, importable by name from a command line and from other processes."""

import lightning.pytorch as pl
import torch
from torch import nn


class FlatNet(nn.Sequential):
    """No BatchNorm, so that what an image becomes does not depend on its batch."""

    num_features = 12

    def __init__(self, pixels: int = 1024) -> None:
        super().__init__(nn.Flatten(), nn.Linear(pixels, 16), nn.Tanh(), nn.Linear(16, 12), nn.Tanh())


class FlatHead(nn.Linear):
    """A projection head without BatchNorm."""

    def __init__(self) -> None:
        super().__init__(12, 6)


class Foreign(pl.LightningModule):
    """Somebody's module that knows nothing of this library, but for what its training step returns."""

    def __init__(self, pixels: int = 1024) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Flatten(), nn.Linear(pixels, 8), nn.ReLU())

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.net(images)

    def training_step(self, batch, batch_idx):
        views, targets, _ = batch
        features = self(views[0])
        return {"loss": features.square().mean(), "features": features, "targets": targets}

    def validation_step(self, batch, batch_idx):
        return None

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.01)
