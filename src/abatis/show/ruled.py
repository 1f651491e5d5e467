"""Solving under rules of access: rounds that share the time limit, and who is exempt."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from abatis.barrier.sites import Siting
from abatis.barrier.solve import Solution
from abatis.model.mesh import Mesh
from abatis.model.plan import Problem
from abatis.model.study import Study
from abatis.people.access_rules import AccessRule, RuledSolution, solve_with_access
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
    InfeasibleError : no plan keeps all rules.
    KeyboardInterrupt : the search was interrupted; no plan is kept, since it may break rules.
    """
    started = time.monotonic()

    def solve_round(problem: Problem) -> Solution:
        left_s = time_limit_s - (time.monotonic() - started)
        solution = solve(problem, max(SHARE_OF_REST * left_s, LEAST_SHARE * time_limit_s))
        if solution.status == "interrupted":
            raise KeyboardInterrupt("no plan is kept: it could break rules of access not looked at yet")
        return solution

    ruled = solve_with_access(study, mesh, siting, rules, solve_round)
    progress(f"rules of access: rounds {ruled.rounds}, rows {len(ruled.rows)}", 1.0)
    if ruled.exempt:
        shown = ", ".join(f"{place} ({rule})" for rule, place in ruled.exempt[:SHOWN])
        more = f" and {len(ruled.exempt) - SHOWN} more" if len(ruled.exempt) > SHOWN else ""
        progress(f"exempt, over the limit before any site: {shown}{more}", 1.0)
    return ruled
