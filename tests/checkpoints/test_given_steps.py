import os
from pathlib import Path

import numpy as np
import pytest
import torch

from convviz_widgets.checkpoints import CheckpointSeries
from convviz_widgets.errors import InputError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three files: a.pt, b.pt, best.pt."""
    for name in ("best.pt", "b.pt", "a.pt"):
        add(tmp_path, name)
    return tmp_path


def add(folder: Path, name: str) -> None:
    torch.save({"a": torch.ones(1)}, folder / name)
    os.utime(folder / name, (10**9, 10**9))


@pytest.mark.parametrize(
    "steps",
    [
        [5, 3, 9],
        (5, 3, 9),
        np.array([5, 3, 9]),
        torch.tensor([5, 3, 9]),
        {"a.pt": np.int64(5), "b.pt": 3, Path("best.pt"): 9},
        lambda path: {"a": 5, "b": 3, "best": 9}[path.stem],
    ],
)
def test_steps_are_taken_in_many_forms(folder: Path, steps: object) -> None:
    series = CheckpointSeries.from_directory(folder, steps=steps)
    assert dict(zip(series.names, series.steps, strict=True)) == {
        "b.pt": 3,
        "a.pt": 5,
        "best.pt": 9,
    }


@pytest.mark.parametrize(
    ("steps", "line"),
    [
        ([1, 2], "steps: got 2 steps for 3 files, in natural order a.pt, b.pt, best.pt"),
        ([1, 2, -3], "steps: got -3 at place 2; a step is a whole number from 0 on"),
        ([1, 2, 3.5], "steps: got 3.5 at place 2; a step is a whole number from 0 on"),
        ([True, 1, 2], "steps: got True at place 0; a step is a whole number from 0 on"),
        ([1, 2, 2], "steps: 'b.pt' and 'best.pt' both have step 2"),
        ({"a.pt": 1}, "steps: there is none for 'b.pt'"),
        ({"a.pt": 1, "c.pt": 2}, "steps: unknown file 'c.pt'; did you mean 'b.pt'? there is a.pt"),
        ({"a.pt": "one"}, "steps: 'a.pt' has 'one'; a step is a whole number from 0 on"),
        ({1: 1}, "steps: expected file names, got 1"),
        ("123", "steps: expected a list, a dict of file name to step or a callable, got str"),
        (5, "steps: expected a list, a dict of file name to step or a callable, got int"),
        (lambda path: 1 // 0, "steps('a.pt') raised ZeroDivisionError: "),
        (lambda path: -1, "steps: 'a.pt' has -1; a step is a whole number from 0 on"),
    ],
)
def test_steps_that_do_not_fit_are_refused(folder: Path, steps: object, line: str) -> None:
    with pytest.raises(InputError) as caught:
        CheckpointSeries.from_directory(folder, steps=steps)
    assert str(caught.value).startswith(line)


def test_a_step_of_the_name_stands_where_none_is_given(folder: Path) -> None:
    add(folder, "step_7.pt")
    series = CheckpointSeries.from_directory(folder, steps={"a.pt": 1, "b.pt": 2, "best.pt": 9})
    assert series.labels == ("step 1", "step 2", "step 7", "step 9")
    some = CheckpointSeries.from_directory(folder, steps=lambda p: 3 if p.stem == "a" else None)
    assert some.labels == ("step 3", "step 7", "b.pt", "best.pt")


@pytest.mark.parametrize(
    "steps",
    [{"a.pt": 1, "b.pt": 2, "best.pt": 9}, lambda path: {"a": 1, "b": 2, "best": 9}[path.stem]],
)
def test_a_later_file_without_a_step_is_told_of(folder: Path, steps: object) -> None:
    series = CheckpointSeries.from_directory(folder, steps=steps)
    add(folder, "model_3.pt")
    add(folder, "c.pt")
    assert series.refresh() == 2
    assert series.labels == ("step 1", "step 2", "step 9", "c.pt", "model_3.pt")
    assert set(series.problems) == {"c.pt", "model_3.pt"}


def test_steps_per_epoch_is_a_whole_number(folder: Path) -> None:
    with pytest.raises(InputError, match="steps_per_epoch must be a whole number of at least 1"):
        CheckpointSeries.from_directory(folder, steps_per_epoch=0)
