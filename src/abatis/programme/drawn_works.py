"""What the options of some plans build, split into pairs of option and measure that draws act on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from abatis.barrier.options import SiteOption, Way, read_ways
from abatis.barrier.sites import Siting
from abatis.model.errors import Fault, InputError, nearest_word
from abatis.model.mesh import Mesh
from abatis.model.plan import Plan, Problem
from abatis.model.study import Study
from abatis.programme.schedule import Schedule, pay_options
from abatis.programme.spans import grow_effects
from abatis.programme.terms import NEVER, Terms


@dataclass(frozen=True)
class Works:
    """The works of O options: P pairs (option, measure), and the edges that each option delays.

    `options` rows of the problem; `pair_option` rows into them; `pair_measure` rows into `measures`;
    `pair_seen` bool[P], false for the part of a work that no post sees, which is a pair of its own without
    quantity; `pair_units` quantities; `pair_growth` [2, P, A] share of the delay by age in years, on open
    ground and on roads; `takes_land` bool[O]. Option o delays `edge[start[o]:start[o + 1]]`; there
    `edge_open` and `edge_road` name the pair that delays open ground and the road (-1 none).
    """

    options: np.ndarray
    site_keys: tuple[str, ...]
    option_keys: tuple[str, ...]
    measures: tuple[str, ...]
    pair_option: np.ndarray
    pair_measure: np.ndarray
    pair_seen: np.ndarray
    pair_units: np.ndarray
    pair_growth: np.ndarray
    takes_land: np.ndarray
    start: np.ndarray
    edge: np.ndarray
    edge_open: np.ndarray
    edge_road: np.ndarray

    @property
    def pair_keys(self) -> tuple[str, ...]:
        """Name of each pair: site and measure, the same in every plan that builds it."""
        return tuple(
            f"{self.site_keys[o]}:{self.measures[m]}"
            for o, m in zip(self.pair_option, self.pair_measure, strict=True)
        )

    def find_rows(self, options: np.ndarray) -> np.ndarray:
        """Return the rows of options of the problem in these works, int64[]."""
        return np.asarray(np.searchsorted(self.options, options), np.int64)


@dataclass(frozen=True)
class DatedPlan:
    """A plan with years: `options` rows of the problem, first and last building year of each.

    A barrier holds from its finish year on, that year counted. `total_budget_eur` is the money of all years,
    `budget_eur` float64[Y] that of each, empty when only the total counts. `watched` bool[n] says which
    options are observed; a barrier that nobody watches keeps the drawn `left_share` of its delay.
    `paid_eur` float64[n, F, Y] are its planned payments by fund in base-year prices, empty when the likely
    cost is paid evenly from start to finish; `fund_of` says which fund pays a measure, 0 where it is silent.
    """

    name: str
    options: np.ndarray
    start_year: np.ndarray
    finish_year: np.ndarray
    total_budget_eur: float
    budget_eur: np.ndarray
    watched: np.ndarray
    paid_eur: np.ndarray = field(default_factory=lambda: np.empty((0, 0, 0)))
    fund_of: Mapping[str, int] = field(default_factory=dict)


def list_measures(study: Study, siting: Siting) -> list[dict[str, str]]:
    """Return per option of a siting the measure of open ground, road and bridge ('' none)."""
    ways = {way.key: way for way in read_ways(study)}
    return [_name_measures(ways[option.option]) for option in siting.options]


def _name_measures(way: Way) -> dict[str, str]:
    road = way.road.key if way.road else ""
    return {
        "open": way.open.key if way.open else "",
        "road": road,
        "bridge": way.bridge.key if way.bridge else road,
    }


def collect_works(study: Study, mesh: Mesh, siting: Siting, options: Sequence[int] | np.ndarray) -> Works:
    """Collect the works of some options.

    Parameters
    ----------
    study, mesh, siting : the study, its mesh and its sites.
    options : rows of options of `siting.problem`; repeated ones count once.

    In words: an option may hold several measures; each is a work of its own that may cost more, come late or
    fail. The edges are those of the site, by the same rules as in the problem. What a watch result leaves
    unseen of a work shares its luck and its years, but keeps only a share of its delay.
    """
    rows = np.unique(np.asarray(options, np.int64))
    named = list_measures(study, siting)
    table = study.tables["measures"]
    land = dict(zip(table["measure"], table["land_take_m2"].astype(float), strict=True))
    used = [dict(siting.options[row].quantities) for row in rows]
    measures = tuple(sorted({key for one in used for key in one}))
    pairs = [(o, key, units, True) for o, one in enumerate(used) for key, units in one.items()]
    if siting.seen_edges is not None:
        pairs += [(o, key, 0.0, False) for o, key, _, _ in pairs]
    place = {(o, key, seen): p for p, (o, key, _, seen) in enumerate(pairs)}
    site_of = {site.key: site for site in siting.sites}
    start, edges, opened, roads = [0], [], [], []
    for o, row in enumerate(rows):
        chain = site_of[siting.options[row].site].edges
        road = mesh.road_class[chain] >= 0
        bridge = road & (mesh.bridge_m[chain] > 0)
        seen = np.ones(len(chain), bool) if siting.seen_edges is None else siting.seen_edges[chain]
        pair = {
            mode: np.where(seen, place.get((o, key, True), -1), place.get((o, key, False), -1))
            for mode, key in named[row].items()
        }
        on_open = np.where(mesh.gap_m[chain] > 0, pair["open"], -1)
        on_road = np.where(bridge, pair["bridge"], np.where(road, pair["road"], -1))
        kept = (on_open >= 0) | (on_road >= 0)
        edges.append(chain[kept])
        opened.append(on_open[kept])
        roads.append(on_road[kept])
        start.append(start[-1] + int(kept.sum()))
    none = [np.empty(0, np.int64)]
    return Works(
        options=rows,
        site_keys=tuple(siting.options[row].site for row in rows),
        option_keys=tuple(siting.options[row].option for row in rows),
        measures=measures,
        pair_option=np.array([one[0] for one in pairs], np.int64),
        pair_measure=np.array([measures.index(one[1]) for one in pairs], np.int64),
        pair_seen=np.array([one[3] for one in pairs], bool),
        pair_units=np.array([one[2] for one in pairs], np.float64),
        pair_growth=_list_growth(study, [siting.options[row] for row in rows], [one[0] for one in pairs]),
        takes_land=np.array([any(land[key] > 0 for key in one) for one in used], bool),
        start=np.array(start, np.int64),
        edge=np.concatenate(none + edges).astype(np.int64),
        edge_open=np.concatenate(none + opened).astype(np.int64),
        edge_road=np.concatenate(none + roads).astype(np.int64),
    )


def _list_growth(study: Study, options: Sequence[SiteOption], pair_option: Sequence[int]) -> np.ndarray:
    """Share of its delay that each work has by age, float64[2, P, A], by the rules of the schedule."""
    faults: list[Fault] = []
    growth = grow_effects(study, options, 1, faults)
    if faults:
        raise InputError(faults)
    return np.ascontiguousarray(growth[np.asarray(pair_option, np.int64)].transpose(1, 0, 2))


def restrict_problem(problem: Problem, works: Works, pair_delay_h: np.ndarray) -> Problem:
    """Return the problem with the options of these works alone, each pair with the delay given, hours [P].

    Rules are left out: the plans are made already.
    """
    longest = np.append(pair_delay_h, 0.0)
    return replace(
        problem,
        option_keys=works.option_keys,
        option_site=problem.option_site[works.options],
        option_cost_eur=problem.option_cost_eur[works.options],
        option_start=works.start.astype(np.int32),
        option_edge=works.edge.astype(np.int32),
        option_open_h=longest[works.edge_open],
        option_road_h=longest[works.edge_road],
        rules=(),
        least_hours={},
        least_hours_names={},
    )


def date_schedule(name: str, terms: Terms, schedule: Schedule) -> DatedPlan:
    """Take years and payments of a schedule as they are; options that it never starts are left out.

    Parameters
    ----------
    name : name of the plan.
    terms, schedule : what the schedule had to keep, and the schedule.

    In words: its money is that of the funds that pay its options.
    """
    built = schedule.start_year >= 0
    start = np.where(built, schedule.start_year - terms.years[0], NEVER)
    budget_eur = terms.fund_eur[terms.cost_eur.sum(axis=0) > 0].sum(axis=0)
    return DatedPlan(
        name,
        terms.options[built],
        schedule.start_year[built],
        schedule.finish_year[built],
        float(budget_eur.sum()),
        budget_eur,
        np.ones(int(built.sum()), bool),
        pay_options(terms, start)[built],
        terms.funding.fund_of,
    )


def find_options(plan: Plan, problem: Problem) -> np.ndarray:
    """Return int64[n], the rows of a plan's options in a problem.

    Raises
    ------
    InputError : all options that the problem does not have.
    """
    place = {
        (problem.site_keys[problem.option_site[o]], problem.option_keys[o]): o
        for o in range(problem.option_count)
    }
    missing = [one for one in plan.options if (one.site, one.option) not in place]
    if missing:
        raise InputError(
            [
                Fault(
                    f"plan '{plan.name}' has option '{one.option}' at site '{one.site}', the study has not",
                    remedy=nearest_word(one.site, problem.site_keys) or "solve the study again",
                )
                for one in missing
            ]
        )
    return np.array([place[one.site, one.option] for one in plan.options], np.int64)


def spread_years(cost_eur: np.ndarray, years: np.ndarray) -> np.ndarray:
    """Return int[n], finish years when works follow each other in their order at an even spend.

    Parameters
    ----------
    cost_eur : cost of each work, in building order.
    years : calendar years of the programme, rising.

    In words: a stand-in where no schedule was made; a work is finished in the year in which its last euro
    is spent.

    Examples
    --------
    >>> spread_years(np.array([1.0, 1.0, 2.0]), np.array([2026, 2027])).tolist()
    [2026, 2026, 2027]
    """
    total = float(cost_eur.sum())
    if total <= 0:
        return np.full(len(cost_eur), years[0])
    share = np.cumsum(cost_eur) / total
    rows = np.ceil(np.round(share * len(years), 9)).astype(int) - 1
    return np.asarray(years[np.clip(rows, 0, len(years) - 1)])
