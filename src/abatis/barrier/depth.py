"""Depth: what each echelon buys in hours, and what is left when one of them falls."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from abatis.barrier.closures import Progress, choose_closures, delay_times, list_runs, time_arrival
from abatis.barrier.line_graph import Line
from abatis.model.errors import Fault, InputError, nearest_word
from abatis.model.mesh import Mesh
from abatis.model.study import Study


@dataclass(frozen=True)
class Preset:
    """One published reading of the echelons: outer limits in km, what was said, by whom, and its tag."""

    outer_km: tuple[float, ...]
    wording: str
    source: str
    tag: str


PRESETS = {
    "5-20-50": Preset(
        (5.0, 20.0, 50.0),
        "three echelons with outer limits 5, 20 and 50 km, which reconcile widths and total depth",
        "derived from the widths 5, 15, 30 km and the total depth 50 km of the Lithuanian ministry's graphic",
        "D",
    ),
    "3-20-50": Preset(
        (3.0, 20.0, 50.0),
        "three echelons with outer limits up to 3, 20 and 50 km from the border",
        "Lithuanian vice-minister, BNS 14 Aug 2025 (tv3.lt, diena.lt)",
        "F",
    ),
    "widths-5-15-30": Preset(
        (5.0, 20.0, 50.0),
        "bands 5, 15 and 30 km wide behind one another, total depth 50 km",
        "graphic of the Lithuanian Ministry of National Defence (defensenews.com 15 Aug 2025; cepa.org)",
        "F",
    ),
    "outer-5-15-30": Preset(
        (5.0, 15.0, 30.0),
        "the figures 5, 15, 30 km read as outer limits instead of widths",
        "derived: the other way to read the same graphic; its total depth of 50 km speaks against it",
        "D",
    ),
}


@dataclass(frozen=True)
class EchelonDepth:
    """What one echelon does to the approaches; hours are weighted means over the approaches that arrive.

    `alone_h`: hours bought by this echelon alone; `added_h`: on top of the echelons before it; `all_h`: by
    all echelons; `left_h`: by all others when this one falls; `least_left_h`: the least arrival time of any
    approach then.
    """

    key: str
    name: str
    alone_h: float
    added_h: float
    all_h: float
    left_h: float
    least_left_h: float
    approaches: int


def choose_echelons(study: Study, words: str) -> Study:
    """Return the study with other echelons: a preset's name, or outer limits in km such as 3/20/50.

    Raises
    ------
    InputError : neither a preset nor numbers that rise.
    """
    if words in PRESETS:
        return replace(study, outer_km=PRESETS[words].outer_km)
    try:
        outer_km = tuple(float(word) for word in words.replace(",", "/").split("/"))
    except ValueError:
        remedy = f"{nearest_word(words, PRESETS)}, or limits in km such as 3/20/50"
        raise InputError(
            [Fault(f"'{words}' is no set of echelons", column="--echelons", remedy=remedy)]
        ) from None
    if not all(0 < km <= 500 for km in outer_km) or list(outer_km) != sorted(set(outer_km)):
        raise InputError(
            [Fault(f"'{words}' must rise from above 0 to at most 500", column="--echelons", remedy="give km")]
        )
    return replace(study, outer_km=outer_km)


def measure_depth(
    study: Study, mesh: Mesh, lines: Sequence[Line], progress: Progress | None = None
) -> tuple[EchelonDepth, ...]:
    """Measure the hours that each echelon buys and what is left if it falls.

    Parameters
    ----------
    study, mesh : the study and its mesh.
    lines : one line per echelon, from `find_echelon_lines`.
    progress : callback (stage, share done).

    Formula: H(S) = sum over approaches of weight x arrival time with the lines of S closed / sum of weights;
    alone = H({i}) - H({}); added = H({1..i}) - H({1..i-1}); all = H(all) - H({});
    left = H(all but i) - H({}).
    In words: every edge of a closed line is slowed by the cheapest option that closes it. Echelons do not
    simply add up: a faster way round one leads to another place of the next.

    Raises
    ------
    InputError : no approach arrives at all.
    """
    report = progress or (lambda _words, _share: None)
    closures, runs = choose_closures(study, mesh), list_runs(study, mesh)
    count = len(lines)
    every = frozenset(range(count))
    wanted = {frozenset(), every}
    for one in range(count):
        wanted |= {frozenset({one}), frozenset(range(one + 1)), every - {one}}
    hours: dict[frozenset[int], np.ndarray] = {}
    for done, chosen in enumerate(sorted(wanted, key=sorted)):
        report("hours bought by echelons", done / len(wanted))
        closed = np.zeros(mesh.edge_count, bool)
        for one in chosen:
            closed[lines[one].edges] = True
        hours[chosen] = np.array(
            [time_arrival(mesh, run, delay_times(run, closures, closed)) for run in runs]
        )
    report("hours bought by echelons", 1.0)
    arrives = np.isfinite(hours[every])
    if not arrives.any():
        raise InputError(
            [Fault("no approach arrives", "tables/approaches.csv", remedy="check its objective")]
        )
    weight = np.array([run.weight for run in runs]) * arrives
    if not weight.sum() > 0:
        weight = arrives.astype(np.float64)

    def average(chosen: frozenset[int]) -> float:
        return float(weight[arrives] @ hours[chosen][arrives] / weight.sum())

    none = average(frozenset())
    return tuple(
        EchelonDepth(
            key=line.key,
            name=line.name,
            alone_h=average(frozenset({one})) - none,
            added_h=average(frozenset(range(one + 1))) - average(frozenset(range(one))),
            all_h=average(every) - none,
            left_h=average(every - {one}) - none,
            least_left_h=float(hours[every - {one}].min()),
            approaches=int(arrives.sum()),
        )
        for one, line in enumerate(lines)
    )
