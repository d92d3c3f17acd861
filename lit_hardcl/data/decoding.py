"""Decoding of image files."""

import contextlib
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageOps
from torch import Tensor
from torchvision.transforms.v2.functional import pil_to_tensor

from lit_hardcl.errors import Refusal


def decoded(file: str | Path) -> UInt8[Tensor, "3 height width"]:
    """Decode one image file to red, green and blue, turned as its EXIF says.

    What is transparent lies on white; 16 bits become 8 by their share of the whole range.

    Raises:
        ValueError: naming the file, if it is not there, not a whole image, an animation or several pages, of numbers
            whose white is unknown, or larger than ``PIL.Image.MAX_IMAGE_PIXELS``.
    """
    try:
        with Image.open(file) as image:
            _check_kind(image)
            image.load()
            return pil_to_tensor(_in_colour(image))
    except Exception as error:  # what PIL raises depends on where the file is broken
        raise Refusal(f"an image file cannot be read: {file} ({error}); replace or remove it") from error


def _check_kind(image: Image.Image) -> None:
    if Image.MAX_IMAGE_PIXELS is not None and image.width * image.height > Image.MAX_IMAGE_PIXELS:
        raise Refusal(f"its {image.width * image.height} pixels are more than {Image.MAX_IMAGE_PIXELS}")
    if getattr(image, "is_animated", False) and image.format != "MPO":  # a photograph, and what a telephone adds to it
        raise Refusal("it has several frames or pages")
    if image.mode == "F" or (image.mode == "I" and image.format not in ("PNG", "PPM")):
        raise Refusal(f"its numbers, of Pillow's mode {image.mode}, do not say what is white")


def _in_colour(image: Image.Image) -> Image.Image:
    with contextlib.suppress(Exception):  # EXIF that is cut off, as photographs of the web have, turns nothing
        ImageOps.exif_transpose(image, in_place=True)
    if image.mode.startswith("I"):
        image = Image.fromarray(np.rint(np.asarray(image) / 257).astype(np.uint8))
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image.convert("RGB")
