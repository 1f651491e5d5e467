"""Risk: hours and euros of dated plans over many draws, the same draws for every plan."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from abatis.barrier.options import list_stocked
from abatis.barrier.sites import Siting
from abatis.ground.exact_times import snap_times
from abatis.model.errors import Fault, InputError
from abatis.model.mesh import Mesh
from abatis.model.plan import Problem
from abatis.model.study import Study
from abatis.programme.arrivals import Arrivals, prepare_graphs
from abatis.programme.bill import Bill, make_bill
from abatis.programme.drawn_ground import prepare_ground
from abatis.programme.drawn_works import DatedPlan, Works, collect_works
from abatis.programme.draws import (
    RiskInputs,
    Shape,
    check_draws,
    collect_inputs,
    draw_seasons,
    draw_uniforms,
    draw_values,
)
from abatis.programme.terms import NEVER

BLOCK = 125
BLOCKS_PER_WORKER = 4
Progress = Callable[[str, float], None]


@dataclass(frozen=True)
class Draws:
    """D drawn worlds: `values` [D, Q], `seasons` int8[D] or None, `luck` [D, P] uniform."""

    values: np.ndarray
    seasons: np.ndarray | None
    luck: np.ndarray

    def take(self, rows: slice) -> Draws:
        """Return some of the draws."""
        return Draws(self.values[rows], None if self.seasons is None else self.seasons[rows], self.luck[rows])


@dataclass(frozen=True)
class RiskCase:
    """Everything that draws act on, laid out once: inputs, works, plans and the times machine.

    `plan_last` int[plans, O]: last building year row of each option, NEVER where the plan does not build it;
    `plan_watched` bool[plans, O]; `bills` what each plan pays and when; `index` float64[Y], prices over
    base-year prices.
    """

    inputs: RiskInputs
    years: np.ndarray
    works: Works
    plans: tuple[DatedPlan, ...]
    plan_last: np.ndarray
    plan_watched: np.ndarray
    bills: tuple[Bill, ...]
    arrivals: Arrivals
    approach_keys: tuple[str, ...]
    weight: np.ndarray
    objective: str
    index: np.ndarray


@dataclass(frozen=True)
class Outcome:
    """What the draws give: `hours` [plans, D, Y, K], `spend_eur` [plans, D, Y + 1] (last: later)."""

    hours: np.ndarray
    spend_eur: np.ndarray

    @property
    def cost_eur(self) -> np.ndarray:
        """Total cost [plans, D]."""
        return np.asarray(self.spend_eur.sum(axis=2))


def prepare_case(
    study: Study,
    mesh: Mesh,
    siting: Siting,
    plans: Sequence[DatedPlan],
    years: np.ndarray,
    with_speeds: bool = False,
    shape: Shape = "pert",
    index: np.ndarray | None = None,
) -> RiskCase:
    """Lay out the draws of one or several plans.

    Parameters
    ----------
    study, mesh, siting : the study, its mesh and its sites.
    plans : plans with their years; all see the same draws.
    years : calendar years, rising by one.
    with_speeds : true when speeds are drawn too; every draw then searches the mesh afresh.
    shape : pert or triangular.
    index : float64[Y], prices of each year over those of the base year; 1 when left out.

    Raises
    ------
    InputError : see `collect_inputs`; no plan, years that do not rise by one, building before the first year.
    """
    years = np.asarray(years, np.int64)
    price_index = np.ones(len(years)) if index is None else np.asarray(index, np.float64)
    _check_case(plans, years, price_index)
    inputs = collect_inputs(study, with_speeds, shape)
    works = collect_works(study, mesh, siting, np.concatenate([one.options for one in plans]))
    last, watched = _place_plans(works, plans, years)
    likely = {one.key: one.mode for one in inputs.quantities}
    unit_eur = np.array([likely[f"cost:{key}"] for key in works.measures])
    stocked = list_stocked(study)
    bills = tuple(make_bill(works, one, years, unit_eur, stocked) for one in plans)
    problem = siting.problem
    if with_speeds:
        usual = np.array([one.mode for one in inputs.quantities])
        seasons = tuple(word for word, _ in inputs.season_share)
        arrivals: Arrivals = prepare_ground(
            study, mesh, problem, works, inputs.keys, usual, seasons, len(years)
        )
    else:
        arrivals = _prepare_fixed_ground(study, mesh, problem, works, inputs, len(years))
    return RiskCase(
        inputs,
        years,
        works,
        tuple(plans),
        last,
        watched,
        bills,
        arrivals,
        problem.approach_keys,
        problem.approach_weight,
        problem.objective,
        price_index,
    )


def _check_case(plans: Sequence[DatedPlan], years: np.ndarray, price_index: np.ndarray) -> None:
    faults = [] if plans else [Fault("no plan is given", column="plans")]
    if not years.size or (np.diff(years) != 1).any():
        faults.append(Fault("years do not rise by one", column="years", remedy="give every year once"))
    faults += [
        Fault(f"plan '{one.name}' builds in {one.start_year.min()}, before {years[0]}", column="start_year")
        for one in plans
        if years.size and not one.paid_eur.size and len(one.start_year) and one.start_year.min() < years[0]
    ]
    if price_index.shape != years.shape:
        faults.append(Fault(f"has {price_index.size} values, there are {years.size} years", column="index"))
    if faults:
        raise InputError(faults)


def _place_plans(
    works: Works, plans: Sequence[DatedPlan], years: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Year row in which each plan finishes each option, NEVER for others, and whether it is watched."""
    last = np.full((len(plans), len(works.options)), NEVER, np.int64)
    watched = np.ones(last.shape, bool)
    for row, one in enumerate(plans):
        place = works.find_rows(one.options)
        last[row, place] = one.finish_year - years[0]
        watched[row, place] = one.watched
    return last, watched


def _prepare_fixed_ground(
    study: Study, mesh: Mesh, problem: Problem, works: Works, inputs: RiskInputs, years: int
) -> Arrivals:
    """Compressed graphs for draws that leave the speeds as they are, good for the longest delays drawn."""
    highest = {one.key: one.high for one in inputs.quantities}
    longest = snap_delays(np.array([highest[f"delay:{key}"] for key in works.measures]))
    pair_h = longest[works.pair_measure] if len(works.pair_measure) else np.empty(0)
    seasons = tuple(word for word, _ in inputs.season_share)
    return prepare_graphs(study, mesh, problem, works, pair_h, seasons, years)


def snap_delays(delay_h: np.ndarray) -> np.ndarray:
    """Round delays to multiples of 2^-36 h, so that sums of times are exact; 0 stays 0.

    Examples
    --------
    >>> snap_delays(np.array([0.0, 1.5])).tolist()
    [0.0, 1.5]
    """
    out = np.zeros_like(delay_h)
    used = delay_h >= 1e-6
    out[used] = snap_times(delay_h[used])
    return out


def make_draws(case: RiskCase, seed: int, first: int, count: int) -> Draws:
    """Draw `count` worlds from number `first` on; the same numbers for every plan.

    Raises
    ------
    InputError : not one draw is asked for.
    """
    return draw_worlds(case.inputs, case.works, seed, first, count)


def draw_worlds(inputs: RiskInputs, works: Works, seed: int, first: int, count: int) -> Draws:
    """Draw worlds for some works; see `make_draws`."""
    check_draws(count)
    luck = draw_uniforms((f"luck:{key}" for key in works.pair_keys), seed, first, count)
    return Draws(draw_values(inputs, seed, first, count), draw_seasons(inputs, seed, first, count), luck)


def measure_draws(case: RiskCase, draws: Draws) -> Outcome:
    """Compute hours and euros of every plan in every draw.

    Parameters
    ----------
    case : from `prepare_case`.
    draws : D worlds.

    Formula: delay of a work = drawn delay x (drawn share left if it fails or is not watched, else 1); it
    holds from the year finish + round(slip + land lateness) on; cost = planned payments + units x (drawn
    unit cost x price level - likely unit cost), paid like these, all stretched over the late years and times
    the price index of the year; each year's sum of a fund is rounded to the cent.
    In words: an option is as late as the latest of its measures; land lateness hits options that take land;
    what stood before the first year is not late. Each draw's arrival times are exact shortest times. Without
    any spread the draw is the schedule. Measures in stock cost nothing here: a locked line buys them.
    """
    works, values = case.works, draws.values
    pair_delay = draw_delays(case.inputs, works, draws, case.plan_watched)
    late = _count_late_years(case, values)
    last = case.plan_last[:, None, :] + np.where(case.plan_last[:, None, :] < 0, 0, late[None])
    pair_year = np.ascontiguousarray(np.minimum(last, len(case.years))[:, :, works.pair_option])
    hours = case.arrivals.measure(values, draws.seasons, pair_delay, pair_year)
    price = values[:, [case.inputs.keys.index("price_level")]]
    unit_eur = values[:, find_columns(case.inputs, works, "cost")] * price
    index = np.append(case.index, case.index[-1])
    spend = [bill.spend(works, unit_eur, late, len(case.years), index) for bill in case.bills]
    return Outcome(hours, np.array(spend))


def find_columns(inputs: RiskInputs, works: Works, family: str) -> np.ndarray:
    """Return the column of `family:measure` for each measure of the works, int64[M]."""
    place = {key: column for column, key in enumerate(inputs.keys)}
    return np.array([place[f"{family}:{key}"] for key in works.measures], np.int64)


def draw_delays(inputs: RiskInputs, works: Works, draws: Draws, watched: np.ndarray) -> np.ndarray:
    """Return the delay of every work, hours float64[plans, D, P].

    Parameters
    ----------
    inputs, works : what is uncertain and what is built.
    draws : D worlds.
    watched : bool[plans, O], options that are observed.

    In words: a work that fails, or a part of it that nobody watches, keeps the drawn share of its delay; what
    does both loses it once.
    """
    values, pair_m = draws.values, works.pair_measure
    failed = draws.luck < values[:, find_columns(inputs, works, "failure")][:, pair_m]
    weak = failed[None] | ~(watched[:, works.pair_option] & works.pair_seen)[:, None]
    left = np.where(weak, values[None, :, [inputs.keys.index("left_share")]], 1.0)
    return snap_delays(values[:, find_columns(inputs, works, "delay")][None, :, pair_m] * left)


def _count_late_years(case: RiskCase, values: np.ndarray) -> np.ndarray:
    """Whole years by which each option is late, int64[D, O]."""
    works = case.works
    slip = values[:, find_columns(case.inputs, works, "slip_years")][:, works.pair_measure]
    late = np.zeros((len(values), len(works.options)))
    for pair, option in enumerate(works.pair_option):
        late[:, option] = np.maximum(late[:, option], slip[:, pair])
    late += np.where(works.takes_land, values[:, [case.inputs.keys.index("land_years")]], 0.0)
    return np.floor(late + 0.5).astype(np.int64)


def run_draws(
    case: RiskCase,
    seed: int,
    count: int,
    workers: int = 1,
    executor: Executor | None = None,
    progress: Progress | None = None,
) -> Outcome:
    """Run many draws, alone or spread over processes; the same bytes either way.

    Parameters
    ----------
    case : from `prepare_case`.
    seed : seed of the draws.
    count : number of draws.
    workers : threads of this process, whose compiled searches run side by side; or those of the executor.
    executor : runs the blocks instead: processes, or a Dask cluster by `programme.cluster.ClusterExecutor`.
    progress : callback (stage, share done).

    In words: draws are cut into blocks; a block depends on the seed and its number alone, and a draw not
    even on its block.

    Raises
    ------
    InputError : no draws or no workers.
    """
    check_draws(count)
    if workers < 1:
        raise InputError([Fault(f"is {workers}", column="workers", remedy="ask for at least 1 worker")])
    size = min(BLOCK, -(-count // (BLOCKS_PER_WORKER * workers)))
    blocks = [(first, min(size, count - first)) for first in range(0, count, size)]
    report = progress or (lambda _stage, _share: None)
    parts = []
    if executor is not None:
        answers = _spread(executor, case, seed, blocks)
    elif workers == 1:
        answers = (_run_block(case, seed, *block) for block in blocks)
    else:
        answers = _run_threads(case, seed, blocks, workers)
    for number, part in enumerate(answers, start=1):
        parts.append(part)
        report("draws", number / len(blocks))
    return Outcome(
        np.concatenate([one.hours for one in parts], axis=1),
        np.concatenate([one.spend_eur for one in parts], axis=1),
    )


def _run_block(case: RiskCase, seed: int, first: int, count: int) -> Outcome:
    return measure_draws(case, make_draws(case, seed, first, count))


def _spread(
    executor: Executor, case: RiskCase, seed: int, blocks: Sequence[tuple[int, int]]
) -> Iterator[Outcome]:
    """Yield the answers in order; what has not begun is given up when the caller stops."""
    waiting: list[Future[Outcome]] = [executor.submit(_run_block, case, seed, *block) for block in blocks]
    try:
        for future in waiting:
            yield future.result()
    finally:
        for future in waiting:
            future.cancel()


def _run_threads(
    case: RiskCase, seed: int, blocks: Sequence[tuple[int, int]], workers: int
) -> Iterator[Outcome]:
    with ThreadPoolExecutor(workers) as pool:
        yield from _spread(pool, case, seed, blocks)
