import pytest
from torch.utils.tensorboard import SummaryWriter

from convviz_widgets.record import Run

from .oracle import assert_same, tensorboard_scalars


def write(directory, points, number, **options):
    """Write one event file; its name sorts behind those of a lower number."""
    with SummaryWriter(directory, filename_suffix=f".{number}", **options) as writer:
        for tag, step, value in points:
            writer.add_scalar(tag, value, step)
    (newest,) = directory.glob(f"*.{number}")
    newest.rename(directory / f"events.out.tfevents.{number:010d}")


def points(run, name):
    series = run.metrics[name]
    return list(zip(series.steps.tolist(), series.values.tolist(), strict=True))


def test_a_restart_that_says_so_voids_all_later_steps_as_in_tensorboard(tmp_path):
    write(tmp_path, [("a", s, s) for s in range(6)] + [("b", 5, 5), ("b", 1, 1)], 1)
    write(tmp_path, [("a", 3, 30), ("a", 4, 40)], 2, purge_step=3)
    run = Run(tmp_path)
    assert points(run, "a") == [(0, 0), (1, 1), (2, 2), (3, 30), (4, 40)]
    assert points(run, "b") == [(1, 1)]
    assert_same(run.metrics, tensorboard_scalars(tmp_path))


def test_a_restart_that_says_nothing_voids_the_later_steps_of_its_metrics(tmp_path):
    write(tmp_path, [("a", s, s) for s in range(6)] + [("b", 5, 5)], 1)
    write(tmp_path, [("a", 3, 30), ("a", 4, 40)], 2)
    run = Run(tmp_path)
    assert points(run, "a") == [(0, 0), (1, 1), (2, 2), (3, 30), (4, 40)]
    assert points(run, "b") == [(5, 5)]


def test_of_one_step_what_was_written_last_counts(tmp_path):
    write(tmp_path, [("a", 0, 1), ("a", 0, 2), ("a", 1, 3), ("a", 1, 4)], 1)
    assert points(Run(tmp_path), "a") == [(0, 2), (1, 4)]


def test_a_restart_that_appears_later_changes_the_series(tmp_path):
    write(tmp_path, [("a", s, s) for s in range(4)], 1)
    run = Run(tmp_path)
    before = run.metrics["a"]
    write(tmp_path, [("b", 0, 0)], 2, purge_step=2)
    run.refresh()
    assert points(run, "a") == [(0, 0), (1, 1)]
    assert before.steps.tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize("gone", [1, 2])
def test_a_deleted_file_takes_its_points_along(tmp_path, gone):
    write(tmp_path, [("a", 0, 0)], 1)
    write(tmp_path, [("a", 1, 1)], 2)
    run = Run(tmp_path)
    (tmp_path / f"events.out.tfevents.{gone:010d}").unlink()
    run.refresh()
    assert points(run, "a") == [(2 - gone, 2 - gone)]
