"""Backbones: torchvision's ResNets for small and large images, and the feature width of any module."""

import contextlib
import copy
from collections.abc import Iterator
from typing import Literal

import torch
from torch import Tensor, nn
from torchvision.models import resnet

from lit_hardcl.errors import Refusal, check_choice, check_whole

_STAGES: dict[int, tuple[type[nn.Module], list[int]]] = {
    10: (resnet.BasicBlock, [1, 1, 1, 1]),
    18: (resnet.BasicBlock, [2, 2, 2, 2]),
    34: (resnet.BasicBlock, [3, 4, 6, 3]),
    50: (resnet.Bottleneck, [3, 4, 6, 3]),
}


class ResNet(resnet.ResNet):
    """torchvision's ResNet without its classifier: images in, features of ``num_features`` numbers out.

    Args:
        depth: 18, 34 or 50 as published; 10 has one block a stage and, with ``width=16``, suits a CPU.
        width: channels of the first stage, 64 as published; the others have 2, 4 and 8 times as many.
        stem: ``"imagenet"`` is the published 7x7 convolution of stride 2 and max-pool; ``"small"`` a 3x3 convolution
            and no pool, for images of 32 to 64 pixels (arXiv:2002.05709, App. B.9).
        in_channels: 1 for grey images, 3 for colour; images of others are refused.

    Raises:
        ValueError: if ``depth`` or ``stem`` is not among these, or a number is not positive.
    """

    def __init__(
        self, depth: int = 18, width: int = 64, stem: Literal["small", "imagenet"] = "small", in_channels: int = 3
    ) -> None:
        if depth not in _STAGES:
            raise Refusal(f"depth must be one of {sorted(_STAGES)}, got {depth}")
        check_choice("stem", stem, "small", "imagenet")
        check_whole(1, width=width, in_channels=in_channels)
        block, blocks = _STAGES[depth]
        with torch.device("meta"):  # for torchvision's structure only: every layer with weights is made anew below
            super().__init__(block, blocks)
        small = stem == "small"
        self.conv1 = nn.Conv2d(in_channels, width, 3 if small else 7, 1 if small else 2, 1 if small else 3, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        if small:
            self.maxpool = nn.Identity()
        self.inplanes = width
        self.layer1 = self._make_layer(block, width, blocks[0])
        self.layer2 = self._make_layer(block, 2 * width, blocks[1], stride=2)
        self.layer3 = self._make_layer(block, 4 * width, blocks[2], stride=2)
        self.layer4 = self._make_layer(block, 8 * width, blocks[3], stride=2)
        self.num_features: int = self.inplanes
        self.fc = nn.Identity()
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")


@contextlib.contextmanager
def untracked(*networks: nn.Module) -> Iterator[None]:
    """Put every buffer, such as BatchNorm's statistics, back to what it was: a pass that leaves no trace."""
    buffers = [buffer for network in networks for buffer in network.buffers()]
    before = [buffer.clone() for buffer in buffers]
    try:
        yield
    finally:
        with torch.no_grad():
            for buffer, value in zip(buffers, before, strict=True):
                buffer.copy_(value)


def passed(backbone: nn.Module, images: Tensor) -> Tensor:
    """What ``backbone`` gives for images.

    Raises:
        Refusal: if its first convolution takes images of other channels, or its first linear layer other widths.
    """
    first = None
    if not torch.compiler.is_compiling() and getattr(backbone, "_compiled_call_impl", None) is None:
        first = next((layer for layer in backbone.modules() if isinstance(layer, (nn.Conv2d, nn.Linear))), None)
    if first is None:
        return backbone(images)
    hook = first.register_forward_pre_hook(_check_input)
    try:
        return backbone(images)
    finally:
        hook.remove()


def _check_input(layer: nn.Module, inputs: tuple[Tensor, ...]) -> None:
    shape = tuple(inputs[0].shape) if inputs else ()
    if isinstance(layer, nn.Conv2d) and len(shape) == 4 and shape[1] != layer.in_channels:
        raise Refusal(
            f"in_channels of the backbone must be that of the images, {shape[1]}, got {layer.in_channels}: set "
            f"--model.backbone.in_channels {shape[1]}, or what it is called there"
        )
    if isinstance(layer, nn.Linear) and len(shape) == 2 and shape[1] != layer.in_features:
        raise Refusal(
            f"in_features of the backbone's first layer must be the numbers of an image, {shape[1]}, got "
            f"{layer.in_features}: images have other channels or another image_size"
        )


_IMAGE_SHAPES = [(3, 32, 32), (1, 32, 32), (1, 28, 28), (3, 224, 224), (1, 224, 224), (3, 64, 64), (3, 96, 96)]


@torch.no_grad()
def feature_width(backbone: nn.Module, head: nn.Module | None = None) -> int:
    """How many numbers ``backbone`` gives for an image, flattened.

    Its attribute ``num_features`` says so, as in timm, or the first linear layer of the head that takes them; otherwise
    black images of the usual shapes (32, 28, 64, 96 and
    224 pixels, colour and grey) are tried. The backbone is left as it was.

    Raises:
        ValueError: if none of the shapes passes through the backbone.

    Example:
        >>> feature_width(nn.Sequential(nn.Flatten(), nn.Linear(28 * 28, 50)))
        50
    """
    if isinstance(getattr(backbone, "num_features", None), int):
        return int(backbone.num_features)  # type: ignore[arg-type]
    for layer in () if head is None else head.modules():
        if isinstance(layer, nn.Linear) and layer.in_features:
            return layer.in_features
    first = next(backbone.parameters(), torch.empty(0))
    for shape in _IMAGE_SHAPES:
        trial = copy.deepcopy(backbone).eval()
        with contextlib.suppress(Exception):  # whatever the user's own module raises at a shape it does not take
            return trial(torch.zeros(2, *shape, dtype=first.dtype, device=first.device)).flatten(1).shape[1]
    raise Refusal(
        f"the backbone {type(backbone).__name__} takes no image of the shapes {_IMAGE_SHAPES}: give it an attribute "
        "`num_features`, the number of features it returns for an image, or pass a projection_head that begins with a "
        "linear layer"
    )
