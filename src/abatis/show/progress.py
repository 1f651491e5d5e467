"""Progress on standard error from one callback, with a remaining time that is measured, not guessed."""

from __future__ import annotations

import sys
import time
from collections import deque
from collections.abc import Callable
from types import TracebackType

from rich.console import Console
from rich.live import Live
from rich.text import Text

Clock = Callable[[], float]


class RateMeter:
    """Remaining seconds of one job from the rate of its last reports.

    remaining = (1 - share) / ((share - share_0) / (now - now_0))

    In words: the rate over the last reports (at most 20 seconds of them) is taken to hold for the rest. Until
    two reports and one second have passed nothing is said.

    Examples
    --------
    >>> meter = RateMeter()
    >>> meter.report(0.0, 10.0); meter.report(0.25, 15.0)
    >>> meter.remaining_s()
    15.0
    """

    def __init__(self) -> None:
        self._reports: deque[tuple[float, float]] = deque()

    def report(self, share: float, now_s: float) -> None:
        """Note that `share` (0..1) of the job was done at `now_s`."""
        self._reports.append((share, now_s))
        while len(self._reports) > 2 and now_s - self._reports[1][1] > 20.0:
            self._reports.popleft()

    def remaining_s(self) -> float | None:
        """Return the remaining seconds, or None while no rate is known."""
        if len(self._reports) < 2:
            return None
        (share_0, now_0), (share_1, now_1) = self._reports[0], self._reports[-1]
        if share_1 <= share_0 or now_1 - now_0 < 1.0:
            return None
        return (1.0 - share_1) * (now_1 - now_0) / (share_1 - share_0)


class ShowProgress:
    """Context manager that is itself the callback ``progress(stage, share)``.

    On a terminal one line is redrawn with a bar, the share and the remaining time of the job; when piped,
    one line is written when a stage ends. Nothing goes to standard output.

    Parameters
    ----------
    clock : seconds as a growing number; another one in tests.
    """

    def __init__(self, clock: Clock = time.monotonic) -> None:
        self._clock = clock
        self._stage = ""
        self._share = 0.0
        self._started_s = 0.0
        self._note = ""
        self._meter = RateMeter()
        self._live: Live | None = None

    def __enter__(self) -> ShowProgress:
        if sys.stderr.isatty():
            self._live = Live(console=Console(stderr=True), transient=True, refresh_per_second=8)
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()
        if kind is None:
            self._finish_stage()

    def __call__(self, stage: str, share: float) -> None:
        """Report that `share` (0..1) of the job is done and which stage of it runs.

        A job may have several stages with one growing share; a share that falls back starts a new job.
        """
        now_s = self._clock()
        if stage != self._stage:
            self._finish_stage()
            self._stage, self._started_s, self._note = stage, now_s, ""
        share = min(max(share, 0.0), 1.0)
        if share < self._share:
            self._meter = RateMeter()
        self._share = share
        self._meter.report(self._share, now_s)
        if self._live is not None:
            self._live.update(Text(self.describe()))

    def set_note(self, note: str) -> None:
        """Show a short note behind the present stage, such as value and bound of a search."""
        self._note = note

    def describe(self) -> str:
        """Return the line shown for the present stage."""
        width = 24
        full = int(self._share * width)
        remaining_s = self._meter.remaining_s()
        rest = "" if remaining_s is None else f"  about {format_seconds(remaining_s)} left"
        note = f"  {self._note}" if self._note else ""
        return f"{self._stage}  [{'#' * full}{'.' * (width - full)}] {self._share:4.0%}{rest}{note}"

    def _finish_stage(self) -> None:
        if not self._stage:
            return
        line = f"{self._stage}: {format_seconds(self._clock() - self._started_s)}"
        line += f" ({self._note})" if self._note else ""
        if self._live is not None:
            self._live.console.print(line, style="dim", highlight=False)
        else:
            sys.stderr.write(line + "\n")
        self._stage = ""


def format_seconds(seconds: float) -> str:
    """Write a duration for people.

    Examples
    --------
    >>> format_seconds(3.21), format_seconds(75), format_seconds(7260)
    ('3.2 s', '1 min 15 s', '2 h 01 min')
    """
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
