"""Random changes of a file's bytes."""


def mutated(data, rng):
    """Return data with a few bytes changed, put in, taken out or copied, or the end cut off.

    A third of the places are among the first 600 bytes, where the structure of a file often is.
    """
    changed = bytearray(data)
    kind = rng.randrange(6)
    for _ in range(rng.choice((1, 1, 3, 12))):
        size = len(changed)
        where = rng.choice((rng.randrange(size + 1), size, rng.randrange(min(size, 600) + 1)))
        if kind == 0 and size:
            changed[min(where, size - 1)] ^= 1 << rng.randrange(8)
        elif kind == 1:
            changed[where : where + 8] = rng.choice((b"\0", b"\xff", b"\x7f")) * 8
        elif kind == 2:
            changed[where:where] = rng.randbytes(rng.randrange(1, 9))
        elif kind == 3:
            start = rng.randrange(size + 1)
            changed[where : where + 20] = changed[start : start + 20]
        elif kind == 4:
            del changed[where : where + rng.randrange(1, 20)]
        else:
            return bytes(changed[:where])
    return bytes(changed)
