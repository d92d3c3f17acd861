"""Random views against torchvision's own operations: the same parameters give the same pixels."""

from itertools import permutations

import pytest
import torch
from torchvision.transforms import v2

from lit_hardcl.data import Augmentation, clean_view, draw, random_views
from lit_hardcl.views import draws as column
from lit_hardcl.views.batch_views import cropped_views, jitter_factors
from lit_hardcl.views.colour import blur_kernel_size, blurred, grey, hue_shifted, jittered
from lit_hardcl.views.crops import crop_boxes, resized_crops

F = v2.functional
STILL = Augmentation(flip=0.0, jitter=0.0, grey=0.0)


def some_images(count, channels=3, height=32, width=32, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (count, channels, height, width), dtype=torch.uint8, generator=generator)


def numbers(views, batch, seed=0):
    return draw(views, batch, torch.Generator().manual_seed(seed))


def plain_views(images, draws, augmentation, size):
    channels = images.shape[-3]
    return random_views(images, draws, augmentation, size, (0.0,) * channels, (1.0,) * channels)


def plain_views_of_crops(crops, draws, augmentation):
    channels = crops.shape[-3]
    return cropped_views(crops, draws, augmentation, (0.0,) * channels, (1.0,) * channels)


def by_torchvision(image, draws, recipe, size):
    """One view of one image, as a loop over torchvision's operations."""
    view = image.float() / 255
    height, width = image.shape[1:]
    box = crop_boxes(draws, height, width, recipe.crop_scale, recipe.crop_ratio).tolist()
    view = F.resized_crop(view, *box, size=[size, size], antialias=True)
    if draws[column.FLIP] < recipe.flip:
        view = F.horizontal_flip(view)
    if draws[column.JITTER] < recipe.jitter:
        factors = jitter_factors(draws[None], recipe)[0].tolist()
        for operation in draws[column.ORDER].argsort().tolist():
            adjust = (F.adjust_brightness, F.adjust_contrast, F.adjust_saturation, F.adjust_hue)[operation]
            view = adjust(view, factors[operation])
    if draws[column.GREY] < recipe.grey and len(view) == 3:
        view = F.rgb_to_grayscale(view, num_output_channels=3)
    if draws[column.BLUR] < recipe.blur:
        low, high = recipe.blur_sigma
        kernel = blur_kernel_size(size)
        view = F.gaussian_blur(view, [kernel, kernel], [float(low + (high - low) * draws[column.SIGMA])] * 2)
    return view


@pytest.mark.parametrize(
    ("height", "width", "size"), [(32, 32, 32), (32, 32, 16), (48, 48, 48), (96, 96, 96), (40, 28, 32), (28, 60, 20)]
)
@pytest.mark.parametrize("channels", [1, 3])
def test_a_crop_resized_and_flipped_has_torchvisions_pixels(height, width, size, channels):
    images = some_images(12, channels, height, width)
    boxes = crop_boxes(numbers(2, 12), height, width, (0.1, 1.0), (0.5, 2.0))
    flip = torch.rand(2, 12, generator=torch.Generator().manual_seed(1)) < 0.5
    assert flip.any()
    assert not flip.all()

    crops = resized_crops(images, boxes, flip, size)

    for view in range(2):
        for place in range(12):
            top, left, box_height, box_width = boxes[view, place].tolist()
            expected = F.resized_crop(
                images[place].float() / 255, top, left, box_height, box_width, size=[size, size], antialias=True
            )
            expected = F.horizontal_flip(expected) if flip[view, place] else expected
            torch.testing.assert_close(crops[:, view, place], expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("operation", range(4), ids=["brightness", "contrast", "saturation", "hue"])
@pytest.mark.parametrize("amount", [-0.5, -0.2, 0.0, 0.1, 0.4, 0.5])
def test_one_colour_operation_has_torchvisions_pixels(operation, amount):
    images = some_images(3).float() / 255
    adjust, factor, tolerance = (
        (F.adjust_brightness, 1 + amount, 1e-6),
        (F.adjust_contrast, 1 + amount, 1e-6),
        (F.adjust_saturation, 1 + amount, 1e-6),
        (F.adjust_hue, amount, 1e-5),
    )[operation]
    factors = torch.tensor([[1.0, 1.0, 1.0, 0.0]]).repeat(3, 1)
    factors[:, operation] = factor

    changed = jittered(images.transpose(0, 1), torch.arange(4).repeat(3, 1), factors).transpose(0, 1)

    torch.testing.assert_close(changed, adjust(images, factor), rtol=0, atol=tolerance)


def test_every_image_has_its_own_order_of_the_four_colour_operations():
    orders = torch.tensor(list(permutations(range(4))))
    images = some_images(24).float() / 255
    factors = jitter_factors(numbers(1, 24)[0], Augmentation(jitter=1.0, brightness=0.8, contrast=0.8, hue=0.5))

    changed = jittered(images.transpose(0, 1), orders, factors)

    adjusts = (F.adjust_brightness, F.adjust_contrast, F.adjust_saturation, F.adjust_hue)
    for place, order in enumerate(orders.tolist()):
        expected = images[place]
        for operation in order:
            expected = adjusts[operation](expected, factors[place, operation].item())
        torch.testing.assert_close(changed[:, place], expected, rtol=0, atol=1e-5)


def test_hue_leaves_grey_black_and_white_pixels_alone_and_a_third_of_the_circle_permutes_the_channels():
    flat = torch.tensor([0.0, 0.3, 1.0]).expand(3, 1, 1, 3)
    torch.testing.assert_close(hue_shifted(flat, torch.tensor([0.37])), flat)

    pixel = torch.tensor([0.9, 0.5, 0.2]).reshape(3, 1, 1, 1)
    torch.testing.assert_close(hue_shifted(pixel, torch.tensor([1 / 3])), pixel.roll(1, dims=0))


def test_grey_is_torchvisions_luminance():
    images = some_images(4).float() / 255
    torch.testing.assert_close(grey(images.transpose(0, 1)), F.rgb_to_grayscale(images)[:, 0])


def test_the_blurs_kernel_is_a_tenth_of_the_view_and_odd():
    assert [blur_kernel_size(size) for size in (8, 28, 32, 64, 96, 224)] == [3, 3, 3, 7, 9, 23]


@pytest.mark.parametrize("size", [8, 32, 96])
def test_blur_is_torchvisions_with_a_width_per_image_and_leaves_the_others_alone(size):
    images = some_images(6, height=size, width=size).float() / 255
    sigma = torch.linspace(0.1, 2.0, 6)
    chosen = torch.tensor([True, True, True, False, True, True])

    changed = blurred(images.transpose(0, 1), sigma, chosen).transpose(0, 1)

    kernel = blur_kernel_size(size)
    for place in range(6):
        width = sigma[place].item()
        expected = F.gaussian_blur(images[place], [kernel, kernel], [width, width]) if chosen[place] else images[place]
        torch.testing.assert_close(changed[place], expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize(("channels", "shape", "size"), [(3, (32, 32), 32), (3, (50, 40), 24), (1, (28, 28), 28)])
def test_whole_views_are_torchvisions_operations_one_after_the_other(channels, shape, size):
    recipe = Augmentation(hue=0.3, grey=0.3, blur=0.5)
    images, draws = some_images(16, channels, *shape), numbers(2, 16)

    views = plain_views(images, draws, recipe, size)

    for view, row in zip(views, draws, strict=True):
        for place in range(16):
            expected = by_torchvision(images[place], row[place], recipe, size)
            torch.testing.assert_close(view[place], expected, rtol=0, atol=2e-5)


def test_views_are_normalised_last():
    images, draws = some_images(4), numbers(1, 4)
    mean, std = (0.1, 0.5, 0.4), (0.2, 0.3, 1.5)

    (view,) = random_views(images, draws, Augmentation(), 32, mean, std)

    (plain,) = plain_views(images, draws, Augmentation(), 32)
    torch.testing.assert_close(view, F.normalize(plain, list(mean), list(std)), rtol=0, atol=1e-5)


def test_saturation_hue_and_grey_change_nothing_on_one_channel():
    images, draws = some_images(16, channels=1), numbers(2, 16)
    colourful = Augmentation(jitter=1.0, brightness=0.0, contrast=0.0, saturation=0.9, hue=0.5, grey=1.0)

    changed = plain_views(images, draws, colourful, 32)

    same = plain_views(images, draws, Augmentation(jitter=0.0, grey=0.0), 32)
    torch.testing.assert_close(changed, same, rtol=0, atol=1e-6)


def test_crops_made_elsewhere_get_the_same_flip_colours_and_blur():
    images, draws = some_images(10), numbers(2, 10)
    recipe = Augmentation(crop_scale=(1.0, 1.0), crop_ratio=(1.0, 1.0), blur=0.5)

    from_crops = plain_views_of_crops(images.expand(2, -1, -1, -1, -1), draws, recipe)

    torch.testing.assert_close(from_crops, plain_views(images, draws, recipe, 32), rtol=0, atol=1e-6)


def test_one_seed_gives_the_same_views_and_another_does_not():
    images = some_images(8)
    first = plain_views(images, numbers(2, 8, seed=3), Augmentation(), 32)

    again = plain_views(images, numbers(2, 8, seed=3), Augmentation(), 32)
    other = plain_views(images, numbers(2, 8, seed=4), Augmentation(), 32)

    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert not any(torch.equal(a, b) for a, b in zip(first, other, strict=True))
    assert not torch.equal(first[0], first[1])


def test_a_view_does_not_depend_on_the_other_images_of_the_batch():
    images, draws = some_images(8), numbers(2, 8)
    recipe = Augmentation(blur=0.5)

    some = plain_views(images[2:5], draws[:, 2:5], recipe, 32)

    every = plain_views(images, draws, recipe, 32)
    torch.testing.assert_close(some, [view[2:5] for view in every], rtol=0, atol=1e-6)


def test_views_are_the_same_float32_inside_an_autocast():
    images, draws = some_images(8), numbers(2, 8)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        views = plain_views(images, draws, Augmentation(blur=0.5), 32)

    assert all(
        torch.equal(a, b) for a, b in zip(views, plain_views(images, draws, Augmentation(blur=0.5), 32), strict=True)
    )
    assert views[0].dtype == torch.float32


def test_views_stay_between_black_and_white():
    views = plain_views(some_images(64), numbers(2, 64), Augmentation(brightness=2.0, contrast=2.0, blur=1.0), 32)
    lowest, highest = torch.stack(views).aminmax()
    assert -1e-6 < lowest < 0.1
    assert 0.9 < highest < 1 + 1e-6


@pytest.mark.parametrize(
    ("recipe", "changed"),
    [
        (Augmentation(flip=0.3, jitter=0.0, grey=0.0), 0.3),
        (Augmentation(flip=0.0, jitter=0.6, grey=0.0), 0.6),
        (Augmentation(flip=0.0, jitter=0.0, grey=0.2), 0.2),
        (Augmentation(flip=0.0, jitter=0.0, grey=0.0, blur=0.5, blur_sigma=(1.0, 2.0)), 0.5),
    ],
    ids=["flip", "jitter", "grey", "blur"],
)
def test_each_operation_befalls_its_share_of_the_images(recipe, changed):
    images, draws = some_images(2000, height=8, width=8), numbers(1, 2000)

    (views,) = plain_views(images, draws, recipe, 8)

    (same,) = plain_views(images, draws, STILL, 8)
    share = ((views - same).abs().amax(dim=(1, 2, 3)) > 1e-3).float().mean()
    assert share == pytest.approx(changed, abs=0.045)  # four standard deviations


def test_a_clean_view_is_the_image_normalised():
    images = some_images(4)
    view = clean_view(images, 32, (0.5, 0.4, 0.3), (0.2, 0.2, 0.1))
    expected = F.normalize(images.float() / 255, [0.5, 0.4, 0.3], [0.2, 0.2, 0.1])
    torch.testing.assert_close(view, expected, rtol=0, atol=1e-5)


def test_a_clean_view_of_another_size_is_resized_with_antialiasing():
    images = some_images(4, height=48, width=40)
    view = clean_view(images, 16, (0.0,) * 3, (1.0,) * 3)
    torch.testing.assert_close(view, F.resize(images.float() / 255, [16, 16], antialias=True), rtol=0, atol=1e-5)
