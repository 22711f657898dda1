"""Scales: by which whole numbers a tile may be enlarged or reduced."""

from __future__ import annotations


def tile_scales(
    height: int, width: int, room: int, min_tile: int, max_tile: int
) -> list[tuple[int, int]]:
    """Return the (enlarge, reduce) that suit a tile, from the largest picture to the smallest.

    Parameters
    ----------
    height, width
        Of the tile, in source pixels.
    room
        Screen pixels that it may be wide: overrules `min_tile`.
    min_tile, max_tile
        Screen pixels: the least of its shorter side, the most of its longer one if enlarged
        further than `min_tile` needs.
    """
    short, long = min(height, width), max(height, width)
    needed = -(-min_tile // short)  # to see gaps and hatching at all
    most = max(needed, max_tile // long)
    enlargements = [(n, 1) for n in range(most, needed - 1, -1) if n * width <= room]
    if not enlargements and width <= room:
        return [(room // width, 1)]
    forced = max(1, -(-width // max(1, room)))  # the least reduction that the width allows
    reductions = [(1, n) for n in range(max(2, forced), short // min_tile + 1)]
    return enlargements + reductions or [(1, forced)]
