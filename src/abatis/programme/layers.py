"""Several years as one problem for the solver: one layer of graphs per year, one option per start year."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from abatis.barrier._paths import measure_all
from abatis.barrier.compression import ApproachGraph
from abatis.barrier.network import Network, sum_longest_delays
from abatis.model.plan import Problem, Rule
from abatis.programme.timeline import Timeline

ROUNDING = 1e-9
LEAST_DELAY_H = 1e-13


@dataclass(frozen=True)
class Layer:
    """One year of a joint problem: what its hours count, the delays that hold anyway, and what columns add.

    `base_h` float64[C] by candidate; `added` float64[columns, 2], share of its option's delay that a column
    adds on open ground and on roads.
    """

    weight: float
    base_h: np.ndarray
    added: np.ndarray


def join_layers(
    timeline: Timeline,
    layers: Sequence[Layer],
    options: np.ndarray,
    cost: np.ndarray,
    rules: Sequence[Rule],
) -> tuple[Problem, Network]:
    """Write years as one problem and its network.

    Parameters
    ----------
    timeline : the compressed network of the plan's options.
    layers : the years.
    options : option of every column int64[columns]; at most one column per option is chosen.
    cost : what a column costs in the eyes of the search, float64[columns].
    rules : limits over the columns.

    In words: every year has its own copy of every approach, and delays that hold anyway are part of the
    ground. Arcs that cannot lie on a fastest way under any choice are left out, so a small window makes a
    small problem.
    """
    network = timeline.network
    size = len(network.candidate_edge)
    starts, entries, delays, graphs = [np.zeros(1, np.int64)], [], [], []
    most_h = sum_longest_delays(network) * (1 + ROUNDING) + ROUNDING
    columns_of = [np.flatnonzero(options == one) for one in range(network.problem.option_count)]
    for number, layer in enumerate(layers):
        owner, column, delay_h = _list_entries(timeline, layer, columns_of)
        counts = np.bincount(owner, minlength=size)
        starts.append(starts[-1][-1] + np.cumsum(counts))
        entries.append(column)
        delays.append(delay_h)
        longest_h = _sum_longest(owner, options[column], delay_h, size)
        # Beyond the longest delays of the study the hours from one objective to the next are not known.
        are_known = bool((layer.base_h + longest_h <= most_h).all())
        for graph in network.graphs:
            one = _shift_graph(graph, layer.base_h, longest_h, counts > 0, number * size)
            graphs.append(one if are_known else replace(one, onward_h=np.full_like(one.onward_h, np.inf)))
    graphs = _join_onward(graphs, [rises(timeline, *pair, options) for pair in pairwise(layers)])
    problem = _make_problem(timeline, layers, options, cost, rules, np.concatenate(delays))
    return problem, replace(
        network,
        problem=problem,
        graphs=tuple(graphs),
        candidate_edge=np.tile(network.candidate_edge, len(layers)),
        candidate_mode=np.tile(network.candidate_mode, len(layers)),
        candidate_start=np.concatenate(starts),
        candidate_option=np.concatenate(entries),
        candidate_delay_h=np.concatenate(delays),
    )


def rises(timeline: Timeline, earlier: Layer, later: Layer, options: np.ndarray) -> bool:
    """Say whether no choice of columns delays any candidate less in the later layer than in the earlier.

    In words: of every option the column that loses most between the layers is taken; what holds anyway has to
    make up for it on every candidate.
    """
    network = timeline.network
    lost = np.zeros((network.problem.option_count, 2))
    np.minimum.at(lost, options, later.added - earlier.added)
    lost_h = network.candidate_delay_h * lost[network.candidate_option, timeline.mode]
    gained_h = later.base_h - earlier.base_h + np.bincount(timeline.owner, lost_h, len(later.base_h))
    return bool((gained_h >= -LEAST_DELAY_H).all())


def _join_onward(graphs: Sequence[ApproachGraph], rising: Sequence[bool]) -> list[ApproachGraph]:
    """Hours onward between the approaches of all layers: as in the study within a layer, 0 h a layer back.

    In words: where effects only grow, an approach never arrives later in a layer than in the layer after it.
    """
    each = len(graphs) // (len(rising) + 1)
    joined = []
    for place, graph in enumerate(graphs):
        layer = place // each
        onward_h = np.full(len(graphs), np.inf)
        onward_h[layer * each : (layer + 1) * each] = graph.onward_h
        if layer and rising[layer - 1]:
            onward_h[place - each] = 0.0
        joined.append(replace(graph, onward_h=onward_h))
    return joined


def _list_entries(
    timeline: Timeline, layer: Layer, columns_of: Sequence[np.ndarray]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Candidate, column and hours of every delay that a column adds in a layer, by candidate."""
    network = timeline.network
    counts = np.array([len(one) for one in columns_of])[network.candidate_option]
    entry = np.repeat(np.arange(len(counts)), counts)
    column = (
        np.concatenate([columns_of[option] for option in network.candidate_option])
        if len(counts)
        else np.empty(0, np.int64)
    ).astype(np.int64)
    delay_h = network.candidate_delay_h[entry] * layer.added[column, timeline.mode[entry]]
    kept = delay_h > 0
    return timeline.owner[entry[kept]], column[kept].astype(np.int32), delay_h[kept]


def _sum_longest(owner: np.ndarray, option: np.ndarray, delay_h: np.ndarray, size: int) -> np.ndarray:
    """Longest delay of every candidate: the longest column of each option, summed."""
    order = np.lexsort((-delay_h, option, owner))
    owner, option, delay_h = owner[order], option[order], delay_h[order]
    first = np.ones(len(owner), bool)
    first[1:] = (owner[1:] != owner[:-1]) | (option[1:] != option[:-1])
    return np.bincount(owner[first], delay_h[first], minlength=size)


def _shift_graph(
    graph: ApproachGraph, base_h: np.ndarray, longest_h: np.ndarray, open_to_change: np.ndarray, offset: int
) -> ApproachGraph:
    """Put fixed delays into the ground and leave out arcs that no choice can bring onto a fastest way."""
    crossed = graph.candidate >= 0
    inner = np.where(crossed, graph.candidate, 0)
    hours = graph.base_h + np.where(crossed, base_h[inner], 0.0)
    changes = crossed & open_to_change[inner]
    longest = np.where(changes, longest_h[inner], 0.0)
    tail = np.repeat(np.arange(len(graph.nodes)), np.diff(graph.start))
    guide = _measure(graph.head, tail, hours, graph.target, len(graph.nodes))
    reached = _measure(tail, graph.head, hours, graph.source, len(graph.nodes))
    slowest_h = float(
        _measure(tail, graph.head, hours + longest, graph.source, len(graph.nodes))[graph.target]
    )
    with np.errstate(invalid="ignore"):
        kept = reached[tail] + hours + guide[graph.head] <= slowest_h * (1 + ROUNDING) + ROUNDING
    start = np.append(0, np.cumsum(np.bincount(tail[kept], minlength=len(graph.nodes)))).astype(np.int64)
    return replace(
        graph,
        start=start,
        head=graph.head[kept],
        base_h=hours[kept],
        candidate=np.where(changes, graph.candidate + offset, -1)[kept],
        edge=graph.edge[kept],
        guide_h=guide,
        before_h=float(guide[graph.source]),
        slowest_h=slowest_h,
    )


def _measure(tail: np.ndarray, head: np.ndarray, hours: np.ndarray, seed: int, nodes: int) -> np.ndarray:
    """Least hours from a seed to every node."""
    order = np.argsort(tail, kind="stable")
    start = np.append(0, np.cumsum(np.bincount(tail, minlength=nodes))).astype(np.int64)
    distance = np.empty(nodes)
    room = len(head) + 16
    none = np.full(len(head), -1, np.int64)
    seeds = np.array([seed], np.int32)
    measure_all(
        start, head[order].astype(np.int32), hours[order], none, np.zeros(1), seeds, distance,
        np.empty(room), np.empty(room, np.int32),
    )  # fmt: skip
    return distance


def _make_problem(
    timeline: Timeline,
    layers: Sequence[Layer],
    options: np.ndarray,
    cost: np.ndarray,
    rules: Sequence[Rule],
    delay_h: np.ndarray,
) -> Problem:
    """The problem of the columns; its ground stays that of the study, which the solver does not look at."""
    old = timeline.network.problem
    used, site = np.unique(options, return_inverse=True)
    groups = int(old.approach_group.max(initial=0)) + 1
    count = len(layers)
    return replace(
        old,
        approach_keys=tuple(f"{key} {layer}" for layer in range(count) for key in old.approach_keys),
        approach_names=old.approach_names * count,
        approach_group=np.concatenate([old.approach_group + groups * layer for layer in range(count)]),
        approach_weight=np.concatenate([old.approach_weight * layer.weight for layer in layers]),
        approach_sources=old.approach_sources * count,
        approach_targets=old.approach_targets * count,
        site_keys=tuple(old.site_keys[option] for option in used),
        site_names=tuple(old.site_names[option] for option in used),
        option_keys=tuple(f"{old.option_keys[option]} {place}" for place, option in enumerate(options)),
        option_site=site.astype(np.int32),
        option_cost_eur=cost,
        option_start=np.zeros(len(options) + 1, np.int64),
        option_edge=np.empty(0, old.option_edge.dtype),
        # Only the step of times is read from these: whole hours or not.
        option_open_h=delay_h,
        option_road_h=np.concatenate([layer.base_h for layer in layers]),
        rules=tuple(rules),
    )
