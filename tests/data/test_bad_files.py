"""Image files, folders and labels of every kind that lies about: read as a careful user expects, or refused by name."""

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.transforms.v2.functional import pil_to_tensor

from lit_hardcl.data import DATASETS, ContrastiveDataModule, DataSet, Files, Images, mix_classes
from lit_hardcl.data.decoding import decoded

pytestmark = pytest.mark.refusal

RAMP = np.linspace(0, 65535, 2**16).round().astype(np.uint16).reshape(256, 256)


@pytest.fixture
def frames(random):
    return [Image.fromarray(random.integers(0, 256, (40, 50, 3), dtype=np.uint8)) for _ in range(3)]


@pytest.mark.parametrize("kind", ["png", "tif", "pgm"])
def test_16_bits_become_8_by_their_share_of_the_range(kind, tmp_path):
    Image.fromarray(RAMP).save(tmp_path / f"ramp.{kind}")
    image = decoded(tmp_path / f"ramp.{kind}").float()
    assert image.mean().item() == pytest.approx(127.5, abs=0.01)
    assert (image - torch.from_numpy(RAMP.astype(np.float32)) / 257).abs().max() <= 0.5 + 1e-4


@pytest.mark.parametrize("mode", ["L", "P", "CMYK", "1", "YCbCr", "RGB"])
@pytest.mark.parametrize("kind", ["png", "tif", "jpg"])
def test_ordinary_images_are_read_as_pillow_reads_them(mode, kind, frames, tmp_path):
    if (mode, kind) in (("CMYK", "png"), ("YCbCr", "png"), ("P", "jpg")):
        return  # there is no such file
    frames[0].convert(mode).save(tmp_path / f"image.{kind}")
    with Image.open(tmp_path / f"image.{kind}") as image:
        assert torch.equal(decoded(tmp_path / f"image.{kind}"), pil_to_tensor(image.convert("RGB")))


@pytest.mark.parametrize("kind", ["jpg", "png", "tif", "webp"])
def test_a_photograph_is_turned_as_its_exif_says(kind, tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # its top is at the right
    lying = np.zeros((40, 60, 3), dtype=np.uint8)
    lying[:, :30] = 255
    Image.fromarray(lying).save(tmp_path / f"photo.{kind}", exif=exif)
    image = decoded(tmp_path / f"photo.{kind}")
    assert image.shape == (3, 60, 40)
    assert image[:, :25].min() > 200
    assert image[:, 35:].max() < 50


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")
def test_exif_that_cannot_be_read_turns_nothing(frames, tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    for broken in (exif.tobytes()[:20], b"Exif\0\0nonsense"):
        frames[0].save(tmp_path / "photo.jpg", exif=broken)
        assert decoded(tmp_path / "photo.jpg").shape == (3, 40, 50)


def test_what_is_transparent_lies_on_white(random, tmp_path):
    pixels = random.integers(0, 256, (20, 30, 4), dtype=np.uint8)
    pixels[..., 3] = 255
    pixels[:10, :, 3] = 0
    Image.fromarray(pixels).save(tmp_path / "a.png")
    image = decoded(tmp_path / "a.png")
    assert (image[:, :10] == 255).all()
    assert torch.equal(image[:, 10:], torch.from_numpy(pixels[10:, :, :3].copy()).permute(2, 0, 1))
    Image.fromarray(pixels).convert("LA").save(tmp_path / "b.png")
    palette = Image.fromarray((pixels[..., 3] // 255).astype(np.uint8)).convert("P")
    palette.save(tmp_path / "c.png", transparency=0)
    for name in ("b.png", "c.png"):
        assert (decoded(tmp_path / name)[:, :10] == 255).all()


@pytest.mark.parametrize("kind", ["gif", "png", "tif", "webp"])
def test_an_image_of_several_frames_is_refused_and_of_one_is_not(kind, frames, tmp_path):
    frames[0].save(tmp_path / f"one.{kind}", save_all=True)
    assert decoded(tmp_path / f"one.{kind}").shape == (3, 40, 50)
    frames[0].save(tmp_path / f"more.{kind}", save_all=True, append_images=frames[1:])
    with pytest.raises(ValueError, match=rf"cannot be read: .*more\.{kind} \(it has several frames or pages\)"):
        decoded(tmp_path / f"more.{kind}")


def test_of_a_telephones_photograph_the_first_picture_is_the_photograph(frames, tmp_path):
    frames[0].save(tmp_path / "photo.jpg", format="MPO", save_all=True, append_images=frames[1:])
    frames[0].save(tmp_path / "alone.jpg")
    assert torch.equal(decoded(tmp_path / "photo.jpg"), decoded(tmp_path / "alone.jpg"))


@pytest.mark.parametrize("numbers", [np.int32, np.float32])
def test_numbers_whose_white_is_unknown_are_refused(numbers, tmp_path):
    Image.fromarray(RAMP.astype(numbers)).save(tmp_path / "a.tif")
    with pytest.raises(ValueError, match=r"cannot be read: .*a\.tif .*do not say what is white"):
        decoded(tmp_path / "a.tif")


@pytest.mark.filterwarnings("ignore:Image size")
@pytest.mark.parametrize("side", [15, 20], ids=["Pillow's warning", "Pillow's error"])
def test_an_image_larger_than_pillows_limit_is_refused(side, tmp_path, monkeypatch):
    Image.new("RGB", (side, 10)).save(tmp_path / "large.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 99 if side == 20 else 140)
    with pytest.raises(ValueError, match=r"cannot be read: .*large\.png \(.* (more than 140|exceeds limit)"):
        decoded(tmp_path / "large.png")


def test_hidden_folders_and_files_are_neither_classes_nor_images(image_folder):
    before = DATASETS["image_folder"].load(image_folder, True, False)
    for hidden in (".ipynb_checkpoints/a.png", "cat/.ipynb_checkpoints/0-checkpoint.png", "cat/._0.png"):
        file = image_folder / "train" / hidden
        file.parent.mkdir(exist_ok=True)
        file.write_bytes((image_folder / "train/cat/0.png").read_bytes())
    after = DATASETS["image_folder"].load(image_folder, True, False)
    assert after.class_names == before.class_names
    assert after.files.tolist() == before.files.tolist()


def test_files_in_folders_below_a_class_are_listed_in_torchvisions_order(image_folder):
    torchvision = pytest.importorskip("torchvision.datasets.folder")
    for name in ("b/2.png", "a/1.png", "a/c/0.PNG", "z.jpeg", "a b/1.png"):
        file = image_folder / "train/cat" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    found = torchvision.make_dataset(image_folder / "train", {"cat": 0, "dog": 1, "emu": 2}, torchvision.IMG_EXTENSIONS)
    images = DATASETS["image_folder"].load(image_folder, True, False)
    assert list(zip(images.files.tolist(), images.targets.tolist(), strict=True)) == found


@pytest.mark.parametrize(
    ("made", "train", "words"),
    [
        ("train/yak/", False, r"must be the training classes, but .*val lacks \['yak'\]"),
        ("val/yak/", True, None),
        ("train/yak/", True, r"every class needs an image, got none of \['yak'\] in .*train"),
        ("train/cat/loop", True, "must not link to a folder above it, but .*loop does"),
        ("train/cat/deep/loop", True, "must not link to a folder above it, but .*loop does"),
    ],
)
def test_folders_that_make_no_data_set_are_named(made, train, words, image_folder):
    place = image_folder / made
    if made.endswith("/"):
        place.mkdir()
    else:
        place.parent.mkdir(exist_ok=True)
        place.symlink_to(image_folder / "train", target_is_directory=True)
    if words is None:
        assert len(DATASETS["image_folder"].load(image_folder, train, False)) == 18
    else:
        with pytest.raises(ValueError, match=words):
            DATASETS["image_folder"].load(image_folder, train, False)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (
            b"val_0.JPEG n01443537\n",
            r"must give each file a training class after a tab, got \['val_0.JPEG n01443537'\]",
        ),
        (b"val_0.JPEG\tn99\n", "must give each file a training class after a tab"),
        (b"\xff\xfe", "cannot be read: .*val_annotations.txt"),
    ],
)
def test_annotations_that_are_none_are_named(content, words, tmp_path, tiny_imagenet):
    (tiny_imagenet / "val/val_annotations.txt").write_bytes(content)
    with pytest.raises(ValueError, match=words):
        DATASETS["tiny_imagenet"].load(tmp_path, False, False)


def test_a_hidden_folder_or_a_stray_file_is_no_class_of_tiny_imagenet(tmp_path, tiny_imagenet):
    (tiny_imagenet / "train/.cache").mkdir()
    (tiny_imagenet / "train/.DS_Store").touch()
    assert DATASETS["tiny_imagenet"].load(tmp_path, True, False).targets.tolist() == [0, 0, 0, 1, 1, 1]


IDX = "FashionMNIST/raw/train-{}"


@pytest.mark.parametrize("kind", ["images-idx3-ubyte", "labels-idx1-ubyte"])
@pytest.mark.parametrize("change", ["empty", "cut off", "text", "other kind"])
def test_idx_files_that_are_none_are_named(kind, change, tmp_path, fashion_mnist):
    file = tmp_path / IDX.format(kind)
    other = tmp_path / IDX.format("labels-idx1-ubyte" if "images" in kind else "images-idx3-ubyte")
    whole = file.read_bytes()
    file.write_bytes(
        {"empty": b"", "cut off": whole[:-3], "text": b"no data", "other kind": other.read_bytes()}[change]
    )
    with pytest.raises(ValueError, match="data_dir must hold FashionMNIST, but .* does not hold all of it, whole"):
        DATASETS["fashion_mnist"].load(tmp_path, True, False)


def test_an_idx_label_beyond_the_classes_is_refused(tmp_path, fashion_mnist):
    file = tmp_path / IDX.format("labels-idx1-ubyte")
    file.write_bytes(file.read_bytes()[:-1] + b"\x0a")
    with pytest.raises(ValueError, match="targets must be below the number of classes, 10, got 10"):
        DATASETS["fashion_mnist"].load(tmp_path, True, False)


@pytest.mark.usefixtures("unchecked_shapes")
@pytest.mark.parametrize(
    ("targets", "words"),
    [
        (torch.eye(3), r"one for each image, got torch.float32 of shape \(3, 3\); .*argmax"),
        (torch.eye(3).long(), r"one for each image, got torch.int64 of shape \(3, 3\)"),
        (torch.tensor([0.0, 1.0, 1.0]), r"got torch.float32 of shape \(3,\)"),
        (torch.tensor([True, False, True]), "got torch.bool"),
        (torch.tensor([0, 1, 2]), "below the number of classes, 2, got 2"),
        (torch.tensor([0, 1, -2]), "or -1 for no label, got -2"),
    ],
)
def test_targets_that_are_no_class_numbers_are_refused(targets, words):
    with pytest.raises(ValueError, match=words):
        Images(targets, ("a", "b"), torch.arange(3), pixels=torch.zeros(3, 1, 8, 8, dtype=torch.uint8))


@pytest.mark.usefixtures("unchecked_shapes")
@pytest.mark.parametrize("pixels", [torch.zeros(3, 1, 8, 8), torch.zeros(3, 8, 8, dtype=torch.uint8)])
def test_pixels_that_are_no_bytes_of_images_are_refused(pixels):
    with pytest.raises(ValueError, match=r"pixels must be bytes of shape \(images, channels, height, width\), got"):
        Images(torch.zeros(3).long(), ("a",), torch.arange(3), pixels=pixels)


def gives_a_word(root, train, download):
    return "images"


def test_an_entry_that_needs_arguments_or_gives_something_else_is_refused(monkeypatch, tmp_path):
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "mine_of_bad_files.py").write_text("def entry(folder, more=1):\n    return 3\n")
    with pytest.raises(ValueError, match="got 'mine_of_bad_files.entry', which needs folder"):
        ContrastiveDataModule("mine_of_bad_files.entry")
    digits = DATASETS["digits"]
    with pytest.raises(ValueError, match="must give Images, got a str"):
        DataSet(gives_a_word, 1, 32, (0.5,), (0.5,), digits.augmentation).read(tmp_path, True, False)
    with pytest.raises(ValueError, match="the data set has 3 channels, but its images have 1"):
        DataSet(digits.load, 3, 32, (0.5,) * 3, (0.5,) * 3, digits.augmentation).read(tmp_path, True, False)


def test_only_images_in_one_tensor_are_mixed_whatever_a_source_calls_its_own():
    class Foreign(Files):
        pixels = torch.zeros(4, 1, 8, 8, dtype=torch.uint8)

    images = Images(torch.tensor([0, 1, 0, 1]), ("a", "b"), torch.arange(4), source=Foreign(np.array(["a"] * 4)))
    with pytest.raises(ValueError, match="needs images in memory, got 0.5 with images in files"):
        mix_classes(images, 0.5, seed=0)


@pytest.mark.parametrize("seed", [-1, 2**32])
@pytest.mark.parametrize("option", [{"mix_fraction": 0.1}, {"imbalance": 2.0}, {"train_size": 100}, {}])
def test_a_seed_that_some_generator_would_not_take_is_refused(seed, option):
    with pytest.raises(ValueError, match=f"seed must be .* got {seed}"):
        ContrastiveDataModule("digits", seed=seed, **option)
