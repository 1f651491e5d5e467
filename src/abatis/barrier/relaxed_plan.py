"""The first good plan of a large study: the linear programme of the whole problem, rounded."""

from __future__ import annotations

import numpy as np

from abatis.barrier.flows import FlowProgramme
from abatis.barrier.search import PlanSearch

MONEY_SHARE = 0.6
ROUNDED_EFFORT = 3_500_000.0


class RelaxedPlan:
    """Asks the linear programme which sites belong together, when `MONEY_SHARE` of the budget is to be spent.

    In words: one site alone delays nothing on a large network, so swaps of single sites find little. The
    linear programme knows what closes a way together. It holds many sites in part; with a part of the money
    it names those that matter most, and rounding spends the rest on making them whole.
    """

    def __init__(self, programme: FlowProgramme) -> None:
        self.programme = programme

    def seek(self, moves: PlanSearch, deadline: float) -> np.ndarray | None:
        """Find the shares, round them, search on; returns the best choice (also without shares)."""
        flow = self.programme.solve(MONEY_SHARE, deadline)
        if flow is None:
            return moves.improve(ROUNDED_EFFORT, deadline)
        return moves.seek(None, flow.shares, ROUNDED_EFFORT, deadline)
