"""Draws: what is uncertain, how the inputs hang together, and the same random numbers for every plan."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
from scipy.special import betaincinv, ndtr, ndtri

from abatis.model.errors import Fault, InputError, nearest_word
from abatis.model.fields import fields_of
from abatis.model.study import Study
from abatis.model.words import SEASONS

Shape = Literal["pert", "triangular"]
SHAPES = ("pert", "triangular")
FAMILIES = ("cost", "delay", "slip_years", "failure", "speed", "soil")
RISKS_FILE, CORRELATIONS_FILE = "tables/risks.csv", "tables/risk_correlations.csv"
LEAST_EIGENVALUE = -1e-9
EDGE = 2.0**-54
_EMPTY = {
    "bit_generator": "Philox",
    "buffer": np.zeros(4, np.uint64),
    "buffer_pos": 4,
    "has_uint32": 0,
    "uinteger": 0,
}

# Used where tables/risks.csv has no row: low, likely, high, source, tag.
DEFAULT_RISKS: dict[str, tuple[float, float, float, str, str]] = {
    "price_level": (1.0, 1.0, 1.3, "construction prices rose by 30 % in 2022 (news.err.ee 1608593413)", "D"),
    "slip_years": (0.0, 0.5, 1.0, "Estonia's ditch and bunkers slipped by one year (ERR 1609456820)", "D"),
    "land_years": (0.0, 0.4, 0.83, "Latvia's land law came ten months late (press.lv 12 Nov 2025)", "D"),
    "failure": (0.02, 0.05, 0.15, "share of places where a measure does not hold; placeholder", "G"),
    "left_share": (0.1, 0.3, 0.6, "share of its delay that an unobserved obstacle keeps; placeholder", "G"),
}
SINGLE_RISKS = ("price_level", "land_years", "left_share")
MEASURE_RISKS = ("slip_years", "failure")
SHARES = ("failure", "left_share")


@dataclass(frozen=True)
class Quantity:
    """One uncertain input: least, most likely and greatest value, and where they come from."""

    key: str
    low: float
    mode: float
    high: float
    source: str
    tag: str

    @property
    def family(self) -> str:
        """The word before the first colon."""
        return self.key.partition(":")[0]


@dataclass(frozen=True)
class RiskInputs:
    """All uncertain inputs of a study.

    `correlation` float64[Q, Q] between the normal scores of the quantities (identity when nothing is given);
    `season_share` gives the chance of each season, empty when approaches keep their own; `notes` say in words
    what was assumed.
    """

    quantities: tuple[Quantity, ...]
    correlation: np.ndarray
    shape: Shape
    season_share: tuple[tuple[str, float], ...]
    notes: tuple[str, ...]

    @property
    def keys(self) -> tuple[str, ...]:
        """Keys of the quantities, in the order of the columns of every draw."""
        return tuple(one.key for one in self.quantities)


def collect_inputs(study: Study, with_speeds: bool = False, shape: Shape = "pert") -> RiskInputs:
    """Collect every uncertain input of a study.

    Parameters
    ----------
    study : tables measures, speeds, soils; optional files tables/risks.csv and tables/risk_correlations.csv.
    with_speeds : true when speeds and the bearing of soils are drawn too.
    shape : pert (a smooth hill) or triangular, for all quantities.

    In words: cost and delay of every measure from its low, likely and high columns; general risks from
    tables/risks.csv, else stated defaults; speeds row by row. Inputs are independent unless the table of
    correlations says otherwise.

    Raises
    ------
    InputError : all faults of both tables at once: unknown keys, low > mode > high, shares outside 0 to 1,
        seasons that do not add up to 1, correlations that contradict each other.
    """
    risks, pairs = study.tables["risks"], study.tables["risk_correlations"]
    faults: list[Fault] = []
    if shape not in SHAPES:
        faults.append(Fault(f"'{shape}' is no shape", column="shape", remedy=nearest_word(shape, SHAPES)))
    measures = [str(key) for key in study.tables["measures"]["measure"]]
    given, seasons, wrong = _read_risks(risks, measures)
    faults += wrong
    quantities = [*_list_measure_quantities(study), *_list_general_quantities(given, measures)]
    if with_speeds:
        quantities += [*_list_speed_quantities(study), *_list_soil_quantities(study)]
    correlation, wrong = build_correlation(pairs, tuple(one.key for one in quantities))
    faults += wrong
    if faults:
        raise InputError(faults)
    notes = [
        f"{key}: {source} ({tag})" for key, (*_, source, tag) in DEFAULT_RISKS.items() if key not in given
    ]
    if pairs.empty:
        notes.append(
            "inputs are drawn independently: no tables/risk_correlations.csv; if prices rise together, sums "
            "spread wider than shown"
        )
    return RiskInputs(tuple(quantities), correlation, shape, seasons, tuple(notes))


def _read_risks(
    risks: pd.DataFrame, measures: Sequence[str]
) -> tuple[dict[str, Quantity], tuple[tuple[str, float], ...], list[Fault]]:
    """Check the rows of tables/risks.csv; return them by key, the shares of seasons, and the faults."""
    known = [*DEFAULT_RISKS, *(f"{risk}:{key}" for risk in MEASURE_RISKS for key in measures)]
    known += [f"season:{word}" for word in SEASONS]
    given: dict[str, Quantity] = {}
    seasons: dict[str, float] = {}
    faults = []
    for number, row in risks.iterrows():
        key, low, mode, high = str(row["risk"]), float(row["low"]), float(row["mode"]), float(row["high"])
        problem, column, remedy = "", "risk", ""
        if key not in known:
            problem, remedy = f"'{key}' is not a risk", nearest_word(key, known)
        elif key in given or key in seasons:
            problem, remedy = f"'{key}' stands twice", "delete one"
        elif not low <= mode <= high:
            problem, column, remedy = "low, mode, high do not rise", "mode", "order the three values"
        elif low < 0:
            problem, column, remedy = f"is {low:g}", "low", "give at least 0"
        elif key.partition(":")[0] in SHARES and high > 1:
            problem, column, remedy = f"is {high:g}", "high", "give a share, 0 to 1"
        if problem:
            faults.append(Fault(problem, RISKS_FILE, int(str(number)), column, remedy))
        elif key.startswith("season:"):
            seasons[key.partition(":")[2]] = mode
        else:
            given[key] = Quantity(key, low, mode, high, str(row["source"]), str(row["tag"]))
    if seasons and abs(sum(seasons.values()) - 1) > 1e-9:
        told = f"season shares add up to {sum(seasons.values()):g}"
        faults.append(Fault(told, RISKS_FILE, column="mode", remedy="let them add up to 1"))
    return given, tuple(sorted(seasons.items())), faults


def _list_measure_quantities(study: Study) -> list[Quantity]:
    """Cost and delay of each measure of the catalogue; the study has checked that low, mode, high rise."""
    return [
        Quantity(f"{family}:{row['measure']}", low, mode, high, str(row["source"]), str(row["tag"]))
        for _, row in study.tables["measures"].iterrows()
        for family, low, mode, high in (
            ("cost", row["unit_cost_low_eur"], row["unit_cost_eur"], row["unit_cost_high_eur"]),
            ("delay", row["delay_low_h"], row["delay_h"], row["delay_high_h"]),
        )
    ]


def _list_general_quantities(given: dict[str, Quantity], measures: Sequence[str]) -> list[Quantity]:
    usual = {key: Quantity(key, *values) for key, values in DEFAULT_RISKS.items()} | given
    found = [usual[key] for key in SINGLE_RISKS]
    for risk in MEASURE_RISKS:
        for measure in measures:
            one = usual.get(f"{risk}:{measure}", usual[risk])
            found.append(Quantity(f"{risk}:{measure}", one.low, one.mode, one.high, one.source, one.tag))
    return found


def _list_speed_quantities(study: Study) -> list[Quantity]:
    return [
        Quantity(
            ":".join(("speed", row["vehicle"], row["season"], row["factor"], row["word"])),
            float(row["low"]),
            float(row["mode"]),
            float(row["high"]),
            str(row["source"]),
            str(row["tag"]),
        )
        for _, row in study.tables["speeds"].iterrows()
    ]


def _list_soil_quantities(study: Study) -> list[Quantity]:
    """Bearing or moisture of each row of tables/soils.csv."""
    found = []
    for _, row in study.tables["soils"].iterrows():
        name = "bearing_{}kpa" if row["bearing_kpa"] >= 0 else "moisture_{}percent"
        low, mode, high = (float(row[name.format(part)]) for part in ("low_", "", "high_"))
        key = f"soil:{row['ground']}:{row['season']}"
        found.append(Quantity(key, low, mode, high, str(row["source"]), str(row["tag"])))
    return found


def build_correlation(pairs: pd.DataFrame, keys: Sequence[str]) -> tuple[np.ndarray, list[Fault]]:
    """Turn the table of correlations into a matrix and check it.

    Parameters
    ----------
    pairs : columns a, b, correlation; a and b are keys, or families such as cost for all of theirs.
    keys : keys of the Q quantities.

    Returns
    -------
    correlation : float64[Q, Q], 1 on the diagonal.
    faults : unknown names, pairs given twice, and a matrix that is not positive semi-definite.

    In words: a row that names two quantities goes before one that names families. Three inputs cannot each
    be opposed to the two others; such a table is refused.

    Examples
    --------
    >>> table = pd.DataFrame({"a": ["cost"], "b": ["cost"], "correlation": [0.5]}, index=[2])
    >>> build_correlation(table, ("cost:M1", "cost:M2", "delay:M1"))[0].tolist()
    [[1.0, 0.5, 0.0], [0.5, 1.0, 0.0], [0.0, 0.0, 1.0]]
    """
    matrix = np.eye(len(keys))
    faults: list[Fault] = []
    rows = []
    seen: set[frozenset[str]] = set()
    families = sorted({key.partition(":")[0] for key in keys} | set(FAMILIES))
    for number, row in pairs.iterrows():
        names = (str(row["a"]), str(row["b"]))
        members = []
        for column, name in zip(("a", "b"), names, strict=True):
            inside = [i for i, key in enumerate(keys) if name in (key, key.partition(":")[0])]
            members.append(inside)
            if not inside and name not in families and not name.startswith(("speed:", "soil:")):
                faults.append(
                    Fault(
                        f"'{name}' is not an uncertain input",
                        CORRELATIONS_FILE,
                        int(str(number)),
                        column,
                        nearest_word(name, [*families, *keys]),
                    )
                )
        if frozenset(names) in seen or (
            names[0] == names[1] and names[0] in keys and names[0] not in families
        ):
            told = f"'{names[0]}' and '{names[1]}' stand twice or are one input"
            faults.append(Fault(told, CORRELATIONS_FILE, int(str(number)), "a", "delete one"))
        seen.add(frozenset(names))
        rows.append((len(members[0]) * len(members[1]), members, float(row["correlation"])))
    for _, (first, second), value in sorted(rows, key=lambda one: -one[0]):
        for i in first:
            for j in second:
                if i != j:
                    matrix[i, j] = matrix[j, i] = value
    return matrix, faults + _check_definite(matrix, keys)


def _check_definite(matrix: np.ndarray, keys: Sequence[str]) -> list[Fault]:
    values, vectors = np.linalg.eigh(matrix)
    if not len(values) or values[0] >= LEAST_EIGENVALUE:
        return []
    most = np.argsort(-np.abs(vectors[:, 0]))[:3]
    words = ", ".join(keys[i] for i in sorted(most))
    return [
        Fault(
            f"are not positive semi-definite (least eigenvalue {values[0]:.3g}): no numbers can hang "
            f"together like this, first of all {words}",
            CORRELATIONS_FILE,
            column="correlation",
            remedy="bring these correlations closer to 0",
        )
    ]


def draw_uniforms(keys: Iterable[str], seed: int, first: int, count: int) -> np.ndarray:
    """Draw uniform numbers between 0 and 1, float64[count, len(keys)].

    Parameters
    ----------
    keys : names of the streams; each has numbers of its own.
    seed : seed of the study.
    first, count : which draws; draw d is the same whatever else is drawn, before or beside it.

    In words: a counter-based generator (Philox) keyed by seed and name gives its d-th number directly, so
    plans that share an input see the same numbers, and any split over workers gives the same bytes.
    Source: Salmon and others 2011, Parallel random numbers: as easy as 1, 2, 3.

    Examples
    --------
    >>> all_at_once = draw_uniforms(["cost:M1"], 1, 0, 8)
    >>> bool((draw_uniforms(["cost:M1"], 1, 5, 3) == all_at_once[5:]).all())
    True
    """
    names = list(keys)
    out = np.empty((count, len(names)))
    # One generator set to each key: making one per stream would cost more than its numbers.
    stream = np.random.Philox(key=0)
    for column, name in enumerate(names):
        digest = hashlib.sha256(f"{seed}\0{name}".encode()).digest()
        key = np.frombuffer(digest[:16], "<u8").astype(np.uint64)
        counter = np.array([first // 4, 0, 0, 0], np.uint64)
        state: Any = _EMPTY | {"state": {"counter": counter, "key": key}}
        stream.state = state
        raw = stream.random_raw(count + first % 4)[first % 4 :]
        out[:, column] = (raw >> np.uint64(11)) * 2.0**-53 + EDGE
    return out


def draw_values(inputs: RiskInputs, seed: int, first: int, count: int) -> np.ndarray:
    """Draw all uncertain inputs, float64[count, Q].

    Parameters
    ----------
    inputs : from `collect_inputs`.
    seed : seed of the draws.
    first, count : which draws.

    Formula: z = L n with n standard normal and L L' the correlations; value = F^-1(Phi(z)).
    In words: a Gaussian copula; each input keeps its own distribution whatever it hangs together with.

    Raises
    ------
    InputError : not one draw is asked for.
    """
    check_draws(count)
    uniform = draw_uniforms(inputs.keys, seed, first, count)
    uniform = correlate_uniforms(uniform, inputs.correlation)
    out = np.empty_like(uniform)
    for column, one in enumerate(inputs.quantities):
        out[:, column] = invert_distribution(uniform[:, column], one.low, one.mode, one.high, inputs.shape)
    return out


def check_draws(count: int) -> None:
    """Refuse a number of draws below one.

    Raises
    ------
    InputError : zero draws or fewer.
    """
    if count < 1:
        raise InputError([Fault(f"is {count}", column="draws", remedy="ask for at least 1 draw")])


def list_seed_faults(seed: int | None) -> list[Fault]:
    """List what is wrong with a seed of `--seed`: it has the bounds of that of study.toml, None is that seed.

    Examples
    --------
    >>> print(*list_seed_faults(-1))
    --seed: is -1 but must be 0 to 4294967295 (give a whole number)
    """
    least, most = next((f.minimum, f.maximum) for f in fields_of("study.toml") if f.column == "seed")
    if seed is None or least <= seed <= most:
        return []
    text = f"is {seed} but must be {least:.0f} to {most:.0f}"
    return [Fault(text, column="--seed", remedy="give a whole number")]


def correlate_uniforms(uniform: np.ndarray, correlation: np.ndarray) -> np.ndarray:
    """Let independent uniform numbers hang together, float64[D, Q]; others stay as they are."""
    linked = np.flatnonzero((correlation != np.eye(len(correlation))).any(axis=1))
    if not linked.size:
        return uniform
    factor = _factorize(correlation[np.ix_(linked, linked)])
    normal = ndtri(uniform[:, linked])
    out = uniform.copy()
    for row, column in enumerate(linked):
        # Added up one by one: a matrix product could round differently for other block sizes.
        total = np.zeros(len(uniform))
        for other in range(row + 1):
            total += factor[row, other] * normal[:, other]
        out[:, column] = np.clip(ndtr(total), EDGE, 1 - EDGE)
    return out


def _factorize(matrix: np.ndarray) -> np.ndarray:
    """Cholesky factor of a positive semi-definite matrix; a column that adds nothing new is 0."""
    size = len(matrix)
    factor = np.zeros((size, size))
    for j in range(size):
        rest = matrix[j, j] - float(np.sum(factor[j, :j] ** 2))
        factor[j, j] = np.sqrt(rest) if rest > 1e-12 else 0.0
        if factor[j, j] > 0:
            for i in range(j + 1, size):
                factor[i, j] = (matrix[i, j] - float(np.sum(factor[i, :j] * factor[j, :j]))) / factor[j, j]
    return factor


def invert_distribution(
    uniform: np.ndarray, low: float, mode: float, high: float, shape: Shape = "pert"
) -> np.ndarray:
    """Return the value at each chance, float64[D].

    Parameters
    ----------
    uniform : chances between 0 and 1.
    low, mode, high : least, most likely and greatest value.
    shape : triangular, or pert.

    Formula: PERT is a beta distribution on [low, high] with a = 1 + 4 (mode - low) / (high - low) and
    b = 1 + 4 (high - mode) / (high - low); its mean is (low + 4 mode + high) / 6.
    In words: PERT trusts the likely value more than a triangle does.

    Examples
    --------
    >>> invert_distribution(np.array([0.0, 0.5, 1.0]), 0.0, 1.0, 2.0, "triangular").tolist()
    [0.0, 1.0, 2.0]
    >>> [round(float(x), 6) for x in invert_distribution(np.array([0.5, 1.0]), 0.0, 1.0, 2.0)]
    [1.0, 2.0]
    """
    width = high - low
    if width == 0:
        return np.full(len(uniform), low)
    share = (mode - low) / width
    if shape == "pert":
        return np.asarray(low + width * betaincinv(1 + 4 * share, 5 - 4 * share, uniform))
    rising = uniform < share
    return np.where(
        rising,
        low + width * np.sqrt(uniform * share),
        high - width * np.sqrt((1 - uniform) * (1 - share)),
    )


def draw_seasons(inputs: RiskInputs, seed: int, first: int, count: int) -> np.ndarray | None:
    """Draw the season of each draw as a row of SEASONS, int8[count]; None when approaches keep their own."""
    if not inputs.season_share:
        return None
    edges = np.cumsum([share for _, share in inputs.season_share])
    rows = np.array([SEASONS.index(word) for word, _ in inputs.season_share], np.int8)
    uniform = draw_uniforms(["season"], seed, first, count)[:, 0]
    return np.asarray(rows[np.minimum(np.searchsorted(edges, uniform, side="right"), len(rows) - 1)])
