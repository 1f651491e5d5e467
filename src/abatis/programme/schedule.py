"""The schedule: what starts in which year, what holds at the end of each, and how far that is from best."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from abatis.barrier.crew import Crew, count_threads
from abatis.model.errors import Fault, InputError
from abatis.model.plan import Problem
from abatis.programme.common_tree import JoinedYears, join_years
from abatis.programme.improving import Improver, place_serially
from abatis.programme.limits import Limits, lay_out_fixed, make_limits
from abatis.programme.nesting import nest_sets, order_starts
from abatis.programme.terms import NEVER, Terms
from abatis.programme.timeline import make_timeline
from abatis.programme.yearly_bounds import YearBound, bound_year

Progress = Callable[[str, float], None]
SMALL_COLUMNS = 120
FIRST_S = 2.0
SET_SHARE = 0.1
NEST_SHARE = 0.2
WINDOW_S = 1.0
WINDOW_SHARE = 0.15
PROVE_S = 5.0
YEAR_GAP_SHARE = 0.25
EXACT = 1e-6


@dataclass(frozen=True)
class Schedule:
    """A plan laid out over years.

    `years` int64[Y]; `start_year`, `finish_year` int64[n], calendar years, -1 when never; an effect holds at
    the end of the finish year. `spend_eur` float64[L, Y] by budget line in base-year prices; `nominal_eur` in
    prices of the year; locked lines spend what they have. `held_h` float64[K, Y] are arrival times at the end
    of each year, `value_h` float64[Y] their weighted sum (or least), `bound_h` float64[Y] what the year could
    hold at most; `objective` the discounted sum of the values, `bound` what no schedule can exceed, `gap` =
    (bound - objective) / objective, `gain_gap` the same over the hours that the programme adds.
    """

    years: np.ndarray
    option_keys: tuple[str, ...]
    lines: tuple[str, ...]
    start_year: np.ndarray
    finish_year: np.ndarray
    spend_eur: np.ndarray
    nominal_eur: np.ndarray
    held_h: np.ndarray
    value_h: np.ndarray
    bound_h: np.ndarray
    before_h: float
    objective: float
    bound: float
    gap: float
    gain_gap: float
    exact: bool
    seconds: float


def solve_schedule(
    problem: Problem,
    terms: Terms,
    gap: float = 0.01,
    time_limit_s: float = 60.0,
    seed: int = 1,
    progress: Progress | None = None,
) -> Schedule:
    """Choose the start year of every option of a plan for the most hours held over the years.

    Parameters
    ----------
    problem : the study's problem; `terms.options` are rows of its options.
    terms : years, money, works and rules of order, see `read_terms`.
    gap : stop when (bound - objective) / objective is proven to be at most this.
    time_limit_s : stop after this many seconds with the best schedule and its bound.
    seed : of the search; without a time limit the same seed gives the same schedule.
    progress : called with the stage in words and the share done.

    Raises
    ------
    InputError : the plan has no options.
    InfeasibleError : what is built or contracted already breaks money or capacity.

    Formula: max sum_y weight_y V_y, V_y = sum_k w_k z_ky (or min_k z_ky), z_ky the exact arrival time of
    approach k with the effects of year y; at most one start per option; money of every fund with carry-over,
    capacities, lots and order as in `make_limits`. Bound: sum_y weight_y B_y, B_y from `bound_year`; a small
    case is solved as one problem over all years, which proves its optimum.
    In words: what stands in which year decides how long movement takes in that year; each year is weighed.
    """
    if terms.option_count == 0:
        raise InputError([Fault("has no options to build", "plan.json", remedy="give the plan a budget")])
    report = progress or (lambda _words, _share: None)
    started = time.monotonic()
    deadline = started + time_limit_s
    report("network of the plan", 0.0)
    with Crew(count_threads()) as crew:
        return _solve(problem, terms, gap, started, deadline, seed, crew, report)


def _solve(
    problem: Problem,
    terms: Terms,
    gap: float,
    started: float,
    deadline: float,
    seed: int,
    crew: Crew,
    report: Progress,
) -> Schedule:
    timeline, limits = make_timeline(problem, terms), make_limits(terms)
    improver = Improver(timeline, limits, seed)
    rows = range(terms.year_count)
    yearly = [bound_year(timeline, year, YEAR_GAP_SHARE * gap, seed, crew=crew) for year in rows]
    whole_h, time_limit_s = np.inf, deadline - started
    for place, one in enumerate(yearly):
        report("most that each year can hold", place / len(yearly))
        one.find_set(min(FIRST_S, SET_SHARE * time_limit_s / len(yearly)))
    _offer_first(improver, limits, terms, yearly)
    if int(limits.possible.sum()) > SMALL_COLUMNS:
        report("sets of options, each year inside the next", 0.0)
        _offer_nested(improver, limits, yearly, seed, NEST_SHARE * time_limit_s, crew)
    else:
        report("all years as one problem", 0.0)
        whole_h = improver.solve_whole(max(0.0, deadline - time.monotonic()))
    # The first year's money buys few options: a tree of its own is soon proven.
    joined = join_years(yearly[1:], terms.weight, YEAR_GAP_SHARE * gap, crew)
    _Search(improver, yearly, joined, terms, gap, deadline, report).run(whole_h)
    return _write_schedule(improver, terms, yearly, whole_h, started)


def _offer_first(improver: Improver, limits: Limits, terms: Terms, yearly: list[YearBound]) -> None:
    """First schedules: the more years want an option, the earlier it starts; dear ones last among equals."""
    weight = terms.weight[:, None] * np.array([one.wanted for one in yearly])
    groups = [np.flatnonzero(lot.units > 0) for lot in terms.lots]
    cost = terms.cost_eur.sum(axis=1)
    for score in (weight.sum(axis=0), weight[: (len(yearly) + 1) // 2].sum(axis=0)):
        order = np.lexsort((cost, -score))
        improver.offer(place_serially(limits, order.tolist(), groups))
    improver.shift_earlier()


def _offer_nested(
    improver: Improver, limits: Limits, yearly: list[YearBound], seed: int, seconds: float, crew: Crew
) -> None:
    """Schedules from nested sets; the middle one of the years that leave a choice is chosen first."""
    terms = improver.timeline.terms
    open_years = [one.year for one in yearly if not one.is_settled] or [0]
    first = open_years[len(open_years) // 2]
    sets = nest_sets(improver.timeline, yearly, first, seed, seconds, crew)
    groups = [np.flatnonzero(lot.units > 0) for lot in terms.lots]
    improver.offer(place_serially(limits, order_starts(terms, sets), groups))
    improver.shift_earlier()


@dataclass
class _Search:
    """Windows and bounds in turns, until the gap is proven or time is up."""

    improver: Improver
    yearly: list[YearBound]
    joined: list[JoinedYears]
    terms: Terms
    gap: float
    deadline: float
    report: Progress

    def is_done(self, whole_h: float) -> bool:
        """Say whether the gap asked is proven or the time is over."""
        bound_h = min(whole_h, _sum_bounds(self.yearly, self.terms))
        value_h = self.improver.objective_h
        return bound_h - value_h <= max(self.gap, EXACT) * abs(value_h) or time.monotonic() > self.deadline

    def run(self, whole_h: float) -> None:
        """Windows of two and three years for a share of the time, then bounds; again while time is left."""
        left_s = self.deadline - time.monotonic()
        rounds = 0
        while not self.is_done(whole_h):
            better = self._solve_windows(whole_h, WINDOW_SHARE * left_s, 1 + rounds % 2)
            if not better and all(one.is_settled for one in self.yearly) and rounds > 2:
                return
            self._tighten(whole_h, left_s if rounds else 0.5 * left_s)
            left_s = max(0.0, self.deadline - time.monotonic())
            rounds += 1

    def _solve_windows(self, whole_h: float, seconds: float, width: int) -> bool:
        """Solve every window of a width again, then of the other, until nothing is gained twice."""
        until, idle = time.monotonic() + seconds, 0
        begun_h = self.improver.objective_h
        while idle < 2 and time.monotonic() < until and not self.is_done(whole_h):
            value_h = self.improver.objective_h
            for first in range(self.terms.year_count - width):
                self.report("better schedules", 1.0 - max(0.0, until - time.monotonic()) / max(seconds, 1e-9))
                left_s = until - time.monotonic()
                if left_s <= 0:
                    break
                self.improver.improve_window(first, first + width, 1e-4, min(WINDOW_S, left_s))
            self.improver.shift_earlier()
            idle = 0 if self.improver.objective_h > value_h else idle + 1
            width = 3 - width
        finish = self.terms.find_finish(self.improver.start)
        for one in self.yearly:
            one.offer((finish <= one.year) & ~self.terms.is_fixed)
        return self.improver.objective_h > begun_h

    def _tighten(self, whole_h: float, seconds: float) -> None:
        """Give time to the years whose bounds are farthest above what the schedule holds."""
        begun = time.monotonic()
        value_h = self.improver.timeline.value_years(self.improver.held_h)
        while time.monotonic() - begun < seconds and not self.is_done(whole_h):
            self.report("closer bounds", (time.monotonic() - begun) / seconds)
            left = [one for one in self.yearly if not one.is_settled]
            if not left:
                return
            room = [self.terms.weight[one.year] * (one.bound_h - value_h[one.year]) for one in left]
            worst = left[int(np.argmax(room))]
            left_s = min(PROVE_S, max(0.0, self.deadline - time.monotonic()))
            joined = next((one for one in self.joined if worst in one.years), None)
            if joined is None:
                worst.prove(self.yearly, left_s)
            else:
                joined.prove(left_s)
            for proven in [worst] if joined is None else reversed(joined.years):
                self._order_bounds(proven)

    def _order_bounds(self, proven: YearBound) -> None:
        """Carry a new bound back: works stay, so no year holds more than a later one allows it."""
        for one in self.yearly[: proven.year]:
            one.bound_h = min(one.bound_h, proven.bound_h, proven.bound_earlier(one))


def _sum_bounds(yearly: list[YearBound], terms: Terms) -> float:
    return float(terms.weight @ np.array([one.bound_h for one in yearly]))


def _write_schedule(
    improver: Improver, terms: Terms, yearly: list[YearBound], whole_h: float, started: float
) -> Schedule:
    start, value_h = improver.start, improver.timeline.value_years(improver.held_h)
    objective = improver.objective_h
    bound = max(objective, min(whole_h, _sum_bounds(yearly, terms)))
    graphs = improver.timeline.network.graphs
    before = np.array([[graph.before_h] for graph in graphs])
    before_h = float(improver.timeline.value_years(before)[0])
    gained = objective - before_h * float(terms.weight.sum())
    finish = terms.find_finish(start)
    begun = np.where(terms.is_fixed, terms.fixed_start, start)
    spend, nominal = spend_money(terms, start)
    first = int(terms.years[0])
    return Schedule(
        years=terms.years,
        option_keys=terms.option_keys,
        lines=tuple(line.key for line in terms.funding.lines),
        start_year=np.where(begun == NEVER, -1, begun + first),
        finish_year=np.where(finish == NEVER, -1, finish + first),
        spend_eur=spend,
        nominal_eur=nominal,
        held_h=improver.held_h,
        value_h=value_h,
        bound_h=np.maximum([one.bound_h for one in yearly], value_h),
        before_h=before_h,
        objective=objective,
        bound=bound,
        gap=(bound - objective) / abs(objective) if objective else 0.0,
        gain_gap=(bound - objective) / gained if gained > 0 else 0.0,
        exact=bound - objective <= EXACT * abs(objective),
        seconds=time.monotonic() - started,
    )


def pay_options(terms: Terms, start: np.ndarray) -> np.ndarray:
    """EUR in base-year prices of every option by fund and year, float64[n, F, Y], to the cent.

    In words: payments follow the work; the last year of an option takes what rounding leaves, so that its
    payments add up to its cost. Works paid before, and years before the programme, count nothing.
    """
    count, funds = terms.cost_eur.shape
    paid = np.zeros((count, funds, terms.year_count))
    fixed_share = lay_out_fixed(terms)
    for option in range(count):
        if terms.is_fixed[option]:
            if not terms.paid[option]:
                paid[option] = np.round(terms.cost_eur[option][:, None] * fixed_share[option], 2)
            continue
        if start[option] == NEVER:
            continue
        share = terms.spans.profile[option, : terms.spans.years[option]]
        parts = np.round(terms.cost_eur[option][:, None] * share, 2)
        last = int(np.flatnonzero(share)[-1])
        parts[:, last] = np.round(terms.cost_eur[option] - np.delete(parts, last, axis=1).sum(axis=1), 2)
        paid[option, :, start[option] : start[option] + len(share)] = parts
    return paid


def spend_money(terms: Terms, start: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Spending by budget line and year, float64[L, Y]: in base-year prices, and nominal, to the cent.

    In words: a fund of several lines draws on the first line of the table first. Locked lines spend their
    money of each year.
    """
    paid = pay_options(terms, start).sum(axis=0)
    lines = len(terms.funding.lines)
    base, nominal = np.zeros((2, lines, terms.year_count))
    served = {line for members in terms.funding.funds for line in members}
    for line in range(lines):
        if line not in served:
            nominal[line] = terms.funding.money_eur[line]
            base[line] = np.round(nominal[line] / terms.index, 2)
    for fund, members in enumerate(terms.funding.funds):
        asked = np.round(paid[fund] * terms.index, 2)
        kept = np.zeros(len(members))
        for year in range(terms.year_count):
            kept = kept * terms.carry_over + terms.funding.money_eur[list(members), year]
            left = asked[year]
            for place, line in enumerate(members):
                last = place == len(members) - 1
                take = left if last else min(left, np.floor(100 * kept[place] + 1e-6) / 100)
                nominal[line, year] = np.round(take, 2)
                kept[place] -= take
                left = np.round(left - take, 2)
            share = nominal[list(members), year] / asked[year] if asked[year] else np.zeros(len(members))
            parts = np.round(paid[fund, year] * share, 2)
            parts[0] = np.round(parts[0] + paid[fund, year] - parts.sum(), 2) if asked[year] else 0.0
            base[list(members), year] = parts
    return base, nominal
