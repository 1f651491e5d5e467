"""Textbook shortest-path interdiction: arcs with cost, delay and resource, for the same solver."""

from __future__ import annotations

import csv
import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from abatis.model.errors import Fault, InputError, nearest_word
from abatis.model.plan import Problem, find_grain

LARGEST = 1e12
FIXED_COLUMNS = ("tail", "head", "delay", "resource")
SCENARIO = re.compile(r"cost_[1-9]\d*")
WHOLE_LIMIT = 2.0**53
MOST_UNITS = 10**9


@dataclass(frozen=True)
class Arcs:
    """An arc list of A arcs and k scenarios: `tail`, `head` int32[A] count into `nodes`.

    `cost_h` float64[k, A], `delay_h` float64[A] and `resource` float64[A]; an arc of resource 0 cannot be
    interdicted. The traveller goes from node `source` to node `target`.
    """

    nodes: tuple[str, ...]
    tail: np.ndarray
    head: np.ndarray
    cost_h: np.ndarray
    delay_h: np.ndarray
    resource: np.ndarray
    source: int
    target: int

    def make_problem(self, unit: float = 1.0) -> Problem:
        """Problem of these arcs, costs and delays counted in `unit`; every arc with a resource is a site."""
        return make_textbook_problem(
            self.tail,
            self.head,
            _count_units(self.cost_h, unit),
            _count_units(self.delay_h, unit),
            self.resource,
            self.source,
            self.target,
            self.nodes,
        )


def make_textbook_problem(
    tail: ArrayLike,
    head: ArrayLike,
    cost_h: ArrayLike,
    delay_h: ArrayLike,
    resource: ArrayLike,
    source: int,
    target: int,
    nodes: Sequence[str] | None = None,
) -> Problem:
    """Make a problem of plain shortest-path interdiction on directed arcs.

    Parameters
    ----------
    tail, head : node numbers from 0, int[A]; parallel arcs and loops are allowed.
    cost_h : hours (or any unit of length) of every arc, [A], or [k, A] for k scenarios.
    delay_h : added to the cost of an interdicted arc, same unit, [A].
    resource : what interdicting an arc uses up of the budget, [A]; 0 for arcs that cannot be interdicted.
    source, target : node numbers the traveller starts from and wants to reach.
    nodes : names of the nodes, used to name the sites; numbers when left out.

    Returns
    -------
    The problem; its value is the mean over the scenarios of the shortest way. Arc a is edge a; the sites are
    the arcs with a resource, in order.

    Raises
    ------
    InputError : numbers that are negative or not finite, nodes out of range, no way to the target.

    Formula: max over x in {0, 1}^A with r x <= B of (1 / k) sum_s shortest(cost_s + delay x). In words: spend
    the budget on the arcs whose delay makes the shortest way longest. Source: Israeli and Wood (2002).

    Examples
    --------
    >>> problem = make_textbook_problem([0, 0], [1, 1], [2, 3], [5, 5], [1, 0], 0, 1)
    >>> problem.site_keys, problem.option_cost_eur.tolist()
    (('0>1',), [1.0])
    """
    tails, heads = np.asarray(tail, np.int32), np.asarray(head, np.int32)
    costs = np.atleast_2d(np.asarray(cost_h, np.float64))
    delays, resources = np.asarray(delay_h, np.float64), np.asarray(resource, np.float64)
    _check_arrays(tails, heads, costs, delays, resources)
    node_count = int(max(tails.max(), heads.max(), source, target)) + 1 if nodes is None else len(nodes)
    names = [str(node) for node in range(node_count)] if nodes is None else list(nodes)
    faults = _check_ends(tails, heads, names, source, target)
    if faults:
        raise InputError(faults)
    sites = np.flatnonzero(resources > 0).astype(np.int32)
    keys = _name_sites([f"{names[tails[a]]}>{names[heads[a]]}" for a in sites])
    scenarios = len(costs)
    approaches = tuple("way" if scenarios == 1 else f"scenario {k + 1}" for k in range(scenarios))
    return Problem(
        node_count=node_count,
        tail=tails,
        head=heads,
        directed=True,
        open_h=costs.copy(),
        road_h=np.full(costs.shape, np.inf),
        approach_keys=approaches,
        approach_names=approaches,
        approach_group=np.arange(scenarios, dtype=np.int32),
        approach_weight=np.full(scenarios, 1.0 / scenarios),
        approach_sources=(np.array([source], np.int32),) * scenarios,
        approach_targets=(np.array([target], np.int32),) * scenarios,
        site_keys=keys,
        site_names=keys,
        option_keys=keys,
        option_site=np.arange(len(sites), dtype=np.int32),
        option_cost_eur=resources[sites],
        option_start=np.arange(len(sites) + 1, dtype=np.int64),
        option_edge=sites,
        option_open_h=delays[sites],
        option_road_h=np.zeros(len(sites)),
        rules=(),
        least_hours={},
        least_hours_names={},
        objective="sum",
    )


def find_unit(arcs: Arcs) -> float:
    """Find the unit in which all costs and delays of an arc list are small whole numbers.

    Returns
    -------
    The largest number that all of them are whole multiples of; where there is none that keeps them below
    `MOST_UNITS`, the power of ten that leaves the largest cost at 100 to 1,000.

    In words: times in tenths or in thousands are the same problem as times in ones, and whole numbers let the
    solver prove the optimum exactly.

    Examples
    --------
    >>> arcs = Arcs(("s", "t"), *np.array([[0], [1]]), np.array([[0.3]]), np.array([1.2]), np.ones(1), 0, 1)
    >>> find_unit(arcs)
    0.3
    """
    values = np.unique(np.append(arcs.cost_h.ravel(), arcs.delay_h))
    values = values[values > 0]
    if not len(values):
        return 1.0
    exact = [Fraction(repr(float(value))) for value in values]
    scale = math.lcm(*(one.denominator for one in exact))
    step = Fraction(math.gcd(*(int(one * scale) for one in exact)), scale)
    if exact[-1] / step <= MOST_UNITS:
        return float(step)
    largest = float(arcs.cost_h.max()) or float(values[-1])
    return float(10.0 ** (math.floor(math.log10(largest)) - 2))


def _count_units(values: np.ndarray, unit: float) -> np.ndarray:
    """Values in units; whole where they are whole but for the rounding of the division."""
    counts = values / unit
    whole = np.round(counts)
    near: np.ndarray = np.abs(counts - whole) <= 1e-12 * np.maximum(1.0, whole)
    return np.where(near, whole, counts)


def round_bound(problem: Problem, value_h: float, bound_h: float) -> float:
    """Round the bound of a textbook problem down to the next value that a plan can have.

    Parameters
    ----------
    problem : a textbook problem of k scenarios.
    value_h, bound_h : value of the best plan and proven bound.

    In words: with whole numbers every value is a whole number divided by k, so the part of the bound beyond
    that cannot be reached.

    Examples
    --------
    >>> problem = make_textbook_problem([0], [1], [2], [5], [1], 0, 1)
    >>> round_bound(problem, 7.0, 7.000000007)
    7.0
    """
    scenarios = problem.approach_count
    if not find_grain(problem) or bound_h * scenarios >= WHOLE_LIMIT:
        return bound_h
    steps = math.floor(bound_h * scenarios)
    return value_h if steps <= round(value_h * scenarios) else steps / scenarios


def read_arcs(path: Path, source: str, sink: str) -> Arcs:
    """Read an arc list from a CSV file.

    Parameters
    ----------
    path : file with columns `tail,head,cost,delay,resource`, or `cost_1..cost_k` for k scenarios; node names
        are any words, numbers whole or decimal, all at least 0.
    source, sink : node names the traveller starts from and wants to reach.

    Raises
    ------
    InputError : every fault of the file at once, with its row and column.
    """
    header, rows, faults = _read_table(path)
    costs = _check_header(path, header, faults)
    if not costs:
        raise InputError(faults)
    number_columns = [*costs, "delay", "resource"]
    numbers = np.zeros((len(number_columns), len(rows)))
    ends: list[tuple[str, str]] = []
    for place, (line, cells) in enumerate(rows):
        if len(cells) != len(header):
            faults.append(Fault(f"has {len(cells)} cells, the header has {len(header)}", str(path), line))
            continue
        values = dict(zip(header, (cell.strip() for cell in cells), strict=True))
        faults += [
            Fault("is empty", str(path), line, column, "give the name of a node")
            for column in ("tail", "head")
            if not values[column]
        ]
        ends.append((values["tail"], values["head"]))
        for index, column in enumerate(number_columns):
            numbers[index, place], wrong = _read_number(values[column])
            if wrong:
                faults.append(Fault(wrong[0], str(path), line, column, wrong[1]))
    number_of = {name: n for n, name in enumerate(dict.fromkeys(name for pair in ends for name in pair))}
    nodes = tuple(number_of)
    faults += _check_names(nodes, source, sink)
    if faults:
        raise InputError(faults)
    tail, head = np.array([[number_of[a], number_of[b]] for a, b in ends], np.int32).T
    faults = [
        Fault(one.problem, str(path), remedy=one.remedy)
        for one in _check_ends(tail, head, nodes, number_of[source], number_of[sink])
    ]
    if faults:
        raise InputError(faults)
    return Arcs(nodes, tail, head, numbers[:-2], numbers[-2], numbers[-1], number_of[source], number_of[sink])


def read_arspi(graph: Path, costs: Path, resource: float = 1.0) -> Arcs:
    """Read a graph of the ARSPI collection: arcs `tail head`, and a CSV of one column per arc.

    Parameters
    ----------
    graph : text file, one arc a line; nodes are numbers, the first is the source and the last the sink.
    costs : CSV file without header; every row but the last holds the costs of one scenario, the last delays.
    resource : what interdicting any arc uses up of the budget.

    Raises
    ------
    InputError : files that do not fit together.

    Source: graphs published with Wrabetz's ARSPI code (MIT licence).
    """
    try:
        arcs = np.loadtxt(graph, dtype=np.int64, ndmin=2)
        table = np.loadtxt(costs, delimiter=",", ndmin=2)
    except ValueError as error:
        raise InputError([Fault(f"is not a graph with costs: {error}", f"{graph}, {costs}")]) from error
    if arcs.shape[1] != 2 or len(table) < 2 or table.shape[1] != len(arcs):
        shapes = f"{arcs.shape[0]} arcs of {arcs.shape[1]} numbers, costs of shape {table.shape}"
        remedy = "give two nodes per arc, and at least two rows of costs with one column per arc"
        raise InputError([Fault(f"do not fit together: {shapes}", f"{graph}, {costs}", remedy=remedy)])
    tail, head = arcs.T.astype(np.int32)
    _check_arrays(tail, head, table[:-1], table[-1], np.full(len(arcs), resource))
    last = int(arcs.max())
    nodes = tuple(str(node) for node in range(last + 1))
    return Arcs(nodes, tail, head, table[:-1], table[-1], np.full(len(arcs), resource), 0, last)


def _read_table(path: Path) -> tuple[list[str], list[tuple[int, list[str]]], list[Fault]]:
    """Header, and the rows that are not empty with their line numbers."""
    rows = []
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, strict=True)
            for cells in reader:
                if any(cell.strip() for cell in cells):
                    rows.append((reader.line_num, cells))
    except FileNotFoundError as error:
        raise InputError([Fault("does not exist", str(path))]) from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(
            [Fault(f"is not a CSV file: {error}", str(path), remedy="save it as CSV in UTF-8")]
        ) from error
    if not rows:
        raise InputError([Fault("is empty", str(path), remedy="give a header and one row per arc")])
    header = [cell.strip() for cell in rows[0][1]]
    faults = [] if len(rows) > 1 else [Fault("has no arcs", str(path), remedy="give one row per arc")]
    return header, rows[1:], faults


def _check_header(path: Path, header: list[str], faults: list[Fault]) -> list[str]:
    """The cost columns in order of their scenario; nothing when the header has faults."""
    before = len(faults)
    scenarios = sorted((c for c in header if SCENARIO.fullmatch(c)), key=lambda c: int(c[5:]))
    known = [*FIXED_COLUMNS, "cost", "cost_1"]
    for column, count in Counter(header).items():
        if count > 1:
            faults.append(Fault(f"stands {count} times in the header", str(path), 1, column))
        if column not in known and column not in scenarios:
            faults.append(
                Fault("is not a column of an arc list", str(path), 1, column, nearest_word(column, known))
            )
    missing = [column for column in FIXED_COLUMNS if column not in header]
    if not scenarios and "cost" not in header:
        missing.append("cost")
    missing += [f"cost_{k + 1}" for k in range(len(scenarios)) if f"cost_{k + 1}" not in scenarios]
    faults += [Fault("is missing", str(path), 1, column, "add the column") for column in missing]
    if scenarios and "cost" in header:
        faults.append(
            Fault("stands beside cost_1", str(path), 1, "cost", "give either cost or cost_1 .. cost_k")
        )
    return [] if len(faults) > before else scenarios or ["cost"]


def _read_number(text: str) -> tuple[float, tuple[str, str] | None]:
    """Read a number from 0 to `LARGEST`; else 0 and what is wrong with its remedy."""
    if not text:
        return 0.0, ("is empty", "give a number, at least 0")
    try:
        value = float(text) if "_" not in text else math.nan
    except ValueError:
        value = math.nan
    if math.isnan(value):
        return 0.0, (f"is '{text}', not a number", "give a number, at least 0")
    if value < 0:
        return 0.0, (f"is {text} but must be at least 0", "give a number, at least 0")
    if value > LARGEST:
        remedy = "for a closed arc give a delay longer than any way; leave out an arc nobody can use"
        return 0.0, (f"is {text} but may be at most {LARGEST:g}", remedy)
    return value, None


def _check_names(nodes: Sequence[str], source: str, sink: str) -> list[Fault]:
    faults = [
        Fault(f"no arc touches the node '{name}'", column=which, remedy=nearest_word(name, nodes))
        for which, name in (("--source", source), ("--sink", sink))
        if name not in nodes
    ]
    if source == sink:
        faults.append(Fault("is the source as well", column="--sink", remedy="give two different nodes"))
    return faults


def _check_ends(
    tail: np.ndarray, head: np.ndarray, names: Sequence[str], source: int, target: int
) -> list[Fault]:
    """Say whether the arcs lead from source to target at all."""
    count = len(names)
    if source == target or not (0 <= source < count and 0 <= target < count):
        return [Fault(f"source {source} and target {target} must be two different nodes of {count}")]
    following: list[list[int]] = [[] for _ in range(count)]
    for one, other in zip(tail.tolist(), head.tolist(), strict=True):
        following[one].append(other)
    seen, stack = {source}, [source]
    while stack:
        fresh = [node for node in following[stack.pop()] if node not in seen]
        seen.update(fresh)
        stack.extend(fresh)
    if target in seen:
        return []
    remedy = "arcs are one-way, from tail to head: check their direction"
    return [Fault(f"no way leads from '{names[source]}' to '{names[target]}'", remedy=remedy)]


def _check_arrays(
    tail: np.ndarray, head: np.ndarray, cost_h: np.ndarray, delay_h: np.ndarray, resource: np.ndarray
) -> None:
    """Refuse arrays of different lengths, negative node numbers, and numbers below 0 or without end."""
    count = len(tail)
    if not count or head.shape != (count,) or delay_h.shape != (count,) or resource.shape != (count,):
        raise InputError([Fault("tail, head, delay and resource must be equally long, at least 1")])
    if cost_h.ndim != 2 or cost_h.shape[1] != count or not len(cost_h):
        raise InputError([Fault(f"has shape {cost_h.shape}, not [scenarios, {count}]", column="cost")])
    faults = []
    for column, values in (("cost", cost_h), ("delay", delay_h[None]), ("resource", resource[None])):
        for arc in np.flatnonzero(~((values >= 0) & (values <= LARGEST)).all(axis=0)):
            shown = ", ".join(f"{one:g}" for one in values[:, arc])
            faults.append(Fault(f"of arc {arc} is {shown}, not from 0 to {LARGEST:g}", column=column))
    for column, ends in (("tail", tail), ("head", head)):
        faults += [Fault(f"of arc {arc} is negative", column=column) for arc in np.flatnonzero(ends < 0)]
    if faults:
        raise InputError(faults)


def _name_sites(names: list[str]) -> tuple[str, ...]:
    """Number the names that stand several times: a>b, a>b #2, a>b #3."""
    seen: Counter[str] = Counter()
    unique = []
    for name in names:
        seen[name] += 1
        unique.append(name if seen[name] == 1 else f"{name} #{seen[name]}")
    return tuple(unique)
