"""Solving and tracing under rules of access: rounds that share the time limit, and who is exempt."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from abatis.barrier.curve import CurvePoint
from abatis.barrier.sites import Siting
from abatis.barrier.solve import Solution
from abatis.model.errors import Fault, InfeasibleError, InputError
from abatis.model.mesh import Mesh
from abatis.model.plan import Problem
from abatis.model.study import Study
from abatis.people.access_ground import prepare_access
from abatis.people.access_rules import (
    MOST_ROUNDS,
    AccessJudge,
    AccessRow,
    AccessRule,
    RuledSolution,
    add_access_rows,
    list_access_rules,
    list_first_rows,
    solve_with_access,
)
from abatis.show.results import Progress

SHARE_OF_REST, LEAST_SHARE = 0.5, 0.1
SHOWN = 5


def solve_ruled(
    study: Study,
    mesh: Mesh,
    siting: Siting,
    rules: Sequence[AccessRule],
    solve: Callable[[Problem, float], Solution],
    time_limit_s: float,
    progress: Progress,
) -> RuledSolution:
    """Solve a study so that its plan keeps rules of access.

    Parameters
    ----------
    rules : from `list_access_rules`, at least one.
    solve : solves a problem within the seconds given.
    time_limit_s : of all rounds; each gets half of what is left, but at least a tenth of the whole.

    Raises
    ------
    InfeasibleError : no plan keeps all rules; the rules of access are named too, since their rows bind.
    KeyboardInterrupt : the search was interrupted; no plan is kept, since it may break rules.
    """
    started = time.monotonic()

    def solve_round(problem: Problem) -> Solution:
        solution = solve(problem, _share_time(started, time_limit_s))
        if solution.status == "interrupted":
            raise KeyboardInterrupt("no plan is kept: it could break rules of access not looked at yet")
        return solution

    try:
        ruled = solve_with_access(study, mesh, siting, rules, solve_round)
    except InfeasibleError as error:
        names = "; ".join(rule.name for rule in rules)
        text = f"{error} The rules of access were to be kept too: {names}."
        raise InfeasibleError(text, error.rules, error.proven) from None
    progress(f"rules of access: rounds {ruled.rounds}, rows {len(ruled.rows)}", 1.0)
    if ruled.exempt:
        shown = ", ".join(f"{place} ({rule})" for rule, place in ruled.exempt[:SHOWN])
        more = f" and {len(ruled.exempt) - SHOWN} more" if len(ruled.exempt) > SHOWN else ""
        progress(f"exempt, over the limit before any site: {shown}{more}", 1.0)
    return ruled


def _share_time(started: float, time_limit_s: float) -> float:
    """Return the seconds of the next round: half of what is left, at least a tenth of the whole."""
    left_s = time_limit_s - (time.monotonic() - started)
    return max(SHARE_OF_REST * left_s, LEAST_SHARE * time_limit_s)


@dataclass
class RuledTracer:
    """Traces curves whose every plan keeps the study's rules of access; without rules it traces once.

    `rows` grow from curve to curve: what one found holds for the next.
    """

    siting: Siting
    judge: AccessJudge | None
    rows: list[AccessRow] = field(default_factory=list)

    def trace(
        self, run: Callable[[Problem, float], Sequence[CurvePoint]], time_limit_s: float
    ) -> Sequence[CurvePoint]:
        """Trace in rounds until no plan of the curve breaks a rule.

        Parameters
        ----------
        run : traces the curve of a problem within the seconds given.
        time_limit_s : of all rounds together, shared out as in `solve_ruled`.

        Raises
        ------
        InputError : too many rounds.
        """
        if self.judge is None:
            return run(self.siting.problem, time_limit_s)
        started = time.monotonic()
        for _ in range(MOST_ROUNDS):
            problem = add_access_rows(self.siting.problem, self.siting, self.rows)
            points = run(problem, _share_time(started, time_limit_s))
            plans = {tuple(one.chosen.tolist()) for one in points if one.chosen is not None}
            more = dict.fromkeys(row for plan in sorted(plans) for row in self.judge.find_rows(plan))
            if not more:
                return points
            self.rows += more
        raise InputError([Fault(f"rules of access are still broken after {MOST_ROUNDS} rounds")])


def prepare_tracer(study: Study, mesh: Mesh, siting: Siting) -> RuledTracer:
    """Prepare tracing under the study's rules of access, with the rows that hold whatever the plan.

    Raises
    ------
    InputError : faulty rules.
    """
    rules = list_access_rules(study)
    if not rules:
        return RuledTracer(siting, None)
    judge = AccessJudge(study, mesh, siting, rules, prepare_access(study, mesh))
    return RuledTracer(siting, judge, list_first_rows(judge))
