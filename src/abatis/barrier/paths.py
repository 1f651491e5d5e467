"""The pool of paths found so far, and the rows each path gives in a box of levels (valid inequalities).

Each level's range is cut into bands [a, b], and y says how far a band is filled: z = lo + sum (b - a) y. For
a path and a set F of options (the cover, at most one per site), t_F is the path's time with F built, d is
what an option of the path delays beyond F's option at its site, and S = sum min(d, b - t_F) x. The row is

* S >= lo - t_F + (b - lo) y for the lowest band (a `floor` is a lowest band without width),
* S >= (b - t_F) y for a higher band with t_F <= a,
* S >= a - t_F + (b - a) y for a higher band with t_F > a.

Why they hold for every plan with level z in the box: S is at least b - t_F if one chosen option reaches the
cut, else at least the path's time minus t_F, so at least min(b, z) - t_F. Where the band is empty (z <= a)
the right side is at most max(0, a - t_F) with y = 0; where it is full (z >= b) it is b - t_F; in between it
is linear in z and below z - t_F at both ends.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from abatis.barrier._rows import derive_rows, list_cover, scan_paths
from abatis.barrier.bands import Bands
from abatis.barrier.network import Network, Route


@dataclass(frozen=True)
class BoxRows:
    """Rows derived in one box, as CSR over options; `numbers` are their numbers in the pool.

    A row reads sum coefficient x - fill y[column] >= constant; floors have fill 0 (and column 0).
    `reach_h` is the path's time with every delay on it: the size that rounding errors are measured against.
    """

    numbers: np.ndarray
    starts: np.ndarray
    options: np.ndarray
    coefficients: np.ndarray
    constants: np.ndarray
    fills: np.ndarray
    columns: np.ndarray
    levels: np.ndarray
    reach_h: np.ndarray

    def __len__(self) -> int:
        return len(self.numbers)

    @property
    def room_h(self) -> np.ndarray:
        """Hours from the path's time with its cover to the top of the band: no coefficient is larger."""
        room: np.ndarray = self.constants + self.fills
        return room

    def measure_violation(self, choice: np.ndarray, filled: np.ndarray) -> np.ndarray:
        """Share of its room by which a point breaks each row (negative when it keeps it)."""
        sums = np.append(0.0, np.cumsum(self.coefficients * choice[self.options]))
        broken = self.constants + self.fills * filled[self.columns] - np.diff(sums[self.starts])
        share: np.ndarray = broken / self.room_h
        return share


class PathPool:
    """Paths and rows as flat growing arrays; per path its level, base time and (option, delay) by site."""

    def __init__(self, network: Network) -> None:
        self.network = network
        self.option_site = network.problem.option_site.astype(np.int32)
        self.routes: list[Route] = []
        self._known: dict[tuple[int, tuple[int, ...]], int] = {}
        self.level = np.empty(256, np.int32)
        self.base_h = np.empty(256)
        self.reach_h = np.empty(256)
        self.start = np.zeros(257, np.int64)
        self.option = np.empty(4096, np.int32)
        self.delay_h = np.empty(4096)
        self.row_path = np.empty(256, np.int32)
        self.row_band = np.empty(256, np.int32)
        self.cover_start = np.zeros(257, np.int64)
        self.cover_option = np.empty(1024, np.int32)
        self.row_count = 0
        self._row_numbers: dict[tuple[int, int, bytes], int] = {}

    def __len__(self) -> int:
        return len(self.routes)

    def add_route(self, route: Route, level: int) -> int:
        """Add a route for a level, unless the pool has one as good; returns its path number."""
        key = (level, tuple(sorted(route.candidates)))
        known = self._known.get(key)
        if known is not None and self.base_h[known] <= route.base_h * (1 + 1e-12):
            return known
        options, delays = self._sum_entries(route)
        path = len(self.routes)
        first, last = self.start[path], self.start[path] + len(options)
        self.option, self.delay_h = _grow(last, self.option, self.delay_h)
        self.level, self.base_h, self.reach_h, self.start = _grow(
            path + 2, self.level, self.base_h, self.reach_h, self.start
        )
        self.option[first:last] = options
        self.delay_h[first:last] = delays
        self.start[path + 1] = last
        self.level[path] = level
        self.base_h[path] = route.base_h
        self.reach_h[path] = route.base_h + delays.sum()
        self.routes.append(route)
        self._known[key] = path
        return path

    def _sum_entries(self, route: Route) -> tuple[np.ndarray, np.ndarray]:
        network = self.network
        totals: dict[int, float] = {}
        for candidate in route.candidates:
            for entry in range(network.candidate_start[candidate], network.candidate_start[candidate + 1]):
                option = int(network.candidate_option[entry])
                totals[option] = totals.get(option, 0.0) + float(network.candidate_delay_h[entry])
        options = np.array(sorted(totals, key=lambda o: (self.option_site[o], o)), np.int32)
        return options, np.array([totals[int(o)] for o in options])

    def find_violated(
        self, choice: np.ndarray, bands: Bands, filled: np.ndarray, least_h: float, most: int
    ) -> np.ndarray:
        """Numbers of the rows violated by over `least_h`, at most `most` per level for bands and floors."""
        count = len(self.routes)
        if not count:
            return np.empty(0, np.int64)
        worst = np.empty((count, 6))
        scan_paths(
            self.level[:count],
            self.base_h[:count],
            self.start[: count + 1],
            self.option,
            self.delay_h,
            self.option_site,
            choice,
            bands.low_h,
            bands.start,
            bands.a_h,
            bands.b_h,
            filled,
            worst,
        )
        rows = []
        for column in (0, 3):
            violation = worst[:, column]
            broken = np.flatnonzero(violation > least_h)
            broken = broken[np.argsort(-violation[broken], kind="stable")]
            taken = np.zeros(len(bands.low_h), np.int64)
            for path in broken:
                level = self.level[path]
                if taken[level] < most:
                    taken[level] += 1
                    band, size = int(worst[path, column + 1]), int(worst[path, column + 2])
                    rows.append(self.number_row(int(path), band, self._list_cover(int(path), size, choice)))
        return np.array(rows, np.int64)

    def _list_cover(self, path: int, size: int, choice: np.ndarray) -> np.ndarray:
        return list_cover(
            self.start[path],
            self.start[path + 1],
            self.option,
            self.delay_h,
            self.option_site,
            choice,
            size,
        )

    def number_row(self, path: int, band: int, cover: np.ndarray) -> int:
        """Number of the row of a path, a band (-1 floor) and a cover (options int32); new if needed."""
        key = (path, band, cover.tobytes())
        known = self._row_numbers.get(key)
        if known is not None:
            return known
        row = self.row_count
        first, last = self.cover_start[row], self.cover_start[row] + len(cover)
        (self.cover_option,) = _grow(last, self.cover_option)
        self.row_path, self.row_band, self.cover_start = _grow(
            row + 2, self.row_path, self.row_band, self.cover_start
        )
        self.cover_option[first:last] = cover
        self.cover_start[row + 1] = last
        self.row_path[row], self.row_band[row] = path, band
        self.row_count += 1
        self._row_numbers[key] = row
        return row

    def derive(self, numbers: np.ndarray, bands: Bands) -> BoxRows:
        """Derive rows in a box; rows that say nothing there are left out."""
        kept, starts, options, coefficients, constants, fills = derive_rows(
            numbers,
            self.row_path,
            self.row_band,
            self.cover_start,
            self.cover_option,
            self.level,
            self.base_h,
            self.start,
            self.option,
            self.delay_h,
            self.option_site,
            bands.low_h,
            bands.start,
            bands.a_h,
            bands.b_h,
        )
        paths = self.row_path[kept]
        levels = self.level[paths]
        columns = bands.start[levels] + np.maximum(self.row_band[kept], 0)
        return BoxRows(
            kept, starts, options, coefficients, constants, fills, columns, levels, self.reach_h[paths]
        )

    def describe_row(self, number: int) -> tuple[int, int, list[int]]:
        """Path, band (-1 for a floor) and cover (options) of a row, as the certificate names it."""
        cover = self.cover_option[self.cover_start[number] : self.cover_start[number + 1]]
        return int(self.row_path[number]), int(self.row_band[number]), cover.tolist()


def _grow(need: int, *arrays: np.ndarray) -> tuple[np.ndarray, ...]:
    """Give arrays room for `need` values, doubling them."""
    return tuple(
        array if need <= len(array) else np.append(array, np.empty(max(need, len(array)), array.dtype))
        for array in arrays
    )
