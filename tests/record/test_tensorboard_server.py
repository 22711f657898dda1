"""A real TensorBoard server, started on a recorded folder as it is."""

import json
import socket
import subprocess
import sys
import time
import urllib.parse
import urllib.request
from contextlib import contextmanager

import pytest

from convviz_widgets.record import Recorder, Run

from .training import Training


@contextmanager
def server(directory):
    """Serve a folder and yield a function that asks the server's HTTP API."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "tensorboard.main", "--logdir", str(directory)]
    command += ["--host", "127.0.0.1", "--port", str(port)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)

    def ask(path, **query):
        address = f"http://127.0.0.1:{port}/data/{path}?{urllib.parse.urlencode(query)}"
        with urllib.request.urlopen(address, timeout=10) as answer:
            return json.load(answer)

    try:
        yield ask
    finally:
        process.terminate()
        process.communicate()


def tags(ask):
    """Return the scalars' tags of the folder, once the server has read it."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            if found := ask("plugin/scalars/tags"):
                return found["."].keys()
        except OSError:  # not up yet
            pass
        time.sleep(0.1)
    return pytest.fail("the server did not read the folder")


def test_the_server_answers_with_what_was_recorded(tmp_path):
    training = Training()
    training.record(tmp_path, steps=5, every=2)
    training.record(tmp_path, steps=4, every=2, step=3)  # a restart that goes back
    with Recorder(training.model, tmp_path) as recorder:
        recorder.step(**{"accuracy/val": float("nan")})
    metrics = Run(tmp_path).metrics
    with server(tmp_path) as ask:
        assert tags(ask) == metrics.keys()
        for name, series in metrics.items():
            points = ask("plugin/scalars/scalars", run=".", tag=name)
            assert [step for _, step, _ in points] == series.steps.tolist()
            assert [wall_time for wall_time, _, _ in points] == series.wall_times.tolist()
            shown = [float(value) for _, _, value in points]
            assert shown == pytest.approx(series.values.tolist(), abs=0, rel=0, nan_ok=True)
