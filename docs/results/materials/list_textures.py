"""Choose the textures that `materials` is made of, and list them: how lit_hardcl/data/sets/materials.txt came about.

``python list_textures.py 0textures.pk3`` writes a line for each opaque colour texture of a known material in the file
of Debian's package ufoai-textures 2.5-2: at least 256 pixels, at most four times as long as wide, not flat, and unlike
every one before it. Normal, specular, glow and height maps are no colours. A line is a file's SHA-256 and name.
"""

import hashlib
import io
import re
import sys
import zipfile
from pathlib import Path

import numpy as np
from PIL import Image

LIST = Path(__file__).parents[3] / "lit_hardcl" / "data" / "sets" / "materials.txt"
MATERIALS = (
    *("brick", "bricks", "carpet", "ceiling", "concrete", "dirt", "door", "fence", "floor", "glass", "grass"),
    *("gravel", "metal", "plaster", "rock", "roof", "sand", "stone", "street", "tile", "tiles", "wall", "wallpaper"),
    *("window", "wood"),
)
NO_COLOURS = ("_nm", "_sm", "_gm", "_sp", "_norm", "_spec", "_glow", "_height", "_bump", "_rm", "_hm", "_local", "_g")
FLATTEST, NEAREST = 14, 4  # of pixel values: a texture's spread, and the mean difference of two at 16 by 16 pixels


def material(name: str) -> str:
    """What a file's name begins with, if that is a material; in the singular."""
    prefix = re.match("[a-z]*", name.rsplit("/", 1)[-1].lower())
    found = prefix.group() if prefix else ""
    return found.removesuffix("s") if found.removesuffix("s") in ("brick", "tile") else found


def main(archive: Path) -> None:
    """Write the list."""
    lines, seen = [], []
    with zipfile.ZipFile(archive) as files:
        for name in sorted(files.namelist()):
            stem, _, ending = name.lower().rpartition(".")
            if ending not in ("jpg", "png", "tga") or stem.endswith(NO_COLOURS) or material(name) not in MATERIALS:
                continue
            content = files.read(name)
            try:
                image = Image.open(io.BytesIO(content))
                if image.mode in ("P", "L") or (image.mode == "RGBA" and np.asarray(image)[..., 3].min() == 255):
                    image = image.convert("RGB")
                pixels = np.asarray(image).astype(float)
            except OSError:
                continue
            if image.mode != "RGB" or min(image.size) < 256 or max(image.size) > 4 * min(image.size):
                continue
            small = np.asarray(image.resize((16, 16))).astype(float).ravel()
            if pixels.std(axis=(0, 1)).mean() < FLATTEST or any(
                np.abs(small - other).mean() < NEAREST for other in seen
            ):
                continue
            seen.append(small)
            lines.append(f"{hashlib.sha256(content).hexdigest()} {name}")
    LIST.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
