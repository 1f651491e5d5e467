"""Which posts to build and to renew with a budget, so that most weight is seen; with a proven bound."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from abatis.model.errors import Fault, InputError
from abatis.watch.candidates import Places
from abatis.watch.catalogue import Catalogue, Sensor
from abatis.watch.covering import solve_covering
from abatis.watch.seen import (
    Outlook,
    SeenCells,
    SeenPoints,
    combine_chances,
    count_seen_by,
    join_points,
)

MOST_BRANCHES = 64
Progress = Callable[[str, float], None]


@dataclass(frozen=True)
class PostOptions:
    """Sensors at places that may be had (n): those of standing posts first.

    `place` int32[n], row of the places; `sensor` n sensors; `post` int32[n], row of the standing post, -1 for
    new ones; `cost_eur` float64[n], price of building or renewing, 0 where nothing is to be paid; `fixed`
    bool[n], there at the end of the programme anyway; `outlooks` n.
    """

    place: np.ndarray
    sensor: tuple[Sensor, ...]
    post: np.ndarray
    cost_eur: np.ndarray
    fixed: np.ndarray
    outlooks: tuple[Outlook, ...]

    @property
    def count(self) -> int:
        """Number of options."""
        return len(self.sensor)

    @property
    def standing(self) -> np.ndarray:
        """Options that stand today, bool[n]."""
        return np.asarray(self.post >= 0)

    @property
    def chance(self) -> np.ndarray:
        """Probability that each finds a target in range and sight, float64[n]."""
        return np.array([one.chance for one in self.sensor], np.float64)


@dataclass(frozen=True)
class Sight:
    """What some of the posts see: `seen_by` int32[N] and `detection` float64[N] by cell of the mesh.

    `border_by` int32[B] by piece of border; `share` of all weight that is seen by as many as asked for.
    """

    seen_by: np.ndarray
    detection: np.ndarray
    border_by: np.ndarray
    share: float


@dataclass(frozen=True)
class PostPlan:
    """Posts to have at the end of the programme: `chosen` bool[n] over the options, fixed ones included.

    `covered_weight` of `whole_weight` is seen by at least `times` posts; no choice within the budget covers
    more than `bound`; `gap` = (bound - covered) / covered. `today`, `left_alone` and `planned` say what is
    seen by the posts that stand, by those that are left when nothing is paid for, and with the plan.
    """

    chosen: np.ndarray
    covered_weight: float
    whole_weight: float
    bound: float
    gap: float
    times: int
    cost_eur: float
    budget_eur: float
    seconds: float
    today: Sight
    left_alone: Sight
    planned: Sight

    @property
    def covered_share(self) -> float:
        """Share of the weight that is seen."""
        return self.covered_weight / self.whole_weight if self.whole_weight > 0 else 0.0


def list_post_options(catalogue: Catalogue, places: Places, target: str, last_year: int) -> PostOptions:
    """List what may be had: standing posts, and every sensor that finds the target at every place.

    Parameters
    ----------
    catalogue : sensors, standing posts, terms.
    places : the standing posts' places first, in the order of the table.
    target : person, vehicle or low_air; sensors that do not find it are left out.
    last_year : last year of the programme.

    In words: a standing post that outlives the programme, or whose renewal is paid elsewhere, costs nothing.
    Any other is lost unless it is renewed for renewal_cost_share of its price as new. On a mast that stands a
    new sensor costs mast_cost_share of its price. No second sensor of a kind is offered where a standing
    post has one.

    Raises
    ------
    InputError : no sensor finds the target.
    """
    sensors = catalogue.sensors.list_for(target)
    if not sensors:
        text = f"no sensor finds the target '{target}'"
        remedy = "give one of them a range for it"
        raise InputError([Fault(text, "tables/sensors.csv", column=f"range_{target}_m", remedy=remedy)])
    terms, posts = catalogue.terms, catalogue.posts.items
    rows: list[tuple[int, Sensor, int, float, bool, Outlook]] = []
    kinds: set[tuple[int, int, str]] = set()
    offered: set[tuple[int, int, str]] = set()
    for number, post in enumerate(posts):
        pixel = int(places.row[number]), int(places.column[number])
        kinds.add((*pixel, post.sensor.kind))
        if target in post.sensor.range_m:
            ages = post.ages_by(last_year)
            cost = terms["renewal_cost_share"].value * post.sensor.cost_eur if ages else 0.0
            outlook = Outlook(*pixel, post.sensor, post.from_deg, post.to_deg)
            rows.append((number, post.sensor, number, cost, not ages, outlook))
    for place in range(places.count):
        pixel = int(places.row[place]), int(places.column[place])
        share = 1.0 if places.kind[place] == "high_ground" else terms["mast_cost_share"].value
        for sensor in sensors:
            if (*pixel, sensor.kind) not in kinds and (*pixel, sensor.key) not in offered:
                offered.add((*pixel, sensor.key))
                rows.append((place, sensor, -1, share * sensor.cost_eur, False, Outlook(*pixel, sensor)))
    return PostOptions(
        np.array([row[0] for row in rows], np.int32),
        tuple(row[1] for row in rows),
        np.array([row[2] for row in rows], np.int32),
        np.array([row[3] for row in rows], np.float64),
        np.array([row[4] for row in rows], bool),
        tuple(row[5] for row in rows),
    )


def list_rivals(options: PostOptions) -> list[np.ndarray]:
    """List groups of options of which at most one may be had: new sensors of one kind at one place."""
    groups: dict[tuple[int, str], list[int]] = {}
    for number in np.flatnonzero(~options.standing).tolist():
        groups.setdefault((int(options.place[number]), options.sensor[number].kind), []).append(number)
    return [np.array(group) for group in groups.values() if len(group) > 1]


def choose_posts(
    options: PostOptions,
    seen: SeenCells,
    cell_weight: np.ndarray,
    border_weight: np.ndarray,
    budget_eur: float,
    *,
    times: int = 1,
    gap: float = 0.01,
    time_limit_s: float = 60.0,
    seed: int = 1,
    progress: Progress | None = None,
) -> PostPlan:
    """Choose posts to build and to renew so that most weight is seen.

    Parameters
    ----------
    options : n sensors at places, with what they cost.
    seen : what each of them sees.
    cell_weight, border_weight : float64[N], float64[B], at least 0.
    budget_eur : money for building and renewing, base-year prices.
    times : 1, or 2 for back-up: a point counts when two sensors see it (they may share a mast).
    gap : share at which the search stops.
    time_limit_s, seed : for the search.
    progress : callback (stage, share done).

    Formula: max sum of w_p over points p with sum over options o that see p of x_o >= times,
    sum of c_o x_o <= budget, x_o = 1 for fixed posts, at most one new sensor of a kind at a place.
    In words: budgeted maximal covering (Church and ReVelle 1974) solved by `solve_covering`. Its answer
    ignores the last rule; where it breaks it, the problem is split into two, each without one of the two
    rivals, until no part that could be better breaks it. The bound is the largest of all parts.

    Raises
    ------
    InputError : weights below 0 or of another length, a budget below 0, times other than 1 or 2.
    """
    _check_choice(options, seen, cell_weight, border_weight, budget_eur, times)
    started = time.monotonic()
    weight = np.concatenate([cell_weight, border_weight]).astype(np.float64)
    both = stack_points(seen, len(cell_weight))
    count = options.count

    def solve(banned: np.ndarray) -> tuple[np.ndarray, float]:
        kept = np.flatnonzero(~banned)
        lists = both if len(kept) == count else join_points([both.take(int(one)) for one in kept])
        left_s = max(1.0, time_limit_s - (time.monotonic() - started))
        found = solve_covering(
            weight, lists.start, lists.point, options.cost_eur[kept], budget_eur,
            times=times, fixed=options.fixed[kept], gap=gap, time_limit_s=left_s, seed=seed,
            progress=progress,
        )  # fmt: skip
        chosen = np.zeros(count, bool)
        chosen[kept] = found.chosen
        return chosen, found.bound

    def measure(chosen: np.ndarray) -> float:
        return float(weight[count_seen_by(both, chosen, len(weight)) >= times].sum())

    best, bound, _ = settle_rivals(
        solve, measure, list_rivals(options), count, gap, lambda: time.monotonic() - started < time_limit_s
    )

    def look(alive: np.ndarray) -> Sight:
        return describe_sight(options, seen, alive, cell_weight, border_weight, times)

    covered = measure(best)
    bound = max(bound, covered)
    return PostPlan(
        chosen=best,
        covered_weight=covered,
        whole_weight=float(weight.sum()),
        bound=bound,
        gap=(bound - covered) / covered if covered > 0 else (0.0 if bound <= 0 else math.inf),
        times=times,
        cost_eur=float(options.cost_eur[best & ~options.fixed].sum()),
        budget_eur=budget_eur,
        seconds=time.monotonic() - started,
        today=look(options.standing),
        left_alone=look(options.fixed),
        planned=look(best),
    )


def settle_rivals(
    solve: Callable[[np.ndarray], tuple[np.ndarray, float]],
    measure: Callable[[np.ndarray], float],
    rivals: Sequence[np.ndarray],
    count: int,
    gap: float,
    has_time: Callable[[], bool],
) -> tuple[np.ndarray, float, int]:
    """Solve a covering in which of each group of rivals at most one may be taken.

    Parameters
    ----------
    solve : best choice without the options that are banned, bool[n] -> chosen bool[n], bound.
    measure : weight that a choice covers.
    rivals : groups of options.
    count : number n of options.
    gap : a part that cannot be better by more than this share is left.
    has_time : whether the search may go on.

    Returns
    -------
    chosen bool[n], a bound on what any choice covers, and how many parts were solved.

    In words: of the two parts that a pair of rivals a, b gives, one forbids a and one forbids b; every choice
    without the pair lies in one of them. A choice that breaks the rule is mended by dropping rivals.
    """
    best, value, bound, solved = np.zeros(count, bool), -1.0, 0.0, 0
    open_parts = [(math.inf, np.zeros(count, bool))]
    while open_parts:
        limit, banned = open_parts.pop()
        if solved and (limit <= value * (1.0 + gap) or solved >= MOST_BRANCHES or not has_time()):
            bound = max(bound, limit)
            continue
        chosen, most = solve(banned)
        solved += 1
        limit = min(limit, most)
        pair = _find_pair(chosen, rivals)
        mended = _mend(chosen, rivals, measure)
        if (worth := measure(mended)) > value:
            best, value = mended, worth
        if pair is None:
            bound = max(bound, limit)
            continue
        for one in pair:
            part = banned.copy()
            part[one] = True
            open_parts.append((limit, part))
    return best, max(bound, value), solved


def describe_sight(
    options: PostOptions,
    seen: SeenCells,
    alive: np.ndarray,
    cell_weight: np.ndarray,
    border_weight: np.ndarray,
    times: int,
) -> Sight:
    """Say what some options see, bool[n] `alive`, and which share of the weight that is."""
    seen_by = count_seen_by(seen.cells, alive, len(cell_weight))
    border_by = count_seen_by(seen.border, alive, len(border_weight))
    covered = cell_weight[seen_by >= times].sum() + border_weight[border_by >= times].sum()
    whole = float(cell_weight.sum() + border_weight.sum())
    detection = combine_chances(seen.cells, alive, options.chance, len(cell_weight))
    return Sight(seen_by, detection, border_by, float(covered) / whole if whole > 0 else 0.0)


def stack_points(seen: SeenCells, cell_count: int) -> SeenPoints:
    """Put cells and pieces of border into one list of points: piece b is point cell_count + b."""
    parts = [
        np.concatenate([seen.cells.take(one), seen.border.take(one) + np.int32(cell_count)])
        for one in range(seen.cells.count)
    ]
    return join_points(parts)


def _find_pair(chosen: np.ndarray, rivals: Sequence[np.ndarray]) -> tuple[int, int] | None:
    for group in rivals:
        taken = group[chosen[group]]
        if len(taken) > 1:
            return int(taken[0]), int(taken[1])
    return None


def _mend(
    chosen: np.ndarray, rivals: Sequence[np.ndarray], measure: Callable[[np.ndarray], float]
) -> np.ndarray:
    mended = chosen.copy()
    while (pair := _find_pair(mended, rivals)) is not None:
        tries = [mended.copy(), mended.copy()]
        for one, choice in zip(pair, tries, strict=True):
            choice[one] = False
        mended = max(tries, key=measure)
    return mended


def _check_choice(
    options: PostOptions,
    seen: SeenCells,
    cell_weight: np.ndarray,
    border_weight: np.ndarray,
    budget_eur: float,
    times: int,
) -> None:
    faults = []
    if seen.cells.count != options.count or seen.border.count != options.count:
        faults.append(Fault(f"{options.count} options but {seen.cells.count} lists of what is seen"))
    for name, weight in (("cell_weight", cell_weight), ("border_weight", border_weight)):
        if not (np.isfinite(weight).all() and (weight >= 0).all()):
            faults.append(Fault("holds values below 0 or no numbers", column=name))
    if not (math.isfinite(budget_eur) and budget_eur >= 0):
        faults.append(Fault(f"is {budget_eur:g}", column="--budget", remedy="give EUR, at least 0"))
    if times not in (1, 2):
        faults.append(Fault(f"is {times}", column="times", remedy="give 1, or 2 for back-up"))
    if faults:
        raise InputError(faults)
