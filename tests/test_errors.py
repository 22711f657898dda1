"""Whatever is raised is told in one line."""

import pytest

import convviz_widgets as cvw
from convviz_widgets import record, views
from convviz_widgets.errors import InputError, error_text, in_one_line, strerror


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


def test_names_that_are_at_home_elsewhere_stay_where_they_are_looked_for():
    assert record.RecordError is cvw.RecordError
    assert "RecordError" in record.__all__
    assert issubclass(cvw.FilterMosaic, views.View)
    assert "View" in views.__all__
