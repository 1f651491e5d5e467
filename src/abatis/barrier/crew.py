"""Threads of one search: jobs side by side, answers in the order of the jobs, no thread left at the end."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Generic, TypeVar

from abatis.model.errors import Fault, InputError
from abatis.model.interrupts import hear_interrupts

MOST_THREADS = 2
Answer = TypeVar("Answer")


def count_threads(threads: int | None = None) -> int:
    """Return how many threads a search uses: `threads`, or as many as there are cores, at most 2.

    Raises
    ------
    InputError : fewer than one thread.

    Examples
    --------
    >>> count_threads(1)
    1
    """
    if threads is None:
        return min(MOST_THREADS, _count_cores())
    if threads < 1:
        raise InputError([Fault(f"is {threads}", column="threads", remedy="give at least 1")])
    return threads


def _count_cores() -> int:
    """Count the cores that this process may use (all of them where the system does not say)."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Job(Generic[Answer]):
    """A job that runs beside the search, or, with one thread, when its answer is asked for."""

    def __init__(self, work: Callable[[], Answer], executor: ThreadPoolExecutor | None) -> None:
        self._work = work
        self._future: Future[Answer] | None = None if executor is None else executor.submit(work)

    def get(self) -> Answer:
        """Wait for the answer."""
        return self._work() if self._future is None else self._future.result()


class Crew:
    """Runs the jobs of one search, by threads or, with one thread, one after another in the caller's.

    What a job answers may not depend on the jobs beside it; then the answers are the same with any number of
    threads. Compiled kernels and HiGHS let go of the interpreter, so that two jobs really run at once.
    """

    def __init__(self, threads: int) -> None:
        self.threads = threads
        self._executor = ThreadPoolExecutor(threads, "abatis-crew") if threads > 1 else None
        self.is_interrupted = False
        self._stopped = False
        self._cancels: list[Callable[[], None]] = []

    def __enter__(self) -> Crew:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def run(self, jobs: Sequence[Callable[[], Answer]]) -> list[Answer]:
        """Run jobs side by side and return their answers in the order of the jobs."""
        if self._executor is None or len(jobs) < 2:
            return [job() for job in jobs]
        return [future.result() for future in [self._executor.submit(job) for job in jobs]]

    def start(self, work: Callable[[], Answer], cancel: Callable[[], None] | None = None) -> Job[Answer]:
        """Start a job beside the search; `cancel`, if given, is called when the search ends."""
        if cancel is not None:
            self._cancels.append(cancel)
        return Job(work, self._executor)

    def is_over(self, deadline: float) -> bool:
        """Say whether the deadline (monotonic seconds) has passed or the search was ended."""
        return self._stopped or time.monotonic() > deadline

    def heed_interrupts(self) -> AbstractContextManager[None]:
        """Let Ctrl-C inside the block end the search: all is over then, and `is_interrupted` says why."""
        return hear_interrupts(self._interrupt)

    def _interrupt(self) -> None:
        self.is_interrupted = True
        self._stop()

    def _stop(self) -> None:
        self._stopped = True
        for cancel in self._cancels:
            cancel()

    def close(self) -> None:
        """Tell running jobs to end, drop waiting ones, and wait until every thread is gone."""
        self._stop()
        if self._executor is not None:
            self._executor.shutdown(wait=True, cancel_futures=True)
