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
    inside = inside or {}
    meaning = found.meaning or _meaning_of_numbers(dated, inside, lines)
    entries = _named(dated, meaning, is_sure=found.meaning is not None)
    for entry in entries:
        if entry.item in inside:
            _correct(entry, inside[entry.item], lines)
    for counted in (STEP, EPOCH):
        _carry_over(entries, counted, inside, lines)
    _rank(entries, lines)
    unit = found.unit or _telling(entries)
    _give_values(entries, unit)
    _convert(entries, unit, lines)
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


@dataclass
class _Entry:
    """An item on its way to its place.

    Parameters
    ----------
    dated : as it was found.
    named : when it was saved, by its name.
    time : that, corrected.
    is_moved : whether its place is not the one that its name asks for.
    is_ranked : whether its number is its rank among files whose steps begin anew with each epoch.
    value : its number of the unit that counts.
    """

    dated: Dated
    named: TrainingTime
    time: TrainingTime
    is_moved: bool = False
    is_ranked: bool = False
    value: int | None = None

    @property
    def item(self) -> Item:
        return self.dated.item

    @property
    def name(self) -> str:
        return self.dated.item.name


def _named(found: Sequence[Dated], meaning: str | None, *, is_sure: bool) -> list[_Entry]:
    """Return entries with what their names say, and the meaning of bare numbers.

    Among names that do say what they count, a number that got its meaning elsewhere, if not for
    sure, takes no other file's place.
    """
    is_mixed = any(not _is_bare(each.time) and each.time != _NOT_KNOWN for each in found)
    entries = []
    for each in found:
        named = _with_meaning(each.time, meaning) if meaning else each.time
        is_moved = is_mixed and not is_sure and named is not each.time
        entries.append(_Entry(each, named, named, is_moved))
    return entries


def _meaning_of_numbers(
    found: Sequence[Dated], inside: Mapping[Item, TrainingTime], lines: dict[str, str]
) -> str | None:
    """Return what the bare numbers count, if all files that were read and can tell agree."""
    votes: dict[str, str] = {}
    for each in found:
        if each.item in inside and _is_bare(each.time):
            vote = _matching(each.time.number, inside[each.item])
            if vote is not None:
                votes.setdefault(vote, each.item.name)
    if len(votes) > 1:
        said = [f"{unit or 'neither epoch nor step'} in {name}" for unit, name in votes.items()]
        first = next(iter(votes.values()))
        lines[first] = f"{first}: numbers in names mean different things: {', '.join(said)}"
    return next(iter(votes)) or None if len(votes) == 1 else None


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


def _with_meaning(time: TrainingTime, meaning: str) -> TrainingTime:
    if not _is_bare(time):
        return time
    is_step = meaning == STEP
    return replace(time, step=time.number) if is_step else replace(time, epoch=time.number)


def _correct(entry: _Entry, inside: TrainingTime, lines: dict[str, str]) -> None:
    """Give an entry all that is known of its time; the file goes before its name."""
    known = {}
    contradicted = []
    for unit in (STEP, EPOCH):
        said, is_so = entry.named.value(unit), inside.value(unit)
        is_same = said is None or is_so is None or abs(said - is_so) <= 1
        known[unit] = is_so if said is None or not (is_same or entry.dated.source) else said
        if known[unit] != said and said is not None:
            contradicted.append(f"{unit} {said:,}, but it holds {unit} {is_so:,}")
    entry.time = replace(entry.named, step=known[STEP], epoch=known[EPOCH])
    if contradicted:
        entry.is_moved = True
        says = " and ".join(contradicted)
        lines[entry.name] = f"{entry.name}: its name says {says}, which counts"


def _carry_over(
    entries: list[_Entry], unit: str, inside: Mapping[Item, TrainingTime], lines: dict[str, str]
) -> None:
    """Correct the names of files that nobody has read, where those that were read say how.

    A training that was resumed counts on in its files and anew in their names: all differ by the
    same number, or by the same factor. Two files that agree, and none that does not, are needed.
    """
    counted = [e for e in entries if e.named.value(unit) is not None and not e.dated.source]
    read = {id(e) for e in counted if e.item in inside and inside[e.item].value(unit) is not None}
    pairs = [(e.named.value(unit) or 0, e.time.value(unit) or 0) for e in counted if id(e) in read]
    way = _same_way([pair for pair in pairs if pair[0]]) if pairs else None
    if way is None or any(way.of(said) != is_so for said, is_so in pairs):
        return
    for entry in counted:
        entry.is_moved = False
        value = way.of(entry.named.value(unit) or 0)
        entry.time = replace(entry.time, **{unit: value})
        lines.pop(entry.name, None)
    first = counted[0].name
    lines[first] = (
        f"{first}: all files that were read hold {unit}s {way} those of their names; "
        "the other names are taken in the same way until their files are read"
    )


@dataclass(frozen=True)
class _Way:
    """How the number in a name becomes the one in the file."""

    offset: int
    factor: int

    def of(self, count: int) -> int:
        return count * self.factor + self.offset

    def __str__(self) -> str:
        if self.offset == 0:
            return f"{self.factor:,} times"
        return f"{abs(self.offset):,} {'above' if self.offset > 0 else 'below'}"


def _same_way(pairs: list[tuple[int, int]]) -> _Way | None:
    """Return the one offset, or the one factor, of at least two pairs; None if there is none."""
    offsets = {is_so - said for said, is_so in pairs}
    factors = {Fraction(is_so, said) for said, is_so in pairs}
    if len(pairs) < 2:
        return None
    if len(offsets) == 1 and abs(min(offsets)) > 1:
        return _Way(offsets.pop(), 1)
    factor = factors.pop()
    is_factor = not factors and factor.denominator == 1 and factor > 1
    return _Way(0, int(factor)) if is_factor else None


def _rank(entries: list[_Entry], lines: dict[str, str]) -> None:
    """Take the steps from entries whose steps begin anew with each epoch.

    Where several of them share an epoch, they are told apart by their rank.
    """
    paired = [entry for entry in entries if _has_pair(entry)]
    if not _begins_anew((entry.time.epoch or 0, entry.time.step or 0) for entry in paired):
        return
    first = paired[0].name
    lines[first] = (
        f"{first}: its step counts from the beginning of its epoch (or two runs share the folder): "
        "the order is that of epochs, then steps; steps= says when each was saved"
    )
    in_epochs = [entry for entry in entries if entry.named.epoch is not None]
    pairs = sorted({_epoch_and_step(entry) for entry in in_epochs})
    is_shared = len({epoch for epoch, _ in pairs}) < len(pairs)
    ranks = {pair: rank for rank, pair in enumerate(pairs)}
    for entry in in_epochs:
        if is_shared:
            entry.is_ranked, entry.value = True, ranks[_epoch_and_step(entry)]
        entry.time = replace(entry.time, step=None)


def _has_pair(entry: _Entry) -> bool:
    named, time = entry.named, entry.time
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
    if any(entry.is_ranked for entry in entries):
        return UNKNOWN

    def told_apart(unit: str) -> int:
        known = (entry for entry in entries if entry.time.value(unit) is not None)
        return len({entry.named.value(unit) for entry in known} - {None})

    best = max(_UNITS, key=told_apart)
    return best if told_apart(best) else UNKNOWN


def _give_values(entries: Iterable[_Entry], unit: str) -> None:
    """Give entries their number of the unit; none to a file whose name has no number at all."""
    for entry in entries:
        if not entry.is_ranked and entry.named != _NOT_KNOWN:
            entry.value = entry.time.value(unit)
            entry.is_moved |= entry.named.value(unit) is None


def _convert(entries: list[_Entry], unit: str, lines: dict[str, str]) -> None:
    """Give entries of the other unit a number, where pairs of epoch and step tell it."""
    lacking = [e for e in entries if e.value is None and e.named != _NOT_KNOWN]
    conversion = _Conversion.of(entries, unit) if lacking and unit != UNKNOWN else None
    for entry in lacking:
        entry.value = None if conversion is None else conversion(entry.time)
        if entry.value is not None:
            entry.time = replace(entry.time, **{unit: entry.value})
    left = [entry.name for entry in lacking if entry.value is None]
    if left:
        more = f" and {len(left) - 1:,} more" if left[1:] else ""
        others = "numbers of unknown unit" if unit == UNKNOWN else f"{unit}s"
        line = (
            f"{left[0]}{more}: no number that can be put among the {others} of the other names; "
            "after the last, by name; steps= says when each was saved"
        )
        lines.setdefault(left[0], line)


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
