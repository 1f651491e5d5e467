"""The pool of paths found so far, and the rows each path gives in a box of levels.

A `top` row says z <= t_F + sum min(d, hi - t_F) x; a `floor` row says sum min(d, lo - t_F) x >= lo - t_F.
Both sum over the options of the path whose site is not in the cover F; t_F is the path's time with the
sites of F at their longest delay. Both hold for every plan whose level z lies in the box: if a chosen option
reaches the cut, the row holds by that option alone, else it states that z is at most the path's time.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from abatis.barrier._rows import FLOOR, TOP, derive_rows, list_cover, scan_paths
from abatis.barrier.network import Network, Route

KINDS = {TOP: "top", FLOOR: "floor"}
LEAST_VIOLATION_H = 1e-6


@dataclass(frozen=True)
class BoxRows:
    """Rows derived in one box, as CSR over options; `numbers` are their numbers in the pool.

    `reach_h` is the path's time with every delay on it: the size that rounding errors are measured against.
    """

    numbers: np.ndarray
    starts: np.ndarray
    options: np.ndarray
    coefficients: np.ndarray
    constants: np.ndarray
    tops: np.ndarray
    levels: np.ndarray
    reach_h: np.ndarray

    def __len__(self) -> int:
        return len(self.numbers)


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
        self.row_kind = np.empty(256, np.int8)
        self.cover_start = np.zeros(257, np.int64)
        self.cover_site = np.empty(1024, np.int32)
        self.row_count = 0
        self._row_numbers: dict[tuple[int, int, bytes], int] = {}

    def __len__(self) -> int:
        return len(self.routes)

    def add_route(self, route: Route, level: int) -> int | None:
        """Add a route for a level; returns its path number, or None when the pool has one as good."""
        key = (level, tuple(sorted(route.candidates)))
        known = self._known.get(key)
        if known is not None and self.base_h[known] <= route.base_h * (1 + 1e-12):
            return None
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
        self, choice: np.ndarray, level_h: np.ndarray, low_h: np.ndarray, high_h: np.ndarray, most: int
    ) -> np.ndarray:
        """Numbers of the most violated rows at a point, at most `most` per level and kind."""
        count = len(self.routes)
        if not count:
            return np.empty(0, np.int64)
        worst = np.zeros((count, 4))
        scan_paths(
            self.level[:count],
            self.base_h[:count],
            self.start[: count + 1],
            self.option,
            self.delay_h,
            self.option_site,
            choice,
            level_h,
            low_h,
            high_h,
            worst,
        )
        rows = []
        for kind in (TOP, FLOOR):
            violation = worst[:, 2 * kind]
            broken = np.flatnonzero(violation > LEAST_VIOLATION_H)
            broken = broken[np.argsort(-violation[broken], kind="stable")]
            taken = np.zeros(len(level_h), np.int64)
            for path in broken:
                level = self.level[path]
                if taken[level] < most:
                    taken[level] += 1
                    rows.append(self._number_row(int(path), kind, int(worst[path, 2 * kind + 1]), choice))
        return np.array(rows, np.int64)

    def _number_row(self, path: int, kind: int, cover_size: int, choice: np.ndarray) -> int:
        cover = list_cover(
            self.start[path],
            self.start[path + 1],
            self.option,
            self.delay_h,
            self.option_site,
            choice,
            cover_size,
        )
        key = (path, kind, cover.tobytes())
        known = self._row_numbers.get(key)
        if known is not None:
            return known
        row = self.row_count
        first, last = self.cover_start[row], self.cover_start[row] + len(cover)
        (self.cover_site,) = _grow(last, self.cover_site)
        self.row_path, self.row_kind, self.cover_start = _grow(
            row + 2, self.row_path, self.row_kind, self.cover_start
        )
        self.cover_site[first:last] = cover
        self.cover_start[row + 1] = last
        self.row_path[row], self.row_kind[row] = path, kind
        self.row_count += 1
        self._row_numbers[key] = row
        return row

    def derive(self, numbers: np.ndarray, low_h: np.ndarray, high_h: np.ndarray) -> BoxRows:
        """Derive rows in a box; rows that say nothing there are left out."""
        kept, starts, options, coefficients, constants = derive_rows(
            numbers,
            self.row_path,
            self.row_kind,
            self.cover_start,
            self.cover_site,
            self.level,
            self.base_h,
            self.start,
            self.option,
            self.delay_h,
            self.option_site,
            low_h,
            high_h,
        )
        tops = self.row_kind[kept] == TOP
        paths = self.row_path[kept]
        return BoxRows(
            kept, starts, options, coefficients, constants, tops, self.level[paths], self.reach_h[paths]
        )

    def describe_row(self, number: int) -> tuple[int, str, list[int]]:
        """Path, kind in words and covered sites of a row, as the certificate names it."""
        cover = self.cover_site[self.cover_start[number] : self.cover_start[number + 1]]
        return int(self.row_path[number]), KINDS[int(self.row_kind[number])], cover.tolist()


def _grow(need: int, *arrays: np.ndarray) -> tuple[np.ndarray, ...]:
    """Give arrays room for `need` values, doubling them."""
    return tuple(
        array if need <= len(array) else np.append(array, np.empty(max(need, len(array)), array.dtype))
        for array in arrays
    )
