"""Does the diagnosis name what was planted, and leave healthy runs alone?

python benchmarks/ward.py                 all ten seeds: half an hour the first time
python benchmarks/ward.py --seeds 0-4     those on which thresholds are set
python benchmarks/ward.py --only overfit leak

Trainings are kept in ``build/ward`` and not done again. Thresholds were set on seeds 0 to 4; what
counts, and is written, are seeds 5 to 9.
"""

from __future__ import annotations

import argparse
import io
import json
import time
from collections import Counter
from contextlib import redirect_stderr
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from measuring.report import Goal, machine

import convviz_widgets as cvw
from convviz_widgets.demo import ward

ROOT = Path(__file__).parents[1]

RESULT = ROOT / "benchmarks" / "results" / "ward.json"

TRIAL = ROOT / "build" / "ward.json"
"""Where a part of the seeds or patients goes: it is not the result."""

FOLDER = ROOT / "build" / "ward"

SET_ON = range(5)
REPORTED_ON = range(5, 10)

TOP = 2


@dataclass(frozen=True)
class Diagnosis:
    """What the rules said of one run."""

    name: str
    seed: int
    expected: tuple[str, ...]
    found: tuple[tuple[str, str], ...]
    """Rule and severity of each finding, as they were ranked."""
    seconds: float

    @property
    def rank(self) -> int | None:
        """Place of the first finding that names the cause, from 1; None: it is not named."""
        places = [i for i, (rule, _) in enumerate(self.found, 1) if rule in self.expected]
        return places[0] if places else None

    def count(self, severity: str) -> int:
        """Return how many findings are as grave as this."""
        return sum(each == severity for _, each in self.found)


def diagnosed(name: str, seed: int, folder: Path) -> Diagnosis:
    """Train or read a run, and diagnose it with everything that its user has."""
    patient = ward.admit(name, seed, folder)
    state = patient.state()
    start = time.perf_counter()
    try:
        with redirect_stderr(io.StringIO()):  # its progress bar
            findings = cvw.diagnose(
                state,
                run=patient.run,
                images=patient.images,
                validation=patient.validation,
                loader=patient.loader,
            )
    finally:
        state.close()
    seconds = time.perf_counter() - start
    found = tuple((finding.rule, finding.severity) for finding in findings)
    return Diagnosis(name, seed, patient.rules, found, seconds)


def in_words(diagnosis: Diagnosis) -> str:
    """Return what was found in one run, gravest first, findings of one rule counted."""
    counted = Counter(
        f"{rule} ({severity})" if severity != "warning" else rule
        for rule, severity in diagnosis.found
    )
    found = (f"{count} × {what}" if count > 1 else what for what, count in counted.items())
    return ", ".join(found) or "nothing"


def line(diagnosis: Diagnosis) -> str:
    """Return one run in a line."""
    judged = f"rank {diagnosis.rank}" if diagnosis.expected else "healthy"
    return (
        f"{diagnosis.name:<20} {diagnosis.seed}  {judged:<9} {diagnosis.seconds:5.1f} s  "
        f"{in_words(diagnosis)}"
    )


def confusion(diagnoses: list[Diagnosis]) -> dict[str, dict[str, dict[str, int]]]:
    """Return patient → rule → in how many runs the rule fired, and in how many with an alarm."""
    matrix: dict[str, dict[str, dict[str, int]]] = {}
    for diagnosis in diagnoses:
        row = matrix.setdefault(diagnosis.name, {})
        alarms = {rule for rule, severity in diagnosis.found if severity != "remark"}
        for rule in {rule for rule, _ in diagnosis.found}:
            cell = row.setdefault(rule, {"fired": 0, "alarms": 0})
            cell["fired"] += 1
            cell["alarms"] += rule in alarms
    return matrix


def matrix_table(diagnoses: list[Diagnosis]) -> str:
    """Return the confusion matrix: patients down, rules across, runs in which a rule fired.

    A number in brackets: only ever as a remark.
    """
    matrix = confusion(diagnoses)
    rules = sorted({rule for row in matrix.values() for rule in row})
    lines = [f"  {number:>2}  {rule}" for number, rule in enumerate(rules, 1)]
    lines.append(f"{'':<20}" + "".join(f"{number:>5}" for number in range(1, len(rules) + 1)))
    for name, row in matrix.items():
        cells = "".join(f"{_in_words(row.get(rule)):>5}" for rule in rules)
        lines.append(f"{name:<20}{cells}")
    return "\n".join(lines)


def _in_words(cell: dict[str, int] | None) -> str:
    if cell is None:
        return "."
    return str(cell["alarms"]) if cell["alarms"] else f"({cell['fired']})"


def goals(diagnoses: list[Diagnosis]) -> list[Goal]:
    """Judge what must hold."""
    ill = [each for each in diagnoses if each.expected]
    healthy = [each for each in diagnoses if not each.expected]
    named = sum(each.rank is not None and each.rank <= TOP for each in ill)
    alarms = [each.count("warning") + each.count("error") for each in healthy]
    return [
        Goal(
            f"ill runs with the planted cause among the top {TOP} findings, n = {len(ill)}",
            100 * named / max(1, len(ill)),
            95,
            " %",
            at_least=True,
        ),
        Goal(f"false alarms in a healthy run, n = {len(healthy)}", max(alarms, default=0), 1),
        Goal("errors in a healthy run", max((e.count("error") for e in healthy), default=0), 0),
    ]


def content(diagnoses: list[Diagnosis]) -> dict[str, list[dict[str, object]]]:
    """Return the runs as they are kept: ill ones with the rank, healthy ones with the alarms."""
    return {
        "ill": [
            {
                "cause": each.name,
                "seed": each.seed,
                "rank": each.rank,
                "rules": each.expected,
                "found": in_words(each),
            }
            for each in diagnoses
            if each.expected
        ],
        "healthy": [
            {
                "name": each.name,
                "seed": each.seed,
                "warnings": each.count("warning"),
                "errors": each.count("error"),
                "found": in_words(each),
            }
            for each in diagnoses
            if not each.expected
        ],
    }


def seeds_of(text: str) -> list[int]:
    """Return the numbers in "0-4,7"."""
    parts = [part.partition("-")[::2] for part in text.split(",")]
    return [seed for low, high in parts for seed in range(int(low), int(high or low) + 1)]


def main() -> None:
    """Train, diagnose, print and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    known = [*ward.ILLNESSES, *ward.HEALTHY]
    parser.add_argument("--seeds", type=seeds_of, default=[*SET_ON, *REPORTED_ON])
    parser.add_argument("--only", nargs="+", choices=known, default=known, metavar="NAME")
    parser.add_argument("--folder", type=Path, default=FOLDER, help="where trainings are kept")
    parser.add_argument("--train", action="store_true", help="train what is missing, no more")
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.train:
        for seed in options.seeds:
            for name in options.only:
                ward.admit(name, seed, options.folder)
                print(f"{name} {seed} is trained", flush=True)
        return
    diagnoses = []
    for seed in options.seeds:
        for name in options.only:
            diagnoses.append(diagnosed(name, seed, options.folder))
            print(line(diagnoses[-1]), flush=True)
    report(diagnoses, whole=options.only == known)


def report(diagnoses: list[Diagnosis], *, whole: bool) -> None:
    """Print the matrices and the goals, and write everything."""
    parts = {
        "thresholds were set on": [each for each in diagnoses if each.seed in SET_ON],
        "reported": [each for each in diagnoses if each.seed not in SET_ON],
    }
    for title, part in parts.items():
        if part:
            print(f"\n{title}: seeds {sorted({each.seed for each in part})}")
            print(matrix_table(part))
            print("\n".join(goal.line() for goal in goals(part)))
    set_on, reported = parts.values()
    complete = whole and {each.seed for each in diagnoses} >= {*SET_ON, *REPORTED_ON}
    path = RESULT if complete else TRIAL
    path.parent.mkdir(parents=True, exist_ok=True)
    written = {
        "date": time.strftime("%Y-%m-%d"),
        "machine": machine(),
        "goals": [asdict(goal) | {"holds": goal.holds} for goal in goals(reported or set_on)],
        **content(reported),
        "confusion": confusion(reported),
        "set_on": content(set_on),
    }
    path.write_text(json.dumps(written, indent=1) + "\n", encoding="utf-8")
    print(f"written to {path}")


if __name__ == "__main__":
    main()
