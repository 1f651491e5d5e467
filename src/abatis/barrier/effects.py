"""Effects: does a site block, turn, fix or disrupt the avenues? From routes before and after."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from abatis.ground import _search as search
from abatis.ground.avenues import Avenue, find_avenues, mark_near, measure_displacement_km
from abatis.ground.travel import compute_times
from abatis.model.errors import Fault, InputError
from abatis.model.mesh import Mesh
from abatis.model.plan import Problem, add_delays

Progress = Callable[[str, float], None]
EFFECTS = ("block", "turn", "fix", "disrupt", "none")
# What a user types for each limit; the least delay has no option of its own.
OPTIONS = {
    "avenues": "--count",
    "corridor_km": "--corridor",
    "turn_km": "--turn",
    "disrupt_h": "--disrupt",
    "fix_h": "--fix",
    "block_h": "--block",
}


@dataclass(frozen=True)
class EffectLimits:
    """Where one effect ends and the next begins; every value is a choice of the reader, none is measured.

    `avenues` followed per approach; `corridor_km` around a site that counts as its corridor; `turn_km` a
    route has to move to be turned; `least_h` below which a delay of the best avenue is no effect;
    `disrupt_h`, `fix_h`, `block_h` delays, rising.

    Raises
    ------
    InputError : values that are not positive, or delays that do not rise.

    Examples
    --------
    >>> EffectLimits().fix_h
    1.0
    """

    avenues: int = 3
    corridor_km: float = 5.0
    turn_km: float = 5.0
    least_h: float = 1.0 / 60.0
    disrupt_h: float = 0.25
    fix_h: float = 1.0
    block_h: float = 6.0

    def __post_init__(self) -> None:
        wrong = [name for name, value in vars(self).items() if not (value > 0 and math.isfinite(value))]
        # The least delay follows a small --disrupt, and so does its fault.
        followed = "least_h" if "disrupt_h" in wrong else ""
        faults = [
            Fault(f"is {vars(self)[name]}", column=OPTIONS.get(name, name), remedy="give a positive number")
            for name in wrong
            if name != followed
        ]
        good = [name for name in ("least_h", "disrupt_h", "fix_h", "block_h") if name not in wrong]
        if good[:2] == ["least_h", "disrupt_h"] and self.least_h <= self.disrupt_h:
            del good[0]
        hours = [vars(self)[name] for name in good]
        if hours != sorted(hours):
            faults.append(
                Fault(
                    f"limits of delay are {', '.join(f'{one:g}' for one in hours)} h",
                    column=" ".join(OPTIONS.get(name, name) for name in good),
                    remedy="let them rise",
                )
            )
        if faults:
            raise InputError(faults)


@dataclass(frozen=True)
class ApproachEffect:
    """What one site does to one approach.

    `delay_h` per avenue in the order of time, with the site less without it (inf where none is left);
    `moved_km` of the best avenue; `inside` avenues that pass the site's corridor without the site, and
    `leaving_share`, the share of them that leaves it (NaN where none passes).
    """

    approach: str
    weight: float
    effect: str
    delay_h: tuple[float, ...]
    moved_km: float
    inside: int
    leaving_share: float


@dataclass(frozen=True)
class SiteEffect:
    """What one chosen site does: its main `effect` and what it does to each approach that it touches."""

    site: str
    effect: str
    approaches: tuple[ApproachEffect, ...]


@dataclass(frozen=True)
class _Approach:
    """One approach under the plan; `least_h` are the times to the objective without any barrier."""

    key: str
    weight: float
    group: int
    front: np.ndarray
    target: int
    time_h: np.ndarray
    from_front_h: np.ndarray
    to_target_h: np.ndarray
    least_h: np.ndarray
    avenues: tuple[Avenue, ...]


def define_effects(limits: EffectLimits) -> dict[str, str]:
    """Return each effect with its definition in words and numbers, the strongest first.

    Examples
    --------
    >>> define_effects(EffectLimits())["fix"]
    'the best avenue is delayed by 1 h or more and not turned: slowed where it is'
    """
    hours = {name: f"{getattr(limits, name):g} h" for name in ("disrupt_h", "fix_h", "block_h")}
    return {
        "block": f"the best avenue left is slower by {hours['block_h']} or more, or none is left: stopped",
        "turn": (
            f"the best avenue leaves the site's corridor ({limits.corridor_km:g} km around it) and moves by "
            f"{limits.turn_km:g} km or more, for a delay of less than {hours['block_h']}: steered elsewhere"
        ),
        "fix": f"the best avenue is delayed by {hours['fix_h']} or more and not turned: slowed where it is",
        "disrupt": (
            f"the best or another of the {limits.avenues} avenues is delayed by {hours['disrupt_h']} "
            "or more: tempo broken"
        ),
        "none": (
            "none of these, as far as these avenues show; a best avenue that loses less than "
            f"{60 * limits.least_h:g} min counts as untouched"
        ),
    }


def classify_effect(
    delay_h: Sequence[float],
    moved_km: float,
    best_leaves: bool,
    limits: EffectLimits,
) -> str:
    """Name the effect of a site on one approach.

    Parameters
    ----------
    delay_h : delay of each avenue in the order of time, inf where none is left.
    moved_km : displacement of the best avenue.
    best_leaves : the best avenue passed the site's corridor and does so no longer.

    In words: see `define_effects`; the first definition that fits, from the strongest down.

    Examples
    --------
    >>> limits = EffectLimits()
    >>> classify_effect([0.5, 0.0], 12.0, True, limits), classify_effect([1.5], 0.0, False, limits)
    ('turn', 'fix')
    >>> classify_effect([0.3], 9.0, False, limits), classify_effect([0.0], 0.0, False, limits)
    ('disrupt', 'none')
    """
    best = delay_h[0]
    if best >= limits.block_h:
        return "block"
    if best >= limits.least_h and best_leaves and moved_km >= limits.turn_km:
        return "turn"
    if best >= limits.fix_h:
        return "fix"
    if max(delay_h) >= limits.disrupt_h:
        return "disrupt"
    return "none"


def assess_effects(
    mesh: Mesh,
    problem: Problem,
    chosen: Sequence[int],
    limits: EffectLimits | None = None,
    progress: Progress | None = None,
) -> tuple[SiteEffect, ...]:
    """Say what every chosen site does to the avenues: the plan with it against the plan without it.

    Parameters
    ----------
    problem : sites, options and approaches on the mesh.
    chosen : rows of the options of the plan, at most one per site.
    limits : what counts as which effect; `EffectLimits()` when left out.
    progress : callback (stage, share done).

    Returns
    -------
    One entry per chosen option, in their order. The main effect is the one with the most approach weight
    among those that are not none, the stronger one where two weigh the same.

    In words: all other sites of the plan stand in both cases, so what is seen is this site's own part. Where
    several sites make up for each other, each alone may have none. An approach is looked at when some way
    through the site, opened, is faster than the slowest of its avenues; else the best avenue is as it was.
    The best avenue and its delay are exact; the other avenues are good routes, so their delays may be a
    little below zero.
    """
    limits = limits or EffectLimits()
    report = progress or (lambda _stage, _share: None)
    open_h, road_h = add_delays(problem, chosen)
    approaches = []
    for index in range(problem.approach_count):
        report("effects of sites", 0.3 * index / problem.approach_count)
        approaches.append(_prepare_approach(mesh, problem, index, open_h, road_h, limits))
    found = []
    for place, option in enumerate(chosen):
        report("effects of sites", 0.3 + 0.7 * place / len(chosen))
        part = slice(int(problem.option_start[option]), int(problem.option_start[option + 1]))
        edges, inverse = np.unique(problem.option_edge[part], return_inverse=True)
        own = [np.zeros(edges.size), np.zeros(edges.size)]
        for total, hours in zip(own, (problem.option_open_h, problem.option_road_h), strict=True):
            np.maximum.at(total, inverse, hours[part])
        left = open_h[edges] - own[0], road_h[edges] - own[1]
        ends = np.unique(np.concatenate([mesh.edge_a[edges], mesh.edge_b[edges]]))
        corridor = mark_near(mesh, ends, limits.corridor_km)
        touched = []
        for one in approaches:
            opened = np.minimum(
                problem.open_h[one.group, edges] + left[0], problem.road_h[one.group, edges] + left[1]
            )
            effect = _assess_approach(mesh, one, edges, opened, corridor, limits)
            if effect is not None:
                touched.append(effect)
        key = problem.site_keys[int(problem.option_site[option])]
        found.append(SiteEffect(key, find_main_effect(touched), tuple(touched)))
    report("effects of sites", 1.0)
    return tuple(found)


def find_main_effect(effects: Sequence[ApproachEffect]) -> str:
    """Return the effect with the most approach weight that is not none; of equals the stronger; else none.

    Examples
    --------
    >>> one = ApproachEffect("a", 0.2, "fix", (1.5,), 0.0, 1, 0.0)
    >>> other = ApproachEffect("b", 0.5, "turn", (0.5,), 9.0, 1, 1.0)
    >>> find_main_effect([one, other]), find_main_effect([])
    ('turn', 'none')
    """
    weight = {name: sum(one.weight for one in effects if one.effect == name) for name in EFFECTS[:-1]}
    best = max(weight, key=lambda name: (weight[name], -EFFECTS.index(name)))
    return best if any(one.effect == best for one in effects) else "none"


def _prepare_approach(
    mesh: Mesh,
    problem: Problem,
    index: int,
    delay_open_h: np.ndarray,
    delay_road_h: np.ndarray,
    limits: EffectLimits,
) -> _Approach:
    group = int(problem.approach_group[index])
    front = np.unique(problem.approach_sources[index]).astype(np.int32)
    target = int(problem.approach_targets[index][0])
    time_h = np.minimum(problem.open_h[group] + delay_open_h, problem.road_h[group] + delay_road_h)
    to_target_h = compute_times(mesh, time_h, np.array([target]))
    avenues: tuple[Avenue, ...] = ()
    if np.isfinite(to_target_h[front]).any():
        avenues = tuple(_search_avenues(mesh, time_h, front, target, limits, to_target_h))
    return _Approach(
        problem.approach_keys[index],
        float(problem.approach_weight[index] / problem.approach_weight.sum()),
        group,
        front,
        target,
        time_h,
        compute_times(mesh, time_h, front),
        to_target_h,
        compute_times(mesh, np.minimum(problem.open_h[group], problem.road_h[group]), np.array([target])),
        avenues,
    )


def _search_avenues(
    mesh: Mesh,
    time_h: np.ndarray,
    front: np.ndarray,
    target: int,
    limits: EffectLimits,
    guide_h: np.ndarray,
) -> list[Avenue]:
    return find_avenues(
        mesh, time_h, front, target, limits.avenues, separation_km=limits.corridor_km, guide_h=guide_h
    )


def _assess_approach(
    mesh: Mesh,
    approach: _Approach,
    edges: np.ndarray,
    opened_h: np.ndarray,
    corridor: np.ndarray,
    limits: EffectLimits,
) -> ApproachEffect | None:
    """Compare the avenues with those when a site's edges take `opened_h`; None where it is out of reach."""
    faster = opened_h < approach.time_h[edges]
    slowest_h = approach.avenues[-1].time_h if len(approach.avenues) == limits.avenues else math.inf
    a, b, opened_h = mesh.edge_a[edges[faster]], mesh.edge_b[edges[faster]], opened_h[faster]
    # Up to its first opened edge a way is one that the plan leaves, so its time from the front still holds.
    start_a, start_b = approach.from_front_h[a] + opened_h, approach.from_front_h[b] + opened_h

    def find_least(rest_h: np.ndarray) -> float:
        return float(np.minimum(start_a + rest_h[b], start_b + rest_h[a]).min(initial=math.inf))

    if not find_least(approach.least_h) < slowest_h:
        return None
    time_h = approach.time_h.copy()
    time_h[edges[faster]] = opened_h
    to_target_h = approach.to_target_h.copy()
    search.repair_shorter(
        mesh.neighbor, mesh.edge, time_h, mesh.edge_a, mesh.edge_b, edges[faster], to_target_h
    )
    if not find_least(to_target_h) < slowest_h:
        return None
    before = _search_avenues(mesh, time_h, approach.front, approach.target, limits, to_target_h)
    return _compare_avenues(mesh, approach, before, corridor, limits)


def _compare_avenues(
    mesh: Mesh, approach: _Approach, before: Sequence[Avenue], corridor: np.ndarray, limits: EffectLimits
) -> ApproachEffect:
    after = approach.avenues
    delay_h = tuple(
        after[rank].time_h - one.time_h if rank < len(after) else math.inf for rank, one in enumerate(before)
    )
    inside = [bool(corridor[one.cells].any()) for one in before]
    still = [bool(corridor[one.cells].any()) for one in after[: len(before)]]
    leaving_share = max(sum(inside) - sum(still), 0) / sum(inside) if any(inside) else math.nan
    moved_km = measure_displacement_km(mesh, before[0].cells, after[0].cells) if after else math.inf
    best_leaves = inside[0] and not (still and still[0])
    effect = classify_effect(delay_h, moved_km, best_leaves, limits)
    return ApproachEffect(
        approach.key, approach.weight, effect, delay_h, moved_km, sum(inside), leaving_share
    )
