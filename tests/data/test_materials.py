"""Crops of textures: out of disjoint strips, of a fixed seed, and from the published archive only."""

import hashlib
import io
import pickle
import zipfile

import numpy as np
import pytest
import torch
from PIL import Image

from lit_hardcl import ContrastiveDataModule
from lit_hardcl.data import DATASETS
from lit_hardcl.data.sets import materials as module
from lit_hardcl.data.sets.materials import materials

NAMES = (
    "textures/tex_a/wall001.png",
    "textures/tex_a/bricks_red.png",
    "textures/tex_b/brick2.jpg",
    "textures/x/Wood.png",
)


@pytest.fixture
def archive(tmp_path, monkeypatch):
    """An archive of four textures whose red says the column, in a folder of data; the list names them."""
    lines = []
    with zipfile.ZipFile(tmp_path / "0textures.pk3", "w") as files:
        for number, name in enumerate(NAMES):
            pixels = np.zeros((256, 256, 3), dtype=np.uint8)
            pixels[..., 0], pixels[..., 1] = np.arange(256), 60 * number
            content = io.BytesIO()
            Image.fromarray(pixels).save(content, "png")
            files.writestr(name, content.getvalue())
            lines.append(f"{hashlib.sha256(content.getvalue()).hexdigest()} {name}")
    listed = tmp_path / "list.txt"
    listed.write_text("\n".join(lines) + "\n")
    monkeypatch.setattr(module, "LISTED", listed)
    return tmp_path / "0textures.pk3"


def test_strips_of_a_texture_are_disjoint(archive, monkeypatch):
    monkeypatch.setitem(DATASETS, "materials", materials(classes=4, crops=30, held_out=20))
    tested = ContrastiveDataModule("materials", str(archive.parent))
    tuned = ContrastiveDataModule("materials", str(archive.parent), split="validation")
    sets = tested.train_images, tuned.held_out_images, tested.held_out_images
    assert [len(images) for images in sets] == [120, 80, 80]
    columns = [images.pixels[:, 0].float() for images in sets]
    assert columns[0].max() <= 108 <= columns[1].min()
    assert columns[1].max() <= 179 <= columns[2].min()
    for images in sets:
        assert images.pixels.shape[1:] == (3, 32, 32)
        greens = images.pixels[:, 1].flatten(1)
        assert greens.eq(greens[:, :1]).all()  # a crop is of one texture, and a class is that texture
        assert len({(int(t), int(g)) for t, g in zip(images.targets, greens[:, 0], strict=True)}) == 4
    assert torch.equal(tuned.train_images.pixels, tested.train_images.pixels)


def test_crops_depend_neither_on_the_other_textures_nor_on_the_run(archive):
    few, many = (materials(classes=n, crops=5, held_out=3) for n in (2, 4))
    images = {entry.num_classes: entry.read(archive.parent, True, False) for entry in (few, many)}
    for name in few.class_names:
        crops = [
            images[entry.num_classes].pixels[images[entry.num_classes].targets == entry.class_names.index(name)]
            for entry in (few, many)
        ]
        assert torch.equal(*crops)
    assert not torch.equal(crops[0][0], crops[0][1])


def test_coarse_classes_are_materials(archive):
    entry = materials(classes=4)
    coarse = dict(zip(entry.class_names, entry.coarse_targets(archive.parent), strict=True))
    assert coarse == {"tex_a/bricks_red": 0, "tex_b/brick2": 0, "tex_a/wall001": 1, "x/Wood": 2}
    assert pickle.loads(pickle.dumps(entry)).class_names == entry.class_names


def test_what_was_cut_is_kept(archive):
    entry = materials(classes=4, crops=5, held_out=3)
    before = entry.read(archive.parent, True, False)
    archive.unlink()
    assert torch.equal(entry.read(archive.parent, True, False).pixels, before.pixels)


def test_crops_of_another_list_are_not_taken_for_these(archive):
    entry, lines = materials(classes=3, crops=5, held_out=3), module.LISTED.read_text().splitlines()
    for listed in (range(3), range(1, 4)):
        module.LISTED.write_text("\n".join(lines[number] for number in listed) + "\n")
        greens = entry.read(archive.parent, True, False).pixels[:, 1].unique()
        assert greens.tolist() == [60 * number for number in listed]


def test_whoever_shares_the_folder_can_read_what_was_cut(archive):
    materials(classes=4, crops=5, held_out=3).read(archive.parent, True, False)
    (kept,) = archive.parent.glob("*.safetensors")
    (archive.parent / "any").touch()
    assert kept.stat().st_mode == (archive.parent / "any").stat().st_mode


def test_another_archive_is_refused_by_name(archive, tmp_path):
    entry = materials(classes=4, crops=5, held_out=3)
    with pytest.raises(ValueError, match=r"there is no file .*nowhere/0textures.pk3: `apt-get download ufoai-"):
        entry.read(tmp_path / "nowhere", True, False)
    lines = module.LISTED.read_text().splitlines()
    module.LISTED.write_text("\n".join([f"{'0' * 64} {lines[0][65:]}", *lines[1:]]))
    with pytest.raises(ValueError, match=r"wall001.png in .*0textures.pk3 must have the SHA-256 0000.*, got"):
        entry.read(archive.parent, True, False)
    module.LISTED.write_text("\n".join([*lines[1:], f"{'0' * 64} textures/gone.png"]))
    with pytest.raises(ValueError, match="must hold textures/gone.png, as ufoai-textures 2.5-2 does"):
        entry.read(archive.parent, True, False)
    archive.write_bytes(b"no archive")
    with pytest.raises(ValueError, match="must be that of ufoai-textures 2.5-2, got a broken file"):
        entry.read(archive.parent, True, False)
    assert sorted(path.name for path in archive.parent.iterdir()) == ["0textures.pk3", "list.txt"]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"classes": 1}, "classes must be at least 2, got 1"),
        ({"classes": 419}, "classes must be at most 418, got 419"),
        ({"crops": 0}, "crops must be at least 1, got 0"),
        ({"image_size": 65}, "image_size must be at most 64, got 65"),
    ],
)
def test_a_number_out_of_its_range_is_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        materials(**settings)
