"""Charts of the watch page: the border kilometre by kilometre, and warning by approach."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.patches import Patch

from abatis.show.report.programme_charts import encode_figure, open_figure

SEEN_COLORS = ("#b2182b", "#a1dab4", "#41b6c4", "#225ea8")
SEEN_WORDS = ("not seen", "seen by one", "by two", "by three or more")
STATES = ("today", "nothing done", "with the plan")


@dataclass(frozen=True)
class BorderStrip:
    """Border of one front: `length_km` float64[B] of its pieces in their order, and by how many each is seen.

    `counts` three int[B]: today, at the end when nothing is done, with the plan.
    """

    front: str
    length_km: np.ndarray
    counts: tuple[np.ndarray, np.ndarray, np.ndarray]


def draw_border_strips(strips: Sequence[BorderStrip]) -> bytes:
    """Draw the border of each front as a strip, kilometre by kilometre, for three states."""
    figure, axes = open_figure(0.9 + 0.95 * max(1, len(strips)))
    marks: list[float] = []
    names: list[str] = []
    for number, strip in enumerate(strips):
        ends = np.concatenate([[0.0], np.cumsum(strip.length_km)])
        for row, count in enumerate(strip.counts):
            level = 4.0 * number + row
            shown = np.minimum(count, len(SEEN_COLORS) - 1)
            axes.broken_barh(
                list(zip(ends[:-1], strip.length_km, strict=True)), (level - 0.42, 0.84),
                facecolors=[SEEN_COLORS[one] for one in shown], linewidth=0,
            )  # fmt: skip
            marks.append(level)
            names.append(STATES[row])
        axes.text(0.0, 4.0 * number - 0.6, strip.front, fontsize=8.5, weight="bold", va="bottom")
    axes.set_yticks(marks, names, fontsize=8)
    axes.set_ylim(4.0 * len(strips) - 1.4, -1.6)
    axes.set_xlim(0, None)
    axes.set_xlabel("km along the border", fontsize=8)
    axes.tick_params(axis="x", labelsize=8)
    handles = [Patch(color=color, label=words) for color, words in zip(SEEN_COLORS, SEEN_WORDS, strict=True)]
    figure.legend(handles=handles, loc="outside lower center", ncols=4, fontsize=8, frameon=False)
    return encode_figure(figure)


@dataclass(frozen=True)
class WarningBar:
    """Hours of warning of one approach: today, with posts, with posts and plan; patient and on fast ways."""

    name: str
    patient_h: tuple[float, float, float]
    fast_h: tuple[float, float, float]


def draw_warning_bars(bars: Sequence[WarningBar], has_plan: bool) -> bytes:
    """Draw the warning of every approach; endless warning is drawn at the rim.

    Parameters
    ----------
    bars : rows from the top.
    has_plan : whether a barrier plan counts.
    """
    figure, axes = open_figure(1.3 + 0.5 * len(bars))
    hours = np.array([[*one.patient_h, *one.fast_h] for one in bars], float).reshape(len(bars), 6)
    most = float(hours[np.isfinite(hours)].max(initial=1.0))
    hours = np.where(np.isfinite(hours), hours, 1.08 * most)
    rows = np.arange(len(bars), dtype=float)
    looks = [("#b8c2cc", "today"), ("#e0a030", "with posts"), ("#0b5c9e", "with posts and plan")]
    for step, (color, words) in enumerate(looks[: 3 if has_plan else 2]):
        at = rows + (step - 1) * 0.24
        axes.barh(at, hours[:, 3 + step], height=0.22, color=color, label=f"fast ways, {words}")
        axes.plot(hours[:, step], at, "D", ms=4, mfc="white", mec="#222222", mew=0.9)
    axes.plot([], [], "D", ms=4, mfc="white", mec="#222222", label="the same for a patient mover")
    axes.set_yticks(rows, [one.name for one in bars], fontsize=8)
    axes.invert_yaxis()
    axes.set_xlim(-0.02 * most, 1.1 * most)
    axes.set_xlabel("hours of warning", fontsize=8)
    axes.tick_params(axis="x", labelsize=8)
    axes.grid(axis="x", color="#d9dee5", lw=0.6)
    axes.set_axisbelow(True)
    figure.legend(loc="outside lower center", ncols=2, fontsize=8, frameon=False)
    return encode_figure(figure)
