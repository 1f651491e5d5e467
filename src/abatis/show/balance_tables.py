"""What `abatis people --balance` found, as tables, kept beside the plan and read again for the report."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from abatis.model.plan import Plan
from abatis.people.balance import WEIGHTED
from abatis.show.beside import keep_rows, read_rows
from abatis.show.tables import Column, Table

WORD = "balance"
LEAST = "least"
NOTE = (
    "Won: hours above those without barriers. No plan that keeps budget, rules and limit wins more than the "
    "bound. People cut off are those of places that lose a hospital, a school or safe ground with all sites "
    "closed; they are counted on the finished plan and do not bind the search."
)


PLAN_COLUMNS = (
    Column("cost_eur", "cost [EUR]", ",.0f"),
    Column("sites", "sites", ",.0f"),
    Column("people_cut_off", "people cut off, all closed", ",.0f"),
)


def lay_out_front(key: str, rows: Sequence[Mapping[str, Any]]) -> Table:
    """Lay out the points of one front, given by the key of its civil cost."""
    first = rows[0]
    unit = f" [{first['unit']}]"
    style = ",.2f" if key == WEIGHTED else ",.1f" if first["unit"] == "ha" else ",.0f"
    columns = (
        Column("limit", f"at most{unit}", style),
        Column("amount", f"taken{unit}", style),
        Column("won_h", "won [h]", ",.2f"),
        Column("bound_won_h", "no plan wins more than [h]", ",.2f"),
        Column("gap_percent", "gap [%]", ",.1f"),
        *PLAN_COLUMNS,
    )
    title = f"Hours against {first['name']} with a budget of EUR {first['budget_eur']:,.0f}"
    note = f"{first['name']} = {first['formula']} (tag {first['tag']}). {NOTE}"
    return Table(title, columns, tuple(rows), note)


def lay_out_least(rows: Sequence[Mapping[str, Any]]) -> Table:
    """Lay out the plans that keep most of the hours at the least civil cost."""
    columns = (
        Column("name", "civil cost"),
        Column("unit", "unit"),
        Column("keep_percent", "hours kept, at least [%]", ",.0f"),
        Column("free_amount", "without a limit", ",.1f"),
        Column("amount", "this plan takes", ",.1f"),
        Column("least_amount", "no such plan takes less than", ",.1f"),
        Column("won_h", "won [h]", ",.2f"),
        *PLAN_COLUMNS,
    )
    return Table("Most of the hours at the least civil cost", columns, tuple(rows), NOTE)


def tabulate_kept(kept: Mapping[str, Sequence[Mapping[str, Any]]]) -> dict[str, Table]:
    """Lay out again what `trace_study_balance` kept beside a plan."""
    return {
        key: lay_out_least(rows) if key == LEAST else lay_out_front(key, rows) for key, rows in kept.items()
    }


def keep_balance(place: Path, plan: Plan, tables: Mapping[str, Table]) -> None:
    """Write what was traced beside a plan."""
    keep_rows(place, WORD, _name_state(plan), tables)


def read_balance(place: Path, plan: Plan) -> tuple[dict[str, list[dict[str, Any]]] | None, str]:
    """Read what was traced beside a plan; None, and why, when there is nothing of this plan."""
    rows, why = read_rows(place, WORD, _name_state(plan))
    if rows is None and not (place / f"{WORD}.json").is_file():
        why = f"not computed: abatis people STUDY --plan {plan.name} --balance all"
    return rows, why


def _name_state(plan: Plan) -> str:
    """Fingerprint of study state, budget and options: another plan of that name has another."""
    chosen = sorted((one.site, one.option) for one in plan.options)
    words = json.dumps([plan.study_hash, plan.budget_eur, chosen])
    return hashlib.sha256(words.encode()).hexdigest()
