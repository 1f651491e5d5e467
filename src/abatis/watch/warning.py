"""Warning: the hours between first being seen and arrival, for a mover that stays unseen while it can."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from abatis.ground import _search as search
from abatis.ground.travel import check_cells, check_times, compute_times, find_route, list_edges
from abatis.model.errors import Fault, InputError
from abatis.model.mesh import Mesh
from abatis.model.plan import Problem, add_delays

FAST_TOLERANCE = 0.25
"""Ways up to this share slower than the fastest count as fast (G: placeholder)."""

CLOSE = 1e-12
Progress = Callable[[str, float], None]


@dataclass(frozen=True)
class FirstSight:
    """Where a mover that stays unseen as long as it can is first seen, and the hours left from there.

    `warning_h` is 0 where the objective can be reached unseen, inf where no way leads there at all. `cell` is
    the row of the cell of first sight (the objective if reached unseen, -1 without a way). `way` int32[]
    holds the cells of one such way from the front to the objective; its first `hidden` cells are unseen, and
    `hidden_h` are the hours it takes to the cell of first sight.
    """

    warning_h: float
    cell: int
    way: np.ndarray
    hidden: int
    hidden_h: float


@dataclass(frozen=True)
class ApproachWarning:
    """Warning of one approach in hours: today, with new posts, with new posts and the plan.

    `arrival_h` and `arrival_plan_h` are fastest times; `warning_..._h` are for a mover with all the time in
    the world, `fast_..._h` for one that takes fast ways only; `unseen_..._h` are the hours of the fastest
    route that nobody sees. `worst` and `worst_fast` are the least warned ways with posts and plan.
    """

    key: str
    name: str
    weight: float
    arrival_h: float
    arrival_plan_h: float
    warning_today_h: float
    warning_posts_h: float
    warning_plan_h: float
    fast_today_h: float
    fast_posts_h: float
    fast_plan_h: float
    unseen_today_h: float
    unseen_posts_h: float
    unseen_plan_h: float
    worst_today: FirstSight
    worst: FirstSight
    worst_fast: FirstSight

    @property
    def delay_h(self) -> float:
        """Hours by which the plan delays the fastest way."""
        return self.arrival_plan_h - self.arrival_h

    @property
    def posts_won_h(self) -> float:
        """Warning that the new posts add on today's ground."""
        return self.warning_posts_h - self.warning_today_h

    @property
    def plan_won_h(self) -> float:
        """Hours that the plan adds after the mover is seen."""
        return self.warning_plan_h - self.warning_posts_h

    @property
    def total_h(self) -> float:
        """Total time won: `posts_won_h` + `plan_won_h`, each hour once."""
        return self.warning_plan_h - self.warning_today_h

    @property
    def fast_total_h(self) -> float:
        """Total time won against a mover that takes fast ways only."""
        return self.fast_plan_h - self.fast_today_h


def find_first_sight(
    mesh: Mesh,
    time_h: np.ndarray,
    front: np.ndarray,
    objective: np.ndarray,
    seen: np.ndarray,
    to_objective_h: np.ndarray | None = None,
    longest_h: float = math.inf,
) -> FirstSight:
    """Find the least hours between first being seen and arrival, and a way that leaves no more.

    Parameters
    ----------
    mesh : N cells, E edges.
    time_h : float64[E], hours per edge with the plan's delays; inf closes an edge.
    front, objective : int32[], rows of cells where movement starts and where it ends.
    seen : bool[N], cells in which a mover is seen.
    to_objective_h : float64[N], what `compute_times` gives from the objective; computed when left out.
    longest_h : the mover takes no way longer than this.

    Formula: W = min over c in C of T(c), where T(c) = least hours from c to the objective, and C = seen cells
    that a walk from the front reaches with all cells before unseen, and objective cells that such a walk
    reaches unseen; of C only cells with U(c) + T(c) <= longest, U(c) = least hours of such a walk to c.
    In words: the mover has all the time in the world while it is unseen, so only whether a cell can be
    reached unseen counts; once seen, it takes the fastest way. Exact: one search that does not go on from
    seen cells, and the field of times to the objective. W is at least 0 and at most the arrival time, since
    the fastest way too is first seen somewhere. Of equal cells the one reached soonest is named. A mover in a
    hurry has a limit for the whole way; U(c) + T(c) is the shortest way that is first seen in c.

    Raises
    ------
    InputError : arrays of another length, cells outside the mesh, or times that are not positive.
    """
    front = check_cells(front, mesh.cell_count, "front")
    objective = check_cells(objective, mesh.cell_count, "objective")
    seen = _check_seen(mesh, seen, "seen")
    if to_objective_h is None:
        to_objective_h = compute_times(mesh, time_h, objective)
    hidden_h = _search_unseen(mesh, time_h, front, seen)
    return _pick_cell(mesh, time_h, objective, seen, hidden_h, to_objective_h, longest_h)


def _pick_cell(
    mesh: Mesh,
    time_h: np.ndarray,
    objective: np.ndarray,
    seen: np.ndarray,
    hidden_h: np.ndarray,
    to_objective_h: np.ndarray,
    longest_h: float,
) -> FirstSight:
    """Choose the cell of first sight with the least time left, and follow the way through it."""
    met = seen.copy()
    met[objective] = True
    whole_h = hidden_h + to_objective_h
    cells = np.flatnonzero(met & np.isfinite(whole_h) & (whole_h <= longest_h * (1.0 + CLOSE) + CLOSE))
    if not cells.size:
        return FirstSight(math.inf, -1, np.empty(0, np.int32), 0, math.inf)
    cell = int(cells[np.lexsort((cells, hidden_h[cells], to_objective_h[cells]))[0]])
    # Steps back from the cell of first sight may use unseen cells only.
    unseen_h = np.where(seen, np.inf, hidden_h)
    unseen_h[cell] = hidden_h[cell]
    way = find_route(mesh, time_h, unseen_h, cell)[::-1]
    rest = find_route(mesh, time_h, to_objective_h, cell)
    return FirstSight(
        float(to_objective_h[cell]),
        cell,
        np.concatenate([way, rest[1:]]).astype(np.int32),
        len(way) - int(seen[cell]),
        float(hidden_h[cell]),
    )


def _search_unseen(mesh: Mesh, time_h: np.ndarray, front: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """Return float64[N], least hours from the front over unseen cells; seen cells are reached, never left."""
    time_h = np.ascontiguousarray(time_h, np.float64)
    check_times(time_h)
    slot_h = search.gather_times(mesh.edge, time_h)
    slot_h[seen] = np.inf
    times = np.empty(mesh.cell_count)
    search.search_all(mesh.neighbor, slot_h, front, np.inf, search.find_bucket_width(time_h), times)
    return times


def measure_unseen_h(mesh: Mesh, time_h: np.ndarray, route: np.ndarray, seen: np.ndarray) -> float:
    """Measure the hours of a route in which nobody sees the mover.

    Parameters
    ----------
    time_h : float64[E], hours per edge.
    route : int32[], successive cells.
    seen : bool[N].

    Formula: sum over edges of time x (unseen ends / 2).
    In words: half of an edge's time belongs to each of its two cells.
    """
    if len(route) < 2:
        return 0.0
    hours = time_h[list_edges(mesh, route)]
    blind = ~np.asarray(seen, bool)[route]
    return float((hours * (0.5 * blind[:-1] + 0.5 * blind[1:])).sum())


def find_warning(
    mesh: Mesh,
    problem: Problem,
    chosen: Sequence[int] | np.ndarray,
    today: np.ndarray,
    posted: np.ndarray,
    progress: Progress | None = None,
    tolerance: float = FAST_TOLERANCE,
) -> tuple[ApproachWarning, ...]:
    """Find the warning of every approach today, with the new posts, and with the new posts and a plan.

    Parameters
    ----------
    mesh : N cells.
    problem : approaches and options on the mesh, with the delays that count under the new posts
        (`barrier.observed.mark_observed`).
    chosen : rows of the options of the plan, none for no plan.
    today : bool[N], cells seen by the posts that stand.
    posted : bool[N], cells seen by these and the new posts.
    progress : callback (stage, share done).
    tolerance : ways up to this share slower than the fastest of the same case count as fast.

    Returns
    -------
    One row per approach, in their order.

    Formula: total = W(posted, plan) - W(today, no plan) = [W(posted, no plan) - W(today, no plan)]
    + [W(posted, plan) - W(posted, no plan)] with W of `find_first_sight`.
    In words: what counts is the time between being seen and arriving. New posts move its beginning, the plan
    moves its end. Both steps are differences of the same measure, one after the other, so no hour is counted
    twice; hours that the plan costs a mover before anyone sees it are in `delay_h` but not in the total.

    Raises
    ------
    InputError : approaches that cannot reach their objective, masks of another length, or a tolerance below
        0.
    """
    report = progress or (lambda _stage, _share: None)
    if not tolerance >= 0.0:
        raise InputError([Fault(f"is {tolerance:g}", column="tolerance", remedy="give a share, at least 0")])
    masks = _check_seen(mesh, today, "today"), _check_seen(mesh, posted, "posted")
    delays = add_delays(problem, [int(option) for option in chosen])
    fields: dict[tuple[int, tuple[int, ...], bool], tuple[np.ndarray, np.ndarray]] = {}
    rows = []
    faults = []
    for index in range(problem.approach_count):
        report("warning of each approach", index / problem.approach_count)
        group = int(problem.approach_group[index])
        targets = np.unique(problem.approach_targets[index])
        pair = []
        for planned in (False, True):
            key = (group, tuple(targets.tolist()), planned)
            if key not in fields:
                time_h = _list_times(problem, group, delays if planned else None)
                fields[key] = time_h, compute_times(mesh, time_h, targets)
            pair.append(fields[key])
        if np.isfinite(pair[0][1][problem.approach_sources[index]]).any():
            rows.append(_compare_warning(mesh, problem, index, pair, masks, tolerance))
        else:
            name = problem.approach_keys[index]
            faults.append(
                Fault(
                    f"approach '{name}' cannot reach its objective even without barriers",
                    "tables/approaches.csv",
                    remedy="check front, objective, vehicle and season",
                )
            )
    if faults:
        raise InputError(faults)
    report("warning of each approach", 1.0)
    return tuple(rows)


def _compare_warning(
    mesh: Mesh,
    problem: Problem,
    index: int,
    pair: Sequence[tuple[np.ndarray, np.ndarray]],
    masks: tuple[np.ndarray, np.ndarray],
    tolerance: float,
) -> ApproachWarning:
    """Work out one row; `pair` holds edge times and times to the objective without and with the plan."""
    front, targets = problem.approach_sources[index], problem.approach_targets[index]
    today, posted = masks
    cases = ((pair[0], today), (pair[0], posted), (pair[1], posted))
    first: list[FirstSight] = []
    fast: list[FirstSight] = []
    unseen: list[float] = []
    for (time_h, to_objective_h), seen in cases:
        hidden_h = _search_unseen(mesh, time_h, front, seen)
        fast_h = (1.0 + tolerance) * float(to_objective_h[front].min())
        for found, longest_h in ((first, math.inf), (fast, fast_h)):
            found.append(_pick_cell(mesh, time_h, targets, seen, hidden_h, to_objective_h, longest_h))
        start = int(front[np.argmin(to_objective_h[front])])
        route = find_route(mesh, time_h, to_objective_h, start)
        unseen.append(measure_unseen_h(mesh, time_h, route, seen))
    return ApproachWarning(
        key=problem.approach_keys[index],
        name=problem.approach_names[index],
        weight=float(problem.approach_weight[index]),
        arrival_h=float(pair[0][1][front].min()),
        arrival_plan_h=float(pair[1][1][front].min()),
        warning_today_h=first[0].warning_h,
        warning_posts_h=first[1].warning_h,
        warning_plan_h=first[2].warning_h,
        fast_today_h=fast[0].warning_h,
        fast_posts_h=fast[1].warning_h,
        fast_plan_h=fast[2].warning_h,
        unseen_today_h=unseen[0],
        unseen_posts_h=unseen[1],
        unseen_plan_h=unseen[2],
        worst_today=first[0],
        worst=first[2],
        worst_fast=fast[2],
    )


def _list_times(problem: Problem, group: int, delays: tuple[np.ndarray, np.ndarray] | None) -> np.ndarray:
    """Hours per edge of a group, the faster of across country and by road."""
    if delays is None:
        return np.asarray(np.minimum(problem.open_h[group], problem.road_h[group]))
    return np.asarray(np.minimum(problem.open_h[group] + delays[0], problem.road_h[group] + delays[1]))


def _check_seen(mesh: Mesh, seen: np.ndarray, column: str) -> np.ndarray:
    seen = np.asarray(seen)
    if seen.dtype != bool or seen.shape != (mesh.cell_count,):
        problem = f"is {seen.dtype} with shape {seen.shape}, the mesh has {mesh.cell_count} cells"
        raise InputError([Fault(problem, column=column, remedy="give one true or false per cell")])
    return seen
