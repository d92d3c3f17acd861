"""Reading of data sets through torchvision, with words for what is missing."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torchvision.datasets import CIFAR10

from lit_hardcl.data.images import Images, in_memory
from lit_hardcl.errors import Refusal


def read(source: Callable[..., Any], root: Path, download: bool, advice: str, **split: object) -> Any:
    """Make a torchvision data set.

    Args:
        source: its class.
        root: folder of the data.
        download: whether missing data may be downloaded.
        advice: other way to get them, for the message.
        split: arguments that choose the split.

    Raises:
        Refusal: if the data are not all there, or something else is.
    """
    try:
        return source(root, download=download, **split)
    except Exception as error:  # whatever a foreign file makes torchvision raise
        raise Refusal(
            f"data_dir must hold {source.__name__}, but {root} does not hold all of it, whole ({error!r}); "
            f"let it be downloaded with --data.download=true, {advice}"
        ) from error


def read_cifar(source: type[CIFAR10], root: Path, train: bool, download: bool) -> Images:
    """Read CIFAR-10 or CIFAR-100 into memory."""
    advice = f"or unpack {source.filename} into {root}"
    data = read(source, root, download, advice, train=train)
    pixels = torch.from_numpy(np.ascontiguousarray(data.data.transpose(0, 3, 1, 2)))
    return in_memory(pixels, data.targets, tuple(data.classes))
