"""The theory's figures show the numbers they are given."""

import numpy as np

from lit_hardcl.plots import collapse_histograms, eigenvalue_stairs, remedy_bars, remedy_map


def test_the_stairs_are_as_wide_as_the_blocks():
    axes = eigenvalue_stairs({"all": [("one", 1.0, 1), ("two", 0.25, 3)]}, k=2).axes[0]
    values, edges, _ = axes.patches[0].get_data()
    assert (values.tolist(), edges.tolist()) == ([1.0, 0.25], [0.5, 1.5, 4.5])
    assert axes.lines[0].get_xdata()[0] == 3


def test_the_map_shows_each_place_and_names_those_it_shows():
    places = np.array([[0, 3], [4, 4]])
    figure = remedy_map({"here": places}, np.array([0.01, 0.1]), np.array([0.1, 0.5]), point=(0.1, 0.5))
    np.testing.assert_array_equal(figure.axes[0].collections[0].get_array(), places)
    names = [text.get_text() for text in figure.legends[0].get_texts()]
    assert names == ["none", "margin and removal", "all three", "this case"]


def test_bars_start_where_nothing_is_changed():
    figure = remedy_bars({"all": {"one": 0.3}}, {"all": {"one": 0.8}}, {"one": "a pair", "two": "another"})
    margin, temperature = (axes.patches[0] for axes in figure.axes)
    assert (margin.get_x(), round(margin.get_width(), 6)) == (0, 0.3)
    assert round(temperature.get_x() + temperature.get_width(), 6) == 0.8


def test_histograms_count_every_positive_and_tell_the_share_within_the_tolerance():
    figure = collapse_histograms(np.array([1.0, 2.0, 30.0, 40.0]), np.array([0.0, 0.1, 0.2, 0.0]), 5.0)
    left, right = figure.axes
    assert "50% of the best anchors" in left.get_legend().get_texts()[0].get_text()
    assert sum(bar.get_height() for bar in right.patches) == 4
    assert "50% of the lines miss" in right.get_title()
