"""What cannot be looked at is refused: unread, it would pass for fine."""

import pytest

import convviz_widgets as cvw


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"loader": 3}, "loader: expected a DataLoader, got int"),
        ({"validation": 3}, "validation: expected an ImageSet"),
        ({"run": "runs/a"}, "run: expected a Run, got str"),
    ],
)
def test_an_argument_of_another_kind_is_refused_in_one_line(given, words):
    with pytest.raises(cvw.InputError, match=words):
        cvw.diagnose(**given)
