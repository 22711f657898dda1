import io
import random
import struct

import numpy as np
import pytest
from tensorboard.compat.tensorflow_stub.pywrap_tensorflow import masked_crc32c as of_tensorboard
from tensorboard.summary.writer.record_writer import RecordWriter

from convviz_widgets.record.record_stream import find_records, masked_crc32c

PAYLOADS = [b"", b"a", b"bc" * 200, b"d" * 70_000, b"last"]


def framed(payloads):
    file = io.BytesIO()
    writer = RecordWriter(file)
    for payload in payloads:
        writer.write(payload)
    return file.getvalue()


def payloads(part):
    return [part[start:end] for start, end in find_records(part).payloads]


def damaged_at(part, place):
    return part[:place] + bytes([part[place] ^ 1]) + part[place + 1 :]


def test_finds_what_tensorboard_framed():
    part = framed(PAYLOADS)
    records = find_records(part)
    assert payloads(part) == PAYLOADS
    assert (records.end, records.damaged) == (len(part), [])


def test_an_incomplete_record_waits_and_says_how_much_is_missing():
    part = framed([b"first", b"second"])
    for cut in range(21, len(part)):
        records = find_records(part[:cut])
        assert payloads(part[:cut]) == [b"first"]
        assert (records.end, records.damaged) == (21, [])
        assert records.needed == (22 if cut >= 33 else 16)


@pytest.mark.parametrize(("place", "what"), [(17, "length"), (26, "its sum"), (30, "payload")])
def test_one_damaged_record_costs_that_record_alone(place, what):
    part = damaged_at(framed([b"a", b"seven77", b"c"]), place)
    assert payloads(part) == [b"a", b"c"], what
    assert find_records(part).damaged == [(17, 40)]


def test_a_length_beyond_belief_is_damage_although_its_sum_is_right():
    header = struct.pack("<Q", 2**40)
    part = header + struct.pack("<I", of_tensorboard(header)) + framed([b"next"])
    assert payloads(part) == [b"next"]
    assert find_records(part).damaged == [(0, 12)]


def test_damage_without_a_sound_record_behind_it_leaves_what_may_begin_one():
    part = b"\0" * 100
    records = find_records(part)
    assert (records.payloads, records.damaged, records.end) == ([], [(0, 89)], 89)


def test_any_two_damaged_bytes_leave_all_other_records():
    rng = random.Random(0)
    whole = [bytes([i]) * (3 + i) for i in range(20)]
    part = framed(whole)
    for _ in range(300):
        first, second = rng.randrange(len(part)), rng.randrange(len(part))
        left = payloads(damaged_at(damaged_at(part, first), second))
        assert set(left) <= set(whole)
        assert len(left) >= 18


@pytest.mark.parametrize("length", [0, 1, 8, 31, 32, 33, 255, 256, 257, 1000, 40_000])
def test_checksums_equal_tensorboards(length):
    data = np.random.default_rng(length).bytes(length)
    assert masked_crc32c(data) == struct.pack("<I", of_tensorboard(data))


def test_a_header_is_found_wherever_the_damage_ends():
    behind = framed([b"next"])
    for lost in range(1, 40):
        for filling in (b"\0", b"\1"):
            records = find_records(filling * lost + behind)
            assert records.damaged == [(0, lost)]
            assert records.payloads == [(lost + 12, lost + 16)]
