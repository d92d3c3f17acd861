"""Random resized crops of a whole batch: boxes from draws, then two matrix products that crop, resize and flip."""

import math

import torch
from jaxtyping import Bool, Float, Int64, UInt8
from torch import Tensor

from lit_hardcl.views.draws import AREA, ASPECT, LEFT, TOP


def crop_boxes(
    draws: Float[Tensor, "*views numbers"],
    height: int,
    width: int,
    scale: tuple[float, float],
    ratio: tuple[float, float],
) -> Int64[Tensor, "*views 4"]:
    """Choose the boxes (top, left, height, width) that torchvision's RandomResizedCrop would choose among.

    Of ten boxes of random area and shape the first that fits into the image is taken; if none fits, the largest
    central box of an allowed shape.
    """
    area = height * width * _between(draws[..., AREA], *scale)
    aspect = _between(draws[..., ASPECT], math.log(ratio[0]), math.log(ratio[1])).exp()
    widths = (area * aspect).sqrt().round()
    heights = (area / aspect).sqrt().round()
    fits = (widths > 0) & (widths <= width) & (heights > 0) & (heights <= height)
    first = fits.to(torch.uint8).argmax(dim=-1, keepdim=True)
    some = fits.any(dim=-1)
    central_height, central_width = _central(height, width, ratio)
    box_height = torch.where(some, heights.gather(-1, first).squeeze(-1), central_height)
    box_width = torch.where(some, widths.gather(-1, first).squeeze(-1), central_width)
    top = torch.where(some, _whole(draws[..., TOP], height - box_height), (height - central_height) // 2)
    left = torch.where(some, _whole(draws[..., LEFT], width - box_width), (width - central_width) // 2)
    return torch.stack((top, left, box_height, box_width), dim=-1).long()


def resized_crops(
    images: UInt8[Tensor, "batch channels height width"],
    boxes: Int64[Tensor, "views batch 4"],
    flip: Bool[Tensor, "views batch"],
    size: int,
) -> Float[Tensor, "channels views batch {size} {size}"]:
    """Cut the boxes out of the images, resize them with antialiasing and flip those chosen; values in 0 ... 1.

    Cropping, resizing and flipping are linear in the rows and in the columns of an image, so that all three are one
    matrix on either side of it. Channels come first because the colour operations that follow read them as planes.
    """
    batch, channels, height, width = images.shape
    views = len(boxes)
    top, left, box_height, box_width = boxes.transpose(0, 1).unbind(-1)
    rows = interpolation(top, box_height, height, size, torch.zeros_like(top, dtype=torch.bool))
    columns = interpolation(left, box_width, width, size, flip.transpose(0, 1))
    planes = images.permute(0, 2, 1, 3).float().div_(255).reshape(batch, height, channels * width)
    shrunk = rows.reshape(batch, views * size, height) @ planes
    shrunk = shrunk.reshape(batch * views, size * channels, width)
    resized = shrunk @ columns.reshape(batch * views, size, width).transpose(1, 2)
    return resized.reshape(batch, views, size, channels, size).permute(3, 1, 0, 2, 4).contiguous()


def interpolation(
    start: Int64[Tensor, "*images"],
    length: Int64[Tensor, "*images"],
    pixels: int,
    size: int,
    backwards: Bool[Tensor, "*images"],
) -> Float[Tensor, "*images {size} {pixels}"]:
    """Return matrices that resample ``length`` of ``pixels`` values, from ``start`` on, to ``size`` values.

    The weights are a triangle, as wide as two pixels of whichever grid is the coarser, cut off at the box and scaled
    to sum 1: bilinear interpolation with antialiasing as in PIL and torchvision.
    """
    step = (length / size)[..., None]
    places = torch.arange(size, device=start.device) + 0.5
    places = torch.where(backwards[..., None], size - places, places)
    centres = start[..., None] + places * step
    pixel = torch.arange(pixels, device=start.device)
    distance = (pixel + 0.5 - centres[..., None]).abs_().div_(step.clamp(min=1.0)[..., None])
    inside = (pixel >= start[..., None]) & (pixel < (start + length)[..., None])
    weights = (1.0 - distance).clamp_(min=0.0).mul_(inside[..., None, :].to(distance))
    return weights.div_(weights.sum(dim=-1, keepdim=True))


def _between(uniform: Tensor, low: float, high: float) -> Tensor:
    return low + (high - low) * uniform


def _whole(uniform: Tensor, highest: Tensor) -> Tensor:
    """Turn [0, 1) into 0 ... highest; the product alone may round up to highest + 1."""
    return torch.minimum((uniform * (highest + 1)).floor(), highest)


def _central(height: int, width: int, ratio: tuple[float, float]) -> tuple[int, int]:
    if width / height < ratio[0]:
        return round(width / ratio[0]), width
    if width / height > ratio[1]:
        return height, round(height * ratio[1])
    return height, width
