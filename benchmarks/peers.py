"""The peers' programs, as their documentation shows them; only these need `requirements.txt`."""

import importlib.util
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
from programs import BATCH, MEAN, SIZE, STD, Pictures, backbone, iterate, loader, pixels, sgd, train
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader
from torchvision import transforms as T
from turns import Turns

NORMALIZE = {"mean": list(MEAN), "std": list(STD)}


def lightly_loader(workers: int) -> DataLoader:
    """Its SimCLR transform, at the settings it recommends for small images."""
    from lightly.transforms import SimCLRTransform

    transform = SimCLRTransform(input_size=SIZE, min_scale=0.2, cj_strength=0.5, gaussian_blur=0.0, normalize=NORMALIZE)
    return loader(Pictures(transform), workers)


class LightlySimCLR(pl.LightningModule):
    """https://docs.lightly.ai/self-supervised-learning/examples/simclr.html, for Lightning."""

    def __init__(self, channels_last: bool) -> None:
        from lightly.loss import NTXentLoss
        from lightly.models.modules import SimCLRProjectionHead

        super().__init__()
        self.backbone = backbone().to(memory_format=torch.channels_last if channels_last else torch.contiguous_format)
        self.projection_head = SimCLRProjectionHead(128, 128, 128)
        self.criterion = NTXentLoss()

    def forward(self, images: Tensor) -> Tensor:
        """Projections."""
        return self.projection_head(self.backbone(images).flatten(start_dim=1))

    def training_step(self, batch: Any, batch_index: int) -> Tensor:
        """A forward for each view."""
        view0, view1 = batch[0]
        loss = self.criterion(self.forward(view0), self.forward(view1))
        self.log("train_loss", loss)
        return loss

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """The optimizer of all programs."""
        return sgd(self.parameters())


class SoloSimCLR(pl.LightningModule):
    """solo-learn's step, written after its `BaseMethod` and `SimCLR`, with its own loss function.

    The package itself asks for torch 1.9.1 and pytorch-lightning 1.4.7, and does not import beside today's.
    """

    def __init__(self) -> None:
        super().__init__()
        self.encoder, self.classifier = backbone(), nn.Linear(128, 10)
        self.projector = nn.Sequential(nn.Linear(128, 128), nn.ReLU(), nn.Linear(128, 128))
        package = importlib.util.find_spec("solo")
        file = Path(next(iter(package.submodule_search_locations))) / "losses" / "simclr.py"  # type: ignore[union-attr,arg-type]
        spec = importlib.util.spec_from_file_location("solo_simclr", file)
        module = importlib.util.module_from_spec(spec)  # type: ignore[arg-type]
        spec.loader.exec_module(module)  # type: ignore[union-attr]
        self.loss = module.simclr_loss_func

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        """A forward and a classification of detached features for each view, then the loss."""
        views, targets = batch
        features = [self.encoder(view) for view in views]
        losses, tops = [], []
        for one in features:
            logits = self.classifier(one.detach())
            losses.append(F.cross_entropy(logits, targets, ignore_index=-1))
            hits = logits.topk(5, 1).indices == targets.unsqueeze(1)
            tops.append((hits[:, 0].float().mean(), hits.float().sum() / len(targets)))
        class_loss = sum(losses) / 2
        metrics = {f"train_acc{k}": sum(top[i] for top in tops) / 2 for i, k in enumerate((1, 5))}
        self.log_dict({"train_class_loss": class_loss, **metrics}, on_epoch=True, sync_dist=True)
        z1, z2 = (self.projector(one) for one in features)
        loss = self.loss(z1, z2, temperature=0.5)
        self.log_dict({"train_nce_loss": loss, "train_n_positives": 0.0}, on_epoch=True, sync_dist=True)
        return loss + class_loss

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """The optimizer of all programs."""
        return sgd(self.parameters())


def solo(turns: Turns) -> None:
    """solo-learn's step on views of its transform's operations."""
    jitter = T.RandomApply([T.ColorJitter(0.4, 0.4, 0.4, 0.1)], p=0.8)
    crop = T.RandomResizedCrop(SIZE, scale=(0.2, 1.0), interpolation=T.InterpolationMode.BICUBIC)
    rest = [T.RandomGrayscale(0.2), T.RandomHorizontalFlip(), T.ToTensor(), T.Normalize(MEAN, STD)]
    transform = T.Compose([crop, jitter, *rest])
    train(SoloSimCLR(), loader(Pictures(lambda picture: [transform(picture), transform(picture)])), turns)


def stable_module() -> Any:
    """stable-pretraining's module with its SimCLR step."""
    import stable_pretraining as spt
    from stable_pretraining.forward import simclr

    return spt.Module(
        forward=simclr,
        backbone=backbone(),
        projector=nn.Sequential(nn.Linear(128, 128), nn.BatchNorm1d(128), nn.ReLU(), nn.Linear(128, 128)),
        simclr_loss=spt.losses.NTXEntLoss(temperature=0.5),
        optim={"optimizer": {"type": "SGD", "lr": 0.05, "momentum": 0.9, "weight_decay": 5e-4}},
    )


def stable_cpu(turns: Turns) -> None:
    """stable-pretraining with views made by workers."""
    import stable_pretraining as spt
    from stable_pretraining.data import transforms as S

    def view() -> object:
        return S.Compose(
            S.RandomResizedCrop((SIZE, SIZE), scale=(0.2, 1.0)),
            S.RandomHorizontalFlip(p=0.5),
            S.ColorJitter(brightness=0.4, contrast=0.4, saturation=0.4, hue=0.1, p=0.8),
            S.RandomGrayscale(p=0.2),
            S.ToImage(mean=MEAN, std=STD),
        )

    images = spt.data.FromTorchDataset(
        Pictures(), names=["image", "label"], transform=S.MultiViewTransform([view(), view()])
    )
    train(stable_module(), spt.data.DataModule(train=loader(images)), turns)


def stable_batched(turns: Turns) -> None:
    """stable-pretraining with its batched transforms, on the device."""
    import stable_pretraining as spt
    from stable_pretraining.data import gpu_transforms as G
    from stable_pretraining.data import transforms as S

    chain = G.GPUCompose(
        [
            G.GPURandomResizedCrop(SIZE, scale=(0.2, 1.0)),
            G.GPURandomHorizontalFlip(p=0.5),
            G.GPUColorJitter(brightness=0.4, contrast=0.4, saturation=0.4, hue=0.1, p=0.8),
            G.GPURandomGrayscale(p=0.2),
            G.GPUNormalize(mean=list(MEAN), std=list(STD)),
        ]
    )
    images = spt.data.FromTorchDataset(
        Pictures(), names=["image", "label"], transform=S.ToImage(), gpu_transform=G.StackedMultiView(chain)
    )
    train(stable_module(), spt.data.DataModule(train=loader(images)), turns)


def kornia_views(turns: Turns) -> None:
    """Kornia's augmentations of a batch that lies in memory."""
    import kornia.augmentation as K

    chain = nn.Sequential(
        K.RandomResizedCrop((SIZE, SIZE), scale=(0.2, 1.0)),
        K.RandomHorizontalFlip(),
        K.ColorJitter(0.4, 0.4, 0.4, 0.1, p=0.8),
        K.RandomGrayscale(p=0.2),
        K.Normalize(torch.tensor(MEAN), torch.tensor(STD)),
    )
    images = pixels()
    while True:
        for rows in torch.randperm(len(images)).split(BATCH):
            chain(images[rows].float().div_(255).repeat(2, 1, 1, 1))
            turns()


def lightly_step(channels_last: bool) -> Any:
    """Lightly's step and views, with 2 workers."""
    return lambda turns: train(LightlySimCLR(channels_last), lightly_loader(2), turns)


PEERS = {
    "lightly": lightly_step(False),
    "lightly, channels_last": lightly_step(True),
    "solo-learn": solo,
    "stable-pretraining, batched views": stable_batched,
    "stable-pretraining, views by workers": stable_cpu,
    "lightly views, 0 workers": lambda turns: iterate(lightly_loader(0), turns),
    "lightly views, 2 workers": lambda turns: iterate(lightly_loader(2), turns),
    "kornia views": kornia_views,
}
