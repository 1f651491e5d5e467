"""All tiles of a study counted and put together."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from abatis.ground.composition import CellCounts
from abatis.ground.tiling.counting import TileResult
from abatis.ground.tiling.crew import Crew
from abatis.ground.tiling.inputs import TileCutter, TileInput, TileRows, hash_tile
from abatis.ground.tiling.store import TilePlaces, TileStore
from abatis.model.errors import AbatisError

Tell = Callable[[float], None]


class MissingTilesError(AbatisError):
    """A crew ended before it had answered every tile."""

    def __init__(self, counted: int, tiles: int) -> None:
        super().__init__(
            f"Only {counted} of {tiles} tiles were counted: the workers ended without the other answers. "
            "Finished tiles are kept; run the build again with fewer workers."
        )


@dataclass(frozen=True)
class Counted:
    """What all tiles counted: per cell, per edge (`passed`, `seen`, `joined`), per road stretch (`wet`)."""

    counts: CellCounts
    passed: np.ndarray
    seen: np.ndarray
    joined: np.ndarray
    wet: np.ndarray


@dataclass(frozen=True)
class _Open:
    """A tile that was handed out: where its answer belongs and the hash of its inputs."""

    rows: TileRows
    digest: str


class TileRun:
    """Counts the tiles of a study by a crew, with or without a store; every answer has its own place.

    Cells and edges belong to one tile each; all that is added up over tiles are whole numbers. So the answer
    does not depend on who counted and in which order.
    """

    def __init__(
        self, cutter: TileCutter, countries: int, stretches: int, store: TileStore | None, tell: Tell
    ) -> None:
        self._cutter, self._store, self._tell = cutter, store, tell
        cells, edges = len(cutter.cells.cells), len(cutter.geometry.edge_a)
        self._counted = Counted(
            CellCounts.start(cells, countries), np.zeros(edges, np.int32), np.zeros(edges, np.int32),
            np.zeros(edges, np.bool_), np.zeros(stretches, np.int32),
        )  # fmt: skip
        self._zones: list[np.ndarray] = []
        self._open: dict[int, _Open] = {}
        self._tiles = cutter.list_tiles()
        self._done = 0

    def count(self, crew: Crew) -> Counted:
        """Count all tiles; those that the store has are taken from it.

        Raises
        ------
        MissingTilesError : the crew ended before it had answered every tile.
        """
        if self._store is not None:
            self._store.keep_only(self._tiles)
        for result in crew.count(self._hand_out()):
            tile = self._open.pop(result.number)
            if self._store is not None:
                self._store.write(result, self._find_places(tile.rows), tile.digest)
            self._take(result, tile.rows)
        if self._done < len(self._tiles):
            raise MissingTilesError(self._done, len(self._tiles))
        self._counted.counts.put_zones(self._zones)
        return self._counted

    def _hand_out(self) -> Iterator[TileInput]:
        for number in self._tiles:
            rows = self._cutter.find_rows(number)
            tile = self._cutter.cut(number, rows)
            if self._store is None:
                self._open[number] = _Open(rows, "")
                yield tile
                continue
            digest = hash_tile(tile)
            known = self._store.read(number, digest)
            if known is not None:
                self._take(known, rows)
                continue
            self._open[number] = _Open(rows, digest)
            yield tile

    def _find_places(self, rows: TileRows) -> TilePlaces:
        geometry, cells = self._cutter.geometry, self._cutter.cells.cells
        return TilePlaces(
            cells[rows.own],
            geometry.corners[geometry.cell_corner[rows.own]],
            np.column_stack([cells[geometry.edge_a[rows.edges]], cells[geometry.edge_b[rows.edges]]]),
            geometry.ends[rows.edges],
        )

    def _take(self, result: TileResult, rows: TileRows) -> None:
        counted = self._counted
        counted.counts.put(rows.own, result.counts)
        for name in ("passed", "seen", "joined"):
            getattr(counted, name)[rows.edges] = getattr(result, name)
        counted.wet[rows.stretches] += result.wet
        if len(result.counts.zone):
            self._zones.append(result.counts.list_zones(rows.cells))
        self._done += 1
        self._tell(self._done / len(self._tiles))
