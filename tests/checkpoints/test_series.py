import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from convviz_widgets.checkpoints import CheckpointSeries, write_checkpoint
from convviz_widgets.checkpoints import series as series_module
from convviz_widgets.checkpoints.checkpoint_file import CheckpointFile
from convviz_widgets.checkpoints.listing import Listing
from convviz_widgets.errors import CheckpointError, InputError

WriteOld = Callable[..., Path]


def test_checkpoints_come_in_the_order_of_their_steps(tmp_path: Path, write_old: WriteOld) -> None:
    for step in (10, 9, 100):
        write_old(tmp_path / f"step-{step}.safetensors", step)
    series = CheckpointSeries.from_directory(tmp_path)
    assert series.steps == (9, 10, 100)
    assert series.names == ("step-9.safetensors", "step-10.safetensors", "step-100.safetensors")
    assert [series.load(i)["weight"].item() for i in range(3)] == [9, 10, 100]
    assert len(series) == 3
    assert series.problems == {}


def test_all_formats_are_found_and_nothing_else(tmp_path: Path) -> None:
    for i, suffix in enumerate((".pt", ".pth", ".ckpt", ".PT")):
        torch.save({"state_dict": {"a": torch.tensor(i)}}, tmp_path / f"{i}{suffix}")
    for name in ("log-7.txt", ".8.pt", "9.pt~", "10.tmp.pt", "11.pt.tmp"):
        (tmp_path / name).write_bytes(b"no")
    series = CheckpointSeries.from_directory(tmp_path)
    assert series.names == ("0.pt", "1.pth", "2.ckpt", "3.PT")
    assert [series.load(i)["a"].item() for i in range(4)] == [0, 1, 2, 3]


def test_of_one_step_the_newest_counts(tmp_path: Path, write_old: WriteOld) -> None:
    write_old(tmp_path / "a-5.safetensors", 1, age=300)
    write_old(tmp_path / "b-5.safetensors", 2, age=100)
    write_old(tmp_path / "c-5.safetensors", 3, age=200)
    series = CheckpointSeries.from_directory(tmp_path)
    assert series.steps == (5,)
    assert series.load(0)["weight"].item() == 2
    newer = "left out, b-5.safetensors has the number 5 too and is newer; pattern= picks files"
    assert series.problems == {
        name: f"{name}: {newer}" for name in ("a-5.safetensors", "c-5.safetensors")
    }
    (tmp_path / "b-5.safetensors").unlink()
    series.refresh()
    assert series.load(0)["weight"].item() == 3
    assert list(series.problems) == ["a-5.safetensors"]


def test_names_without_a_number_follow_in_natural_order(
    tmp_path: Path, write_old: WriteOld
) -> None:
    for name in ("last", "best"):
        write_old(tmp_path / f"{name}.safetensors")
    assert CheckpointSeries.from_directory(tmp_path).steps == (0, 1)
    write_old(tmp_path / "step-7.safetensors")
    series = CheckpointSeries.from_directory(tmp_path)
    assert series.steps == (7, 8, 9)
    assert series.names == ("step-7.safetensors", "best.safetensors", "last.safetensors")


def test_a_pattern_picks_files_below_the_directory(tmp_path: Path, write_old: WriteOld) -> None:
    for step in (500, 1000):
        (tmp_path / f"checkpoint-{step}").mkdir()
        write_old(tmp_path / f"checkpoint-{step}" / "model.safetensors", step)
        write_old(tmp_path / f"checkpoint-{step}" / "optimizer.safetensors")
    series = CheckpointSeries.from_directory(tmp_path, pattern="*/model.*")
    assert series.steps == (500, 1000)
    assert series.names[0] == "checkpoint-500/model.safetensors"
    assert series.load(1)["weight"].item() == 1000


@pytest.mark.parametrize("pattern", ["", "/etc/*", "../*.pt"])
def test_a_pattern_stays_below_the_directory(tmp_path: Path, pattern: str) -> None:
    with pytest.raises(InputError, match="must be a glob below the directory"):
        CheckpointSeries.from_directory(tmp_path, pattern=pattern)


def test_a_key_picks_the_state_dict(tmp_path: Path) -> None:
    torch.save({"ema": {"a": torch.ones(1)}, "model": {"a": torch.zeros(1)}}, tmp_path / "1.pt")
    assert CheckpointSeries.from_directory(tmp_path).load(0)["a"].item() == 0
    series = CheckpointSeries.from_directory(tmp_path, state_dict_key="ema")
    assert series.load(0)["a"].item() == 1


def test_a_directory_without_checkpoints_says_what_was_looked_for_and_what_is_there(
    tmp_path: Path,
) -> None:
    looked_for = r"\*\.safetensors, \*\.pt, \*\.pth, \*\.ckpt, \*\.tar, \*\.bin, .*; it is empty$"
    with pytest.raises(CheckpointError, match=f"no checkpoints in .*: looked for {looked_for}"):
        CheckpointSeries.from_directory(tmp_path)
    (tmp_path / "notes\n.txt").write_text("")
    with pytest.raises(CheckpointError, match=r"; there is notes\\n\.txt$"):
        CheckpointSeries.from_directory(tmp_path)
    (tmp_path / "9").mkdir()
    for step in range(10, 15):
        (tmp_path / f"{step}.pt").write_text("")
    here = r"there is 9/, 10\.pt, 11\.pt, 12\.pt, 13\.pt, \.\.\. \(7 in all\)$"
    with pytest.raises(CheckpointError, match=rf"looked for \*-ema\.pt; {here}"):
        CheckpointSeries.from_directory(tmp_path, pattern="*-ema.pt")
    with pytest.raises(CheckpointError, match=r"none': No such file or directory$"):
        CheckpointSeries.from_directory(tmp_path / "none")
    with pytest.raises(CheckpointError, match="Not a directory"):
        CheckpointSeries.from_directory(tmp_path / "10.pt", pattern="*.pt")


def test_the_home_directory_may_be_written_as_a_tilde(
    tmp_path: Path, write_old: WriteOld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    write_old(tmp_path / "1.safetensors", 1)
    assert CheckpointSeries.from_directory("~").steps == (1,)


def test_a_series_tells_its_steps(tmp_path: Path) -> None:
    two = CheckpointSeries.from_state_dicts([(n, {"a": torch.ones(1)}) for n in (30, 4)])
    assert repr(two) == "<CheckpointSeries of 2: steps 4 to 30>"
    none = CheckpointSeries(lambda: Listing(()), lambda item: {}, Listing(()))
    assert repr(none) == "<CheckpointSeries of 0>"
    names = ("epoch_3.pt", "epoch_7.pt", "best.pt")
    for index, name in enumerate(names):
        torch.save({"a": torch.full((1,), index)}, tmp_path / name)
    mixed = CheckpointSeries.from_directory(tmp_path)
    assert repr(mixed) == "<CheckpointSeries of 3: epochs 3 to 7, best.pt>"
    names = ("epoch_3.pt", "epoch_7.pt", "best.pt")
    for index, name in enumerate(names):
        torch.save({"a": torch.full((1,), index)}, tmp_path / name)
    mixed = CheckpointSeries.from_directory(tmp_path)
    assert repr(mixed) == "<CheckpointSeries of 3: epochs 3 to 7, best.pt>"
    with pytest.raises(CheckpointError, match="no checkpoint 0: there is none"):
        none.load(0)


def test_what_is_no_file_is_a_problem_from_the_start(tmp_path: Path, write_old: WriteOld) -> None:
    write_old(tmp_path / "1.safetensors")
    (tmp_path / "2.pt").mkdir()
    os.mkfifo(tmp_path / "3.pt")
    (tmp_path / "4.pt").symlink_to("nothing")
    series = CheckpointSeries.from_directory(tmp_path)
    assert series.steps == (1,)
    assert series.problems == {
        "2.pt": "2.pt: is a directory, not a regular file",
        "3.pt": "3.pt: is a pipe, not a regular file",
        "4.pt": "4.pt: cannot be read: No such file or directory",
    }


def test_a_bad_file_becomes_a_problem_and_the_rest_works(
    tmp_path: Path, write_old: WriteOld
) -> None:
    write_old(tmp_path / "1.safetensors", 1)
    (tmp_path / "2.pt").write_bytes(b"nonsense")
    series = CheckpointSeries.from_directory(tmp_path)
    assert series.problems == {}
    with pytest.raises(CheckpointError, match=r"2\.pt: is no safetensors or PyTorch file"):
        series.load(1)
    assert series.problems == {"2.pt": "2.pt: is no safetensors or PyTorch file"}
    assert series.load(0)["weight"].item() == 1
    write_old((tmp_path / "2.pt").with_suffix(".safetensors")).rename(tmp_path / "2.pt")
    assert series.refresh() == 1
    assert series.problems == {}


def test_a_rewritten_file_has_another_key_and_the_others_keep_theirs(
    tmp_path: Path, write_old: WriteOld
) -> None:
    for step in (2, 3):
        write_old(tmp_path / f"{step}.safetensors")
    series = CheckpointSeries.from_directory(tmp_path)
    two, three = series.keys
    assert series.refresh() == 0
    write_old(tmp_path / "1.safetensors")
    write_old(tmp_path / "3.safetensors", 3, age=500)
    assert series.refresh() == 2
    assert series.steps == (1, 2, 3)
    assert series.key(1) == two
    assert series.key(2) != three
    assert len({*series.keys, two, three}) == 4


def test_a_removed_file_goes_and_an_emptied_directory_is_an_error(
    tmp_path: Path, write_old: WriteOld
) -> None:
    first, second = (write_old(tmp_path / f"{step}.safetensors") for step in (1, 2))
    series = CheckpointSeries.from_directory(tmp_path)
    first.unlink()
    with pytest.raises(CheckpointError, match="No such file"):
        series.load(0)
    assert series.refresh() == 0
    assert series.steps == (2,)
    assert series.problems == {}
    second.unlink()
    with pytest.raises(CheckpointError, match="no checkpoints in"):
        series.refresh()
    assert series.steps == (2,)


def test_a_fresh_file_appears_once_it_has_settled(tmp_path: Path, write_old: WriteOld) -> None:
    write_old(tmp_path / "1.safetensors")
    series = CheckpointSeries.from_directory(tmp_path)
    write_old(tmp_path / "2.safetensors", age=-3600)  # a server whose clock is ahead
    assert series.refresh() == 0
    assert series.steps == (1,)
    time.sleep(0.26)
    assert series.refresh() == 1
    assert series.steps == (1, 2)


def test_a_file_that_keeps_changing_stays_what_it_was(tmp_path: Path, write_old: WriteOld) -> None:
    path = write_old(tmp_path / "1.safetensors")
    series = CheckpointSeries.from_directory(tmp_path)
    before = series.key(0)
    for i in range(3):
        write_old(path, age=-60 - i)
        assert series.refresh() == 0
        assert series.key(0) == before
        time.sleep(0.13)


def test_opening_waits_once_for_what_was_just_written(tmp_path: Path) -> None:
    write_checkpoint(tmp_path / "1.safetensors", {"a": torch.ones(1)})
    started = time.monotonic()
    assert CheckpointSeries.from_directory(tmp_path).steps == (1,)
    assert time.monotonic() - started >= 0.24


def test_the_series_does_not_follow_the_working_directory(
    tmp_path: Path, write_old: WriteOld, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_old(tmp_path / "1.safetensors", 1)
    monkeypatch.chdir(tmp_path)
    series = CheckpointSeries.from_directory(".")
    monkeypatch.chdir("/")
    assert series.names == ("1.safetensors",)
    assert series.load(0)["weight"].item() == 1


def test_an_index_out_of_range_names_the_range(tmp_path: Path, write_old: WriteOld) -> None:
    write_old(tmp_path / "1.safetensors", 5)
    series = CheckpointSeries.from_directory(tmp_path)
    assert series.load(-1)["weight"].item() == 5
    with pytest.raises(CheckpointError, match="no checkpoint 1: there are 0 to 0"):
        series.load(1)


def test_state_dicts_in_memory_are_copies() -> None:
    weight = torch.ones(2)
    series = CheckpointSeries.from_state_dicts(
        [(3, {"module.a": weight}), (1, {"a": torch.zeros(2)}), (3, {"module.a": weight + 1})]
    )
    weight.zero_()
    assert series.steps == (1, 3)
    assert series.load(1)["a"].tolist() == [2, 2]
    series.load(1)["a"].zero_()
    assert series.load(1)["a"].tolist() == [2, 2]
    assert series.refresh() == 0
    assert series.key(0) != CheckpointSeries.from_state_dicts([(1, {"a": weight})]).key(0)


@pytest.mark.parametrize("pairs", [[3], [("one", {})], [(1, {}, 2)]])
def test_pairs_are_asked_for(pairs: list) -> None:
    with pytest.raises(InputError, match=r"expected pairs \(step, state_dict\)"):
        CheckpointSeries.from_state_dicts(pairs)


def test_no_state_dicts_are_an_error() -> None:
    with pytest.raises(CheckpointError, match="no state dicts"):
        CheckpointSeries.from_state_dicts([])


def test_ten_thousand_files_open_without_reading_one(
    tmp_path: Path, write_old: WriteOld, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = write_old(tmp_path / "step-00000.safetensors", 7)
    for step in range(1, 10_000):
        os.link(one, tmp_path / f"step-{step:05d}.safetensors")
    reads = []
    real = series_module.read_contents
    monkeypatch.setattr(
        series_module, "read_contents", lambda *a, **k: reads.append(a) or real(*a, **k)
    )
    series = CheckpointSeries.from_directory(tmp_path)
    assert len(series) == 10_000
    assert reads == []
    assert series.load(9_999)["weight"].item() == 7
    assert len(reads) == 1


def test_of_two_refreshes_the_later_look_counts() -> None:
    """The first is held up while it looks: the second must not overtake it."""
    older, newer = (
        Listing(tuple((step, CheckpointFile(f"{step}.pt", "", 0, 0, 0)) for step in range(count)))
        for count in (1, 2)
    )
    looks = iter((older, newer))
    is_looking, go_on = threading.Event(), threading.Event()

    def look() -> Listing:
        seen = next(looks)
        if seen is older:
            is_looking.set()
            assert go_on.wait(60)
        return seen

    series = CheckpointSeries(look, lambda item: {}, Listing(()))
    threads = [threading.Thread(target=series.refresh) for _ in range(2)]
    threads[0].start()
    assert is_looking.wait(60)
    threads[1].start()
    threads[1].join(0.1)  # enough for a second look, if nothing keeps it back
    go_on.set()
    for thread in threads:
        thread.join()
    assert series.steps == (0, 1)


def test_threads_may_load_and_refresh_while_files_come(tmp_path: Path, write_old: WriteOld) -> None:
    (tmp_path / "made").mkdir()
    made = [write_old(tmp_path / "made" / f"{step}.safetensors", step) for step in range(15)]
    for path in made[:5]:
        path.rename(tmp_path / path.name)
    series = CheckpointSeries.from_directory(tmp_path)
    wrong: list[object] = []
    stop = threading.Event()

    def look() -> None:
        while not stop.is_set():
            series.refresh()
            steps = series.steps  # whole files only come at the end: indices stay
            wrong.extend(i for i in range(len(steps)) if series.load(i)["weight"].item() != i)

    threads = [threading.Thread(target=look) for _ in range(3)]
    for thread in threads:
        thread.start()
    for path in made[5:]:
        time.sleep(0.01)
        path.rename(tmp_path / path.name)
    stop.set()
    for thread in threads:
        thread.join()
    series.refresh()
    assert wrong == []
    assert series.steps == tuple(range(15))
