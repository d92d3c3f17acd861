"""The fast path and the formula by rows are the chain of functional ops, for every kind of rectangle."""

import functools
import itertools
import math

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode
from treatments import METHODS

from lit_hardcl import DifficultPairLoss
from lit_hardcl.functional import cosine_similarity, difficult_pairs, nt_xent, pair_logits
from lit_hardcl.losses import Rectangle, RowLoss

PATHS = {  # how a DifficultPairLoss may take a rectangle
    "fused": DifficultPairLoss.of,
    "by rows": RowLoss.of,
}
BANDS = [(0.2, 0.6), (0.0, 1.0), (0.5, None), (None, None)]


def rectangle(kind, anchors=14, dtype=torch.float64, seed=0):
    """Projections and features of anchors and keys, and the columns of positives and of the anchors themselves."""
    generator = torch.Generator().manual_seed(seed)
    first = torch.arange(anchors)
    z, h = (torch.randn(anchors, width, dtype=dtype, generator=generator) for width in (5, 7))
    if kind == "batch":
        return z, None, first.roll(anchors // 2), first, h, None
    keys = anchors + 8
    others, of_others = (torch.randn(keys, width, dtype=dtype, generator=generator) for width in (5, 7))
    if kind == "queue":
        return z, others, first, None, h, of_others
    others[4 : anchors + 4], of_others[4 : anchors + 4] = z, h
    return z, others, (first + 3) % 4, first + 4, h, of_others


def difficult_pair_loss(*arguments, path="fused", anchor_images=None, key_images=None, **settings):
    images = {"anchor_images": anchor_images, "key_images": key_images}
    return PATHS[path](DifficultPairLoss(**settings), Rectangle(*arguments, **images))


def simple(
    anchors, keys, positives, own, features, of_keys, temperature, pos_high, pos_low, margin, temperature_scale,
    anchor_images=None, key_images=None,
):  # fmt: skip
    """The same with matrices of all pairs."""
    similarity = cosine_similarity(anchors, keys)
    itself = torch.zeros_like(similarity, dtype=torch.bool)
    if anchor_images is not None:
        itself = anchor_images[:, None] == key_images
        itself[torch.arange(len(anchors)), positives] = False
    if own is not None:
        itself.scatter_(1, own[:, None], True)
    if margin == 0 and temperature_scale == 1:
        difficult = torch.zeros_like(itself)
    else:
        difficult = difficult_pairs(cosine_similarity(features, of_keys), pos_high, pos_low, itself)
    return nt_xent(pair_logits(similarity, difficult, temperature, margin, temperature_scale), positives, itself)


def value_and_gradients(loss, kind, *arguments, **settings):
    anchors, keys, *rest = arguments
    anchors = anchors.clone().requires_grad_()
    keys = None if keys is None else keys.clone().requires_grad_(kind == "gathered")
    value = loss(anchors, keys, *rest, **settings)
    value.backward()
    return value.detach(), anchors.grad, None if keys is None else keys.grad


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("kind", ["batch", "gathered", "queue"])
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("band", BANDS, ids=str)
@pytest.mark.parametrize("chunk_size", [None, 1, 5])
@pytest.mark.parametrize("temperature", [0.5, 0.01], ids=["", "whose exponentials overflow float32"])
def test_value_and_gradients_are_those_of_the_simple_form(path, kind, method, band, chunk_size, temperature):
    margin, scale = METHODS[method]
    settings = {"temperature": temperature, "pos_high": band[0], "pos_low": band[1]}
    settings |= {"margin": margin, "temperature_scale": scale}
    for dtype, relative in ((torch.float64, 1e-10), (torch.float32, 1e-5)):
        arguments = rectangle(kind, dtype=dtype)
        loss = functools.partial(difficult_pair_loss, path=path, chunk_size=chunk_size)
        ours = value_and_gradients(loss, kind, *arguments, **settings)
        expected = value_and_gradients(simple, kind, *arguments, **settings)
        for got, due in zip(ours, expected, strict=True):
            if due is None:
                assert got is None
            else:
                assert (got - due).norm() <= relative * due.norm() + relative / 10


def named(anchors, keys):
    """Images of which some stand among the keys again; keys of -1 show nobody's."""
    generator = torch.Generator().manual_seed(1)
    of_keys = torch.randint(-1, 5, (keys,), generator=generator)
    return {"anchor_images": of_keys[:anchors].clamp(min=0), "key_images": of_keys}


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("capability", ["AVX2", "DEFAULT"])
@pytest.mark.parametrize("kind", ["batch", "gathered", "queue"])
@pytest.mark.parametrize("band", BANDS, ids=str)
@pytest.mark.parametrize("temperature", [0.5, 0.01])
def test_other_keys_of_an_anchors_image_count_in_no_rank_and_in_no_sum(
    path, capability, kind, band, temperature, monkeypatch
):
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: capability)
    for (margin, scale), chunk_size in itertools.product(METHODS.values(), (None, 5)):
        settings = {"temperature": temperature, "pos_high": band[0], "pos_low": band[1]}
        settings |= {"margin": margin, "temperature_scale": scale}
        arguments = rectangle(kind)
        settings |= named(14, 14 if kind == "batch" else 22)
        loss = functools.partial(difficult_pair_loss, path=path, chunk_size=chunk_size)
        ours = value_and_gradients(loss, kind, *arguments, **settings)
        expected = value_and_gradients(simple, kind, *arguments, **settings)
        for got, due in zip(ours, expected, strict=True):
            assert (got is None and due is None) or (got - due).norm() <= 1e-10 * due.norm() + 1e-11


@pytest.mark.parametrize("chunk_size", [None, 7])
@pytest.mark.parametrize("band", BANDS, ids=str)
def test_ties_fall_as_in_the_functional_op(band, chunk_size):
    generator = torch.Generator().manual_seed(0)
    h = torch.randint(0, 3, (40, 4), generator=generator).double().chunk(2)  # many equal cosines, and zero vectors
    chosen = DifficultPairLoss(0.5, *band, margin=0.1, chunk_size=chunk_size).difficult(*h)
    itself = torch.eye(40, dtype=torch.bool)
    assert torch.equal(chosen, difficult_pairs(cosine_similarity(torch.cat(h)), *band, itself))


@pytest.mark.parametrize("capability", ["AVX2", "DEFAULT"])
def test_both_ways_to_rank_choose_the_same(capability, monkeypatch):
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: capability)
    test_ties_fall_as_in_the_functional_op((0.2, 0.6), 7)


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_autocast_and_the_precision_of_products_change_nothing(path, dtype):
    arguments = rectangle("gathered", dtype=torch.float32)
    settings = {"temperature": 0.1, "pos_high": 0.2, "pos_low": 0.6, "margin": 0.1, "temperature_scale": 0.6}
    outside = value_and_gradients(difficult_pair_loss, "gathered", *arguments, path=path, **settings)
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("medium")
    with torch.autocast("cpu", dtype=dtype):
        inside = value_and_gradients(difficult_pair_loss, "gathered", *arguments, path=path, **settings)
    torch.set_float32_matmul_precision(before)
    for got, due in zip(inside, outside, strict=True):
        assert torch.equal(got, due)


@pytest.mark.parametrize("path", PATHS)
def test_an_outer_factor_reaches_the_gradient_and_without_gradient_there_is_none(path):
    z, _, positives, own, *_ = rectangle("batch")
    z.requires_grad_()
    loss = difficult_pair_loss(z, None, positives, own, temperature=0.5, path=path)
    (once,) = torch.autograd.grad(loss, z, retain_graph=True)
    (thrice,) = torch.autograd.grad(3 * loss, z)
    torch.testing.assert_close(thrice, 3 * once)
    with torch.no_grad(), FlopCounterMode(display=False) as work:
        assert not difficult_pair_loss(z, None, positives, own, temperature=0.5, path=path).requires_grad
    assert work.get_total_flops() == 2 * 14 * 14 * 5  # of the cosines alone


@pytest.mark.parametrize("path", PATHS)
def test_a_second_derivative_is_refused_with_the_way_out(path):
    z, _, positives, own, *_ = rectangle("batch")
    loss = difficult_pair_loss(z.requires_grad_(), None, positives, own, temperature=0.5, path=path)
    (gradient,) = torch.autograd.grad(loss, z, create_graph=True)
    with pytest.raises(RuntimeError, match="only once: for a second derivative, build it from lit_hardcl.functional"):
        gradient.square().sum().backward()


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("place", [0, 1, 4, 5], ids=["anchors", "keys", "features", "features of keys"])
@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_value_that_is_not_finite_makes_the_loss_nan(path, place, value):
    arguments = rectangle("queue")
    arguments[place][3, 2] = value
    settings = {"temperature": 0.5, "pos_high": 0.2, "pos_low": 0.6, "margin": 0.1}
    assert difficult_pair_loss(*arguments, path=path, **settings).isnan()


def test_the_chunk_size_must_be_positive():
    with pytest.raises(ValueError, match="chunk_size must be at least 1, or None to suit the memory, got 0"):
        DifficultPairLoss(0.5, chunk_size=0)


def test_a_subclass_with_a_formula_of_its_own_is_not_passed_over():
    class Halved(DifficultPairLoss):
        def formula(self, rectangle):
            inner = super().formula(rectangle)
            return lambda similarity, rows: inner(similarity, rows) / 2

    z = rectangle("batch")[0].chunk(2)
    torch.testing.assert_close(Halved(0.5)(*z), DifficultPairLoss(0.5)(*z) / 2)
