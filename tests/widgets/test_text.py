"""Names on the page: escaped, and readable letter by letter."""

import html

import numpy as np
import pytest
from ipywidgets import Select

from convviz_widgets.widgets.controls import fill
from convviz_widgets.widgets.layer_curves import Curves, LayerCurves
from convviz_widgets.widgets.plot import label_ticks, make_plot
from convviz_widgets.widgets.text import Label as TileLabel
from convviz_widgets.widgets.text import StripLabels, Text, TileLabels, escaped, readable


@pytest.mark.parametrize(
    ("name", "seen"),
    [
        ("layer1.0.conv", "layer1.0.conv"),
        ("größe\t日本\u3000語 👩\u200d🔬 e\u0301\n", "größe\t日本\u3000語 👩\u200d🔬 e\u0301\n"),
        ("a\x00b\x1b[31mc\rd", r"a\x00b\x1b[31mc\rd"),
        ("gnp.\u202eexe\u2066", r"gnp.\u202eexe\u2066"),
        ("gr\udcfcn\ud800", r"gr\udcfcn\ud800"),
    ],
)
def test_what_cannot_be_seen_or_sent_is_written_out_and_nothing_else(name, seen):
    assert readable(name) == seen
    assert Text(name).text == seen
    readable(name).encode()  # as it is sent to the page


def test_every_kind_of_text_is_escaped():
    name = """<b a='x' b="y">&lt;\ud800"""
    strips, tiles = StripLabels(), TileLabels()
    strips.show([(name, name)], 10)
    tiles.show([TileLabel(name, 0, 0, 10)], 10, 10)
    for written, times in ((Text(name), 1), (strips, 2), (tiles, 1)):
        assert written.value.count(escaped(name)) == times
        assert html.unescape(written.value).count(r"<b a='x'") == times
        assert "<b" not in written.value


def test_a_list_shows_names_that_can_be_sent_and_keeps_what_they_stand_for():
    control = Select()
    for _ in range(2):
        fill(control, [("a\ud800", "a\ud800"), ("b", "b")], "a\ud800")
        assert control._options_labels == (r"a\ud800", "b")
        assert control.value == "a\ud800"


def test_labels_at_an_axis_can_be_sent():
    axis = make_plot(100, 100, "", "").figure.axes[0]
    label_ticks(axis, [0], {"0": "half\ud800.pt"})
    assert axis.tick_labels == {"0": r"half\ud800.pt"}


def test_a_curve_without_any_value_is_not_sent():
    nan = float("nan")
    values = [[0.5, nan, 0.25], [nan, nan, nan], [1.0, nan, nan]]
    plot = LayerCurves(200, 100, lambda *_: None, lambda _: None)
    plot.show(Curves(("a", "b", "c"), (0, 1, 2), np.array(values)), "c", 0)
    np.testing.assert_array_equal(plot.plot.figure.marks[0].y, [0.5, 0.25])
