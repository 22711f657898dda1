"""Two worker processes give what one process gives, also when one of them is killed midway."""

import os
import signal
import sys
from contextlib import contextmanager
from pathlib import Path

import distributed
import pytest
import torch

from convviz_widgets.checkpoints import CheckpointSeries
from convviz_widgets.errors import InputError
from convviz_widgets.sweeps import SweepInterrupted, SweepResult, sweep
from convviz_widgets.sweeps.sweeping import Saver

from .nets import build, pictures


class Deadly:
    """Pictures; the worker that first asks for number 400 dies of it."""

    def __init__(self, images, marker):
        self.images, self.marker = images, marker

    def __len__(self):
        return len(self.images)

    def __getitem__(self, index):
        if index == 400 and not self.marker.exists():
            self.marker.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return self.images[index]


class Broken(Deadly):
    """Pictures, of which 123 cannot be loaded."""

    def __getitem__(self, index):
        if index == 123:
            raise OSError("truncated file")
        return self.images[index]


@contextmanager
def cluster_of(workers):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))  # for the classes of this file
        cluster = distributed.LocalCluster(
            n_workers=workers, threads_per_worker=1, dashboard_address="127.0.0.1:0", memory_limit=0
        )
        with cluster, distributed.Client(cluster) as client:
            yield client


@pytest.fixture(scope="module")
def client():
    with cluster_of(2) as client:
        yield client


@pytest.fixture
def images():
    images = pictures(600)
    images[::50] = images[0].clone()  # ties between the shares of both workers
    return images


@pytest.fixture
def net():
    return build("residual")


def swept(net, data, **settings):
    return sweep(net, data, **{"batch_size": 16, "progress": False} | settings)


def assert_same(one, other):
    assert (one.count, one.steps, one.subject) == (other.count, other.steps, other.subject)
    assert one.failures == other.failures
    for mine, theirs in zip(one.parts, other.parts, strict=True):
        mine, theirs = mine.statistics, theirs.statistics
        for name in ("fired", "values", "nan", "infinite", "maximum"):
            assert torch.equal(getattr(mine.sums, name), getattr(theirs.sums, name))
        assert torch.equal(mine.counts, theirs.counts)
        assert torch.equal(mine.top.keys, theirs.top.keys)
        assert torch.equal(mine.top.positions, theirs.top.positions)
        torch.testing.assert_close(mine.sums.mean, theirs.sums.mean, rtol=1e-6, atol=1e-9)
        torch.testing.assert_close(mine.sums.squares, theirs.sums.squares, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("groups", [None, [index // 30 for index in range(600)]])
def test_the_result_is_that_of_one_process(client, net, images, groups):
    assert_same(swept(net, images, client=client, groups=groups), swept(net, images, groups=groups))


def test_the_work_is_shared_out_among_both_workers(client, net, images):
    swept(net, images, client=client)
    done = {worker for _, worker in client.run(_jobs_seen).items()}
    assert done == {1}


def _jobs_seen():
    from convviz_widgets.sweeps.dask_sweep import idle_probes

    return len(idle_probes)


def test_checkpoints_are_swept_one_after_the_other(client, net, images):
    series = CheckpointSeries.from_state_dicts(
        [(step, build("residual", step).state_dict()) for step in (0, 5)]
    )
    ours = swept(net, images, checkpoints=series, client=client)
    assert_same(ours, swept(net, images, checkpoints=series))


def test_an_item_that_fails_is_reported_by_its_index_from_there(client, net, images, tmp_path):
    data = Broken(images, tmp_path / "marker")
    with pytest.raises(InputError, match=r"^image 123: OSError: truncated file$"):
        swept(net, data, client=client)
    assert_same(swept(net, data, client=client, on_error="skip"), swept(net, data, on_error="skip"))


def test_an_interrupted_sweep_goes_on_there_or_here(client, net, images, tmp_path, monkeypatch):
    saved = []

    def interrupt(self, path):
        saved.append(path)
        raise KeyboardInterrupt

    monkeypatch.setattr(Saver, "now_and_then", interrupt)
    with pytest.raises(SweepInterrupted):
        swept(net, images, client=client, resume=tmp_path / "part")
    monkeypatch.undo()
    assert 0 < SweepResult.load(tmp_path / "part").count < 600
    assert_same(swept(net, images, client=client, resume=tmp_path / "part"), swept(net, images))


def test_a_worker_that_is_killed_midway_changes_nothing(client, net, images, tmp_path):
    before = set(client.scheduler_info()["workers"])
    data = Deadly(images, tmp_path / "marker")
    result = swept(net, data, client=client)
    assert data.marker.exists()
    assert_same(result, swept(net, images))
    assert len(before & set(client.scheduler_info()["workers"])) < 2


def test_the_model_stays_as_it_was(client, net, images):
    hooked = []
    net.conv1.register_forward_hook(lambda *_: hooked.append(1))
    net.train()
    swept(net, images[:40], client=client)
    assert net.training
    assert hooked == []


def test_the_only_worker_may_be_killed_with_all_that_was_sent_to_it(net, images, tmp_path):
    with cluster_of(1) as client:
        result = swept(net, Deadly(images, tmp_path / "marker"), client=client)
    assert_same(result, swept(net, images))


def test_without_dask_the_way_to_it_is_told(net, images, monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(InputError, match=r"pip install 'convviz_widgets\[distributed\]'"):
        swept(net, images, client=object())
