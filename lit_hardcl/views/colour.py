"""Colour jitter, grey and blur of a whole batch, every image by its own parameters; planes are channel-first."""

import math

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

BRIGHTNESS, CONTRAST, SATURATION, HUE = range(4)


def jittered(
    planes: Float[Tensor, "channels images height width"],
    order: Int64[Tensor, "images 4"],
    factors: Float[Tensor, "images 4"],
) -> Float[Tensor, "channels images height width"]:
    """Apply the four operations of torchvision's ColorJitter in each image's own order.

    Brightness, contrast and saturation are one blend with different targets; hue is the costly one and each image
    meets it once. So all images take the blends before their hue, then the hue, then the remaining blends: the cost
    of six blends and one hue, without sorting images into groups, which would make the host wait for the device.

    Args:
        planes: values in 0 ... 1.
        order: the numbers of the operations in the order in which they are applied, a permutation of 0 ... 3.
        factors: brightness, contrast and saturation factors (1 changes nothing) and the hue's shift (0 likewise).
    """
    if len(planes) == 1:
        for place in range(4):
            planes = _blend(planes, order[:, place], factors, active=order[:, place] != HUE)
        return planes
    hue_place = (order == HUE).to(torch.uint8).argmax(dim=1)
    for place in range(3):
        planes = _blend(planes, order[:, place], factors, active=place < hue_place)
    planes = hue_shifted(planes, factors[:, HUE])
    for place in range(1, 4):
        planes = _blend(planes, order[:, place], factors, active=place > hue_place)
    return planes


def grey(planes: Float[Tensor, "channels images height width"]) -> Float[Tensor, "images height width"]:
    """Return the luminance (ITU-R 601 weights as in torchvision)."""
    if len(planes) == 1:
        return planes[0]
    return (0.2989 * planes[0]).add_(planes[1], alpha=0.587).add_(planes[2], alpha=0.114)


def hue_shifted(
    planes: Float[Tensor, "3 images height width"], shift: Float[Tensor, " images"]
) -> Float[Tensor, "3 images height width"]:
    """Turn each image's colours by its share of the colour circle."""
    red, green, blue = planes
    # Pairwise: reducing over three planes is ten times slower on a CPU. With masks as numbers all
    # of this takes 0.73 of its time with `where` and `remainder`, and gives the same bits.
    value = torch.maximum(torch.maximum(red, green), blue)
    lowest = torch.minimum(torch.minimum(red, green), blue)
    chroma = value - lowest
    is_red = red.clone().eq_(value)
    is_green = green.clone().eq_(value).mul_(1 - is_red)
    is_blue = 1 - is_red - is_green
    hue = (green - blue).mul_(is_red).addcmul_(blue - red, is_green).addcmul_(red - green, is_blue)
    hue.div_(chroma.clamp(min=1e-30))  # of grey, 0 / 1e-30
    # In sixths of the circle: red is far from cyan at 3, green near 2, blue near 4.
    hue.add_(is_green, alpha=2).add_(is_blue, alpha=4).add_(6 * shift[:, None, None])
    hue.sub_((hue / 6).floor_(), alpha=6)
    shares = ((hue - 3).abs_().sub_(1), 2 - (hue - 2).abs_(), 2 - (hue - 4).abs_())
    return torch.stack([torch.addcmul(lowest, chroma, share.clamp_(0, 1)) for share in shares])


def blurred(
    planes: Float[Tensor, "channels images size size"],
    sigma: Float[Tensor, " images"],
    chosen: Bool[Tensor, " images"],
) -> Float[Tensor, "channels images size size"]:
    """Blur the chosen images with a Gaussian of their own width, reflecting at the borders."""
    size = planes.shape[-1]
    kernel = blur_kernel_size(size)
    taps = torch.arange(kernel, device=planes.device) - kernel // 2
    weights = torch.softmax(-0.5 * (taps / sigma[:, None]) ** 2, dim=1)
    weights = torch.where(chosen[:, None], weights, (taps == 0).float())
    pixel = torch.arange(size, device=planes.device)
    sources = (pixel + taps[:, None]).abs()
    sources = torch.where(sources >= size, 2 * (size - 1) - sources, sources)
    spread = (sources[..., None] == pixel).float()
    matrices = (weights @ spread.flatten(1)).unflatten(1, (size, size))
    return matrices @ planes @ matrices.transpose(1, 2)


def blur_kernel_size(size: int) -> int:
    """Return the odd number near a tenth of the view's size, at least 3, as SimCLR takes it."""
    return max(3, math.floor(0.1 * size) | 1)


def _blend(planes: Tensor, operation: Tensor, factors: Tensor, active: Tensor) -> Tensor:
    """Mix each image with what its operation fades to: black, its mean luminance or its luminance."""
    luminance = grey(planes)
    mean = luminance.mean(dim=(1, 2), keepdim=True)
    # Exact, as the weights are 0 or 1.
    takes_luminance, takes_mean = (operation == kind for kind in (SATURATION, CONTRAST))
    target = torch.addcmul(mean * takes_mean[:, None, None], luminance, takes_luminance[:, None, None].to(luminance))
    factor = torch.where(active, factors.gather(1, operation[:, None])[:, 0], 1.0)
    return torch.lerp(target, planes, factor[:, None, None]).clamp_(0, 1)
