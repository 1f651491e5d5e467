"""Who counts the tiles: this process, several processes of this machine, or a cluster."""

from __future__ import annotations

import multiprocessing
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from types import TracebackType
from typing import Protocol

from abatis.ground.tiling.counting import TileResult, count_tile
from abatis.ground.tiling.inputs import TileInput
from abatis.model.errors import AbatisError

MOST_DEATHS = 3
AHEAD = 2


class WorkerError(AbatisError):
    """A worker died again and again on the same tile."""

    def __init__(self, number: int) -> None:
        super().__init__(
            f"A worker died {MOST_DEATHS} times while it counted tile {number}: the machine is likely out of "
            "memory. Finished tiles are kept; run the build again with fewer workers."
        )


class Crew(Protocol):
    """Counts tiles; the answers may come in any order."""

    def count(self, tiles: Iterable[TileInput]) -> Iterator[TileResult]:
        """Yield the answer of every tile."""
        ...


class Single:
    """Counts the tiles one by one in this process."""

    def count(self, tiles: Iterable[TileInput]) -> Iterator[TileResult]:
        """Yield the answer of every tile, in their order."""
        for tile in tiles:
            yield count_tile(tile)


class Processes:
    """Counts tiles in several processes of this machine; use it in a `with` block.

    Parameters
    ----------
    workers : number of processes.
    work : what is done with a tile.

    In words: at most two tiles per worker are under way, so memory does not grow with the ground. When a
    process dies all are started anew and the tiles under way are given out again, each at most three times.
    """

    def __init__(self, workers: int, work: Callable[[TileInput], TileResult] = count_tile) -> None:
        self._workers, self._work = workers, work

    def __enter__(self) -> Processes:
        self._start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.shutdown(wait=kind is None, cancel_futures=True)

    def _start(self) -> None:
        # A fresh interpreter per worker: forking one that runs threads may hang.
        self._pool = ProcessPoolExecutor(self._workers, multiprocessing.get_context("spawn"))

    def count(self, tiles: Iterable[TileInput]) -> Iterator[TileResult]:
        """Yield the answer of every tile as it comes.

        Raises
        ------
        WorkerError : workers died three times over one tile.
        """
        queue = iter(tiles)
        again: deque[TileInput] = deque()
        running: dict[Future[TileResult], TileInput] = {}
        deaths: Counter[int] = Counter()
        while True:
            self._hand_out(queue, again, running)
            if not running and not again:
                return
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                tile = running.pop(future)
                try:
                    yield future.result()
                except BrokenProcessPool:
                    again.append(tile)
            if again:
                again.extend(self._bury(running, again, deaths))

    def _hand_out(
        self,
        queue: Iterator[TileInput],
        again: deque[TileInput],
        running: dict[Future[TileResult], TileInput],
    ) -> None:
        while len(running) < AHEAD * self._workers:
            tile = again.popleft() if again else next(queue, None)
            if tile is None:
                return
            try:
                running[self._pool.submit(self._work, tile)] = tile
            except BrokenProcessPool:
                again.append(tile)
                return

    def _bury(
        self, running: dict[Future[TileResult], TileInput], dead: deque[TileInput], deaths: Counter[int]
    ) -> list[TileInput]:
        """Start the processes anew; return the other tiles that were under way."""
        lost = list(running.values())
        running.clear()
        for tile in (*dead, *lost):
            deaths[tile.number] += 1
            if deaths[tile.number] >= MOST_DEATHS:
                raise WorkerError(tile.number)
        self._pool.shutdown(wait=True, cancel_futures=True)
        self._start()
        return lost
