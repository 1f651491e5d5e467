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

A row can also count in steps of s hours. With room R = b - t_F, k = ceil(R / s) steps and a last one of part
p = R / s - (k - 1), hours h count as u(h) = floor(h / s) + min(1, rest / p) steps, at most k. u rises and
u(g + h) <= u(g) + u(h), so sum u(min(d, R)) x >= u(min(b, z) - t_F), which is bent. Below that lies the line
to k at the top that starts as high as the bends at whole steps allow, and the row is that line.
In words: two delays of 2 h add up to 4 h, but a need of 3 h takes both of them whole.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from abatis.barrier._rows import FLOOR, derive_rows, list_cover, scan_paths
from abatis.barrier._zero_half import derive_sums, list_parts
from abatis.barrier.bands import Bands
from abatis.barrier.network import Network, Route

SUM = -1
# Approach, level, candidates: the arcs of a path are numbers of the approach's own graph.
PathKey = tuple[int, int, tuple[int, ...]]


@dataclass(frozen=True)
class BoxRows:
    """Rows derived in one box, as CSR over options; `numbers` are their numbers in the pool.

    A row reads sum coefficient x - fill y[column] >= constant; floors have fill 0. `sizes` are what rounding
    errors are measured against, `needs` how many steps a row counts (1 where it counts hours). A sum of rows
    is in counts instead of hours and has no level.
    """

    numbers: np.ndarray
    starts: np.ndarray
    options: np.ndarray
    coefficients: np.ndarray
    constants: np.ndarray
    fills: np.ndarray
    columns: np.ndarray
    sizes: np.ndarray
    needs: np.ndarray

    def __len__(self) -> int:
        return len(self.numbers)

    @property
    def room_h(self) -> np.ndarray:
        """Hours from the path's time with its cover to the top of the band: no coefficient is larger."""
        room: np.ndarray = self.constants + self.fills
        return room

    def take(self, places: np.ndarray) -> BoxRows:
        """Take rows by their place."""
        sizes = np.diff(self.starts)[places]
        ends = np.cumsum(sizes)
        entries = np.repeat(self.starts[places] - (ends - sizes), sizes) + np.arange(sizes.sum())
        return BoxRows(
            self.numbers[places],
            np.append(0, ends),
            self.options[entries],
            self.coefficients[entries],
            self.constants[places],
            self.fills[places],
            self.columns[places],
            self.sizes[places],
            self.needs[places],
        )

    def measure_violation(self, choice: np.ndarray, filled: np.ndarray) -> np.ndarray:
        """Share of its room by which a point breaks each row (negative when it keeps it)."""
        sums = np.append(0.0, np.cumsum(self.coefficients * choice[self.options]))
        broken = self.constants + self.fills * filled[self.columns] - np.diff(sums[self.starts])
        share: np.ndarray = broken / self.room_h
        return share


def join_rows(one: BoxRows, other: BoxRows) -> BoxRows:
    """Put the rows of two derivations one after the other."""
    return BoxRows(
        np.append(one.numbers, other.numbers),
        np.append(one.starts, one.starts[-1] + other.starts[1:]),
        np.append(one.options, other.options),
        np.append(one.coefficients, other.coefficients),
        np.append(one.constants, other.constants),
        np.append(one.fills, other.fills),
        np.append(one.columns, other.columns),
        np.append(one.sizes, other.sizes),
        np.append(one.needs, other.needs),
    )


def halve_sums(
    rows: np.ndarray,
    row_path: np.ndarray,
    part_start: np.ndarray,
    part_row: np.ndarray,
    plain: BoxRows,
    option_count: int,
) -> BoxRows:
    """Derive the sums among `rows` (by rising number, with all their parts) from the plain rows among them.

    A sum with a part that says nothing is left out.
    """
    numbers, starts, options, coefficients, sizes, needs = derive_sums(
        rows,
        row_path,
        part_start,
        part_row,
        plain.numbers,
        plain.starts,
        plain.options,
        plain.coefficients,
        plain.room_h,
        plain.sizes,
        plain.needs,
        option_count,
    )
    none = np.zeros(len(numbers), np.int64)
    return BoxRows(
        numbers, starts, options, coefficients, needs.astype(float), none.astype(float), none, sizes, needs
    )


class PathPool:
    """Paths and rows as flat growing arrays; per path its level, base time and (option, delay) by site.

    A copy has the paths and rows that its base had at the last `refresh`, then those it found itself; its
    `routes` are the latter only. `absorb` takes what a copy found into the base.
    """

    def __init__(self, network: Network, base: PathPool | None = None) -> None:
        self.network = network
        self._base = base
        self.path_count = 0
        self.option_site = network.problem.option_site.astype(np.int32)
        self.routes: list[Route] = []
        self._known: dict[PathKey, int] = {}
        self.level = np.empty(256, np.int32)
        self.base_h = np.empty(256)
        self.reach_h = np.empty(256)
        self.start = np.zeros(257, np.int64)
        self.option = np.empty(4096, np.int32)
        self.delay_h = np.empty(4096)
        self.row_path = np.empty(256, np.int32)
        self.row_band = np.empty(256, np.int32)
        self.row_step = np.zeros(256)
        self.cover_start = np.zeros(257, np.int64)
        self.cover_option = np.empty(1024, np.int32)
        self.row_count = 0
        self._row_numbers: dict[tuple[int, int, bytes, float], int] = {}

    def __len__(self) -> int:
        return self.path_count

    def copy(self) -> PathPool:
        """Make an empty copy that `refresh` fills."""
        return PathPool(self.network, self)

    def refresh(self) -> None:
        """Forget what this copy found and take over what its base has now."""
        base = self._base
        if base is None:
            raise ValueError("only a copy can be refreshed")
        first, last = self.path_count - len(self.routes), base.path_count
        self.level, self.base_h, self.reach_h, self.start = _grow(
            last + 1, self.level, self.base_h, self.reach_h, self.start
        )
        self.option, self.delay_h = _grow(int(base.start[last]), self.option, self.delay_h)
        own = (self.level, self.base_h, self.reach_h)
        _take_over(first, last, (base.level, base.base_h, base.reach_h), own)
        self.start[first : last + 1] = base.start[first : last + 1]
        part = slice(base.start[first], base.start[last])
        self.option[part], self.delay_h[part] = base.option[part], base.delay_h[part]
        first, last = self.row_count - len(self._row_numbers), base.row_count
        self.row_path, self.row_band, self.row_step, self.cover_start = _grow(
            last + 1, self.row_path, self.row_band, self.row_step, self.cover_start
        )
        (self.cover_option,) = _grow(int(base.cover_start[last]), self.cover_option)
        rows = (self.row_path, self.row_band, self.row_step)
        _take_over(first, last, (base.row_path, base.row_band, base.row_step), rows)
        self.cover_start[first : last + 1] = base.cover_start[first : last + 1]
        part = slice(base.cover_start[first], base.cover_start[last])
        self.cover_option[part] = base.cover_option[part]
        self.routes, self._known, self._row_numbers = [], {}, {}
        self.path_count, self.row_count = base.path_count, base.row_count

    def absorb(self, copy: PathPool) -> np.ndarray:
        """Take in the paths and rows that a copy found; returns the own number int64 of each of its rows.

        A path is taken in as it is, unless the very same is there: so every row keeps its coefficients.
        """
        paths = np.arange(copy.path_count)
        shared = copy.path_count - len(copy.routes)
        for path, route in enumerate(copy.routes, start=shared):
            part = slice(copy.start[path], copy.start[path + 1])
            level = int(copy.level[path])
            known = self._known.get(_key_of(route, level))
            if known is None or self.routes[known].arcs != route.arcs:
                known = self._append(route, level, copy.option[part], copy.delay_h[part])
            paths[path] = known
        rows = np.arange(copy.row_count)
        for row in range(copy.row_count - len(copy._row_numbers), copy.row_count):
            path, band, _, step_h = copy.describe_row(row)
            cover = copy.cover_option[copy.cover_start[row] : copy.cover_start[row + 1]]
            if path < 0:
                rows[row] = self.number_sum(rows[cover].astype(np.int32))
            else:
                rows[row] = self.number_row(int(paths[path]), band, cover, step_h)
        return rows

    def add_route(self, route: Route, level: int) -> int:
        """Add a route for a level, unless the pool has one as good; returns its path number."""
        known = self._find_path(_key_of(route, level))
        if known is not None and self.base_h[known] <= route.base_h * (1 + 1e-12):
            return known
        return self._append(route, level, *self._sum_entries(route))

    def _find_path(self, key: PathKey) -> int | None:
        known = self._known.get(key)
        return self._base._known.get(key) if known is None and self._base is not None else known

    def _append(self, route: Route, level: int, options: np.ndarray, delays: np.ndarray) -> int:
        path = self.path_count
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
        self.path_count += 1
        key = _key_of(route, level)
        known = self._known.get(key)
        if known is None or route.base_h < self.base_h[known]:
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
        count = self.path_count
        if not count:
            return np.empty(0, np.int64)
        worst = np.empty((count, 8))
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
        for column in (0, 4):
            violation = worst[:, column]
            broken = np.flatnonzero(violation > least_h)
            broken = broken[np.argsort(-violation[broken], kind="stable")]
            taken = np.zeros(len(bands.low_h), np.int64)
            for path in broken:
                level = self.level[path]
                if taken[level] < most:
                    taken[level] += 1
                    band, size = int(worst[path, column + 1]), int(worst[path, column + 2])
                    cover = self._list_cover(int(path), size, choice)
                    rows.append(self.number_row(int(path), band, cover, float(worst[path, column + 3])))
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

    def number_row(self, path: int, band: int, cover: np.ndarray, step_h: float = 0.0) -> int:
        """Number of the row of a path, a band (-1 floor), a cover (options int32) and a step (0: hours)."""
        key = (path, band, cover.tobytes(), step_h)
        known = self._row_numbers.get(key)
        if known is None and self._base is not None:
            known = self._base._row_numbers.get(key)
        if known is not None:
            return known
        row = self.row_count
        first, last = self.cover_start[row], self.cover_start[row] + len(cover)
        (self.cover_option,) = _grow(last, self.cover_option)
        self.row_path, self.row_band, self.row_step, self.cover_start = _grow(
            row + 2, self.row_path, self.row_band, self.row_step, self.cover_start
        )
        self.cover_option[first:last] = cover
        self.cover_start[row + 1] = last
        self.row_path[row], self.row_band[row], self.row_step[row] = path, band, step_h
        self.row_count += 1
        self._row_numbers[key] = row
        return row

    def number_sum(self, rows: np.ndarray) -> int:
        """Number of the row that is half the sum of rows, int32 numbers, rounded up (see `zero_half`)."""
        return self.number_row(SUM, FLOOR, np.sort(rows))

    def list_parts(self, numbers: np.ndarray) -> np.ndarray:
        """Rows and all that they are sums of, by rising number."""
        return list_parts(numbers, self.row_path, self.cover_start, self.cover_option, self.row_count)

    def derive(self, numbers: np.ndarray, bands: Bands) -> BoxRows:
        """Derive rows in a box; rows that say nothing there are left out."""
        if (self.row_path[numbers] != SUM).all():
            return self._derive_plain(numbers, bands)
        every = self.list_parts(numbers)
        plain = self._derive_plain(every[self.row_path[every] != SUM], bands)
        halves = halve_sums(
            every, self.row_path, self.cover_start, self.cover_option, plain, len(self.option_site)
        )
        joined = join_rows(plain, halves)
        place = np.full(self.row_count, -1, np.int64)
        place[joined.numbers] = np.arange(len(joined))
        at = place[numbers]
        return joined.take(at[at >= 0])

    def _derive_plain(self, numbers: np.ndarray, bands: Bands) -> BoxRows:
        kept, starts, options, coefficients, constants, fills, needs = derive_rows(
            numbers,
            self.row_path,
            self.row_band,
            self.cover_start,
            self.cover_option,
            self.row_step,
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
        sizes = self.reach_h[paths] + bands.high_h[levels]
        return BoxRows(kept, starts, options, coefficients, constants, fills, columns, sizes, needs)

    def describe_row(self, number: int) -> tuple[int, int, list[int], float]:
        """Path, band (-1 for a floor), cover (options) and step of a row, as the certificate names it."""
        cover = self.cover_option[self.cover_start[number] : self.cover_start[number + 1]]
        path, band, step_h = self.row_path[number], self.row_band[number], self.row_step[number]
        return int(path), int(band), cover.tolist(), float(step_h)


def _key_of(route: Route, level: int) -> PathKey:
    return route.approach, level, tuple(sorted(route.candidates))


def _grow(need: int, *arrays: np.ndarray) -> tuple[np.ndarray, ...]:
    """Give arrays room for `need` values, doubling them."""
    return tuple(
        array if need <= len(array) else np.append(array, np.empty(max(need, len(array)), array.dtype))
        for array in arrays
    )


def _take_over(first: int, last: int, given: tuple[np.ndarray, ...], own: tuple[np.ndarray, ...]) -> None:
    """Copy the values `first` to `last` of every given array into the own one."""
    for source, target in zip(given, own, strict=True):
        target[first:last] = source[first:last]
