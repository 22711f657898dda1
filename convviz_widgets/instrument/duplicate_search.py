"""The duplicate search: goes on for as long as it is let, and keeps what it has found."""

from __future__ import annotations

from time import perf_counter

from convviz_widgets.errors import ConvVizError, one_line
from convviz_widgets.instrument.duplicates import Compared, comparing
from convviz_widgets.instrument.samples import Source


class DuplicateSearch:
    """Look for equal samples in some sets, a slice of time at a time.

    Attributes
    ----------
    sizes : samples of each set.
    done, total : samples that were read, and that there are.
    found : what was found, None until the end.
    problem : one line when the search cannot go on.
    """

    def __init__(self, *sources: Source) -> None:
        self.sizes = tuple(map(len, sources))
        self.done, self.total = 0, sum(self.sizes)
        self.found: Compared | None = None
        self.problem = ""
        self._work = comparing(*sources)
        self._working = False

    @property
    def finished(self) -> bool:
        """Whether there is nothing left to do."""
        return self.found is not None or bool(self.problem)

    def work(self, seconds: float) -> None:
        """Go on for about so long, at least for one block; a second caller at a time is ignored."""
        if self._working or self.finished:
            return
        self._working = True
        ends = perf_counter() + seconds
        try:
            while perf_counter() < ends:
                self.done, _ = next(self._work)
        except StopIteration as end:
            self.found = end.value
        except Exception as error:  # out of memory, say; the view goes on without
            kind = "" if isinstance(error, ConvVizError) else f"{type(error).__name__}: "
            self.problem = f"{kind}{one_line(error)}"
        finally:
            self._working = False
