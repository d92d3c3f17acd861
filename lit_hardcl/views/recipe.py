"""The recipe of random views, as plain values that a YAML can hold."""

from dataclasses import dataclass

from lit_hardcl.errors import Refusal


@dataclass(frozen=True)
class Augmentation:
    """What a random view may do to an image; the defaults are SimCLR's recipe for CIFAR (arXiv:2002.05709, B.9).

    A view is cropped, resized, flipped, jittered in a random order, greyed and blurred, in that order and each
    image by its own draws. On images with one channel saturation, hue and grey change nothing.

    Attributes:
        crop_scale: range of the crop's share of the image's area, within (0, 1].
        crop_ratio: range of the crop's width over its height.
        flip: probability of a horizontal flip.
        jitter: probability of the four colour operations together.
        brightness: factor from ``max(0, 1 - b)`` to ``1 + b``, as in torchvision's ColorJitter.
        contrast: likewise.
        saturation: likewise.
        hue: shift from ``-hue`` to ``hue`` of the colour circle, at most 0.5.
        grey: probability of losing all colour.
        blur: probability of a Gaussian blur with a kernel of a tenth of the view's size.
        blur_sigma: range of the blur's standard deviation in pixels.

    Raises:
        ValueError: if a value is outside its range.
    """

    crop_scale: tuple[float, float] = (0.2, 1.0)
    crop_ratio: tuple[float, float] = (3 / 4, 4 / 3)
    flip: float = 0.5
    jitter: float = 0.8
    brightness: float = 0.4
    contrast: float = 0.4
    saturation: float = 0.4
    hue: float = 0.1
    grey: float = 0.2
    blur: float = 0.0
    blur_sigma: tuple[float, float] = (0.1, 2.0)

    def __post_init__(self) -> None:
        for name in ("flip", "jitter", "grey", "blur"):
            _check_range(name, getattr(self, name), 0.0, 1.0)
        for name in ("brightness", "contrast", "saturation"):
            _check_range(name, getattr(self, name), 0.0, 100.0)
        _check_range("hue", self.hue, 0.0, 0.5)
        for name, highest in (("crop_scale", 1.0), ("crop_ratio", 100.0), ("blur_sigma", 100.0)):
            low, high = getattr(self, name)
            if not 0 < low <= high <= highest:
                raise Refusal(f"{name} must be a range 0 < low <= high <= {highest}, got {[low, high]}")


def _check_range(name: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:
        raise Refusal(f"{name} must lie in {low} ... {high}, got {value}")
