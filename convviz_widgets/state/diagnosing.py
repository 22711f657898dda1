"""Diagnosing: an examination from beginning to end, for a cell that waits for it."""

from __future__ import annotations

from typing import Any

from convviz_widgets.diagnosis import Finding
from convviz_widgets.errors import InputError
from convviz_widgets.record import Run
from convviz_widgets.state.examination import MOMENT, Examination
from convviz_widgets.state.model_state import ModelState
from convviz_widgets.sweep import SweepResult


def diagnose(
    state: ModelState | None = None,
    *,
    run: Run | None = None,
    sweep: SweepResult | None = None,
    images: Any = None,
    validation: Any = None,
    loader: Any = None,
) -> list[Finding]:
    """Return what is abnormal, the gravest first; an empty list where nothing is.

    Every argument may be missing: the rules work from what there is. What has to be measured is
    measured once for each state, with a progress bar where it takes longer than two seconds.

    Parameters
    ----------
    state
        Checkpoints, images and loss.
    run
        What was recorded in training; a TensorBoard log directory will do.
    sweep
        Its counts of firing channels are used where they are of more images.
    images
        The training images, an `ImageSet`, a tensor or a map-style data set; default the data set
        of ``loader``, else the state's images.
    validation
        The validation images, of the same kinds.
    loader
        The DataLoader of the training; it draws no random number of the process.

    Raises
    ------
    InputError
        For an argument of another kind, or without any.

    Examples
    --------
    >>> for finding in cvw.diagnose(images=torch.ones(4, 1, 8, 8)):
    ...     print(finding.severity, finding.rule)
    warning duplicate-sample
    """
    if all(each is None for each in (state, run, sweep, images, validation, loader)):
        raise InputError("nothing to diagnose: give a state, run=, sweep=, images= or loader=")
    from tqdm.auto import tqdm  # which looks for a notebook when it is imported

    given = {"images": images, "validation": validation, "loader": loader}
    examination = Examination(state, run=run, sweep=sweep, **given)
    examination.start()
    try:
        with tqdm(desc="diagnosis", unit="part", delay=2, leave=False) as bar:
            while not examination.wait(MOMENT):
                progress = examination.progress
                bar.total = progress.total
                bar.update(progress.done - bar.n)
    finally:
        examination.stop()
    if examination.problem:
        raise InputError(examination.problem)
    return list(examination.latest.findings)
