"""Decoding of image files."""

from pathlib import Path

from jaxtyping import UInt8
from PIL import Image
from torch import Tensor
from torchvision.transforms.v2.functional import pil_to_tensor

from lit_hardcl.errors import Refusal


def decoded(file: str | Path) -> UInt8[Tensor, "3 height width"]:
    """Decode one image file to red, green and blue.

    Raises:
        ValueError: naming the file, if it is not there or not a whole image.
    """
    try:
        with Image.open(file) as image:
            return pil_to_tensor(image.convert("RGB"))
    except (OSError, SyntaxError, ValueError) as error:  # what PIL raises depends on where the file is broken
        raise Refusal(f"an image file cannot be read: {file} ({error}); replace or remove it") from error
