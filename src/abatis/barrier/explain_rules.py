"""Why no plan keeps all rules: the smallest sets of rules to drop, and the money that is missing."""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.optimize import Bounds, LinearConstraint, milp
from scipy.sparse import csr_array

from abatis.barrier.network import Network, build_network
from abatis.barrier.solve import Solution, measure_times, solve_problem
from abatis.model.errors import InfeasibleError
from abatis.model.plan import Problem

CLOSE = 1e-9
CLOSE_H = 2e-7
ANY_GAP = 1e9
OUT_OF_TIME = "in the time given"
MOST_SETS = 12
BUDGET = 0
INFEASIBLE = 2
Stop = Callable[[float, float], bool]


@dataclass(frozen=True)
class Answer:
    """What a search said: a solution, or none; `proven` says that there is none, not only none in time."""

    solution: Solution | None
    proven: bool


@dataclass(frozen=True)
class RuleConflict:
    """The smallest sets of rules that have to be dropped so that a plan exists.

    `sets` and `names` list every smallest set found, by key and in words; the key of the budget is `budget`.
    `proven` is true when no smaller set is enough, `certain` when it is proven that no plan keeps all rules
    (else none was found in the time given). When the budget is in the first set that holds it, less than
    `missing_low_eur` more is not enough and `missing_high_eur` more is (None when money is not the matter).
    """

    sets: tuple[tuple[str, ...], ...]
    names: tuple[tuple[str, ...], ...]
    proven: bool
    certain: bool
    missing_low_eur: float | None
    missing_high_eur: float | None
    message: str


def search_plan(
    problem: Problem,
    budget_eur: float,
    gap: float,
    time_limit_s: float,
    seed: int,
    stop: Stop | None = None,
    network: Network | None = None,
    start: np.ndarray | None = None,
) -> Answer:
    """Solve a problem; an infeasible one is an answer here, not an error.

    Parameters
    ----------
    problem, budget_eur, gap, time_limit_s, seed, network, start : as in `solve_problem`.
    stop : asked with (value_h, bound_h) now and then; the search ends early when it says yes.

    Raises
    ------
    KeyboardInterrupt : when the user stopped the search.
    """
    stopped = False

    def report(value_h: float, bound_h: float, _seconds: float) -> None:
        nonlocal stopped
        if stop is not None and stop(value_h, bound_h):
            stopped = True
            raise KeyboardInterrupt

    started = time.monotonic()
    try:
        solution = solve_problem(problem, budget_eur, gap, time_limit_s, seed, report, network, start)
    except InfeasibleError as error:
        in_time = time.monotonic() - started < time_limit_s and OUT_OF_TIME not in str(error)
        return Answer(None, error.proven and in_time and not stopped)
    if solution.status == "interrupted" and not stopped:
        raise KeyboardInterrupt
    return Answer(solution, False)


def list_rules(problem: Problem, budget_eur: float) -> tuple[tuple[str, str], ...]:
    """List every rule as (key, name): the budget, the rules in order, then the least hours of approaches."""
    return (
        ("budget", f"the budget of EUR {budget_eur:,.0f}"),
        *((rule.key, rule.name) for rule in problem.rules),
        *(
            (f"least_hours:{problem.approach_keys[k]}", problem.least_hours_names[k])
            for k in problem.least_hours
        ),
    )


def find_broken(problem: Problem, budget_eur: float, choice: np.ndarray, after_h: np.ndarray) -> set[int]:
    """Find which rules of `list_rules` a choice float64[O] with arrival times float64[K] breaks."""
    broken = set()
    if float(problem.option_cost_eur @ choice) > budget_eur + CLOSE * max(1.0, budget_eur):
        broken.add(BUDGET)
    for number, rule in enumerate(problem.rules, 1):
        if float(rule.coefficients @ choice[rule.options]) > rule.limit + CLOSE * max(1.0, abs(rule.limit)):
            broken.add(number)
    for number, (k, hours) in enumerate(problem.least_hours.items(), 1 + len(problem.rules)):
        if after_h[k] < hours - CLOSE_H:
            broken.add(number)
    return broken


def drop_rules(problem: Problem, budget_eur: float, dropped: Iterable[int]) -> tuple[Problem, float]:
    """Return the problem without some rules of `list_rules`, and its budget (enough for all if dropped)."""
    gone = set(dropped)
    first = 1 + len(problem.rules)
    least = {k: h for n, (k, h) in enumerate(problem.least_hours.items(), first) if n not in gone}
    smaller = replace(
        problem,
        rules=tuple(rule for number, rule in enumerate(problem.rules, 1) if number not in gone),
        least_hours=least,
        least_hours_names={k: problem.least_hours_names[k] for k in least},
    )
    all_eur = float(problem.option_cost_eur.sum())
    return smaller, max(budget_eur, all_eur) if BUDGET in gone else budget_eur


def find_cheapest(problem: Problem, budget_eur: float) -> tuple[np.ndarray | None, bool]:
    """Find the cheapest choice float64[O] that keeps budget and linear rules, least hours left aside.

    Returns
    -------
    The choice (None when none was found), and whether it is proven that there is none.

    Formula: min c x subject to c x <= budget, A x <= b, at most one option per site, x whole. In words: rules
    about sites, measures and money need no travel times, so a plain integer programme settles them.
    """
    columns = problem.option_count
    scale = max(1.0, float(problem.option_cost_eur.max(initial=0.0)))
    rows = [(np.arange(columns), problem.option_cost_eur / scale, budget_eur / scale)]
    rows += [(rule.options, rule.coefficients, rule.limit) for rule in problem.rules]
    rows += [
        (members, np.ones(len(members)), 1.0)
        for members in (np.flatnonzero(problem.option_site == s) for s in np.unique(problem.option_site))
    ]
    sizes = [float(np.abs(coefficients).max(initial=0.0)) or 1.0 for _, coefficients, _ in rows]
    limits = [limit / size for (_, _, limit), size in zip(rows, sizes, strict=True)]
    values = np.concatenate([one[1] / size for one, size in zip(rows, sizes, strict=True)])
    owners = np.repeat(np.arange(len(rows)), [len(one[0]) for one in rows])
    columns_of = np.concatenate([one[0] for one in rows])
    matrix = csr_array((values, (owners, columns_of)), shape=(len(rows), columns))
    answer = milp(
        problem.option_cost_eur / scale,
        integrality=np.ones(columns),
        bounds=Bounds(0.0, 1.0),
        constraints=LinearConstraint(matrix, -np.inf, limits),
        options={"mip_rel_gap": 0.0},
    )
    if answer.x is None:
        return None, answer.status == INFEASIBLE
    return np.round(answer.x), False


class _RuleTester:
    """Says whether some plan keeps a set of rules; remembers plans and conflicts so that few searches run."""

    def __init__(self, problem: Problem, budget_eur: float, deadline: float, seed: int) -> None:
        self.problem = problem
        self.budget_eur = budget_eur
        self.deadline = deadline
        self.seed = seed
        self.every = frozenset(range(len(list_rules(problem, budget_eur))))
        self.plans: list[tuple[frozenset[int], float]] = []
        self.conflicts: list[frozenset[int]] = []
        self._network = build_network(problem)
        self.keep_plan(np.zeros(problem.option_count))

    def can_keep(self, kept: frozenset[int]) -> bool | None:
        """Say whether a plan keeps all of `kept`; None when the time did not suffice to know."""
        if any(not broken & kept for broken, _ in self.plans):
            return True
        if any(conflict <= kept for conflict in self.conflicts):
            return False
        problem, budget_eur = drop_rules(self.problem, self.budget_eur, self.every - kept)
        cheapest, none = find_cheapest(problem, budget_eur)
        if cheapest is not None and not self.keep_plan(cheapest) & kept:
            return True
        graphs = self._network.graphs
        none = none or any(hours > graphs[k].slowest_h + CLOSE_H for k, hours in problem.least_hours.items())
        answer = Answer(None, True) if none else self.find_any(problem, budget_eur)
        if answer.proven:
            self.conflicts.append(kept)
            return False
        return None if answer.solution is None else True

    def find_any(self, problem: Problem, budget_eur: float) -> Answer:
        """Search any plan that keeps the rules of a problem made from this one."""
        left_s = self.deadline - time.monotonic()
        if left_s <= 0:
            return Answer(None, False)
        answer = search_plan(
            problem, budget_eur, ANY_GAP, left_s, self.seed, lambda value_h, _: math.isfinite(value_h),
            self._network,
        )  # fmt: skip
        if answer.solution is not None:
            choice = np.zeros(self.problem.option_count)
            choice[answer.solution.chosen] = 1.0
            self.keep_plan(choice)
        return answer

    def shrink(self, conflict: frozenset[int]) -> frozenset[int]:
        """Leave out rules one by one while the others still contradict each other."""
        for rule in sorted(conflict, reverse=True):
            if self.can_keep(conflict - {rule}) is False:
                conflict -= {rule}
        if conflict not in self.conflicts:
            self.conflicts.append(conflict)
        return conflict

    def keep_plan(self, choice: np.ndarray) -> frozenset[int]:
        """Remember a plan with its cost; returns the rules it breaks."""
        after_h = measure_times(self._network, choice)
        broken = frozenset(find_broken(self.problem, self.budget_eur, choice, after_h))
        self.plans.append((broken, float(self.problem.option_cost_eur @ choice)))
        return broken


def find_smallest_relaxation(
    problem: Problem, budget_eur: float, time_limit_s: float = 60.0, seed: int = 1
) -> RuleConflict:
    """Find the smallest sets of rules to drop so that a plan exists, by name.

    Parameters
    ----------
    problem : a problem of which no plan keeps all rules within the budget.
    budget_eur : its budget; it counts as one rule.
    time_limit_s : limit of all searches together.
    seed : seed of the searches.

    Returns
    -------
    Every smallest set (up to `MOST_SETS`), whether it is proven that no smaller one exists, and for the
    budget how much is missing. `sets` is empty when the rules can be kept after all.

    Formula: min |H| such that H meets every minimal set of rules that contradict each other. In words: rules
    that contradict each other are found by leaving out one rule after the other; of every such group at least
    one has to go, and a smallest choice that meets all groups is tried until a plan exists. Source: Reiter
    (1987), hitting sets of minimal conflicts.

    Examples
    --------
    A site locked in that costs 5 with a budget of 3: drop the lock, or raise the budget by 2.
    """
    tester = _RuleTester(problem, budget_eur, time.monotonic() + time_limit_s, seed)
    rules = list_rules(problem, budget_eur)
    if tester.can_keep(tester.every):
        message = (
            "A plan that keeps all rules exists, but more time is needed to find it: raise the time limit."
        )
        return RuleConflict((), (), True, False, None, None, message)
    sets, proven = _find_smallest_sets(tester)
    missing = _bracket_missing(tester, sets)
    keys = tuple(tuple(rules[n][0] for n in one) for one in sets)
    names = tuple(tuple(rules[n][1] for n in one) for one in sets)
    certain = bool(tester.conflicts)
    message = _word_conflict(names, proven, certain, missing)
    return RuleConflict(keys, names, proven, certain, *missing, message)


def _find_smallest_sets(tester: _RuleTester) -> tuple[list[tuple[int, ...]], bool]:
    """All smallest sets of rules to drop, in order, and whether smaller ones are ruled out."""
    groups: list[frozenset[int]] = []
    if tester.every in tester.conflicts:
        groups.append(tester.shrink(tester.every))
    unknown = not groups
    for size in range(1, len(tester.every) + 1):
        found, unsure = _try_sets(tester, groups, size)
        if found:
            return found, not unknown
        unknown = unknown or unsure
        if time.monotonic() > tester.deadline:
            break
    fewest = min((broken for broken, _ in tester.plans), key=lambda one: (len(one), sorted(one)))
    return [tuple(sorted(fewest))], False


def _try_sets(
    tester: _RuleTester, groups: list[frozenset[int]], size: int
) -> tuple[list[tuple[int, ...]], bool]:
    """Sets of one size that are enough, and whether one stayed undecided; `groups` of conflicts grows."""
    found: list[tuple[int, ...]] = []
    tried: set[tuple[int, ...]] = set()
    unsure = False
    while len(found) < MOST_SETS:
        pool = sorted(frozenset().union(*groups)) if groups else sorted(tester.every)
        fresh = next(
            (
                one
                for one in itertools.combinations(pool, size)
                if one not in tried and all(group & set(one) for group in groups)
            ),
            None,
        )
        if fresh is None or time.monotonic() > tester.deadline:
            return found, unsure or fresh is not None
        tried.add(fresh)
        kept = tester.every - set(fresh)
        answer = tester.can_keep(kept)
        if answer:
            found.append(fresh)
        elif answer is None:
            unsure = True
        else:
            groups.append(tester.shrink(kept))
    return found, unsure


def _bracket_missing(
    tester: _RuleTester, sets: Sequence[tuple[int, ...]]
) -> tuple[float | None, float | None]:
    """EUR on top of the budget that are not enough, and that are, with the other rules of the set dropped."""
    with_budget = next((one for one in sets if BUDGET in one), None)
    if with_budget is None:
        return None, None
    problem, _ = drop_rules(tester.problem, tester.budget_eur, set(with_budget) - {BUDGET})
    dropped = frozenset(with_budget)
    low_eur = tester.budget_eur
    least, _ = find_cheapest(problem, float(tester.problem.option_cost_eur.sum()))
    if least is not None:
        tester.keep_plan(least)
        low_eur = max(low_eur, float(tester.problem.option_cost_eur @ least))

    def cheapest() -> float:
        return min((cost for broken, cost in tester.plans if broken <= dropped), default=math.inf)

    while cheapest() - low_eur > max(1.0, 1e-3 * cheapest()):
        middle = 0.5 * (low_eur + cheapest())
        before = cheapest()
        answer = tester.find_any(problem, middle)
        if answer.proven:
            low_eur = middle
        elif cheapest() >= before:
            break
    high_eur = cheapest()
    return low_eur - tester.budget_eur, high_eur - tester.budget_eur if math.isfinite(high_eur) else None


def _word_conflict(
    names: Sequence[Sequence[str]],
    proven: bool,
    certain: bool,
    missing: tuple[float | None, float | None],
) -> str:
    choices = [" and ".join(f"'{name}'" for name in one) for one in names]
    text = "No plan keeps all rules. "
    if not certain:
        text = "No plan that keeps all rules was found in the time given; one may exist. "
    if len(choices) == 1:
        text += f"It is enough to drop {choices[0]}."
    else:
        text += f"It is enough to drop one of: {'; or '.join(choices)}."
    low_eur, high_eur = missing
    if high_eur is not None and low_eur is not None:
        text += f" Of money, EUR {high_eur:,.0f} more is enough"
        text += ", and no less." if high_eur - low_eur < 0.5 else f"; less than EUR {low_eur:,.0f} is not."
    return text if proven else text + " The time did not suffice to prove that no smaller set is enough."


def explain_conflict(
    problem: Problem, budget_eur: float, time_limit_s: float = 60.0, seed: int = 1
) -> InfeasibleError:
    """Make the error for a problem without a plan: its message says what to drop, its rules name it."""
    conflict = find_smallest_relaxation(problem, budget_eur, time_limit_s, seed)
    names = tuple(dict.fromkeys(itertools.chain(*conflict.names)))
    return InfeasibleError(conflict.message, names, conflict.certain)
