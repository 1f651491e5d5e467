"""Posts and sites under one budget: which barriers to build and which posts to watch them, with a bound."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from abatis.barrier.explain_rules import search_plan
from abatis.barrier.network import Network, RouteFinder, build_network
from abatis.barrier.observed import LEFT_WHEN_UNWATCHED, see_edges, weaken_unseen
from abatis.barrier.solve import gap_of
from abatis.ground.exact_times import UNIT_H
from abatis.model.errors import Fault, InfeasibleError, InputError
from abatis.model.mesh import Mesh
from abatis.model.plan import Problem
from abatis.watch.covering import solve_covering

MOST_TURNS = 12
CLOSE = 1e-9
Progress = Callable[[str, float], None]


@dataclass(frozen=True)
class PostChoices:
    """P posts that may be bought, and what stands: post p watches `edge[start[p]:start[p + 1]]`.

    `cost_eur` float64[P]; `watched` bool[E], edges that standing posts watch. A barrier on a watched edge
    delays in full. `rivals` are groups of posts, rows int[], of which at most one may be bought.
    """

    start: np.ndarray
    edge: np.ndarray
    cost_eur: np.ndarray
    watched: np.ndarray
    rivals: tuple[np.ndarray, ...] = ()

    @property
    def count(self) -> int:
        """Number of posts."""
        return len(self.cost_eur)

    def mark_watched(self, posts: np.ndarray) -> np.ndarray:
        """Return bool[E], edges watched by standing posts or by some of these, rows int[] or bool[P]."""
        rows = np.flatnonzero(posts) if posts.dtype == bool else posts
        watched = self.watched.copy()
        for post in rows:
            watched[self.edge[self.start[post] : self.start[post + 1]]] = True
        return watched


@dataclass(frozen=True)
class SplitTry:
    """One range of money for posts, EUR: `bound_h` no plan that spends so much on posts beats.

    `value_h` is the best that was found from there, -inf when none was looked for or found.
    """

    posts_low_eur: float
    posts_high_eur: float
    bound_h: float
    value_h: float


@dataclass(frozen=True)
class JointChoice:
    """Options and posts chosen together: rows int32[], value and proven bound in hours, costs in EUR.

    `before_h` and `after_h` float64[K] are arrival times without and with them; `seen_share` is the share of
    the chosen barriers' delayed edges that is watched.
    """

    options: np.ndarray
    posts: np.ndarray
    value_h: float
    bound_h: float
    sites_eur: float
    posts_eur: float
    budget_eur: float
    before_h: np.ndarray
    after_h: np.ndarray
    seen_share: float
    tries: tuple[SplitTry, ...]

    @property
    def gap(self) -> float:
        """(bound - value) / value."""
        return gap_of(self.value_h, self.bound_h)


def list_post_edges(
    mesh: Mesh,
    problem: Problem,
    start: np.ndarray,
    cell: np.ndarray,
    cost_eur: np.ndarray,
    seen: np.ndarray,
    rivals: Sequence[np.ndarray] = (),
) -> PostChoices:
    """List which edges with options each post watches.

    Parameters
    ----------
    mesh, problem : the mesh, and the problem with every barrier at full delay.
    start, cell : cells that post p sees are `cell[start[p]:start[p + 1]]`, int.
    cost_eur : float64[P].
    seen : bool[N], cells that standing posts see.
    rivals : groups of posts of which at most one may be bought.

    In words: an edge is watched when one of its two cells is seen (`barrier.observed.see_edges`).
    """
    edges = np.unique(problem.option_edge)
    first, second = mesh.edge_a[edges], mesh.edge_b[edges]
    mark = np.zeros(mesh.cell_count, bool)
    begins, found = [0], [np.empty(0, np.int32)]
    for post in range(len(cost_eur)):
        own = cell[start[post] : start[post + 1]]
        mark[own] = True
        found.append(edges[mark[first] | mark[second]].astype(np.int32))
        mark[own] = False
        begins.append(begins[-1] + len(found[-1]))
    return PostChoices(
        np.array(begins, np.int64),
        np.concatenate(found),
        np.asarray(cost_eur, np.float64),
        see_edges(mesh, seen),
        tuple(rivals),
    )


def choose_posts_and_sites(
    problem: Problem,
    choices: PostChoices,
    budget_eur: float,
    left: float = LEFT_WHEN_UNWATCHED,
    splits: int = 6,
    rounds: int = 3,
    gap: float = 0.01,
    time_limit_s: float = 120.0,
    seed: int = 1,
    progress: Progress | None = None,
) -> JointChoice:
    """Choose barriers and posts under one budget for the largest value, and prove how good that is.

    Parameters
    ----------
    problem : the problem with every barrier at full delay.
    choices : posts that may be bought, and what is watched already.
    budget_eur : money for barriers and posts together.
    left : share of its delay that an unwatched barrier keeps, 0 to 1.
    splits : ranges into which the money for posts is divided.
    rounds : turns of posts and sites in each range.
    gap, time_limit_s, seed : of all searches for sites together (each gets an equal part of the time).
    progress : called with the stage in words and the share done.

    Formula: max over (x, y) of V(x, y) with cost(x) + cost(y) <= B. Bound: max over ranges [a, b] of
    U(B - a, reach(b)), where U is the proven bound of the sites' problem with budget B - a and every edge of
    reach(b) watched, and reach(b) are the edges that standing posts or any one post of at most b EUR watch.
    In words: a plan that spends a to b on posts has at most B - a for barriers and no post dearer than b, so
    it cannot beat barriers for B - a of which all that such posts could watch is watched. The ranges cover
    every amount, none included, so the largest of their bounds holds for every plan. Good plans come from
    turns: posts for the barriers at hand (a covering weighted by the delay that each edge of a fastest way
    loses unwatched), then barriers for the posts at hand with the money left. Of rivals that a covering takes
    together only the one that covers most stays; the bound does not need that rule.

    Raises
    ------
    InputError : a negative budget, posts without a positive cost, or arrays of another length.
    InfeasibleError : no plan keeps the rules.
    """
    _check_choices(problem, choices, budget_eur, splits, rounds)
    report = progress or (lambda _stage, _share: None)
    ranges = list_ranges(choices.cost_eur, budget_eur, splits)
    limit_s = time_limit_s / (len(ranges) * (1 + rounds))
    judge = _Judge(problem, choices, budget_eur, left, (gap, limit_s, seed))
    bounds = []
    for number, (low, high) in enumerate(ranges):
        report("bounds for each split of the money", 0.5 * number / len(ranges))
        reach = choices.mark_watched(choices.cost_eur <= high)
        bounds.append(judge.search_sites(reach, budget_eur - low, None))
    values = [-math.inf] * len(ranges)
    order = sorted(range(len(ranges)), key=lambda n: -bounds[n][1])
    for turn, number in enumerate(order):
        report("posts and sites in turns", 0.5 + 0.5 * turn / len(ranges))
        chosen, bound_h = bounds[number]
        if chosen is not None and bound_h > judge.value_h:
            values[number] = judge.take_turns(chosen, rounds if number else 0)
    report("posts and sites in turns", 1.0)
    if judge.best is None:
        proven = all(bound_h == -math.inf for _, bound_h in bounds)
        raise InfeasibleError("no barriers and posts within the budget keep the rules", proven=proven)
    bound_h = max(judge.value_h, *(bound_h for _, bound_h in bounds))
    tries = tuple(SplitTry(*one, bounds[n][1], values[n]) for n, one in enumerate(ranges))
    return judge.describe(bound_h, tries)


def list_ranges(cost_eur: np.ndarray, budget_eur: float, splits: int) -> list[tuple[float, float]]:
    """List ranges of money for posts that together hold every amount a plan can spend on them.

    Parameters
    ----------
    cost_eur : float64[P], cost of each post.
    budget_eur : money for posts and sites.
    splits : how many ranges beside that of no post.

    In words: nothing, then from the cheapest post to the lesser of all posts and the whole budget.

    Examples
    --------
    >>> list_ranges(np.array([2.0, 3.0, 5.0]), 8.0, 3)
    [(0.0, 0.0), (2.0, 4.0), (4.0, 6.0), (6.0, 8.0)]
    >>> list_ranges(np.array([2.0, 3.0]), 1.0, 3)
    [(0.0, 0.0)]
    """
    if not len(cost_eur) or cost_eur.min() > budget_eur:
        return [(0.0, 0.0)]
    marks = np.linspace(cost_eur.min(), min(float(cost_eur.sum()), budget_eur), splits + 1)
    pairs = list(zip(marks[:-1].tolist(), marks[1:].tolist(), strict=True))
    return [(0.0, 0.0), *(pairs if pairs[0][0] < pairs[-1][1] else pairs[:1])]


class _Judge:
    """Measures barriers and posts together, searches either for the other, and keeps the best pair."""

    def __init__(
        self,
        problem: Problem,
        choices: PostChoices,
        budget_eur: float,
        left: float,
        settings: tuple[float, float, int],
    ) -> None:
        self.problem, self.choices, self.budget_eur, self.left = problem, choices, budget_eur, left
        self.gap, self.limit_s, self.seed = settings
        self.network = build_network(problem)
        self.finder = RouteFinder(self.network)
        self.full_h = np.zeros(len(self.network.candidate_edge))
        self.best: tuple[np.ndarray, np.ndarray] | None = None
        self.value_h = -math.inf

    def search_sites(
        self, watched: np.ndarray, budget_eur: float, start: np.ndarray | None
    ) -> tuple[np.ndarray | None, float]:
        """Options chosen for given posts (None if none keep the rules) and the bound that no others beat."""
        weak = weaken_unseen(self.problem, watched, self.left)
        network = self._weaken_network(weak, watched)
        answer = search_plan(weak, budget_eur, self.gap, self.limit_s, self.seed, None, network, start)
        if answer.solution is None:
            return None, -math.inf if answer.proven else math.inf
        return answer.solution.chosen, answer.solution.bound_h

    def _weaken_network(self, weak: Problem, watched: np.ndarray) -> Network | None:
        """Give the compressed network the weaker delays; it keeps all ways, since these need no others."""
        if self.left == 0.0:
            return None
        owner = np.repeat(self.network.candidate_edge, np.diff(self.network.candidate_start))
        delay_h = self.network.candidate_delay_h.copy()
        blind = ~watched[owner]
        if self.left < 1.0:
            delay_h[blind] = np.round(self.left * delay_h[blind] / UNIT_H) * UNIT_H
        return replace(self.network, problem=weak, candidate_delay_h=delay_h)

    def set_pair(self, chosen: np.ndarray, watched: np.ndarray) -> None:
        """Let the route finder see these options, watched or not."""
        choice = np.zeros(self.problem.option_count)
        choice[chosen] = 1.0
        self.finder.set_choice(choice)
        count = len(self.network.candidate_edge)
        self.full_h = self.finder.extra_h[:count].copy()
        self.finder.extra_h[:count] *= np.where(watched[self.network.candidate_edge], 1.0, self.left)

    def measure_times(self, chosen: np.ndarray, watched: np.ndarray) -> np.ndarray:
        """Arrival time of each approach in hours, float64[K]."""
        self.set_pair(chosen, watched)
        return np.array([self.finder.measure_time_h(k) for k in range(self.problem.approach_count)])

    def weigh(self, times_h: np.ndarray) -> float:
        """Value of arrival times; -inf when a rule on least hours is broken."""
        if any(times_h[k] < hours - CLOSE for k, hours in self.problem.least_hours.items()):
            return -math.inf
        if self.problem.objective == "minimum":
            return float(times_h.min())
        return float(self.problem.approach_weight @ times_h)

    def offer(self, chosen: np.ndarray, posts: np.ndarray) -> float:
        """Measure a pair and keep it if it is the best so far; return its value."""
        cost = self.problem.option_cost_eur[chosen].sum() + self.choices.cost_eur[posts].sum()
        if cost > self.budget_eur * (1 + CLOSE) + CLOSE:
            return -math.inf
        value_h = self.weigh(self.measure_times(chosen, self.choices.mark_watched(posts)))
        if value_h > self.value_h:
            self.value_h, self.best = value_h, (chosen, posts)
        return value_h

    def take_turns(self, chosen: np.ndarray, rounds: int) -> float:
        """Posts for the options, options for the posts, until nothing is gained; return the best value."""
        none = np.empty(0, np.int64)
        best_h = self.offer(chosen, none)
        for _ in range(rounds):
            money = self.budget_eur - float(self.problem.option_cost_eur[chosen].sum())
            posts = self.search_posts(chosen, money)
            value_h = self.offer(chosen, posts)
            rest_eur = self.budget_eur - float(self.choices.cost_eur[posts].sum())
            found, _ = self.search_sites(self.choices.mark_watched(posts), rest_eur, chosen)
            if found is not None:
                chosen = found
                value_h = max(value_h, self.offer(chosen, posts))
            if value_h <= best_h:
                break
            best_h = value_h
        return best_h

    def search_posts(self, chosen: np.ndarray, money_eur: float) -> np.ndarray:
        """Posts within the money that make the most of the options, int64[]: rows of the best covering seen.

        Weights grow by what the fastest ways still lose: each covering answers the ways met so far.
        """
        choices, network = self.choices, self.network
        weight = np.zeros(len(self.problem.tail))
        met: set[tuple[int, int]] = set()
        posts = best = np.empty(0, np.int64)
        best_rank_h = (-math.inf, -math.inf)
        for _ in range(MOST_TURNS):
            watched = choices.mark_watched(posts)
            times_h = self.measure_times(chosen, watched)
            # Other options may mend a broken rule on least hours: there the mean tells posts apart.
            rank_h = (self.weigh(times_h), float(self.problem.approach_weight @ times_h))
            if rank_h > best_rank_h:
                best_rank_h, best = rank_h, posts
            grown = False
            for k in range(self.problem.approach_count):
                for c in self._list_losses(k):
                    edge = int(network.candidate_edge[c])
                    if (k, c) in met or choices.watched[edge]:
                        continue
                    met.add((k, c))
                    weight[edge] += self.problem.approach_weight[k] * self.full_h[c]
                    grown = True
            if not grown:
                break
            posts = self._cover(weight, money_eur)
        return self._drop_idle(chosen, best)

    def _list_losses(self, approach: int) -> Sequence[int]:
        """Candidates with a chosen barrier on the fastest way of an approach."""
        _, route = self.finder.find_route(approach)
        return [c for c in route.candidates if self.full_h[c] > 0] if route else []

    def _cover(self, weight: np.ndarray, money_eur: float) -> np.ndarray:
        """Posts that cover the most weight for the money, int64[]."""
        edges = np.flatnonzero(weight > 0)
        place = np.full(len(weight), -1, np.int64)
        place[edges] = np.arange(len(edges))
        point = place[self.choices.edge]
        owner = np.repeat(np.arange(self.choices.count), np.diff(self.choices.start))[point >= 0]
        start = np.zeros(self.choices.count + 1, np.int64)
        np.cumsum(np.bincount(owner, minlength=self.choices.count), out=start[1:])
        found = solve_covering(
            weight[edges],
            start,
            point[point >= 0].astype(np.int32),
            self.choices.cost_eur,
            money_eur,
            gap=self.gap,
            time_limit_s=max(self.limit_s, 1.0),
            seed=self.seed,
        )
        chosen = found.chosen.copy()
        worth = np.bincount(owner, weight[edges][point[point >= 0]], minlength=self.choices.count)
        for group in self.choices.rivals:
            taken = group[chosen[group]]
            chosen[taken[taken != taken[np.argmax(worth[taken])]] if len(taken) else taken] = False
        return np.flatnonzero(chosen).astype(np.int64)

    def _drop_idle(self, chosen: np.ndarray, posts: np.ndarray) -> np.ndarray:
        """Leave out posts, the dearest first, without which no approach gets faster."""
        full = self.measure_times(chosen, self.choices.mark_watched(posts))
        for post in posts[np.argsort(-self.choices.cost_eur[posts], kind="stable")]:
            fewer = posts[posts != post]
            if (self.measure_times(chosen, self.choices.mark_watched(fewer)) >= full - CLOSE).all():
                posts = fewer
        return posts

    def describe(self, bound_h: float, tries: tuple[SplitTry, ...]) -> JointChoice:
        """Write the best pair down."""
        if self.best is None:
            raise InfeasibleError("no plan was found", proven=False)
        chosen, posts = self.best
        problem = self.problem
        watched = self.choices.mark_watched(posts)
        parts = [problem.option_edge[problem.option_start[o] : problem.option_start[o + 1]] for o in chosen]
        edges = np.concatenate([np.empty(0, np.int64), *parts]).astype(np.int64)
        return JointChoice(
            np.sort(chosen).astype(np.int32),
            np.sort(posts).astype(np.int32),
            self.value_h,
            bound_h,
            float(problem.option_cost_eur[chosen].sum()),
            float(self.choices.cost_eur[posts].sum()),
            self.budget_eur,
            np.array([graph.before_h for graph in self.network.graphs]),
            self.measure_times(chosen, watched),
            float(watched[edges].mean()) if len(edges) else 1.0,
            tries,
        )


def _check_choices(
    problem: Problem, choices: PostChoices, budget_eur: float, splits: int, rounds: int
) -> None:
    faults = []
    if not (budget_eur >= 0 and math.isfinite(budget_eur)):
        faults.append(Fault(f"is {budget_eur:g}", column="budget", remedy="give EUR, at least 0"))
    if not ((choices.cost_eur > 0) & np.isfinite(choices.cost_eur)).all():
        faults.append(Fault("is not above 0 for every post", column="cost_eur", remedy="give EUR above 0"))
    if choices.watched.shape != problem.tail.shape or choices.watched.dtype != bool:
        shape = f"has shape {choices.watched.shape}, the problem has {len(problem.tail)} edges"
        faults.append(Fault(shape, column="watched", remedy="give one true or false per edge"))
    if len(choices.start) != choices.count + 1 or choices.start[-1] != len(choices.edge):
        faults.append(Fault("does not fit costs and edges", column="start", remedy="give CSR starts"))
    elif len(choices.edge) and not 0 <= choices.edge.min() <= choices.edge.max() < len(problem.tail):
        faults.append(Fault("names edges outside the problem", column="edge"))
    for name, value in (("splits", splits), ("rounds", rounds)):
        if value < 1:
            faults.append(Fault(f"is {value}", column=name, remedy="give at least 1"))
    if faults:
        raise InputError(faults)
