"""Random views and clean views of a whole batch of images, on the device where the images lie."""

from collections.abc import Callable, Sequence
from functools import cache

import torch
from jaxtyping import Float, UInt8
from torch import Tensor
from torch.nn.functional import interpolate

from lit_hardcl.views import draws as column
from lit_hardcl.views.colour import blurred, grey, jittered
from lit_hardcl.views.crops import crop_boxes, resized_crops
from lit_hardcl.views.recipe import Augmentation


@torch.no_grad()
def random_views(
    images: UInt8[Tensor, "batch channels height width"],
    draws: Float[Tensor, "views batch numbers"],
    augmentation: Augmentation,
    size: int,
    mean: Sequence[float],
    std: Sequence[float],
) -> list[Float[Tensor, "batch channels {size} {size}"]]:
    """Make one random view of every image for each row of draws; equal draws give equal views.

    Args:
        images: whole images.
        draws: uniform numbers from `draw`.
        augmentation: the recipe.
        size: height and width of a view in pixels.
        mean: number per channel, of images in 0 ... 1; subtracted last.
        std: number per channel; divided by last.

    Example:
        >>> images = torch.randint(0, 256, (8, 3, 32, 32), dtype=torch.uint8)
        >>> numbers = column.draw(2, 8, torch.Generator().manual_seed(0))
        >>> first, second = random_views(images, numbers, Augmentation(), 32, (0.5,) * 3, (0.25,) * 3)
        >>> first.shape
        torch.Size([8, 3, 32, 32])
    """
    numbers = draws.to(images.device, non_blocking=True)
    flip = numbers[..., column.FLIP] < augmentation.flip
    # Lower precision would be seen in the crops' weights, and nothing here is worth saving it for.
    with torch.autocast(images.device.type, enabled=False):
        height, width = images.shape[2:]
        boxes = crop_boxes(numbers, height, width, augmentation.crop_scale, augmentation.crop_ratio)
        return _finished(resized_crops(images, boxes, flip, size), numbers, augmentation, mean, std)


@torch.no_grad()
def cropped_views(
    crops: UInt8[Tensor, "views batch channels size size"],
    draws: Float[Tensor, "views batch numbers"],
    augmentation: Augmentation,
    mean: Sequence[float],
    std: Sequence[float],
) -> list[Float[Tensor, "batch channels size size"]]:
    """As :func:`random_views`, of views that are cropped already."""
    numbers = draws.to(crops.device, non_blocking=True)
    flip = numbers[..., column.FLIP] < augmentation.flip
    with torch.autocast(crops.device.type, enabled=False):
        planes = crops.permute(2, 0, 1, 3, 4).float().div_(255)
        planes = torch.where(flip[..., None, None], planes.flip(-1), planes)
        return _finished(planes, numbers, augmentation, mean, std)


@cache
def compiled(make: Callable[..., list[Tensor]]) -> Callable[..., list[Tensor]]:
    """A maker of views by ``torch.compile``, whose pixels differ by rounding."""
    return torch.compile(make)


@torch.no_grad()
def clean_view(
    images: UInt8[Tensor, "batch channels height width"], size: int, mean: Sequence[float], std: Sequence[float]
) -> Float[Tensor, "batch channels {size} {size}"]:
    """Return the images as normalised floats without any randomness, resized if they are not of the size."""
    pixels = images.float().div_(255)
    if images.shape[2:] != (size, size):
        pixels = interpolate(pixels, (size, size), mode="bilinear", antialias=True)
    return _normalised(pixels.transpose(0, 1), mean, std)


def jitter_factors(numbers: Float[Tensor, "images numbers"], augmentation: Augmentation) -> Float[Tensor, "images 4"]:
    """Return each image's brightness, contrast, saturation and hue, neutral where it is not jittered."""
    strengths = (augmentation.brightness, augmentation.contrast, augmentation.saturation)
    ranges = [(max(0.0, 1 - strength), 1 + strength, 1.0) for strength in strengths]
    ranges.append((-augmentation.hue, augmentation.hue, 0.0))
    chosen = numbers[:, column.JITTER] < augmentation.jitter
    factors = [
        torch.where(chosen, low + (high - low) * uniform, neutral)
        for uniform, (low, high, neutral) in zip(numbers[:, column.FACTORS].unbind(1), ranges, strict=True)
    ]
    return torch.stack(factors, dim=1)


def _finished(
    planes: Float[Tensor, "channels views batch size size"],
    numbers: Float[Tensor, "views batch numbers"],
    recipe: Augmentation,
    mean: Sequence[float],
    std: Sequence[float],
) -> list[Float[Tensor, "batch channels size size"]]:
    planes = _coloured(planes.flatten(1, 2), numbers.flatten(0, 1), recipe)
    return list(_normalised(planes, mean, std).unflatten(0, numbers.shape[:2]).unbind())


def _coloured(planes: Tensor, numbers: Tensor, recipe: Augmentation) -> Tensor:
    if recipe.jitter > 0:
        planes = jittered(planes, numbers[:, column.ORDER].argsort(dim=1), jitter_factors(numbers, recipe))
    if recipe.grey > 0 and len(planes) > 1:
        chosen = (numbers[:, column.GREY] < recipe.grey).to(planes)
        planes = torch.lerp(planes, grey(planes), chosen[:, None, None])  # exact at 0 and 1
    if recipe.blur > 0:
        low, high = recipe.blur_sigma
        sigma = low + (high - low) * numbers[:, column.SIGMA]
        planes = blurred(planes, sigma, numbers[:, column.BLUR] < recipe.blur)
    return planes


def _normalised(
    planes: Float[Tensor, "channels images height width"], mean: Sequence[float], std: Sequence[float]
) -> Float[Tensor, "images channels height width"]:
    # Plane by plane: constants as tensors would have to be sent to the device, and the host would wait for it.
    images = planes.transpose(0, 1).contiguous()
    for plane, m, s in zip(images.unbind(1), mean, std, strict=True):
        plane.sub_(m).div_(s)
    return images
