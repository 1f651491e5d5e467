"""Splits of the money as the study's author writes them: tables/splits.csv and tables/split_options.csv."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace

import pandas as pd

from abatis.barrier.options import read_ways
from abatis.model.errors import Fault, InputError, nearest_word
from abatis.model.study import Study, hash_study
from abatis.programme.split import Split

PLACE, WAYS = "tables/splits.csv", "tables/split_options.csv"
WATCH = "watch"
MEASURES = ("open_measure", "road_measure", "bridge_measure")
RESTS_ON = ("splits", "split_options", "risks", "risk_correlations")


def widen_study(study: Study) -> Study:
    """Return the study as a split sees it: with the ways of split_options.csv, and no stock paid elsewhere.

    In words: in a split every euro stands in a family, so a reserve belt is paid by its family and no other
    line; options of both tables may close a site.

    Raises
    ------
    InputError : ways of split_options.csv that cannot be, or stand in options.csv too.
    """
    ways, options = study.tables["split_options"], study.tables["options"]
    faults = [
        Fault(f"'{row['option']}' stands in tables/options.csv already", WAYS, int(str(number)), "option")
        for number, row in ways.iterrows()
        if row["option"] in set(options["option"])
    ]
    try:
        read_ways(replace(study, tables={**study.tables, "options": ways}))
    except InputError as error:
        faults += [replace(one, file=WAYS) for one in error.faults]
    if faults:
        raise InputError(faults)
    both = pd.concat([options, ways[options.columns]]) if len(ways) else options
    tables = {**study.tables, "options": both, "stocks": study.tables["stocks"].iloc[:0]}
    return replace(study, tables=tables)


def read_splits(study: Study) -> tuple[Split, ...]:
    """Read the splits of the money that are to be compared; the first one leads.

    Parameters
    ----------
    study : its tables splits, options and split_options.

    In words: a family's measures may be written once; a split without a row for a family gives it nothing.

    Raises
    ------
    InputError : all faults at once: fewer than two splits, unknown measures, a family with two lists of
        measures or none, a measure of two families, a family that no option uses, measures to watch with.
    """
    table = study.tables["splits"]
    keys = list(dict.fromkeys(table["split"]))
    if len(keys) < 2:
        text = f"has {len(keys)} split{'s' * (len(keys) != 1)}: nothing to compare"
        raise InputError([Fault(text, PLACE, None, "split", "add rows, or name plans with --plans")])
    faults: list[Fault] = []
    families = _read_families(study, table, faults)
    faults += _check_families(study, table, families)
    if faults:
        raise InputError(faults)
    splits = []
    for key in keys:
        rows = table[table["split"] == key]
        money = {str(row["family"]): float(row["amount_eur"]) for _, row in rows.iterrows()}
        splits.append(
            Split(
                str(key),
                families,
                {family: money.get(family, 0.0) for family in families},
                money.get(WATCH, 0.0),
            )
        )
    return tuple(splits)


def _read_families(study: Study, table: pd.DataFrame, faults: list[Fault]) -> dict[str, tuple[str, ...]]:
    known = list(study.tables["measures"]["measure"])
    families: dict[str, tuple[str, ...]] = {}
    for number, row in table.iterrows():
        family, measures, line = str(row["family"]), tuple(row["measures"]), int(str(number))
        if family == WATCH:
            if measures:
                text = "money to watch sites buys no measures"
                faults.append(Fault(text, PLACE, line, "measures", "leave it empty, or rename the family"))
            continue
        faults += [
            Fault(f"'{one}' is no measure", PLACE, line, "measures", nearest_word(one, known))
            for one in measures
            if one not in known
        ]
        before = families.get(family, ())
        if measures and before and set(measures) != set(before):
            text = f"family '{family}' is {' '.join(before)} in another row"
            faults.append(Fault(text, PLACE, line, "measures", "write the same measures, or leave it empty"))
        families[family] = before or measures
    return families


def _check_families(
    study: Study, table: pd.DataFrame, families: dict[str, tuple[str, ...]]
) -> Sequence[Fault]:
    faults = []
    used = {one for name in ("options", "split_options") for c in MEASURES for one in study.tables[name][c]}
    owner: dict[str, str] = {}
    for family, measures in families.items():
        line = int(str(table.index[table["family"] == family][0]))
        if not measures:
            text = f"family '{family}' has no measures"
            faults.append(Fault(text, PLACE, line, "measures", "name them in one of its rows"))
        elif not set(measures) & used:
            text = f"no way to close a site uses {' or '.join(measures)}"
            faults.append(Fault(text, PLACE, line, "measures", f"add a row to {WAYS}"))
        for one in measures:
            if owner.setdefault(one, family) != family:
                text = f"'{one}' is of family '{owner[one]}' too"
                faults.append(Fault(text, PLACE, line, "measures", "name every measure in one family"))
    return faults


def mark_splits(study: Study) -> str:
    """Return a fingerprint of all that a comparison of splits rests on."""
    digest = hashlib.sha256(hash_study(study).encode())
    for name in RESTS_ON:
        path = study.folder / "tables" / f"{name}.csv"
        digest.update(path.read_bytes() if path.exists() else b"none")
    return digest.hexdigest()
