"""The figure of the idea shows what was selected."""

import torch

from lit_hardcl.functional import difficult_pairs
from lit_hardcl.plots import similarity_ranking


def test_the_band_covers_the_selected_ranks_and_its_label_counts_them(tmp_path):
    similarity = torch.linspace(1, 0, 20)[torch.randperm(20, generator=torch.Generator().manual_seed(0))]
    difficult = difficult_pairs(similarity.unsqueeze(0), 0.2, 0.5)[0]
    same = similarity > 0.72  # ranks 0 to 5; ranks 5 to 10 are selected
    figure = similarity_ranking(similarity, same, difficult, torch.rand(8, 8), torch.rand(20, 8, 8))
    axes = figure.axes[0]
    assert "6 keys, 83% of other classes" in axes.get_legend().get_texts()[0].get_text()
    left, right = axes.patches[0].get_x(), axes.patches[0].get_x() + axes.patches[0].get_width()
    assert (left, right) == (4.5, 10.5)
    heights = axes.collections[0].get_offsets()[:, 1]
    assert sorted(heights, reverse=True) == list(heights)
    figure.savefig(tmp_path / "ranking.png")
    assert (tmp_path / "ranking.png").stat().st_size > 5000
