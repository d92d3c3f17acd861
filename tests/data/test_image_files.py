"""Images in files: decoded and cropped in workers, with views as those of images in memory."""

import pytest
import torch
from PIL import Image
from torchvision.transforms.v2 import functional as F

from lit_hardcl.data import Augmentation, ContrastiveDataModule
from lit_hardcl.data.raw_batch import CroppedBatch
from lit_hardcl.views.crops import crop_boxes

RECIPE = Augmentation(crop_scale=(0.2, 1.0), blur=0.5)


def pixels_of(file):
    return F.pil_to_tensor(Image.open(file))


def data_module(root, **settings):
    settings = {"batch_size": 4, "image_size": 24, "num_workers": 0, "pin_memory": False, **settings}
    return ContrastiveDataModule("image_folder", data_dir=str(root), augmentation=RECIPE, **settings)


@pytest.mark.parametrize("workers", [0, 2])
def test_workers_cut_one_crop_for_every_view(image_folder, workers):
    data = data_module(image_folder, num_workers=workers, num_views=3)
    files = data.train_images.files

    batches = list(data.train_dataloader())

    assert len(batches) == 4
    assert len({index for batch in batches for index in batch.indices.tolist()}) == 16
    for batch in batches:
        assert isinstance(batch, CroppedBatch)
        assert batch.images.shape == (3, 4, 3, 24, 24)
        draws = batch.draws.view(torch.float32)
        for view in range(3):
            for place, index in enumerate(batch.indices.tolist()):
                image = pixels_of(files[index])
                box = crop_boxes(draws[view, place], *image.shape[1:], RECIPE.crop_scale, RECIPE.crop_ratio)
                expected = F.resized_crop(image, *box.tolist(), size=[24, 24], antialias=True)
                assert torch.equal(batch.images[view, place], expected)


def test_views_do_not_depend_on_the_number_of_workers(image_folder):
    for alone, helped in zip(
        data_module(image_folder).train_dataloader(),
        data_module(image_folder, num_workers=2).train_dataloader(),
        strict=True,
    ):
        assert all(torch.equal(a, b) for a, b in zip(alone, helped, strict=True))


def test_views_of_files_have_the_size_asked_for_and_differ(image_folder):
    data = data_module(image_folder)
    batch = data.on_after_batch_transfer(next(iter(data.train_dataloader())), 0)
    assert [view.shape for view in batch.views] == [(4, 3, 24, 24)] * 2
    assert not torch.equal(*batch.views)


def test_clean_views_of_files_are_their_centres(image_folder):
    data = data_module(image_folder)
    (file, *_), mean, std = data.held_out_images.files, data.source.mean, data.source.std

    batch = next(iter(data.val_dataloader()))

    expected = F.center_crop(F.resize(pixels_of(file), [27], antialias=True), [24, 24])
    expected = F.normalize(expected.float() / 255, list(mean), list(std))
    torch.testing.assert_close(batch.views[0][0], expected)
    assert batch.indices.tolist() == [0, 1, 2, 3]


def test_the_classes_of_an_image_folder_are_known_before_setup(image_folder):
    data = data_module(image_folder)
    assert data.num_classes == 3
    assert data.class_names == ("cat", "dog", "emu")


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("content", [b"no image at all", None], ids=["text", "cut off"])
def test_a_corrupt_file_is_named_also_from_a_worker(image_folder, workers, content):
    broken = image_folder / "train" / "dog" / "3.png"
    broken.write_bytes(broken.read_bytes()[:900] if content is None else content)
    loader = data_module(image_folder, num_workers=workers, batch_size=18).train_dataloader()
    with pytest.raises(ValueError, match=r"an image file cannot be read: .*dog/3\.png .*replace or remove it"):
        next(iter(loader))
    if workers:
        loader._iterator._shutdown_workers()  # not left to the garbage collector, in the middle of another test


def test_a_file_that_has_gone_is_named(image_folder):
    data = data_module(image_folder)
    loader = data.val_dataloader()
    (image_folder / "val" / "cat" / "1.png").unlink()
    with pytest.raises(ValueError, match=r"an image file cannot be read: .*cat/1\.png"):
        next(iter(loader))


def test_grey_files_become_colour_images(image_folder):
    file = image_folder / "val" / "cat" / "0.png"
    Image.open(file).convert("L").save(file)
    view = next(iter(data_module(image_folder).val_dataloader())).views[0][0]
    assert view.shape == (3, 24, 24)


@pytest.mark.parametrize("workers", [0, 2])
def test_the_clean_view_of_a_file_in_training_is_its_centre_as_when_it_is_held_out(image_folder, workers):
    data = data_module(image_folder, num_workers=workers, clean_view=True)
    without = data_module(image_folder, num_workers=workers)
    clean = torch.cat([batch.views[0] for batch in data.clean_train_dataloader()])
    place = {index: row for row, index in enumerate(data.train_images.indices.tolist())}
    for raw, other in zip(data.train_dataloader(), without.train_dataloader(), strict=True):
        batch = data.on_after_batch_transfer(raw, 0)
        assert len(batch.views) == 3
        torch.testing.assert_close(batch.views[2], clean[[place[index] for index in batch.indices.tolist()]])
        for view, expected in zip(batch.views, without.on_after_batch_transfer(other, 0).views, strict=False):
            assert torch.equal(view, expected)
