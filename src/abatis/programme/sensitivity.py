"""Sensitivity: which uncertain input makes most of the spread, so which one to research first."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from abatis.model.errors import Fault, InputError
from abatis.programme.outlook import sum_value
from abatis.programme.risk import BLOCK, Draws, RiskCase, make_draws, measure_draws

LUCK, SEASON = "luck", "season"
OUTPUTS = ("hours_last_year", "hours_mean", "cost_eur")
Progress = Callable[[str, float], None]


@dataclass(frozen=True)
class InputShare:
    """Share of the variance of one output that an input explains.

    `first` alone, `total` with everything it acts together with; `*_error` half the width of the 95 %
    interval; `inputs` the keys that make up the group; `tags` of their sources.
    """

    output: str
    group: str
    first: float
    first_error: float
    total: float
    total_error: float
    inputs: tuple[str, ...]
    tags: tuple[str, ...]


def group_inputs(case: RiskCase) -> dict[str, tuple[int, ...]]:
    """Group the inputs that matter to the plans: name -> columns of the drawn values.

    In words: an input that cannot vary, or that belongs to a measure no plan uses, is left out. Speeds are
    joined by factor (base, cover, slope, soil, road ...). Inputs that hang together are joined, because
    their parts in the spread cannot be told apart.
    """
    names: dict[int, str] = {}
    for column, one in enumerate(case.inputs.quantities):
        parts = one.key.split(":")
        if one.low == one.high or (one.family in _MEASURED and parts[1] not in case.works.measures):
            continue
        names[column] = one.key
        if one.family in ("speed", "soil"):
            names[column] = f"speed:{parts[3]}" if one.family == "speed" else "soil"
    leader = {name: name for name in names.values()}

    def find(name: str) -> str:
        while leader[name] != name:
            name = leader[name]
        return name

    for i, j in np.argwhere(np.triu(case.inputs.correlation, 1) != 0):
        if int(i) in names and int(j) in names:
            first, second = sorted((find(names[int(i)]), find(names[int(j)])))
            leader[second] = first
    joined: dict[str, set[str]] = {}
    columns: dict[str, list[int]] = {}
    for column, name in names.items():
        joined.setdefault(find(name), set()).add(name)
        columns.setdefault(find(name), []).append(column)
    return {" + ".join(sorted(joined[name])): tuple(found) for name, found in columns.items()}


_MEASURED = ("cost", "delay", "slip_years", "failure")


def rank_inputs(
    case: RiskCase, seed: int, base_draws: int, plan: int = 0, progress: Progress | None = None
) -> tuple[InputShare, ...]:
    """Split the spread of hours and euros among the inputs (Sobol indices).

    Parameters
    ----------
    case : from `risk.prepare_case`.
    seed : seed of the draws.
    base_draws : N; the model is run N x (groups + 2) times.
    plan : which plan.
    progress : callback (stage, share done).

    Returns
    -------
    Shares by output, the largest total first.

    Formula: first S_i = Var(E[y | x_i]) / Var(y); total T_i = 1 - Var(E[y | all but x_i]) / Var(y).
    In words: two sets of N worlds, A and B, and for each group the worlds of A with that group taken from B;
    how much the answer follows the group is its share. Estimators of Saltelli 2010 and Jansen by SALib
    (Herman and Usher 2017).

    Raises
    ------
    InputError : fewer than 2 base draws.
    """
    if base_draws < 2:
        raise InputError([Fault(f"is {base_draws}", column="base_draws", remedy="ask for at least 2")])
    groups: dict[str, tuple[int, ...]] = dict(group_inputs(case))
    groups[LUCK] = ()
    if case.inputs.season_share:
        groups[SEASON] = ()
    # Odd and even draws, so that A and B stay the same when more are asked for.
    drawn = make_draws(case, seed, 0, 2 * base_draws)
    one, other = drawn.take(slice(0, None, 2)), drawn.take(slice(1, None, 2))
    worlds = [one, *(_mix(one, other, name, columns) for name, columns in groups.items()), other]
    report = progress or (lambda _stage, _share: None)
    answers = []
    for number, world in enumerate(worlds, start=1):
        answers.append(_answer(case, world, plan))
        report("sensitivity", number / len(worlds))
    # Saltelli's order: per base draw A, then each mixed world, then B.
    ordered = np.stack(answers, axis=1).reshape(base_draws * len(worlds), len(OUTPUTS))
    tags = {name: _list_tags(case, columns) for name, columns in groups.items()}
    found = []
    for column, output in enumerate(OUTPUTS):
        shares = _analyze(list(groups), ordered[:, column], seed)
        rows = [
            InputShare(
                output,
                name,
                first=float(shares["S1"][i]),
                first_error=float(shares["S1_conf"][i]),
                total=float(shares["ST"][i]),
                total_error=float(shares["ST_conf"][i]),
                inputs=tuple(case.inputs.keys[c] for c in groups[name]),
                tags=tags[name],
            )
            for i, name in enumerate(groups)
        ]
        found += sorted(rows, key=lambda row: (-row.total, row.group))
    return tuple(found)


def _mix(one: Draws, other: Draws, name: str, columns: tuple[int, ...]) -> Draws:
    """The worlds of `one` with one group of inputs from `other`."""
    values = one.values.copy()
    values[:, list(columns)] = other.values[:, list(columns)]
    return Draws(
        values, other.seasons if name == SEASON else one.seasons, other.luck if name == LUCK else one.luck
    )


def _answer(case: RiskCase, draws: Draws, plan: int) -> np.ndarray:
    """Outputs of each draw, float64[N, 3]."""
    parts = []
    for first in range(0, len(draws.values), BLOCK):
        outcome = measure_draws(case, draws.take(slice(first, first + BLOCK)))
        value = sum_value(case, outcome.hours)[plan]
        parts.append(np.column_stack([value[:, -1], value.mean(axis=1), outcome.cost_eur[plan]]))
    return np.concatenate(parts)


def _analyze(names: list[str], answers: np.ndarray, seed: int) -> dict[str, np.ndarray]:
    if not np.ptp(answers) > 0:
        return {word: np.zeros(len(names)) for word in ("S1", "S1_conf", "ST", "ST_conf")}
    from SALib.analyze import sobol

    problem = {"num_vars": len(names), "names": names, "bounds": [[0.0, 1.0]] * len(names)}
    return dict(sobol.analyze(problem, answers, calc_second_order=False, seed=seed))


def _list_tags(case: RiskCase, columns: tuple[int, ...]) -> tuple[str, ...]:
    return tuple(sorted({case.inputs.quantities[column].tag for column in columns}))


def tell_first(shares: tuple[InputShare, ...], output: str) -> str:
    """Say in a sentence which input to research first.

    In words: luck and season cannot be researched; the first group that can leads. Where its share lies
    within its error, the sentence says that more draws are needed.

    Examples
    --------
    >>> row = InputShare("cost_eur", "cost:M07", 0.6, 0.1, 0.7, 0.1, ("cost:M07",), ("G",))
    >>> tell_first((row,), "cost_eur")
    'Research cost:M07 first: it takes part in 70 % (+-10) of the spread of cost_eur (tag G).'
    """
    rows = [row for row in shares if row.output == output and row.group not in (LUCK, SEASON)]
    if not rows or rows[0].total <= rows[0].total_error:
        return f"No input stands out in the spread of {output}: ask for more draws."
    best = rows[0]
    floor = best.total - best.total_error
    level = [
        one.group for one in rows[1:] if one.total > one.total_error and one.total + one.total_error > floor
    ]
    tied = f" Within the error {', '.join(level)} may matter as much: ask for more draws." if level else ""
    return (
        f"Research {best.group} first: it takes part in {100 * best.total:.0f} % "
        f"(+-{100 * best.total_error:.0f}) of the spread of {output} (tag {' '.join(best.tags)}).{tied}"
    )
