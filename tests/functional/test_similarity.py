"""Cosines, in float32 or better whatever comes in."""

import pytest
import reference
import torch

from lit_hardcl.functional import cosine_similarity


def test_it_is_the_cosine_of_every_pair():
    anchors, keys = torch.randn(3, 5, dtype=torch.float64), torch.randn(4, 5, dtype=torch.float64)
    expected = torch.stack([torch.stack([reference.cosine(a, k) for k in keys]) for a in anchors])
    torch.testing.assert_close(cosine_similarity(anchors, keys), expected)


def test_a_zero_vector_is_similar_to_nothing():
    assert cosine_similarity(torch.zeros(1, 3), torch.ones(2, 3)).tolist() == [[0, 0]]


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_features_give_float32_cosines(dtype):
    features = torch.randn(6, 8).to(dtype)
    with torch.autocast("cpu", dtype=dtype):
        similarity = cosine_similarity(features)
    assert similarity.dtype == torch.float32
    torch.testing.assert_close(similarity, cosine_similarity(features.double()).float(), atol=1e-6, rtol=1e-5)


def test_autocast_does_not_round_float32_features():
    features = torch.randn(64, 32)
    outside = cosine_similarity(features)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(cosine_similarity(features), outside)


def test_a_lower_precision_of_matrix_products_does_not_round_it():
    features = torch.randn(256, 128)
    exact = cosine_similarity(features)
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("medium")
    try:
        assert torch.equal(cosine_similarity(features), exact)
        assert torch.get_float32_matmul_precision() == "medium"
    finally:
        torch.set_float32_matmul_precision(before)
