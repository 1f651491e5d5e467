"""Counting tiles on a Dask cluster: a local one, or one that runs already."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from importlib import import_module
from types import TracebackType
from typing import Any

from abatis.ground.tiling.counting import TileResult, count_tile
from abatis.ground.tiling.crew import AHEAD, MOST_DEATHS, WorkerError
from abatis.ground.tiling.inputs import TileInput
from abatis.model.errors import Fault, InputError

CONNECT_S = 10


class Cluster:
    """Counts tiles on the workers of a Dask cluster; use it in a `with` block.

    Parameters
    ----------
    scheduler : address of a running scheduler, for example tcp://10.0.0.5:8786; a local cluster when empty.
        Its workers need the same version of abatis and the study's rasters under the same paths.
    workers : workers of the local cluster.

    In words: each tile is sent whole, with at most two under way per worker; Dask gives the tiles of a worker
    that died to another.
    """

    def __init__(self, scheduler: str = "", workers: int = 2) -> None:
        self._scheduler, self._workers = scheduler, workers
        self._stack = ExitStack()

    def __enter__(self) -> Cluster:
        try:
            distributed: Any = import_module("distributed")
        except ImportError as error:
            raise InputError(
                [Fault("needs Dask", column="--cluster", remedy="install abatis with its extra: cluster")]
            ) from error
        if self._scheduler:
            self.client = self._connect(distributed)
        else:
            local = distributed.LocalCluster(
                n_workers=self._workers, threads_per_worker=1, dashboard_address=None, memory_limit=0
            )
            self._stack.enter_context(local)
            self.client = self._stack.enter_context(distributed.Client(local))
        return self

    def _connect(self, distributed: Any) -> Any:
        try:
            return self._stack.enter_context(distributed.Client(self._scheduler, timeout=CONNECT_S))
        except (OSError, ValueError) as error:
            raise InputError(
                [
                    Fault(
                        f"no scheduler answers at {self._scheduler}: {error}",
                        column="--scheduler",
                        remedy="start one with: dask scheduler; give its address, for example tcp://host:8786",
                    )
                ]
            ) from error

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def count(self, tiles: Iterable[TileInput]) -> Iterator[TileResult]:
        """Yield the answer of every tile as it comes.

        Raises
        ------
        WorkerError : workers died again and again over one tile.
        """
        distributed: Any = import_module("distributed")
        queue = iter(tiles)
        running = distributed.as_completed()
        numbers: dict[str, int] = {}
        while True:
            while len(numbers) < AHEAD * max(1, len(self.client.nthreads())):
                tile = next(queue, None)
                if tile is None:
                    break
                future = self.client.submit(count_tile, tile, pure=False, retries=MOST_DEATHS)
                numbers[future.key] = tile.number
                running.add(future)
            if not numbers:
                return
            done = next(running)
            number = numbers.pop(done.key)
            try:
                yield done.result()
            except distributed.KilledWorker as error:
                raise WorkerError(number) from error
