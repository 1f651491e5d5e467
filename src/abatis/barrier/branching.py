"""Which option to split a box at: the one whose two halves are both much worse (reliability branching)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from abatis.barrier.programme import NodeProgramme

MOST_PROBES = 20
MOST_IDLE_PROBES = 8
RELIABLE = 8
LEAST_LOSS = 1e-6
WHOLE = 1e-6


class Lost(NamedTuple):
    """Halves of a box that seem lost: options, their value, multipliers of budget and rules, and of rows."""

    options: np.ndarray
    value: int
    static_multipliers: np.ndarray
    row_multipliers: np.ndarray


class Choice(NamedTuple):
    """The option to split a box at (None when all shares are whole) and the halves lost on the way."""

    option: int | None
    lost: list[Lost]


class OptionBranching:
    """Remembers what leaving out or choosing an option costs the programme, and probes what is not known.

    A copy knows what its base knew at the last `refresh`, then what it probed itself; `absorb` takes that in.

    Source: Achterberg, Koch and Martin (2005), reliability branching.
    """

    def __init__(self, option_count: int, base: OptionBranching | None = None) -> None:
        self._base = base
        self._probed: list[tuple[int, float, float]] = []
        self._loss = np.zeros((2, option_count))
        self._count = np.zeros((2, option_count))

    def copy(self) -> OptionBranching:
        """Make an empty copy that `refresh` fills."""
        return OptionBranching(self._loss.shape[1], self)

    def refresh(self) -> None:
        """Forget what this copy probed and take over what its base knows now."""
        if self._base is None:
            raise ValueError("only a copy can be refreshed")
        self._loss[:], self._count[:] = self._base._loss, self._base._count
        self._probed = []

    def absorb(self, copy: OptionBranching) -> None:
        """Take in what a copy probed since its last refresh."""
        for probed in copy._probed:
            self._learn(*probed)
        self._probed = []

    def choose(self, programme: NodeProgramme, choice: np.ndarray, room: float) -> Choice:
        """Choose an option with a fractional share in `choice`, and say which halves were lost on the way.

        `programme` holds the box and its optimum; with a loss above `room` a half is lost, so no loss counts
        more. Formula: the largest max(loss without, eps) x max(loss with, eps). In words: a split is worth as
        much as its two halves are.
        """
        some = np.flatnonzero(np.minimum(choice, 1.0 - choice) > WHOLE)
        if not len(some):
            return Choice(None, [])
        share = choice[some]
        known = self._estimate()
        score = _weigh(known[0, some] * share, known[1, some] * (1.0 - share), room)
        best, best_score, idle = int(some[np.argmax(score)]), 0.0, 0
        lost: list[Lost] = []
        for option in some[np.argsort(-score, kind="stable")][:MOST_PROBES].tolist():
            chosen = float(choice[option])
            without, with_ = known[0, option] * chosen, known[1, option] * (1.0 - chosen)
            idle += 1
            if self._count[:, option].min() < RELIABLE:
                probes = programme.probe_option(option, room)
                without, with_ = (min(probe.loss, room) for probe in probes)
                self._learn(option, without / chosen, with_ / (1.0 - chosen))
                found = [
                    Lost(np.array([option], np.int32), value, *one.multipliers)
                    for value, one in enumerate(probes)
                    if one.multipliers
                ]
                idle -= len(found) > 0
                lost += found
            worth = float(_weigh(without, with_, room))
            if worth > best_score:
                best, best_score, idle = option, worth, 0
            if idle >= MOST_IDLE_PROBES:
                break
        return Choice(best, lost)

    def _estimate(self) -> np.ndarray:
        """Mean loss per whole option, float64[2, O]; options never probed count as the mean of all."""
        total = self._count.sum(axis=1)
        mean = np.where(total > 0, self._loss.sum(axis=1) / np.maximum(total, 1.0), 1.0)
        return np.where(self._count > 0, self._loss / np.maximum(self._count, 1.0), mean[:, None])

    def _learn(self, option: int, without: float, with_: float) -> None:
        """Remember the losses per whole option."""
        self._loss[:, option] += without, with_
        self._count[:, option] += 1.0
        self._probed.append((option, without, with_))


def _weigh(without: np.ndarray | float, with_: np.ndarray | float, room: float) -> np.ndarray:
    least, most = LEAST_LOSS, max(LEAST_LOSS, room)
    return np.asarray(np.clip(without, least, most) * np.clip(with_, least, most))
