"""Thresholds, alert rules and service lives of the monitor: packaged tables, with a study's own rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path

import pandas as pd

from abatis.model.errors import Fault, InputError, nearest_word
from abatis.model.fields import read_table
from abatis.model.study import Study

TERMS, RULES, LIVES = "monitor_terms", "alert_rules", "lifetimes"
SEVERITIES = ("severe", "warning", "info")
OFF = "off"
# Figures by subject: what a rule may speak of.
FIGURES: dict[str, tuple[str, ...]] = {
    "work": (
        "days_late",
        "days_put_off",
        "start_days_late",
        "cost_over_share",
        "forecast_over_share",
        "silent_days",
    ),
    "line": ("spent_over_share", "contracted_over_share"),
    "contract": ("days_past_due", "failed_tender"),
    "delivery": ("short_share",),
    "milestone": ("days_late", "days_put_off", "days_past_due"),
    "land": ("days_late", "days_put_off", "days_past_due"),
    "law": ("days_late", "days_put_off", "days_past_due"),
    "seam": ("days_late", "days_put_off", "days_past_due"),
    "joint_seam": ("open_km",),
    "treaty": ("days_without_effect",),
    "treaty_change": ("days_left",),
    "measure": ("works",),
    "hazard": ("duties_missing",),
    "incident": ("casualties",),
    "renewal": ("days_left",),
    "contradiction": ("records",),
    "disclosure": ("undisclosed", "weak"),
    "planned_site": ("days_without_record",),
}


@dataclass(frozen=True)
class Rule:
    """One alert rule: a figure of a subject compared with a limit; beyond `severe_limit` it is severe."""

    key: str
    subject: str
    figure: str
    above: bool
    limit: float
    limit_unit: str
    severe_limit: float | None
    severity: str
    access: str
    text: str
    source: str
    tag: str


@dataclass(frozen=True)
class Life:
    """Service life of a measure in years: low, likely, high; 0 when nothing is to be renewed."""

    low_years: float
    years: float
    high_years: float
    source: str
    tag: str


@dataclass(frozen=True)
class MonitorSettings:
    """Limits by term, rules that are switched on, and service lives by measure."""

    terms: Mapping[str, float]
    rules: tuple[Rule, ...]
    lives: Mapping[str, Life]


def read_settings(study: Study | None = None) -> MonitorSettings:
    """Read the packaged tables, with the rows of the study's own ones in place of the same ones.

    Parameters
    ----------
    study : its tables/monitor_terms.csv, alert_rules.csv and lifetimes.csv may each hold own rows; the life
        of a measure in measures.csv goes before the packaged one.

    Raises
    ------
    InputError : every fault: an unknown term, subject, figure or limit, a key that stands twice.

    Examples
    --------
    >>> settings = read_settings()
    >>> settings.terms["late_days"], settings.lives["M18"].years
    (30.0, 12.0)
    """
    faults: list[Fault] = []
    terms = _merge(study, TERMS, "term", faults, only_known=True)
    rules = _merge(study, RULES, "rule", faults)
    lives = _merge(study, LIVES, "measure", faults)
    values = {str(row["term"]): float(row["value"]) for _, row in terms.iterrows()}
    units = {str(row["term"]): str(row["unit"]) for _, row in terms.iterrows()}
    made = [_read_rule(row, values, units, faults) for _, row in rules.iterrows()]
    if faults:
        raise InputError(faults)
    found = {
        str(row["measure"]): Life(
            float(row["low_years"]),
            float(row["life_years"]),
            float(row["high_years"]),
            str(row["source"]),
            str(row["tag"]),
        )
        for _, row in lives.iterrows()
    }
    if study is not None:
        for _, row in study.tables["measures"].iterrows():
            years = float(row["life_years"])
            found[str(row["measure"])] = Life(years, years, years, str(row["source"]), str(row["tag"]))
    return MonitorSettings(values, tuple(one for one in made if one is not None), found)


def _read_rule(
    row: pd.Series,
    values: Mapping[str, float],
    units: Mapping[str, str],
    faults: list[Fault],
) -> Rule | None:
    shown, key = f"tables/{RULES}.csv", str(row["rule"])
    for column in ("limit", "severe_limit"):
        if row[column] and row[column] not in values:
            text = f"rule '{key}' has the unknown term '{row[column]}'"
            faults.append(Fault(text, shown, None, column, nearest_word(str(row[column]), values)))
            return None
    words: tuple[str, ...] = tuple(FIGURES)
    column, word = "subject", str(row["subject"])
    if word in FIGURES:
        words, column, word = FIGURES[word], "figure", str(row["figure"])
    if word not in words:
        text = f"rule '{key}' has the unknown {column} '{word}'"
        faults.append(Fault(text, shown, None, column, nearest_word(word, words)))
        return None
    if row["severity"] == OFF:
        return None
    limit = str(row["limit"])
    return Rule(
        key=key,
        subject=str(row["subject"]),
        figure=str(row["figure"]),
        above=row["compare"] == "above",
        limit=values[limit],
        limit_unit=units[limit],
        severe_limit=values[str(row["severe_limit"])] if row["severe_limit"] else None,
        severity=str(row["severity"]),
        access=str(row["access"]),
        text=str(row["text"]),
        source=str(row["source"]),
        tag=str(row["tag"]),
    )


@cache
def _read_packaged(table: str) -> tuple[pd.DataFrame, list[Fault]]:
    with resources.as_file(resources.files("abatis.programme.ledger").joinpath(f"{table}.csv")) as path:
        return read_table(Path(path), table, f"programme/ledger/{table}.csv")


def _merge(
    study: Study | None, table: str, key: str, faults: list[Fault], only_known: bool = False
) -> pd.DataFrame:
    """Packaged rows of a table, with the study's own rows in place of the same ones and others below."""
    packaged, damaged = _read_packaged(table)
    faults += damaged
    place = study.folder / "tables" / f"{table}.csv" if study is not None else None
    if place is None or not place.is_file():
        return packaged
    shown = f"tables/{table}.csv"
    own, wrong = read_table(place, table, shown)
    faults += wrong
    twice = own[key].duplicated()
    faults += [
        Fault(f"'{own[key][row]}' stands twice", shown, int(str(row)), key, "delete one")
        for row in own.index[twice]
    ]
    known = set(packaged[key])
    if only_known:
        faults += [
            Fault(f"'{word}' is unknown", shown, int(str(row)), key, nearest_word(word, known))
            for row, word in own[key].items()
            if word not in known
        ]
    kept = packaged[~packaged[key].isin(set(own[key]))]
    frames = [frame for frame in (kept, own[~twice]) if len(frame)]
    return pd.concat(frames, ignore_index=True)
