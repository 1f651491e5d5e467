"""The order of closing that lets people out first: which road goes last, and by when each may go."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from abatis.barrier.sites import Siting
from abatis.model.errors import Fault, InputError, SizeError
from abatis.model.mesh import Mesh
from abatis.model.plan import Plan
from abatis.model.study import Study
from abatis.people.access import find_shut_links, link_sites
from abatis.people.access_ground import AIMS, SAFE, AccessGround, prepare_access
from abatis.people.access_terms import CLOSED, PEACE
from abatis.people.evacuation import clear_places

MOST_EXACT = 12
EXACT, GREEDY = "exact", "greedy"


@dataclass(frozen=True)
class ClosingStep:
    """One site in the order of closing.

    `passed_h` is the hour at which the last person on the fastest ways has passed its roads, 0 where nobody
    needs them; `persons` lose their last way in this step, at `places`.
    """

    step: int
    site: str
    name: str
    passed_h: float
    persons: float
    places: tuple[str, ...]


@dataclass(frozen=True)
class ClosingOrder:
    """An order of closing. `lost` is the sum over steps of persons without a way, smaller is better.

    `method` is exact (no order is better) or greedy; `first` lists the sites that nobody's last way needs,
    which may close at any time.
    """

    steps: tuple[ClosingStep, ...]
    lost: float
    method: str
    first: tuple[str, ...]


def order_closing(
    study: Study,
    mesh: Mesh,
    siting: Siting,
    plan: Plan | None = None,
    aim: str = SAFE,
    ground: AccessGround | None = None,
    most_exact: int = MOST_EXACT,
) -> ClosingOrder:
    """Order the closing of a plan's sites so that as many people as possible keep a way as long as possible.

    Parameters
    ----------
    plan : the plan; without one all sites of the study.
    aim : what the way leads to: safe (default), ambulance or school.
    most_exact : up to this many sites that matter, the best order is found; above it a good one.

    Formula: lost(order) = sum over steps t of persons without a way after the first t closings; exact: least
    over all orders, by the least over sets (Held and Karp 1962): f(S) = lost persons(S) + min over s in S of
    f(S without s). In words: sites are closed one after the other, each in a step of its own; whoever loses
    the last way counts in every later step. Greedy: the order is made from its end; of all ways still shut,
    open the one that gives most people a way again for each site on it.

    Raises
    ------
    InputError : an unknown aim; see `prepare_access`. SizeError : `most_exact` above 20.
    """
    if aim not in AIMS:
        raise InputError([Fault(f"is '{aim}'", column="aim", remedy=f"use one of: {', '.join(AIMS)}")])
    if most_exact > 20:
        raise SizeError(f"an exact order of {most_exact} sites needs 2^{most_exact} sets; ask for at most 20")
    ground = ground or prepare_access(study, mesh)
    links = link_sites(study, mesh, siting, ground, plan, CLOSED)
    counter = LossCounter(ground, aim, links)
    needed = counter.find_needed()
    if len(needed) <= most_exact:
        order, method = order_exactly(counter, needed), EXACT
    else:
        order, method = order_greedily(counter, needed), GREEDY
    shut = find_shut_links(study, mesh, siting, ground, PEACE, plan)
    passed_h = clear_places(study, mesh, ground, shut).passed_h
    free = [site for site in links if site not in set(needed)]
    free.sort(key=lambda site: _pass_hour(passed_h, links[site]))
    names = {site.key: site.name for site in siting.sites}
    steps, before = [], counter.list_cut([])
    for number, site in enumerate([*free, *order], start=1):
        now = counter.list_cut([*free, *order][:number])
        gone = sorted(now - before)
        places = tuple(ground.places[row].place for row in gone)
        persons = float(sum(ground.places[row].persons for row in gone))
        steps.append(
            ClosingStep(number, site, names[site], _pass_hour(passed_h, links[site]), persons, places)
        )
        before = now
    return ClosingOrder(tuple(steps), counter.sum_lost(order), method, tuple(free))


def _pass_hour(passed_h: np.ndarray, links: np.ndarray) -> float:
    return float(passed_h[links].max()) if len(links) else 0.0


class LossCounter:
    """Counts the persons without a way for sets of closed sites; each set is measured once."""

    def __init__(self, ground: AccessGround, aim: str, links: Mapping[str, np.ndarray]) -> None:
        """Keep which stretches each site closes, and who has a way before."""
        self.ground, self.aim, self.links = ground, aim, links
        self.persons = ground.persons
        self.reached = np.isfinite(ground.time_places(aim))
        self.known: dict[frozenset[str], frozenset[int]] = {}

    def list_cut(self, sites: Sequence[str]) -> frozenset[int]:
        """Return the rows of places without a way when some sites are closed."""
        key = frozenset(site for site in sites if len(self.links[site]))
        if key not in self.known:
            shut = [self.links[site] for site in key]
            closed = np.unique(np.concatenate([np.empty(0, np.int32), *shut])).astype(np.int32)
            hours = self.ground.time_places(self.aim, closed)
            cut = np.flatnonzero(self.reached & np.isinf(hours))
            self.known[key] = frozenset(cut.tolist())
        return self.known[key]

    def count(self, sites: Sequence[str]) -> float:
        """Return the persons without a way when some sites are closed."""
        return float(sum(self.persons[row] for row in self.list_cut(sites)))

    def sum_lost(self, order: Sequence[str]) -> float:
        """Return the sum over steps of the persons without a way."""
        return sum(self.count(order[:step]) for step in range(1, len(order) + 1))

    def find_needed(self) -> list[str]:
        """Return the sites on some way that anybody who is cut off in the end could use, in the order given.

        In words: a site may close at once when its roads join no ground from which, all else open, a
        cut-off place is reached; this is exact for the loss, since those roads carry none of them.
        """
        every = list(self.links)
        cut = self.list_cut(every)
        if not cut:
            return []
        return [site for site in every if len(self.links[site]) and self._joins_cut(site, every)]

    def _joins_cut(self, site: str, every: Sequence[str]) -> bool:
        """Say whether a road of the site touches a part of the closed net that has no aim but cut people."""
        graph = self.ground.graph
        closed = np.unique(np.concatenate([self.links[one] for one in every])).astype(np.int32)
        hours = graph.compute_times(self.ground.aims[self.aim], closed)
        ends = np.concatenate([graph.tail[self.links[site]], graph.head[self.links[site]]])
        return bool(np.isinf(hours[ends]).any())


def order_exactly(counter: LossCounter, sites: Sequence[str]) -> list[str]:
    """Return the order with the least loss of all; 2^n sets are measured.

    Examples
    --------
    See tests: every order of up to seven sites was tried.
    """
    count = len(sites)
    best = np.full(1 << count, np.inf)
    last = np.full(1 << count, -1, np.int64)
    best[0] = 0.0
    for mask in range(1, 1 << count):
        inside = [bit for bit in range(count) if mask >> bit & 1]
        lost = counter.count([sites[bit] for bit in inside])
        for bit in inside:
            total = best[mask ^ (1 << bit)] + lost
            if total < best[mask]:
                best[mask], last[mask] = total, bit
    order, mask = [], (1 << count) - 1
    while mask:
        order.append(sites[int(last[mask])])
        mask ^= 1 << int(last[mask])
    return order[::-1]


def order_greedily(counter: LossCounter, sites: Sequence[str]) -> list[str]:
    """Return a good order, made from its end: the way that helps most people per site is closed last."""
    shut, backwards = list(sites), []
    while shut:
        group = _choose_way(counter, shut)
        now = counter.count(shut)
        while group:
            gain = [(now - counter.count([one for one in shut if one != site]), site) for site in group]
            _, site = max(gain, key=lambda one: (one[0], one[1]))
            shut.remove(site)
            group.remove(site)
            backwards.append(site)
            now = counter.count(shut)
    return backwards[::-1]


def _choose_way(counter: LossCounter, shut: Sequence[str]) -> list[str]:
    """Return the shut sites on the way that gives most people a way again for each site opened."""
    graph = counter.ground.graph
    cut = counter.list_cut(shut)
    if not cut:
        return [shut[-1]]
    number = np.zeros(graph.link_count)
    owners: dict[int, list[str]] = {}
    for site in shut:
        for link in counter.links[site].tolist():
            owners.setdefault(link, []).append(site)
            number[link] += 1.0
    costs = _CostGraph(counter, number)
    best: tuple[float, list[str]] = (-1.0, [shut[-1]])
    for row in sorted(cut):
        links = costs.find_way(counter.ground.places[row].node)
        group = sorted({site for link in links for site in owners.get(link, [])})
        if not group:
            continue
        gain = counter.count(shut) - counter.count([one for one in shut if one not in group])
        best = max(best, (gain / len(group), group), key=lambda one: (one[0], -len(one[1])))
    return list(best[1])


class _CostGraph:
    """Ways with the fewest shut sites, the fastest of them where several have the same number."""

    def __init__(self, counter: LossCounter, number: np.ndarray) -> None:
        graph = counter.ground.graph
        scale = 1.0 / (1.0 + float(graph.time_h.sum()))
        cheap = type(graph)(**{**graph.__dict__, "time_h": number + graph.time_h * scale})
        _, self.onward, self.link = cheap.compute_forest(counter.ground.aims[counter.aim])

    def find_way(self, node: int) -> list[int]:
        """Return the stretches from a node to its aim."""
        links = []
        while self.onward[node] >= 0:
            links.append(int(self.link[node]))
            node = int(self.onward[node])
        return links
