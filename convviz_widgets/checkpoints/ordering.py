"""Checkpoints in the order of the training: which unit counts, and what corrects a name.

Nothing is guessed: what has no number of the unit that counts comes after the last, by its name.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

from convviz_widgets.checkpoints.listing import Dated, Found, Item, Listing
from convviz_widgets.checkpoints.names import natural
from convviz_widgets.checkpoints.training_time import EPOCH, STEP, UNKNOWN, TrainingTime

_NOT_KNOWN = TrainingTime()
_UNITS = (STEP, EPOCH, UNKNOWN)  # of units that tell as many files apart the first is taken


def in_order(found: Found, inside: Mapping[Item, TrainingTime] | None = None) -> Listing:
    """Return a listing of what was found, ascending in the unit that tells most of it apart.

    Of several files with one number the newest stays, and the problems tell of the others. What
    has no number of the unit follows in natural order, its steps counted on from the last.

    Parameters
    ----------
    inside : what the files that were read say themselves. It corrects their names, but for counts
        of one apart (what is done, what goes on), and tells what bare numbers mean.
    """
    dated = sorted(found.dated, key=lambda each: natural(each.item.name))
    lines: dict[str, str] = {}
    meaning = found.unit or _meaning_of_numbers(dated, inside or {})
    entries = _ranked(_corrected(dated, meaning, inside or {}, lines), lines)
    unit = found.unit or _telling(entries)
    entries = _converted([_valued(entry, unit) for entry in entries], unit, lines)
    placed, behind = _placed(entries, unit, lines)
    after = placed[-1][0] + 1 if placed else 0
    everything = [*placed, *enumerate(behind, after)]
    return Listing(
        tuple((step, entry.item) for step, entry in everything),
        {**found.problems, **lines},
        unit,
        tuple(entry.time for _, entry in everything),
        len(placed),
        found,
    )


def corrected(listing: Listing, inside: Mapping[Item, TrainingTime]) -> Listing:
    """Return a listing in the order that it has by what some of its files say themselves."""
    return in_order(listing.found, inside) if listing.found and inside else listing


@dataclass(frozen=True)
class _Entry:
    """An item on its way to its place.

    Parameters
    ----------
    dated : with what its name says.
    time : that, corrected.
    is_moved : whether its place is not the one that its name asks for.
    rank : its place among files whose steps begin anew in each epoch.
    value : its number of the unit that counts.
    """

    dated: Dated
    time: TrainingTime
    is_moved: bool = False
    rank: int | None = None
    value: int | None = None

    @property
    def item(self) -> Item:
        return self.dated.item

    @property
    def name(self) -> str:
        return self.dated.item.name


def _corrected(
    found: Sequence[Dated],
    meaning: str | None,
    inside: Mapping[Item, TrainingTime],
    lines: dict[str, str],
) -> list[_Entry]:
    entries = []
    for each in found:
        named = replace(each, time=_with_meaning(each.time, meaning))
        entries.append(_merged(named, inside.get(each.item, _NOT_KNOWN), lines))
    return entries


def _meaning_of_numbers(found: Sequence[Dated], inside: Mapping[Item, TrainingTime]) -> str | None:
    """Return what the bare numbers count, if all files that were read and can tell agree."""
    votes = {
        _matching(each.time.number, inside[each.item])
        for each in found
        if each.item in inside and _is_bare(each.time)
    } - {None}
    return votes.pop() or None if len(votes) == 1 else None


def _is_bare(time: TrainingTime) -> bool:
    return time.number is not None and time.step is None and time.epoch is None


def _matching(number: int | None, inside: TrainingTime) -> str | None:
    """Return the unit in which a file has the number of its name; "": in none, None: in both."""
    counts = {STEP: inside.step, EPOCH: inside.epoch}
    known = {unit: count for unit, count in counts.items() if count is not None}
    if number is None or not known:
        return None
    for apart in (0, 1):
        same = [unit for unit, count in known.items() if abs(count - number) <= apart]
        if same:
            return same[0] if len(same) == 1 else None
    return ""


def _with_meaning(time: TrainingTime, meaning: str | None) -> TrainingTime:
    if meaning is None or not _is_bare(time):
        return time
    is_step = meaning == STEP
    return replace(time, step=time.number) if is_step else replace(time, epoch=time.number)


def _merged(named: Dated, inside: TrainingTime, lines: dict[str, str]) -> _Entry:
    """Return an entry with all that is known of its time; the file goes before its name."""
    known = {}
    contradicted = []
    for unit in (STEP, EPOCH):
        said, is_so = named.time.value(unit), inside.value(unit)
        is_same = said is None or is_so is None or abs(said - is_so) <= 1
        known[unit] = is_so if said is None or not (is_same or named.source) else said
        if known[unit] != said and said is not None:
            contradicted.append(f"{unit} {said:,}, but it holds {unit} {is_so:,}")
    time = replace(named.time, step=known[STEP], epoch=known[EPOCH])
    if contradicted:
        name = named.item.name
        lines[name] = f"{name}: its name says {' and '.join(contradicted)}, which counts"
    return _Entry(named, time, bool(contradicted))


def _ranked(entries: list[_Entry], lines: dict[str, str]) -> list[_Entry]:
    """Return entries without their steps, where these begin anew with each epoch.

    Where several files share an epoch then, they are told apart by rank.
    """
    paired = [entry for entry in entries if _has_pair(entry)]
    if not _begins_anew((entry.time.epoch or 0, entry.time.step or 0) for entry in paired):
        return entries
    first = paired[0].name
    lines[first] = (
        f"{first}: its step counts from the beginning of its epoch (or two runs share the folder): "
        "the order is that of epochs, then steps; steps= says when each was saved"
    )
    in_epochs = [entry for entry in entries if entry.dated.time.epoch is not None]
    pairs = sorted({_epoch_and_step(entry) for entry in in_epochs})
    is_shared = len({epoch for epoch, _ in pairs}) < len(pairs)
    ranks = {pair: rank for rank, pair in enumerate(pairs)} if is_shared else {}
    return [_without_step(entry, ranks) for entry in entries]


def _without_step(entry: _Entry, ranks: Mapping[tuple[int, int], int]) -> _Entry:
    if entry.dated.time.epoch is None:
        return entry
    rank = ranks.get(_epoch_and_step(entry))
    return replace(entry, time=replace(entry.time, step=None), rank=rank)


def _has_pair(entry: _Entry) -> bool:
    named, time = entry.dated.time, entry.time
    is_dated = named.step is not None or named.epoch is not None
    return is_dated and not entry.dated.source and None not in (time.step, time.epoch)


def _begins_anew(pairs: Iterable[tuple[int, int]]) -> bool:
    """Tell whether a later epoch has a step that is not behind all steps of the earlier ones."""
    by_epoch: dict[int, list[int]] = defaultdict(list)
    for epoch, step in pairs:
        by_epoch[epoch].append(step)
    steps = [by_epoch[epoch] for epoch in sorted(by_epoch)]
    return any(max(before) >= min(behind) for before, behind in itertools.pairwise(steps))


def _epoch_and_step(entry: _Entry) -> tuple[int, int]:
    return entry.time.epoch or 0, -1 if entry.time.step is None else entry.time.step


def _telling(entries: Sequence[_Entry]) -> str:
    """Return the unit in whose numbers most files can be told apart, by their names."""
    if any(entry.rank is not None for entry in entries):
        return UNKNOWN

    def told_apart(unit: str) -> int:
        known = (entry for entry in entries if entry.time.value(unit) is not None)
        return len({entry.dated.time.value(unit) for entry in known} - {None})

    best = max(_UNITS, key=told_apart)
    return best if told_apart(best) else UNKNOWN


def _valued(entry: _Entry, unit: str) -> _Entry:
    """Return an entry with its number of the unit; none where its name has no number at all."""
    if entry.rank is not None:
        return replace(entry, value=entry.rank)
    if entry.dated.time == _NOT_KNOWN:
        return entry
    is_moved = entry.is_moved or entry.dated.time.value(unit) is None
    return replace(entry, value=entry.time.value(unit), is_moved=is_moved)


def _converted(entries: list[_Entry], unit: str, lines: dict[str, str]) -> list[_Entry]:
    """Return entries with a number of the unit, too, where pairs of epoch and step tell it."""
    lacking = [e for e in entries if e.value is None and e.dated.time != _NOT_KNOWN]
    convert = _Conversion.of(entries, unit) if lacking and unit != UNKNOWN else None
    values = {e.item: convert(e.time) for e in lacking} if convert else {}
    left = [entry for entry in lacking if values.get(entry.item) is None]
    if left:
        more = f" and {len(left) - 1:,} more" if left[1:] else ""
        others = "numbers of unknown unit" if unit == UNKNOWN else f"{unit}s"
        lines.setdefault(
            left[0].name,
            f"{left[0].name}{more}: has no number that can be put among the {others} of the other "
            "names; comes after the last, by name; steps= says when each was saved",
        )
    return [
        replace(entry, value=value, time=replace(entry.time, **{unit: value}), is_moved=True)
        if (value := values.get(entry.item)) is not None
        else entry
        for entry in entries
    ]


@dataclass(frozen=True)
class _Conversion:
    """The step that belongs to an epoch, or the other way round, where all pairs lie on a line."""

    unit: str
    slope: Fraction
    start: Fraction

    @classmethod
    def of(cls, entries: Sequence[_Entry], unit: str) -> _Conversion | None:
        other = EPOCH if unit == STEP else STEP
        pairs = {(e.time.value(other), e.time.value(unit)) for e in entries if _has_pair(e)}
        known = sorted((x, y) for x, y in pairs if x is not None and y is not None)
        if len(known) < 2 or known[0][0] == known[-1][0]:
            return None
        (x, y), (last_x, last_y) = known[0], known[-1]
        slope = Fraction(last_y - y, last_x - x)
        found = cls(unit, slope, y - slope * x)
        return found if all(found.at(x) == y for x, y in known) else None

    def at(self, count: int) -> Fraction:
        return self.slope * count + self.start

    def __call__(self, time: TrainingTime) -> int | None:
        count = time.value(EPOCH if self.unit == STEP else STEP)
        value = None if count is None else self.at(count)
        return int(value) if value is not None and value == int(value) and value >= 0 else None


def _placed(
    entries: list[_Entry], unit: str, lines: dict[str, str]
) -> tuple[list[tuple[int, _Entry]], list[_Entry]]:
    """Return one entry for each number, ascending, and those that come after, in natural order.

    Of several with one number one is left that has it by its name, and is not left out itself.
    """
    by_value: dict[int, list[_Entry]] = defaultdict(list)
    behind = [entry for entry in entries if entry.value is None]
    for entry in reversed(entries):
        if entry.value is not None:
            by_value[entry.value].append(entry)
    placed = []
    noun = "the number" if unit == UNKNOWN else unit
    for value in sorted(by_value):
        first, *others = sorted(by_value[value], key=_precedence)
        placed.append((value, first))
        behind += [entry for entry in others if entry.is_moved]
        for other in others:
            lines[other.name] = _beside(other, first, f"{noun} {value:,}", lines)
    return placed, sorted(behind, key=lambda entry: natural(entry.name))


def _precedence(entry: _Entry) -> tuple[bool, bool, int]:
    """Sort first what has its number by name, then what a source vouches for, then the newest."""
    return entry.is_moved, not entry.dated.source, -entry.dated.changed


def _beside(other: _Entry, first: _Entry, number: str, lines: Mapping[str, str]) -> str:
    """Return one line on a file whose number another one has."""
    if other.is_moved:
        said = lines.get(other.name, f"{other.name}: was saved at {number}")
        return f"{said}; {first.name} has that too, so it comes after the last, by name"
    if first.dated.source:
        return f"{other.name}: left out, {first.dated.source} {first.name} has {number}"
    return (
        f"{other.name}: left out, {first.name} has {number} too and is newer; pattern= picks files"
    )
