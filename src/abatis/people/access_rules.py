"""Rules of access for the solver: sets of sites that must not all be closed, found round by round."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from abatis.barrier.sites import Siting
from abatis.barrier.solve import Solution
from abatis.model.errors import Fault, InputError
from abatis.model.mesh import Mesh
from abatis.model.plan import Plan, Problem, Rule
from abatis.model.storage import write_text_whole
from abatis.model.study import Study
from abatis.people.access_ground import AIMS, SAFE, AccessGround, prepare_access
from abatis.people.access_terms import CLOSED, list_closed_edges, read_own_table

CLOSE_H = 1e-9
MOST_ROUNDS = 200
CUTS_PER_PLACE = 3
FILE = "access_rows.json"
TABLE = "access_rules"
Solve = Callable[[Problem], Solution]
Options = frozenset[int]


@dataclass(frozen=True)
class AccessRule:
    """No place may need more than `limit_h` to an aim in a state (peace or closed); inf: it must keep a way.

    `aim` is ambulance, school or safe. Places that are over the limit without any site are exempt.
    """

    key: str
    name: str
    aim: str
    limit_h: float
    state: str = CLOSED


@dataclass(frozen=True)
class AccessRow:
    """A row for the solver: the sites of these (site, option) pairs may not all be closed.

    `sites` are the site keys; `options` per site the option keys that close at least the roads that the row
    speaks of; `place` is the place that would break `rule`.
    """

    rule: str
    name: str
    place: str
    sites: tuple[str, ...]
    options: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class RuledSolution:
    """The answer of the solver under access rules, the problem with their rows, and how it was found.

    `exempt` lists (rule, place) for places that break a rule before anything is built.
    """

    solution: Solution
    problem: Problem
    rows: tuple[AccessRow, ...]
    rounds: int
    exempt: tuple[tuple[str, str], ...]


def list_access_rules(study: Study) -> tuple[AccessRule, ...]:
    """Read tables/access_rules.csv; a study without it has no rules of access.

    Raises
    ------
    InputError : unknown kinds, a limit that is missing; all at once.
    """
    faults: list[Fault] = []
    frame = read_own_table(study, TABLE, "rule", faults)
    rules = []
    if frame is not None:
        for row, line in frame.iterrows():
            if not line["kind"] or not line["rule"]:
                continue
            most = str(line["kind"]).startswith("most_")
            if most and math.isnan(line["limit_h"]):
                shown = f"tables/{TABLE}.csv"
                faults.append(Fault("is missing", shown, int(str(row)), "limit_h", "give the most hours"))
            aim = str(line["kind"]).removeprefix("most_").removeprefix("keep_").removesuffix("_h")
            limit_h = float(line["limit_h"]) if most else math.inf
            rules.append(AccessRule(str(line["rule"]), str(line["name"]), aim, limit_h, str(line["state"])))
    if faults:
        raise InputError(faults)
    return tuple(rules)


class AccessJudge:
    """Says which rules a set of options breaks, and finds small sets of options that break them."""

    def __init__(
        self, study: Study, mesh: Mesh, siting: Siting, rules: Sequence[AccessRule], ground: AccessGround
    ) -> None:
        """Collect the stretches that each option closes in each state, and the places each rule binds."""
        for rule in rules:
            if rule.aim not in AIMS or not rule.limit_h > 0:
                text = f"rule '{rule.key}' has aim '{rule.aim}' and {rule.limit_h:g} h"
                raise InputError([Fault(text, remedy="use ambulance, school or safe and hours above 0")])
        self.ground, self.rules, self.siting = ground, tuple(rules), siting
        self.row_of = {(one.site, one.option): row for row, one in enumerate(siting.options)}
        self.links: dict[str, list[frozenset[int]]] = {}
        for state in {rule.state for rule in rules}:
            closed = list_closed_edges(study, mesh, siting, ground.terms, state)
            found = {key: frozenset(ground.graph.find_links(edges).tolist()) for key, edges in closed.items()}
            self.links[state] = [found[one.site, one.option] for one in siting.options]
        self.bound: dict[str, np.ndarray] = {}
        self.exempt: list[tuple[str, str]] = []
        for rule in rules:
            hours = ground.time_places(rule.aim)
            kept = ~_mark_over(rule, hours)
            self.bound[rule.key] = kept
            self.exempt += [(rule.key, ground.places[row].place) for row in np.flatnonzero(~kept).tolist()]

    def find_broken(self, rule: AccessRule, options: Iterable[int]) -> np.ndarray:
        """Return the rows of places that break a rule when some options (rows) are built."""
        links = self._join(rule, options)
        if not links:
            return np.empty(0, np.intp)
        hours = self.ground.time_places(rule.aim, np.array(sorted(links), np.int32))
        return np.flatnonzero(_mark_over(rule, hours) & self.bound[rule.key])

    def find_rows(self, options: Iterable[int]) -> list[AccessRow]:
        """Return rows that a set of options breaks; empty when it keeps all rules.

        In words: for each place over its limit, options are opened one by one as long as it stays over; what
        is left is a smallest set that may not be closed together. Several orders give several such sets.
        """
        chosen = sorted(set(options))
        rows: dict[tuple[str, tuple[str, ...]], AccessRow] = {}
        for rule in self.rules:
            over = set(self.find_broken(rule, chosen).tolist())
            closing = [one for one in chosen if self.links[rule.state][one]]
            for turn in range(CUTS_PER_PLACE):
                left = set(over)
                while left:
                    place = max(left, key=lambda row: (self.ground.places[row].persons, -row))
                    small, held = self._shrink(rule, place, _reorder(closing, turn))
                    left -= held
                    row = self._state_row(rule, place, small)
                    rows.setdefault((rule.key, row.sites), row)
        return list(rows.values())

    def _shrink(self, rule: AccessRule, place: int, options: Sequence[int]) -> tuple[list[int], set[int]]:
        """Return a smallest set of options that breaks the rule for a place, and all places it breaks."""
        kept = list(options)
        for option in options:
            fewer = [one for one in kept if one != option]
            if place in self.find_broken(rule, fewer):
                kept = fewer
        return kept, {int(one) for one in self.find_broken(rule, kept)}

    def _state_row(self, rule: AccessRule, place: int, options: Sequence[int]) -> AccessRow:
        """State that the sites of some options may not all be closed, for all options that close as much."""
        links = self.links[rule.state]
        sites, keys = [], []
        for option in sorted(options, key=lambda one: self.siting.options[one].site):
            site = self.siting.options[option].site
            stronger = [
                one.option
                for row, one in enumerate(self.siting.options)
                if one.site == site and links[row] >= links[option]
            ]
            sites.append(site)
            keys.append(tuple(stronger))
        at = self.ground.places[place]
        return AccessRow(rule.key, f"{rule.name}: {at.name}", at.place, tuple(sites), tuple(keys))

    def holds(self, row: AccessRow) -> bool:
        """Say whether a row is right: closing the least of its options at each site does break its rule."""
        rule = next((one for one in self.rules if one.key == row.rule), None)
        if rule is None or len(row.sites) != len(row.options) or not all(row.options):
            return False
        links: set[int] = set()
        for site, keys in zip(row.sites, row.options, strict=True):
            if any((site, key) not in self.row_of for key in keys):
                return False
            links |= frozenset.intersection(*(self.links[rule.state][self.row_of[site, key]] for key in keys))
        hours = self.ground.time_places(rule.aim, np.array(sorted(links), np.int32))
        named = np.array([one.place == row.place for one in self.ground.places])
        return bool((_mark_over(rule, hours) & self.bound[rule.key] & named).any())

    def _join(self, rule: AccessRule, options: Iterable[int]) -> set[int]:
        return set().union(*(self.links[rule.state][one] for one in options))


def _mark_over(rule: AccessRule, hours: np.ndarray) -> np.ndarray:
    """Return bool[P], places without a way or with a longer one than a rule allows."""
    return np.asarray(np.isinf(hours) | (hours > rule.limit_h + CLOSE_H))


def _reorder(options: Sequence[int], turn: int) -> list[int]:
    """Return options in another order each turn: as they are, backwards, then from the middle on."""
    if turn == 0:
        return list(options)
    if turn == 1:
        return list(options)[::-1]
    middle = len(options) // 2
    return [*options[middle:], *options[:middle]]


def solve_with_access(
    study: Study,
    mesh: Mesh,
    siting: Siting,
    rules: Sequence[AccessRule],
    solve: Solve,
    ground: AccessGround | None = None,
) -> RuledSolution:
    """Solve a study's problem so that the plan keeps rules of access.

    Parameters
    ----------
    siting : sites, options and the problem without the rules.
    rules : from `list_access_rules` or made by hand.
    solve : solves a problem, for example lambda p: solve_problem(p, budget_eur, gap=0.01).
    ground : what `prepare_access` gave, when at hand.

    Formula: for a set S of sites whose closing together breaks a rule: sum over S of x <= |S| - 1, x = 1 when
    the site has an option that closes at least those roads.
    In words: solve; look which places break a rule; forbid the smallest sets of sites that do it; solve
    again, until no rule is broken. Closing more roads never shortens a way, so no plan that keeps the rules
    is ever forbidden: the bound of the last answer holds for all such plans, and its plan is one of them.

    Raises
    ------
    InfeasibleError : no plan keeps all rules. InputError : a rule that is none, or too many rounds.
    """
    judge = AccessJudge(study, mesh, siting, rules, ground or prepare_access(study, mesh))
    rows = list_first_rows(judge)
    for number in range(1, MOST_ROUNDS + 1):
        problem = add_access_rows(siting.problem, siting, rows)
        solution = solve(problem)
        more = judge.find_rows(np.asarray(solution.chosen).tolist())
        if not more:
            return RuledSolution(solution, problem, tuple(rows), number, tuple(judge.exempt))
        rows += more
    raise InputError([Fault(f"rules of access are still broken after {MOST_ROUNDS} rounds")])


def list_single_rows(judge: AccessJudge) -> list[AccessRow]:
    """Return the rows of sites that break a rule all by themselves: they stay open whatever else is built."""
    rows: dict[tuple[str, tuple[str, ...]], AccessRow] = {}
    for option in range(len(judge.siting.options)):
        for rule in judge.rules:
            for place in judge.find_broken(rule, [option])[:1].tolist():
                row = judge._state_row(rule, place, [option])
                key = (rule.key, row.sites)
                if key not in rows or len(row.options[0]) > len(rows[key].options[0]):
                    rows[key] = row
    return list(rows.values())


def list_first_rows(judge: AccessJudge) -> list[AccessRow]:
    """Return the rows to begin with: sites that break a rule alone, and sets found with every site closed.

    In words: these follow from the rules whatever the plan; they spare rounds of solving.
    """
    rows = list_single_rows(judge)
    barred = {(row.rule, row.sites) for row in rows}
    widest: dict[str, int] = {}
    for number, option in enumerate(judge.siting.options):
        links = [len(own[number]) for own in judge.links.values()]
        best = widest.setdefault(option.site, number)
        if links > [len(own[best]) for own in judge.links.values()]:
            widest[option.site] = number
    alone = {row.sites[0] for row in rows}
    every = [number for site, number in widest.items() if site not in alone]
    return rows + [row for row in judge.find_rows(every) if (row.rule, row.sites) not in barred]


def find_blocking_sets(
    study: Study,
    mesh: Mesh,
    siting: Siting,
    plan: Plan,
    aim: str = SAFE,
    state: str = CLOSED,
    ground: AccessGround | None = None,
) -> tuple[AccessRow, ...]:
    """Return the smallest sets of a plan's sites that together leave a place without a way to an aim.

    Parameters
    ----------
    aim : safe (default), ambulance or school; state : peace or closed.

    In words: where one site alone is not the cause, opening any one site of its set gives the place a way
    unless another set holds it too. Up to three sets are found for each place, not all there may be.
    """
    rule = AccessRule("keep", f"Every place keeps a road ({aim})", aim, math.inf, state)
    judge = AccessJudge(study, mesh, siting, [rule], ground or prepare_access(study, mesh))
    return tuple(judge.find_rows([judge.row_of[one.site, one.option] for one in plan.options]))


def add_access_rows(problem: Problem, siting: Siting, rows: Sequence[AccessRow]) -> Problem:
    """Return the problem with the rows as named rules.

    Parameters
    ----------
    problem : stated for the options of `siting`, in their order.
    """
    row_of = {(one.site, one.option): row for row, one in enumerate(siting.options)}
    rules = list(problem.rules)
    for number, row in enumerate(rows, start=1):
        options = [
            row_of[site, key] for site, keys in zip(row.sites, row.options, strict=True) for key in keys
        ]
        rules.append(
            Rule(
                f"{row.rule}_{number}",
                row.name,
                np.array(options, np.int32),
                np.ones(len(options)),
                float(len(row.sites) - 1),
            )
        )
    return replace(problem, rules=tuple(rules))


def write_access_rows(rows: Sequence[AccessRow], rules: Sequence[AccessRule], folder: Path) -> None:
    """Write rules and rows beside a plan (access_rows.json), so that it can be verified later."""
    values = {"rules": [_plain(rule) for rule in rules], "rows": [asdict(row) for row in rows]}
    write_text_whole(folder / FILE, json.dumps(values, indent=1, sort_keys=True) + "\n")


def read_access_rows(folder: Path) -> tuple[tuple[AccessRule, ...], tuple[AccessRow, ...]]:
    """Read what `write_access_rows` wrote; nothing where a plan has no such file.

    Raises
    ------
    InputError : the file is damaged.
    """
    path = folder / FILE
    if not path.is_file():
        return (), ()
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        rules = tuple(
            AccessRule(**{**one, "limit_h": math.inf if one["limit_h"] is None else one["limit_h"]})
            for one in values["rules"]
        )
        rows = tuple(
            AccessRow(
                one["rule"], one["name"], one["place"], tuple(map(str, one["sites"])),
                tuple(tuple(map(str, keys)) for keys in one["options"]),
            )
            for one in values["rows"]
        )  # fmt: skip
    except (json.JSONDecodeError, UnicodeDecodeError, KeyError, TypeError) as error:
        raise InputError([Fault(f"is damaged: {error}", str(path), remedy="solve again")]) from error
    return rules, rows


def _plain(rule: AccessRule) -> Mapping[str, object]:
    return {**asdict(rule), "limit_h": None if math.isinf(rule.limit_h) else rule.limit_h}


def check_access_rows(judge: AccessJudge, rows: Sequence[AccessRow], chosen: Iterable[int]) -> list[str]:
    """Return every reason why rows or a plan do not keep the rules: rows that are not right, places over.

    Parameters
    ----------
    judge : made afresh from the study.
    rows : the rows beside the plan.
    chosen : rows of the options of the plan.
    """
    reasons = [
        f"row of access for {row.place} does not follow from its rule" for row in rows if not judge.holds(row)
    ]
    options = list(chosen)
    for rule in judge.rules:
        for place in judge.find_broken(rule, options).tolist():
            reasons.append(f"{judge.ground.places[place].name} breaks the rule '{rule.name}'")
    return reasons
