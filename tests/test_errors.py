"""Whatever is raised is told in one line."""

import numpy as np
import pytest
import torch

import convviz_widgets as cvw
from convviz_widgets import record, views
from convviz_widgets.errors import (
    InputError,
    SelectionError,
    at_least,
    checked_index,
    error_text,
    in_one_line,
    number_of,
    strerror,
    whole_number,
)


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (InputError("got\n  two lines"), "got two lines"),
        (InputError("x" * 300), "x" * 300),
        (KeyError("missing"), "KeyError: 'missing'"),
        (RuntimeError("first\n\tsecond"), "RuntimeError: first"),
        (RuntimeError("x" * 300), "RuntimeError: " + "x" * 197 + "..."),
        (MemoryError(), "MemoryError"),
    ],
)
def test_errors_are_named_unless_they_are_ours_and_take_one_line(error, line):
    assert in_one_line(error) == line


def test_a_text_is_cut_and_an_empty_one_is_the_name_of_its_class():
    assert error_text(RuntimeError("  a\n b "), 10) == "a"
    assert error_text(RuntimeError("x" * 11), 10) == "x" * 7 + "..."
    assert error_text(MemoryError()) == "MemoryError"


def test_the_system_says_why_without_number_and_path(tmp_path):
    with pytest.raises(OSError, match="No such file") as raised:
        (tmp_path / "nothing").read_bytes()
    assert strerror(raised.value) == "No such file or directory"
    assert strerror(InputError("too large")) == "too large"
    assert strerror(OSError()) == "OSError"


@pytest.mark.parametrize("value", [2, np.int64(2), torch.tensor(2)])
def test_a_whole_number_may_be_of_any_kind(value):
    found = [whole_number(value), at_least(1, "every", value), checked_index("row", value, 3, "fc")]
    assert found == [2, 2, 2]
    assert [type(each) for each in found] == [int, int, int]


@pytest.mark.parametrize("value", [True, np.bool_(True), 2.0, "2", None, [2]])
def test_what_is_no_whole_number_is_refused_by_every_check(value):
    assert whole_number(value) is None
    with pytest.raises(InputError, match="every must be a whole number of at least 1, got"):
        at_least(1, "every", value)
    with pytest.raises(SelectionError, match=r"row .* is not a whole number"):
        checked_index("row", value, 3, "fc")


@pytest.mark.parametrize("index", [-1, 3])
def test_an_index_out_of_range_is_refused_with_the_range(index):
    with pytest.raises(SelectionError, match=f"no row {index} in fc; it has 0 to 2"):
        checked_index("row", index, 3, "fc")


def test_names_that_are_at_home_elsewhere_stay_where_they_are_looked_for():
    assert record.RecordError is cvw.RecordError
    assert "RecordError" in record.__all__
    assert issubclass(cvw.FilterMosaic, views.View)
    assert "View" in views.__all__


def test_one_is_no_plural():
    said = [number_of(count, "checkpoint") for count in (0, 1, 2, 1000)]
    assert said == ["0 checkpoints", "1 checkpoint", "2 checkpoints", "1,000 checkpoints"]
