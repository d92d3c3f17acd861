"""A backbone's weights out of checkpoints that call them differently; whole, or refused by name."""

import pytest
import torch
from nets import FlatHead, FlatNet
from torch import nn

from lit_hardcl.models import load_backbone


def behind(prefix, module):
    return {prefix + name: value for name, value in module.state_dict().items()}


@pytest.mark.parametrize("prefix", ["", "backbone.", "encoder.", "module.", "module.encoder_q.", "net.0._orig_mod."])
def test_the_prefix_is_found_and_what_is_beside_it_left_out(prefix):
    source, target = FlatNet(), FlatNet()
    beside = behind("projection_head.", nn.Linear(3, 4)) if prefix else {}
    assert load_backbone(target, behind(prefix, source) | beside) == prefix
    images = torch.randn(2, 1, 32, 32)
    assert torch.equal(source(images), target(images))


def test_of_two_encoders_that_named_backbone_is_taken_and_others_are_asked_for():
    query, key = FlatNet(), FlatNet()
    target = FlatNet()
    assert load_backbone(target, behind("momentum_backbone.", key) | behind("backbone.", query)) == "backbone."
    assert torch.equal(target[1].weight, query[1].weight)
    both = behind("encoder_k.", key) | behind("encoder_q.", query)
    with pytest.raises(ValueError, match=r"prefix must be given, since several fit: encoder_k\., encoder_q\."):
        load_backbone(target, both)
    assert load_backbone(target, both, "encoder_k.") == "encoder_k."
    assert torch.equal(target[1].weight, key[1].weight)


def test_what_does_not_fit_is_named_and_nothing_is_loaded():
    target = FlatNet()
    before = target[1].weight.clone()
    state = behind("encoder.", FlatNet(pixels=64))
    del state["encoder.3.bias"]
    state["encoder.7.bias"] = torch.zeros(1)
    message = (
        r"fit this FlatNet by prefix 'encoder\.': 3.bias missing, 7.bias unexpected, "
        r"1.weight \(\(16, 64\) there, \(16, 1024\) here\) of another shape"
    )
    with pytest.raises(ValueError, match=message):
        load_backbone(target, state)
    assert torch.equal(target[1].weight, before)
    with pytest.raises(ValueError, match=r"by prefix '': 1.bias, 1.weight, 3.bias and 1 more missing, bias, weight"):
        load_backbone(target, FlatHead().state_dict())
    with pytest.raises(ValueError, match="by prefix 'wrong.': .* and 1 more missing, nothing unexpected"):
        load_backbone(target, behind("encoder.", FlatNet()), "wrong.")
