"""Two plans side by side: what differs in inputs, in choices and in results."""

from __future__ import annotations

import csv
import tomllib
from pathlib import Path
from typing import Any

from abatis.model.errors import Fault, InputError
from abatis.model.fields import KEYED_TABLES
from abatis.model.plan import BY_HAND, Plan, read_plan
from abatis.show.tables import Column, Table


def compare_plans(folder_a: Path, folder_b: Path) -> dict[str, Table]:
    """Compare two plan folders.

    Parameters
    ----------
    folder_a, folder_b : folders with `plan.json`.

    Returns
    -------
    Tables `results`, `choices` and `inputs`; the last two list differences only.

    Raises
    ------
    InputError : when a folder holds no plan.
    """
    plan_a, plan_b = read_plan(folder_a), read_plan(folder_b)
    name_a, name_b = _name_plans(folder_a, folder_b)
    return {
        "results": _compare_results(plan_a, plan_b, name_a, name_b),
        "choices": _compare_choices(plan_a, plan_b, name_a, name_b),
        "inputs": _compare_inputs(plan_a, plan_b, folder_a, folder_b, name_a, name_b),
    }


def _name_plans(folder_a: Path, folder_b: Path) -> tuple[str, str]:
    path_a, path_b = folder_a.resolve(), folder_b.resolve()
    if path_a.name != path_b.name:
        return path_a.name, path_b.name
    return f"{path_a.parent.parent.name}/{path_a.name}", f"{path_b.parent.parent.name}/{path_b.name}"


def _compare_results(plan_a: Plan, plan_b: Plan, name_a: str, name_b: str) -> Table:
    rows: list[dict[str, Any]] = []

    def add(key: str, text: str, a: float | None, b: float | None) -> None:
        difference = None if a is None or b is None else b - a
        rows.append({"what": key, "text": text, "a": a, "b": b, "difference": difference})

    add("value_h", "value with the plan [h]", plan_a.value_h, plan_b.value_h)
    add("before_h", "value before [h]", plan_a.before_h, plan_b.before_h)
    add(
        "bound_h", "best possible, at most [h]", *(_find_proven(one, one.bound_h) for one in (plan_a, plan_b))
    )
    add("gap_percent", "gap [%]", *(_find_proven(one, 100 * one.gap) for one in (plan_a, plan_b)))
    add("cost_meur", "cost [EUR million]", plan_a.cost_eur / 1e6, plan_b.cost_eur / 1e6)
    add("sites", "sites chosen", len(plan_a.options), len(plan_b.options))
    after_a = {one.id: one for one in plan_a.approaches}
    after_b = {one.id: one for one in plan_b.approaches}
    for key in dict.fromkeys([*after_a, *after_b]):
        a, b = after_a.get(key), after_b.get(key)
        one = a or b
        assert one is not None
        add(
            f"after_h:{key}",
            f"{one.name}, with the plan [h]",
            a.after_h if a else None,
            b.after_h if b else None,
        )
    columns = (
        Column("text", "result"),
        Column("a", name_a, ",.2f"),
        Column("b", name_b, ",.2f"),
        Column("difference", "difference", "+,.2f"),
    )
    return Table("Results", columns, tuple(rows))


def _find_proven(plan: Plan, value: float) -> float | None:
    """Return a number that a certificate proves; None for a plan made by hand, which has none."""
    return None if plan.status == BY_HAND else value


def _compare_choices(plan_a: Plan, plan_b: Plan, name_a: str, name_b: str) -> Table:
    chosen_a = {one.site: one for one in plan_a.options}
    chosen_b = {one.site: one for one in plan_b.options}
    rows = []
    for site in sorted({*chosen_a, *chosen_b}):
        a, b = chosen_a.get(site), chosen_b.get(site)
        if a is not None and b is not None and (a.option, a.cost_eur) == (b.option, b.cost_eur):
            continue
        rows.append(
            {
                "site": site,
                "a": a.option if a else None,
                "b": b.option if b else None,
                "cost_a_eur": a.cost_eur if a else None,
                "cost_b_eur": b.cost_eur if b else None,
            }
        )
    columns = (
        Column("site", "site"),
        Column("a", f"option in {name_a}"),
        Column("b", f"option in {name_b}"),
        Column("cost_a_eur", f"cost in {name_a} [EUR]", ",.0f"),
        Column("cost_b_eur", f"cost in {name_b} [EUR]", ",.0f"),
    )
    same = sum(1 for site in chosen_a if site in chosen_b and chosen_a[site].option == chosen_b[site].option)
    return Table(
        "Choices that differ", columns, tuple(rows), f"{same} sites are closed the same way in both plans."
    )


def _compare_inputs(
    plan_a: Plan, plan_b: Plan, folder_a: Path, folder_b: Path, name_a: str, name_b: str
) -> Table:
    rows: list[dict[str, Any]] = []
    for key in ("budget_eur", "objective", "seed", "status", "version", "study_hash"):
        a, b = getattr(plan_a, key), getattr(plan_b, key)
        if a != b:
            rows.append({"file": "plan.json", "key": key, "a": a, "b": b})
    study_a, study_b = folder_a.resolve().parent.parent, folder_b.resolve().parent.parent
    if study_a != study_b:
        rows += _compare_studies(study_a, study_b)
    note = ""
    if plan_a.study_hash != plan_b.study_hash and study_a == study_b:
        note = (
            "The study was changed between the two plans; its earlier state is not kept, only its checksum."
        )
    columns = (Column("file", "file"), Column("key", "what"), Column("a", name_a), Column("b", name_b))
    return Table("Inputs that differ", columns, tuple(rows), note)


def _compare_studies(study_a: Path, study_b: Path) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    names = sorted(
        {
            path.relative_to(study).as_posix()
            for study in (study_a, study_b)
            for path in study.glob("tables/*.csv")
        }
        | {"sources/sources.csv"}
    )
    settings = [_read_settings(study) for study in (study_a, study_b)]
    for key in sorted({*settings[0], *settings[1]}):
        a, b = settings[0].get(key), settings[1].get(key)
        if a != b:
            rows.append({"file": "study.toml", "key": key, "a": a, "b": b})
    for name in names:
        lines_a, lines_b = _read_lines(study_a / name), _read_lines(study_b / name)
        for key in sorted({*lines_a, *lines_b}):
            a, b = lines_a.get(key), lines_b.get(key)
            if a is None or b is None:
                rows.append(
                    {"file": name, "key": key, "a": "there" if a else None, "b": "there" if b else None}
                )
                continue
            rows += [
                {"file": name, "key": f"{key}: {column}", "a": a.get(column), "b": b.get(column)}
                for column in dict.fromkeys([*a, *b])
                if a.get(column) != b.get(column)
            ]
    return rows


def _read_settings(study: Path) -> dict[str, Any]:
    path = study / "study.toml"
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        remedy = "the plans' studies are compared too: keep plans in STUDY/plans/NAME"
        raise InputError([Fault(f"cannot be read: {error}", str(path), remedy=remedy)]) from error
    flat: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, dict):
            flat |= {f"{key}.{inner}": one for inner, one in value.items()}
        else:
            flat[key] = value
    return flat


def _read_lines(path: Path) -> dict[str, dict[str, str]]:
    """Read a table keyed by its first column (speeds, crossings, classes: by their key columns)."""
    if not path.exists():
        return {}
    text = path.read_text(encoding="utf-8-sig")
    columns = KEYED_TABLES.get(path.stem, ("layer", "file"))
    return {
        " ".join(line.get(column) or "" for column in columns): dict(line)
        for line in csv.DictReader(text.splitlines())
    }
