"""Backbones and heads: shapes, widths that are found out, and refusals."""

import pytest
import torch
from torch import nn
from torchvision.models import resnet18

from lit_hardcl.models import ProjectionHead, ResNet, feature_width, passed


@pytest.mark.parametrize(("depth", "width"), [(10, 512), (18, 512), (34, 512), (50, 2048)])
@pytest.mark.parametrize(("stem", "size", "channels"), [("small", 32, 3), ("imagenet", 64, 1)])
def test_every_resnet_gives_one_row_of_features_per_image(depth, width, stem, size, channels):
    backbone = ResNet(depth, stem=stem, in_channels=channels)
    assert backbone.num_features == width
    assert backbone.eval()(torch.randn(2, channels, size, size)).shape == (2, width)


def test_with_the_published_width_and_stem_it_takes_torchvisions_weights():
    torchvision = resnet18()
    weights = {name: value for name, value in torchvision.state_dict().items() if not name.startswith("fc.")}
    ours = ResNet(18, stem="imagenet")
    ours.load_state_dict(weights)
    torchvision.fc = nn.Identity()
    images = torch.randn(2, 3, 64, 64)
    torch.testing.assert_close(ours.eval()(images), torchvision.eval()(images))


def test_a_seed_fixes_the_weights_and_none_is_left_unset():
    backbones = []
    for _ in range(2):
        torch.manual_seed(0)
        backbones.append(ResNet(10, width=8))
    for one, other in zip(*(backbone.state_dict().values() for backbone in backbones), strict=True):
        assert one.device.type == "cpu"
        assert torch.equal(one, other)


def test_the_small_stem_keeps_the_resolution_that_imagenets_quarters():
    images = torch.randn(1, 3, 32, 32)
    for stem, size in (("small", 32), ("imagenet", 8)):
        backbone = ResNet(10, width=8, stem=stem)
        seen = []
        backbone.layer1.register_forward_hook(lambda module, inputs, output, seen=seen: seen.append(output))
        backbone.eval()(images)
        assert seen[0].shape[-1] == size


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"depth": 20}, r"depth must be one of \[10, 18, 34, 50\], got 20"),
        ({"stem": "tiny"}, "stem must be 'small' or 'imagenet', got 'tiny'"),
        ({"width": 0}, "at least 1, got 0"),
    ],
)
@pytest.mark.usefixtures("unchecked_shapes")
def test_an_unknown_backbone_is_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        ResNet(**settings)


class Pixels(nn.Module):
    """Takes images of one shape only."""

    def __init__(self, *shape):
        super().__init__()
        self.shape = shape
        self.layer = nn.Linear(1, 7)

    def forward(self, images):
        if images.shape[1:] != self.shape:
            raise RuntimeError("wrong shape")
        return images.flatten(1)


@pytest.mark.parametrize(
    ("backbone", "width"),
    [
        (nn.Sequential(nn.Conv2d(3, 6, 3), nn.AdaptiveAvgPool2d(1)), 6),
        (nn.Sequential(nn.Conv2d(1, 6, 3), nn.AdaptiveAvgPool2d(2)), 24),
        (nn.Sequential(nn.Flatten(), nn.Linear(28 * 28, 50)), 50),
        (Pixels(3, 224, 224), 3 * 224 * 224),
        (ResNet(10, width=8), 64),
    ],
    ids=["colour", "grey", "flat", "large", "own"],
)
def test_the_width_of_any_backbone_is_found_out(backbone, width):
    assert feature_width(backbone) == width


def test_finding_the_width_leaves_the_backbone_as_it_was():
    backbone = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Dropout(), nn.AdaptiveAvgPool2d(1))
    backbone[2].eval()
    before = {name: value.clone() for name, value in backbone.state_dict().items()}
    feature_width(backbone)
    assert backbone.training
    assert not backbone[2].training
    for name, value in backbone.state_dict().items():
        assert torch.equal(value, before[name])


def test_a_backbone_that_takes_no_usual_image_must_say_its_width():
    with pytest.raises(ValueError, match="Pixels takes no image of the shapes .* `num_features`"):
        feature_width(Pixels(5, 17, 17))


def test_a_projection_head_without_batch_norm_treats_each_row_alone():
    head = ProjectionHead(6, 10, 4, batch_norm=False)
    rows = torch.randn(5, 6)
    torch.testing.assert_close(head(rows)[:1], head(rows[:1]))
    assert head(rows).shape == (5, 4)


def test_a_head_of_no_width_is_refused():
    with pytest.raises(ValueError, match="at least 1, got 6, 6 and 0"):
        ProjectionHead(6, out_features=0)


@pytest.mark.parametrize("backbone", [ResNet(10, 8), resnet18(), nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten())])
def test_images_of_other_channels_are_refused_by_name_and_the_backbone_is_left_as_it_was(backbone):
    with pytest.raises(ValueError, match="in_channels of the backbone must be that of the images, 1, got 3"):
        passed(backbone, torch.zeros(2, 1, 32, 32))
    colour = torch.zeros(2, 3, 32, 32)
    assert passed(backbone.eval(), colour).equal(backbone(colour))
    assert not any(layer._forward_pre_hooks for layer in backbone.modules())


def test_a_backbone_that_makes_its_own_channels_passes():
    class Grey(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(3, 4, 3)

        def forward(self, images):
            return self.conv(images.expand(-1, 3, -1, -1))

    assert passed(Grey(), torch.zeros(2, 1, 8, 8)).shape == (2, 4, 6, 6)
