import numpy as np
import pytest
from tensorboard.compat.tensorflow_stub.pywrap_tensorflow import masked_crc32c as of_one

from convviz_widgets.record.crc32c import masked_crc32c

# Few bytes are cut into pieces of 32, many into pieces of 256.
FEW = [0, 1, 8, 31, 32, 33, 63, 64, 65, 1000, 3]
MANY = [*FEW, 255, 256, 257, 511, 512, 513, 40_000]
RNG = np.random.default_rng(0)
DATA = RNG.integers(0, 256, 60_000, dtype=np.uint8)


@pytest.mark.parametrize("lengths", [FEW, MANY])
def test_equals_tensorboards_for_short_and_long_buffers_side_by_side(lengths):
    lengths = np.array(lengths)
    starts = RNG.integers(0, 1000, len(lengths))
    expected = [of_one(DATA[s : s + n].tobytes()) for s, n in zip(starts, lengths, strict=True)]
    assert masked_crc32c(DATA, starts, lengths).tolist() == expected


def test_of_nothing_is_nothing():
    none = np.array([], np.int64)
    assert masked_crc32c(DATA[:0], none, none).tolist() == []
