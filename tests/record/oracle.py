"""TensorBoard's own reader, and a comparison with what ours has read."""

import numpy as np
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.util import tensor_util


def tensorboard_scalars(directory):
    """Return tag -> list of (step, value, wall time), as TensorBoard reads a folder."""
    accumulator = EventAccumulator(str(directory), {"scalars": 0, "tensors": 0}).Reload()
    scalars = {
        tag: [(e.step, e.value, e.wall_time) for e in accumulator.Scalars(tag)]
        for tag in accumulator.Tags()["scalars"]
    }
    for tag in accumulator.Tags()["tensors"]:
        if accumulator.SummaryMetadata(tag).plugin_data.plugin_name == "scalars":
            scalars[tag] = [
                (e.step, float(tensor_util.make_ndarray(e.tensor_proto)), e.wall_time)
                for e in accumulator.Tensors(tag)
            ]
    return scalars


def assert_same(metrics, expected):
    """Assert that series hold exactly these points."""
    assert metrics.keys() == expected.keys()
    for tag, points in expected.items():
        series = metrics[tag]
        ours = np.stack([series.steps, series.values, series.wall_times], axis=1)
        np.testing.assert_array_equal(ours, np.array(points).reshape(-1, 3))
