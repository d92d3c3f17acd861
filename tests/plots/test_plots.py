"""The figures show what was selected and measured."""

import torch

from lit_hardcl.functional import difficult_pairs
from lit_hardcl.plots import hard_sets_of, similarity_histogram, similarity_ranking


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


def test_a_pool_shows_each_views_role_and_the_negatives_on_both_sides_of_the_edge(tmp_path):
    figure = hard_sets_of(torch.rand(4, 8, 8), 2, [0, 3], torch.rand(30, 8, 8), kept=20, shown=6)
    labels = [axes.get_xlabel() for axes in figure.axes[:4]]
    assert labels == ["positive", "not used", "anchor", "positive"]
    assert "20 negatives kept" in figure.axes[6].get_ylabel()
    assert "10 dropped" in figure.axes[12].get_ylabel()
    figure.savefig(tmp_path / "pool.png")
    assert (tmp_path / "pool.png").stat().st_size > 3000


def test_a_histogram_names_the_means_of_the_three_kinds_and_shades_the_interval(tmp_path):
    same, easy, difficult = torch.tensor([0.5, 0.9]), torch.linspace(-1, 0.5, 100), torch.tensor([0.25])
    figure = similarity_histogram(same, easy, difficult, (0.1, 0.4))
    axes = figure.axes[0]
    names = [text.get_text() for text in axes.get_legend().get_texts()]
    assert names[1:] == [
        "same class: α = 0.700",
        "different classes, both easy: β = -0.250",
        "different classes, a difficult image: γ = 0.250",
    ]
    assert (axes.patches[0].get_x(), axes.patches[0].get_x() + axes.patches[0].get_width()) == (0.1, 0.4)
    figure.savefig(tmp_path / "histogram.png")
    assert (tmp_path / "histogram.png").stat().st_size > 5000
    assert len(similarity_histogram(same, easy, difficult).axes[0].get_legend().get_texts()) == 3
