"""Large studies: the linear programme of the whole problem, and the paths that prove its value."""

from __future__ import annotations

import time
from dataclasses import dataclass

import highspy
import numpy as np

from abatis.barrier.levels import Levels
from abatis.barrier.network import Network, Route
from abatis.barrier.potentials import SOURCE, Potentials
from abatis.barrier.programme import StaticRows

TIME_SHARE = 0.5
LEAST_FLOW = 1e-7


@dataclass(frozen=True)
class Flow:
    """Optimum of the relaxation: shares float64[O] of the options, flow float64[A] of the arcs, demand."""

    shares: np.ndarray
    arc_flow: np.ndarray
    demand: np.ndarray


class FlowProgramme:
    """The linear programme over arrival times, without limits on them, solved by an interior point method.

    Formula: max sum w z, z_k <= p_goal(k), p_head - p_tail <= t + sum d x, budget, rules. In words: its
    multipliers say how much every arc holds the value down. They are a flow from the fronts to the goals, and
    cut into paths they give rows of paths that prove the same bound at once, where rounds of the worst paths
    take minutes to find them.
    """

    def __init__(self, network: Network, levels: Levels, static: StaticRows) -> None:
        self.network = network
        self.potentials = Potentials(network, levels, static)
        self._model: highspy.Highs | None = None
        self._stopped = False

    def solve(self, money_share: float, deadline: float) -> Flow | None:
        """Solve with a share of the budget; None where half the time to the deadline does not suffice."""
        model = self.potentials.make_relaxation(money_share)
        left_s = TIME_SHARE * (deadline - time.monotonic())
        if self._stopped or left_s <= 0:
            return None
        self._model = model
        for name, value in (("solver", "ipm"), ("run_crossover", "off"), ("time_limit", left_s)):
            model.setOptionValue(name, value)
        model.HandleUserInterrupt = True
        model.run()
        if model.getModelStatus() != highspy.HighsModelStatus.kOptimal:
            return None
        solution = model.getSolution()
        shares = np.clip(np.asarray(solution.col_value)[self.potentials.option_columns], 0.0, 1.0)
        multipliers = np.maximum(-np.asarray(solution.row_dual), 0.0)
        first = len(self.potentials.static.limits)
        demand = multipliers[first : first + len(self.potentials.list_members())]
        return Flow(shares, multipliers[-len(self.potentials.tail) :], demand)

    def cancel(self) -> None:
        """Ask the programme under way to end soon."""
        self._stopped = True
        if self._model is not None:
            self._model.cancelSolve()

    def find_paths(self, deadline: float) -> list[tuple[Route, int]]:
        """Paths (route, level) that prove the value of the programme; none where time ran out."""
        flow = self.solve(1.0, deadline)
        return [] if flow is None else self.cut_flow(flow)

    def cut_flow(self, flow: Flow) -> list[tuple[Route, int]]:
        """Cut a flow into paths with their levels, from every goal back to the front, thick arcs first.

        What is left in circles or below `LEAST_FLOW` is dropped: a row less makes no bound wrong.
        """
        left = flow.arc_flow.copy()
        into: dict[int, list[int]] = {}
        for arc in np.flatnonzero(left > LEAST_FLOW).tolist():
            into.setdefault(int(self.potentials.head[arc]), []).append(arc)
        found: list[tuple[Route, int]] = []
        for (approach, level), demand in zip(self.potentials.list_members(), flow.demand, strict=True):
            numbers = self._number_arcs(approach)
            wanted = float(demand)
            while wanted > LEAST_FLOW:
                arcs = self._trace_back(int(self.potentials.goal[approach]), into, left)
                if not arcs:
                    break
                taken = min(wanted, float(left[arcs].min()))
                left[arcs] -= taken
                wanted -= taken
                own = [numbers.get(self._key(arc), -1) for arc in arcs]
                if self.potentials.tail[arcs[0]] == SOURCE and min(own) >= 0:
                    found.append((self._make_route(approach, own), level))
        return found

    def _trace_back(self, goal: int, into: dict[int, list[int]], left: np.ndarray) -> list[int]:
        """Arcs from the front (or a circle, or where the flow ends) to a goal along the thickest flow."""
        arcs: list[int] = []
        node, seen = goal, set[int]()
        while node != SOURCE and node not in seen:
            seen.add(node)
            arc = max(into.get(node, ()), key=left.__getitem__, default=-1)
            if arc < 0 or left[arc] <= LEAST_FLOW:
                break
            arcs.append(arc)
            node = int(self.potentials.tail[arc])
        return arcs[::-1]

    def _key(self, arc: int) -> tuple[int, int, int]:
        one = self.potentials
        return int(one.tail[arc]), int(one.head[arc]), int(one.candidate[arc])

    def _number_arcs(self, approach: int) -> dict[tuple[int, int, int], int]:
        """The quickest arc of an approach's own graph by tail, head and candidate of the shared one."""
        graph, number = self.network.graphs[approach], self.potentials.number_nodes(approach)
        tail = np.repeat(number, np.diff(graph.start))
        slowest_first = np.argsort(-graph.base_h, kind="stable")
        columns = (tail, number[graph.head], graph.candidate, np.arange(len(tail)))
        keys = zip(*(column[slowest_first].tolist() for column in columns), strict=True)
        return {(tail, head, candidate): arc for tail, head, candidate, arc in keys}

    def _make_route(self, approach: int, arcs: list[int]) -> Route:
        graph = self.network.graphs[approach]
        crossed = graph.candidate[arcs]
        return Route(
            approach, float(graph.base_h[arcs].sum()), tuple(arcs), tuple(crossed[crossed >= 0].tolist())
        )
