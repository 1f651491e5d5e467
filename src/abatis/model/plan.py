"""Problem (what the solver sees) and Plan (what abatis proposes); both frozen."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from abatis.model.errors import Fault, InputError
from abatis.model.storage import write_text_whole

BY_HAND = "by_hand"
"""Status of a plan that was not made by the solver: its `bound_h` and `gap` are infinite."""


@dataclass(frozen=True)
class Rule:
    """A named linear rule over options: the sum of coefficient x choice is at most `limit`.

    `options` int32[R] and `coefficients` float64[R]; a lock-in has coefficient -1 and limit -1.
    """

    key: str
    name: str
    options: np.ndarray
    coefficients: np.ndarray
    limit: float


@dataclass(frozen=True)
class Problem:
    """Sites, options and approaches on a two-mode graph of N nodes and E edges (G vehicle-season groups).

    An edge joins `tail` and `head` int32[E] (both ways unless `directed`). Crossing it in group g costs
    min(open_h[g, e] + delays, road_h[g, e] + delays) hours. Option o belongs to site `option_site[o]`; at
    most one option per site is chosen; it costs `option_cost_eur[o]` and delays the edges
    `option_edge[option_start[o]:option_start[o+1]]` by `option_open_h` and `option_road_h` (same slice).
    Approach k moves in group `approach_group[k]` from the nearest of `approach_sources[k]` to
    `approach_targets[k]`. The value of a plan is the weighted sum of arrival times, or the least of them when
    `objective` is `minimum`.
    """

    node_count: int
    tail: np.ndarray
    head: np.ndarray
    directed: bool
    open_h: np.ndarray
    road_h: np.ndarray
    approach_keys: tuple[str, ...]
    approach_names: tuple[str, ...]
    approach_group: np.ndarray
    approach_weight: np.ndarray
    approach_sources: tuple[np.ndarray, ...]
    approach_targets: tuple[np.ndarray, ...]
    site_keys: tuple[str, ...]
    site_names: tuple[str, ...]
    option_keys: tuple[str, ...]
    option_site: np.ndarray
    option_cost_eur: np.ndarray
    option_start: np.ndarray
    option_edge: np.ndarray
    option_open_h: np.ndarray
    option_road_h: np.ndarray
    rules: tuple[Rule, ...]
    least_hours: Mapping[int, float]
    least_hours_names: Mapping[int, str]
    objective: str

    @property
    def option_count(self) -> int:
        """Number of options over all sites."""
        return len(self.option_keys)

    @property
    def approach_count(self) -> int:
        """Number of approaches."""
        return len(self.approach_keys)


def hash_problem(problem: Problem) -> str:
    """Return the SHA-256 over everything the solver sees: same problem, same hash."""
    digest = hashlib.sha256()
    arrays = [problem.tail, problem.head, problem.open_h, problem.road_h, problem.approach_group]
    arrays += [problem.approach_weight, *problem.approach_sources, *problem.approach_targets]
    arrays += [problem.option_site, problem.option_cost_eur, problem.option_start, problem.option_edge]
    arrays += [problem.option_open_h, problem.option_road_h]
    for rule in problem.rules:
        arrays += [rule.options, rule.coefficients, np.array([rule.limit])]
    arrays += [np.array(sorted(problem.least_hours.items()), float)]
    for array in arrays:
        plain = np.ascontiguousarray(array, np.float64)
        digest.update(str(plain.shape).encode() + plain.tobytes())
    words = (problem.objective, str(problem.directed), *problem.site_keys, *problem.option_keys)
    digest.update("\n".join(words).encode())
    return digest.hexdigest()


def find_grain(problem: Problem) -> float:
    """Step of all arrival times in hours: 1 when every time and delay is a whole number, else 0."""
    hours = [problem.open_h, problem.road_h, problem.option_open_h, problem.option_road_h]
    finite = np.concatenate([one[np.isfinite(one)] for one in hours])
    return 1.0 if np.array_equal(finite, np.round(finite)) else 0.0


def require_index(number: Any, count: float = math.inf, least: int = 0) -> int:
    """Return an index as it stands in a file; a ValueError when it names none of `count`.

    Examples
    --------
    >>> require_index(2, 3)
    2
    """
    if type(number) is not int or not least <= number < count:
        raise ValueError(f"{number!r} is no index here")
    return number


def keep_options(problem: Problem, options: np.ndarray) -> Problem:
    """Return the problem with some of its options only, int[n]; rules speak of those left.

    In words: the others are never built. Where there are rules, options come in rising order.
    """
    parts = [np.arange(problem.option_start[o], problem.option_start[o + 1]) for o in options]
    rows = np.concatenate([np.empty(0, np.int64), *parts])
    return replace(
        problem,
        option_keys=tuple(problem.option_keys[o] for o in options),
        option_site=problem.option_site[options],
        option_cost_eur=problem.option_cost_eur[options],
        option_start=np.append(0, np.cumsum([len(part) for part in parts])).astype(np.int64),
        option_edge=problem.option_edge[rows],
        option_open_h=problem.option_open_h[rows],
        option_road_h=problem.option_road_h[rows],
        rules=tuple(_keep_rule(rule, options) for rule in problem.rules),
    )


def _keep_rule(rule: Rule, options: np.ndarray) -> Rule:
    left = np.isin(rule.options, options)
    places = np.searchsorted(options, rule.options[left]).astype(rule.options.dtype)
    return replace(rule, options=places, coefficients=rule.coefficients[left])


def list_delays(problem: Problem) -> dict[int, list[tuple[int, float, float]]]:
    """List per edge the options that delay it, with hours on open ground and on the road."""
    delays: dict[int, list[tuple[int, float, float]]] = {}
    for option in range(problem.option_count):
        for entry in range(problem.option_start[option], problem.option_start[option + 1]):
            hours = float(problem.option_open_h[entry]), float(problem.option_road_h[entry])
            delays.setdefault(int(problem.option_edge[entry]), []).append((option, *hours))
    return delays


def add_delays(
    problem: Problem, chosen: Sequence[int], longest: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """Add up the delays of chosen options per edge: hours float64[E] on open ground, and on the road.

    With `longest` the longest option of each site counts on every edge, whatever else it chooses.
    """
    wanted = {int(option) for option in chosen}
    total = np.zeros((2, len(problem.tail)))
    for edge, entries in list_delays(problem).items():
        of_owner: dict[tuple[int, int], float] = {}
        for option, *hours in entries:
            if option in wanted:
                owner = int(problem.option_site[option]) if longest else option
                for mode, hour in enumerate(hours):
                    of_owner[owner, mode] = max(of_owner.get((owner, mode), 0.0), hour)
        for (_, mode), hour in of_owner.items():
            total[mode, edge] += hour
    return total[0], total[1]


@dataclass(frozen=True)
class ApproachResult:
    """Arrival time of one approach without and with the plan, in hours."""

    id: str
    name: str
    weight: float
    before_h: float
    after_h: float


@dataclass(frozen=True)
class ChosenOption:
    """One chosen option: where, which, and what it costs in EUR of the base year."""

    site: str
    option: str
    name: str
    cost_eur: float


@dataclass(frozen=True)
class Plan:
    """What abatis proposes: the options chosen, what they buy, and how far from the best possible that is.

    `gap` = (bound_h - value_h) / value_h; `status` is optimal, gap, time_limit, interrupted,
    rounding (a part of the search could not be settled within rounding errors), or by_hand.
    `watch_hash` is the fingerprint of the cells that posts were known to see, '' when every barrier counted
    as watched.
    """

    name: str
    title: str
    objective: str
    status: str
    value_h: float
    before_h: float
    bound_h: float
    gap: float
    cost_eur: float
    budget_eur: float
    approaches: tuple[ApproachResult, ...]
    options: tuple[ChosenOption, ...]
    study_hash: str
    seed: int
    seconds: float
    version: str
    watch_hash: str = ""


KINDS: Mapping[str, tuple[type, ...]] = {"str": (str,), "int": (int,), "float": (float, int)}
Written = TypeVar("Written", ApproachResult, ChosenOption, Plan)


def write_plan(plan: Plan, folder: Path, certificate: Mapping[str, Any]) -> None:
    """Write `plan.json`, `options.csv` and `certificate.json` into a plan folder, each whole."""
    write_text_whole(folder / "certificate.json", json.dumps(certificate, sort_keys=True) + "\n")
    table = io.StringIO()
    writer = csv.writer(table, lineterminator="\n")
    writer.writerow(["site", "option", "name", "cost_eur"])
    writer.writerows([one.site, one.option, one.name, f"{one.cost_eur:.2f}"] for one in plan.options)
    write_text_whole(folder / "options.csv", table.getvalue())
    write_text_whole(folder / "plan.json", json.dumps(asdict(plan), indent=1, sort_keys=True) + "\n")


def parse_object(text: str) -> dict[str, Any]:
    """Read a JSON object of a kept file; a ValueError or RecursionError says what is wrong with it.

    Examples
    --------
    >>> parse_object('{"a": 1}')
    {'a': 1}
    """
    values = json.loads(text, object_pairs_hook=_join_pairs)
    if not isinstance(values, dict):
        raise ValueError("it holds no object")
    return values


def _join_pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) < len(pairs):
        keys = [key for key, _ in pairs]
        raise ValueError(f"'{next(key for key in keys if keys.count(key) > 1)}' stands there twice")
    return values


def read_plan(folder: Path) -> Plan:
    """Read `plan.json` of a plan folder.

    Raises
    ------
    InputError : when it is missing or not a plan.
    """
    path = folder / "plan.json"
    try:
        values = parse_object(path.read_text(encoding="utf-8"))
        approaches = tuple(_check_kinds(ApproachResult(**one)) for one in values["approaches"])
        options = tuple(_check_kinds(ChosenOption(**one)) for one in values["options"])
        return _check_kinds(Plan(**{**values, "approaches": approaches, "options": options}))
    except FileNotFoundError as error:
        raise InputError(
            [Fault("has no plan.json", str(folder), remedy="make a plan with: abatis solve STUDY")]
        ) from error
    except (KeyError, OverflowError, RecursionError, TypeError, ValueError) as error:
        raise InputError(
            [Fault(f"is not a plan: {error}", str(path), remedy="solve the study again")]
        ) from error


def _check_kinds(one: Written) -> Written:
    """Return what was read when its words are words and its numbers numbers; else a TypeError."""
    for field in fields(one):
        value, wanted = getattr(one, field.name), KINDS.get(str(field.type), (tuple,))
        if isinstance(value, bool) or not isinstance(value, wanted):
            raise TypeError(f"{field.name} is {str(value)[:40]!r}")
        if isinstance(value, int):
            float(value)  # an OverflowError where no number of hours or EUR is that long
    return one
