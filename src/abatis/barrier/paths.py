"""The pool of paths found so far, and the valid inequalities that each path gives in a box of levels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit

from abatis.barrier.network import Network, Route

LONGEST_COVER = 24
COVER_WEIGHT = 0.05


@dataclass(frozen=True)
class PathRow:
    """One inequality in a node's linear programme, named so that a checker can derive it again.

    kind `top`: z <= t_F + sum min(d, hi - t_F) x; kind `floor`: sum min(d, lo - t_F) x >= lo - t_F, both over
    the options of the path whose site is not in `covered`; t_F is the path's time with the covered sites at
    their longest delay.
    """

    path: int
    kind: str
    covered: tuple[int, ...]
    options: np.ndarray
    coefficients: np.ndarray
    constant: float


class PathPool:
    """Paths as flat growing arrays: per path its level, base time and (option, delay) entries by site."""

    def __init__(self, network: Network) -> None:
        self.network = network
        self.option_site = network.problem.option_site.astype(np.int32)
        self.routes: list[Route] = []
        self._known: dict[tuple[int, tuple[int, ...]], int] = {}
        self.level = np.empty(256, np.int32)
        self.base_h = np.empty(256)
        self.start = np.zeros(257, np.int64)
        self.option = np.empty(4096, np.int32)
        self.delay_h = np.empty(4096)

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
        while last > len(self.option):
            self.option = np.append(self.option, np.empty_like(self.option))
            self.delay_h = np.append(self.delay_h, np.empty_like(self.delay_h))
        if path + 1 >= len(self.base_h):
            self.level = np.append(self.level, np.empty_like(self.level))
            self.base_h = np.append(self.base_h, np.empty_like(self.base_h))
            self.start = np.append(self.start, np.empty_like(self.start))
        self.option[first:last] = options
        self.delay_h[first:last] = delays
        self.start[path + 1] = last
        self.level[path] = level
        self.base_h[path] = route.base_h
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

    def entries(self, path: int) -> tuple[np.ndarray, np.ndarray]:
        """Options and their total delays on one path."""
        part = slice(self.start[path], self.start[path + 1])
        return self.option[part], self.delay_h[part]

    def scan(
        self, choice: np.ndarray, level_h: np.ndarray, low_h: np.ndarray, high_h: np.ndarray
    ) -> np.ndarray:
        """Return [P, 4]: worst violation and size of its cover for `top` and `floor` rows of every path."""
        count = len(self.routes)
        out = np.zeros((count, 4))
        _scan_paths(
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
            out,
        )
        return out

    def make_row(self, path: int, kind: str, cover_size: int, choice: np.ndarray, limit_h: float) -> PathRow:
        """Build the row of one path with the `cover_size` sites of the largest choice in its cover."""
        options, _ = self.entries(path)
        sites = self.option_site[options]
        covered: tuple[int, ...] = ()
        if cover_size:
            unique = np.unique(sites)
            weight = np.array([choice[options[sites == site]].sum() for site in unique])
            order = np.argsort(-weight, kind="stable")
            covered = tuple(sorted(int(site) for site in unique[order[:cover_size]]))
        return self.derive_row(path, kind, covered, limit_h)

    def derive_row(self, path: int, kind: str, covered: tuple[int, ...], limit_h: float) -> PathRow:
        """Build the row of one path for a given cover and level limit (hi for `top`, lo for `floor`)."""
        options, delays = self.entries(path)
        sites = self.option_site[options]
        time_h = float(self.base_h[path])
        for site in covered:
            time_h += float(delays[sites == site].max())
        rest = ~np.isin(sites, covered)
        coefficients = np.minimum(delays[rest], max(0.0, limit_h - time_h))
        constant = time_h if kind == "top" else limit_h - time_h
        return PathRow(path, kind, covered, options[rest], coefficients, constant)


@njit(cache=True)
def _scan_paths(
    level: np.ndarray,
    base_h: np.ndarray,
    start: np.ndarray,
    option: np.ndarray,
    delay_h: np.ndarray,
    option_site: np.ndarray,
    choice: np.ndarray,
    level_h: np.ndarray,
    low_h: np.ndarray,
    high_h: np.ndarray,
    out: np.ndarray,
) -> None:
    most = 0
    for path in range(len(base_h)):
        most = max(most, start[path + 1] - start[path])
    weight = np.empty(most + 1)
    longest = np.empty(most + 1)
    rank = np.empty(most + 1, np.int64)
    first_of = np.empty(most + 2, np.int64)
    for path in range(len(base_h)):
        sites = _group_sites(
            start[path], start[path + 1], option, delay_h, option_site, choice, weight, longest, first_of
        )
        _rank_sites(sites, weight, rank)
        this = level[path]
        for kind in range(2):
            limit = high_h[this] if kind == 0 else low_h[this]
            want = level_h[this] if kind == 0 else low_h[this]
            worst, size = _worst_cover(
                sites, rank, weight, longest, first_of, option, delay_h, choice, base_h[path], limit, want
            )
            out[path, 2 * kind] = worst
            out[path, 2 * kind + 1] = size


@njit(cache=True)
def _group_sites(
    first: int,
    last: int,
    option: np.ndarray,
    delay_h: np.ndarray,
    option_site: np.ndarray,
    choice: np.ndarray,
    weight: np.ndarray,
    longest: np.ndarray,
    first_of: np.ndarray,
) -> int:
    sites = 0
    for entry in range(first, last):
        if entry == first or option_site[option[entry]] != option_site[option[entry - 1]]:
            first_of[sites] = entry
            weight[sites] = 0.0
            longest[sites] = 0.0
            sites += 1
        weight[sites - 1] += choice[option[entry]]
        longest[sites - 1] = max(longest[sites - 1], delay_h[entry])
    first_of[sites] = last
    return sites


@njit(cache=True)
def _rank_sites(
    sites: int,
    weight: np.ndarray,
    rank: np.ndarray,
) -> None:
    for index in range(sites):
        place = index
        while place > 0 and weight[rank[place - 1]] < weight[index]:
            rank[place] = rank[place - 1]
            place -= 1
        rank[place] = index


@njit(cache=True)
def _worst_cover(
    sites: int,
    rank: np.ndarray,
    weight: np.ndarray,
    longest: np.ndarray,
    first_of: np.ndarray,
    option: np.ndarray,
    delay_h: np.ndarray,
    choice: np.ndarray,
    base_h: float,
    limit: float,
    want: float,
) -> tuple[float, int]:
    """Largest violation of want - t_F <= sum min(d, limit - t_F) x over prefixes F of the ranked sites."""
    time_h = base_h
    worst = -1e300
    size = 0
    for prefix in range(min(sites, LONGEST_COVER) + 1):
        if prefix > 0:
            site = rank[prefix - 1]
            if weight[site] < COVER_WEIGHT:
                break
            time_h += longest[site]
        room = limit - time_h
        if room <= 0.0:
            break
        total = 0.0
        for index in range(prefix, sites):
            site = rank[index]
            if weight[site] <= 0.0:
                break
            for entry in range(first_of[site], first_of[site + 1]):
                total += min(delay_h[entry], room) * choice[option[entry]]
        violation = want - time_h - total
        if violation > worst:
            worst = violation
            size = prefix
    return worst, size
