"""The classifier's margin, by hand, and that scores and difficult examples mean the same by it."""

import math

import pytest
import torch

from lit_hardcl.hardness import ImageScores, difficult_examples, margins


def test_a_margin_is_the_gap_of_the_two_largest_softmax_outputs():
    logits = torch.tensor([[math.log(6), math.log(3), 0.0], [1.0, 1.0, -9.0]])
    torch.testing.assert_close(margins(logits), torch.tensor([0.3, 0.0]))
    with pytest.raises(ValueError, match="needs two classes, got 1"):
        margins(torch.zeros(2, 1))


def test_the_images_with_the_highest_scores_are_the_difficult_examples():
    logits = torch.randn(10, 4, generator=torch.Generator().manual_seed(0))
    scores = ImageScores(torch.arange(10))
    scores.add_margins(logits, torch.zeros(10, dtype=torch.long), torch.arange(10))
    scores.take_means()
    difficult = difficult_examples(logits, torch.zeros(10, dtype=torch.long), 0.3)
    assert scores.values.topk(3).indices.sort().values.tolist() == difficult.nonzero().flatten().tolist()
