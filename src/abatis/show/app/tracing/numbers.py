"""Tracing numbers of plans, programmes, civil accounts and the ledger to what they are made of."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from abatis.barrier.options import SiteOption
from abatis.model.plan import Plan
from abatis.model.study import Study
from abatis.programme.ledger.records import Record
from abatis.show.app.answers.tables import plain_value
from abatis.show.app.answers.trace import InputAnswer, TraceAnswer, trace_id
from abatis.show.app.loaded import Snapshot
from abatis.show.app.tracing.tables import keep, point_at, point_at_table
from abatis.show.app.tracing.words import find_words
from abatis.show.app.views.ledger import LedgerSnapshot
from abatis.show.civil_figures import join_tags
from abatis.show.programme import Programme

MOST_INPUTS = 60
TABLE_NAME = re.compile(r"(?<![a-z/])(?:tables/)?([a-z_]+)\.csv")
LAYER_NAMES = re.compile(r"(?<!no )layers? ([a-z_]+(?:, [a-z_]+)*) \(")
GROUND_TABLES = ("vehicles", "speeds", "soils", "crossings")


@dataclass(frozen=True)
class Ground:
    """What tracing reads: the study's state, and the ledger (None where there is none), as seen by whom."""

    now: Snapshot
    ledger: LedgerSnapshot | None
    public: bool

    @property
    def study(self) -> Study:
        """The study."""
        return self.now.study


def trace_plan(ground: Ground, plan: Plan, parts: Sequence[str]) -> TraceAnswer | None:
    """Trace a figure of a plan: its totals, an approach, or an option."""
    if len(parts) == 1:
        return _trace_total(ground, plan, parts[0])
    if len(parts) == 3 and parts[0] == "approach":
        return _trace_approach(ground, plan, parts[1], parts[2])
    if len(parts) == 3 and parts[0] == "option":
        return _trace_option(ground, plan, parts[1], parts[2])
    return None


def _trace_total(ground: Ground, plan: Plan, figure: str) -> TraceAnswer | None:
    words = find_words("plan", figure)
    if words is None:
        return None
    study, inputs = ground.study, []
    if figure in ("value_h", "before_h", "bound_h", "gap"):
        hours = "before_h" if figure == "before_h" else "after_h"
        inputs += [
            InputAnswer(
                of=trace_id("plan", plan.name, "approach", one.id, hours),
                what=f"arrival time of {one.name}, weight {one.weight:.3f}",
                value=plain_value(getattr(one, hours)),
                unit="h",
            )
            for one in plan.approaches
        ]
    if figure in ("bound_h", "gap"):
        inputs.append(_point_at_total(plan, "value_h"))
        inputs.append(_point_at_total(plan, "budget_eur"))
    if figure == "cost_eur":
        inputs += [
            _point_at_option(ground, plan, one.site, one.option, one.name, one.cost_eur)
            for one in plan.options
        ]
    if figure == "budget_eur":
        lines = study.tables["budget"]
        inputs += keep(
            point_at(study, "budget", str(line), "amount_eur") for line in lines[lines["planned"]]["line"]
        )
    tags = [one.tag for one in inputs if one.tag] or _list_ground_tags(study, plan)
    return TraceAnswer(
        of=trace_id("plan", plan.name, figure),
        what=f"plan {plan.name}: {words.what}",
        value=plain_value(getattr(plan, figure)),
        unit=words.unit,
        formula=words.formula,
        source=f"plans/{plan.name}/plan.json, proven by certificate.json; seed {plan.seed}",
        tag=join_tags(tags),
        inputs=inputs,
        records=_find_budget_records(ground, None) if figure == "budget_eur" else [],
    )


def _point_at_total(plan: Plan, figure: str) -> InputAnswer:
    words = find_words("plan", figure)
    assert words is not None
    return InputAnswer(
        of=trace_id("plan", plan.name, figure),
        what=words.what,
        value=plain_value(getattr(plan, figure)),
        unit=words.unit,
    )


def _point_at_option(
    ground: Ground, plan: Plan, site: str, option: str, name: str, cost_eur: float
) -> InputAnswer:
    return InputAnswer(
        of=trace_id("plan", plan.name, "option", f"{site}/{option}", "cost_eur"),
        what=f"site {ground.now.labels.get(site, site)}: {name}",
        value=cost_eur,
        unit="EUR",
    )


def _list_ground_tags(study: Study, plan: Plan) -> list[str]:
    """Tags of what arrival times rest on: speeds and vehicles, and the measures that delay."""
    tables = (*GROUND_TABLES, *(("measures", "options") if plan.options else ()))
    return [str(tag) for name in tables if "tag" in study.tables[name] for tag in study.tables[name]["tag"]]


def _trace_approach(ground: Ground, plan: Plan, key: str, figure: str) -> TraceAnswer | None:
    found = next((one for one in plan.approaches if one.id == key), None)
    words = find_words("approach", figure)
    if found is None or words is None:
        return None
    study = ground.study
    row = study.find_row("approaches", key)
    vehicle = str(row["vehicle"])
    inputs = [
        point_at(study, "approaches", key, "weight"),
        point_at(study, "approaches", key, "objective"),
        point_at(study, "approaches", key, "front"),
        point_at(study, "vehicles", vehicle, "name"),
    ]
    if figure != "weight":
        inputs += [point_at_table(study, table) for table in GROUND_TABLES]
        inputs += [
            InputAnswer(
                of=trace_id("source", layer), what=f"layer {layer}", file="sources/sources.csv", key=layer
            )
            for layer in dict.fromkeys(str(one) for one in study.sources["layer"])
            if layer in ("roads", "rivers", "water", "elevation", "land_cover", "forest", "wetland", "soils")
        ]
    if figure == "after_h":
        inputs += [
            _point_at_option(ground, plan, one.site, one.option, one.name, one.cost_eur)
            for one in plan.options
        ][: MOST_INPUTS - len(inputs)]
    kept = keep(inputs)
    return TraceAnswer(
        of=trace_id("plan", plan.name, "approach", key, figure),
        what=f"{found.name}: {words.what}",
        value=plain_value(getattr(found, figure)),
        unit=words.unit,
        formula=words.formula,
        source=f"plans/{plan.name}/plan.json",
        tag=join_tags(_list_ground_tags(study, plan) if figure != "weight" else [str(row["tag"])]),
        inputs=kept,
    )


def _trace_option(ground: Ground, plan: Plan, key: str, figure: str) -> TraceAnswer | None:
    chosen = next((one for one in plan.options if f"{one.site}/{one.option}" == key), None)
    words = find_words("option", figure)
    row = ground.now.option_row.get((chosen.site, chosen.option)) if chosen is not None else None
    if chosen is None or words is None or row is None:
        return None
    option: SiteOption = ground.now.siting.options[row]
    study, inputs = ground.study, []
    for measure, units in option.quantities:
        found = point_at(study, "measures", measure, "unit_cost_eur")
        if found is not None:
            unit = str(study.find_row("measures", measure)["unit"])
            inputs.append(found.model_copy(update={"what": f"{units:,.4g} {unit} of {found.what}"}))
    inputs += keep([point_at(study, "options", option.option, "name", "way to close: what is built where")])
    works = _find_work_records(ground, option.site)
    return TraceAnswer(
        of=trace_id("plan", plan.name, "option", key, figure),
        what=f"{option.name} at site {option.site}: {words.what}",
        value=chosen.cost_eur,
        unit=words.unit,
        formula=words.formula,
        source=f"plans/{plan.name}/options.csv; lengths of the mesh",
        tag=join_tags(one.tag for one in inputs if one.tag),
        records=[one.seq for one in works],
        inputs=inputs,
    )


def _list_records(ground: Ground, kind: str) -> list[Record]:
    return ground.ledger.select(kind, "", False, ground.public) if ground.ledger is not None else []


def _find_work_records(ground: Ground, site: str) -> list[Record]:
    return [one for one in _list_records(ground, "work") if one.body.get("site") == site]


def _find_budget_records(ground: Ground, line: str | None) -> list[int]:
    """Numbers of the records that state money of a line (of any planned line when None) of home countries."""
    lines = ground.study.tables["budget"]
    wanted = {line} if line is not None else {str(one) for one in lines[lines["planned"]]["line"]}
    return [
        one.seq
        for one in _list_records(ground, "budget")
        if one.body.get("line") in wanted and one.body.get("country") in ground.study.home
    ][:MOST_INPUTS]


def trace_programme(ground: Ground, programme: Programme, parts: Sequence[str]) -> TraceAnswer | None:
    """Trace a figure of a programme: of a line over all years, or of a year."""
    if len(parts) == 3 and parts[0] == "line":
        return _trace_line(ground, programme, parts[1], parts[2])
    if len(parts) == 3 and parts[0] == "year" and parts[1].isdecimal():
        return _trace_year(ground, programme, int(parts[1]), parts[2])
    return None


def _trace_line(ground: Ground, programme: Programme, line: str, figure: str) -> TraceAnswer | None:
    schedule, funding = programme.schedule, programme.terms.funding
    words = find_words("line", figure)
    if line not in schedule.lines or words is None:
        return None
    row, name = schedule.lines.index(line), programme.plan.name
    amounts = {
        "money_eur": funding.money_eur,
        "nominal_eur": schedule.nominal_eur,
        "base_eur": schedule.spend_eur,
    }
    one = funding.lines[row]
    inputs = [
        InputAnswer(
            of=trace_id("programme", name, "year", year, line),
            what=f"{one.name}, {year}",
            value=float(schedule.nominal_eur[row, place]),
            unit="EUR",
        )
        for place, year in enumerate(schedule.years.tolist())
    ]
    return TraceAnswer(
        of=trace_id("programme", name, "line", line, figure),
        what=f"{one.name}: {words.what}",
        value=float(amounts[figure][row].sum()),
        unit=words.unit,
        formula=words.formula,
        source=one.source,
        tag=one.tag if figure == "money_eur" else _tag_line(ground, programme, row),
        records=_find_budget_records(ground, line),
        inputs=[
            *_point_at_money(ground.study, programme, line),
            *(inputs if figure == "nominal_eur" else []),
        ],
    )


def _point_at_money(study: Study, programme: Programme, line: str) -> list[InputAnswer]:
    """The rows that say how much money a line has."""
    years = study.tables["budget_years"]
    keys = [f"{line}|{year}" for year in years[years["line"] == line]["year"]] if len(years) else []
    budget = programme.terms.funding.budget
    return keep(
        [
            point_at(study, "budgets", f"{budget}|{line}", "amount_eur")
            or point_at(study, "budget", line, "amount_eur"),
            *(point_at(study, "budget_years", key, "amount_eur") for key in keys),
        ]
    )


def _trace_year(ground: Ground, programme: Programme, year: int, figure: str) -> TraceAnswer | None:
    if year not in programme.schedule.years.tolist() or figure == "line":
        return None
    is_line = figure in programme.schedule.lines
    words = find_words("year", "line" if is_line else figure)
    if words is None:
        return None
    place = programme.schedule.years.tolist().index(year)
    make = _find_line_year if is_line else _find_total_year if figure == "total" else _find_hours_year
    found = make(ground, programme, year, place, figure)
    more = f" The first {MOST_INPUTS} of {len(found.inputs)} inputs are listed."
    return found.model_copy(
        update={
            "of": trace_id("programme", programme.plan.name, "year", year, figure),
            "what": f"{found.what}{year}: {words.what}",
            "unit": words.unit,
            "formula": words.formula + (more if len(found.inputs) > MOST_INPUTS else ""),
            "inputs": found.inputs[:MOST_INPUTS],
        }
    )


def _find_line_year(ground: Ground, programme: Programme, year: int, place: int, figure: str) -> TraceAnswer:
    row = programme.schedule.lines.index(figure)
    line = programme.terms.funding.lines[row]
    return TraceAnswer(
        of="",
        what=f"{line.name}, ",
        value=float(programme.schedule.nominal_eur[row, place]),
        source=f"plans/{programme.plan.name}/schedule.json; {line.source}",
        tag=_tag_line(ground, programme, row),
        records=_find_budget_records(ground, figure),
        inputs=[
            *_point_at_money(ground.study, programme, figure),
            *_list_works(ground, programme, year, row),
        ],
    )


def _find_total_year(ground: Ground, programme: Programme, year: int, place: int, figure: str) -> TraceAnswer:
    inputs = [
        InputAnswer(
            of=trace_id("programme", programme.plan.name, "year", year, one.key),
            what=one.name,
            value=float(programme.schedule.nominal_eur[row, place]),
            unit="EUR",
            tag=_tag_line(ground, programme, row),
        )
        for row, one in enumerate(programme.terms.funding.lines)
    ]
    return TraceAnswer(
        of="",
        what="",
        value=float(programme.schedule.nominal_eur[:, place].sum()),
        source=f"plans/{programme.plan.name}/schedule.json; {figure} of the lines below",
        tag=join_tags(one.tag for one in inputs),
        inputs=inputs,
    )


def _find_hours_year(ground: Ground, programme: Programme, year: int, place: int, figure: str) -> TraceAnswer:
    schedule = programme.schedule
    return TraceAnswer(
        of="",
        what="",
        value=float((schedule.value_h if figure == "held_h" else schedule.bound_h)[place]),
        source=f"plans/{programme.plan.name}/schedule.json",
        tag=join_tags(_list_ground_tags(ground.study, programme.plan)),
        inputs=_list_standing(ground, programme, year),
    )


def _tag_line(ground: Ground, programme: Programme, row: int) -> str:
    """Tag of what a line spends: of its money, and where works are paid from it, of their measures too."""
    line, terms = programme.terms.funding.lines[row], programme.terms
    if not any(row in members for members in terms.funding.funds):
        return line.tag
    measures = ground.study.tables["measures"].set_index("measure")["tag"]
    options = [programme.siting.options[one] for one in terms.options.tolist()]
    used = {measure for option in options for measure, _ in option.quantities}
    return join_tags([line.tag, *(str(measures[one]) for one in used)])


def _list_works(ground: Ground, programme: Programme, year: int, line: int) -> list[InputAnswer]:
    """Works in the year that the fund of a line pays."""
    schedule, terms = programme.schedule, programme.terms
    funds = [number for number, members in enumerate(terms.funding.funds) if line in members]
    found = []
    for row, (start, finish) in enumerate(
        zip(schedule.start_year.tolist(), schedule.finish_year.tolist(), strict=True)
    ):
        paid = float(terms.full_cost_eur[row, funds].sum()) if funds else 0.0
        if 0 <= start <= year <= finish and paid > 0:
            site, _, option = terms.option_keys[row].rpartition("/")
            found.append(
                _point_at_option(ground, programme.plan, site, option, f"{option}, {start}-{finish}", paid)
            )
    return found


def _list_standing(ground: Ground, programme: Programme, year: int) -> list[InputAnswer]:
    """Works that stand at the end of the year, the newest first."""
    schedule, terms = programme.schedule, programme.terms
    rows = [row for row, finish in enumerate(schedule.finish_year.tolist()) if 0 <= finish <= year]
    rows.sort(key=lambda row: -int(schedule.finish_year[row]))
    found = []
    for row in rows:
        site, _, option = terms.option_keys[row].rpartition("/")
        words = f"{option}, stands since the end of {int(schedule.finish_year[row])}"
        found.append(
            _point_at_option(
                ground, programme.plan, site, option, words, float(terms.full_cost_eur[row].sum())
            )
        )
    return found


def trace_figure(ground: Ground, plan_name: str, figure: dict[str, Any]) -> TraceAnswer:
    """Trace a number of the civil account: it carries its own formula, source and tag.

    Parameters
    ----------
    ground : what tracing reads. plan_name : name of the plan. figure : the row of the account's table.
    """
    source, study = str(figure["source"]), ground.study
    tables = dict.fromkeys(TABLE_NAME.findall(source))
    if "hazard register" in source:
        tables |= dict.fromkeys(("hazards", "clearance_terms"))
    inputs = keep(point_at_table(study, table) for table in tables)
    layers = [one for names in LAYER_NAMES.findall(source) for one in names.split(", ")]
    inputs += [
        InputAnswer(
            of=trace_id("source", layer), what=f"layer {layer}", file="sources/sources.csv", key=layer
        )
        for layer in dict.fromkeys(layers)
        if len(study.source_rows(layer))
    ]
    return TraceAnswer(
        of=trace_id("people", plan_name, "figure", figure["key"]),
        what=str(figure["name"]),
        value=figure["value"],
        unit=str(figure["unit"]),
        formula=str(figure["formula"]),
        source=source,
        tag=str(figure["tag"]),
        inputs=inputs,
    )


def trace_record(ground: Ground, seq: int) -> TraceAnswer | None:
    """Trace a record of the ledger: what it says, its source, and what was recorded of the same thing."""
    record = ground.ledger.find(seq, ground.public) if ground.ledger is not None else None
    if record is None or ground.ledger is None:
        return None
    history = ground.ledger.select(record.kind, record.key, True, ground.public)
    return TraceAnswer(
        of=trace_id("record", seq),
        what=f"record {seq}: {record.kind} {record.key}",
        value=plain_value(dict(record.body)),
        formula=f"recorded {record.recorded_at} by {record.author}; of {record.on}",
        source=record.source,
        tag=record.tag,
        records=[seq],
        inputs=[point_at_record(one) for one in history if one.seq != seq][:MOST_INPUTS],
    )


def point_at_record(record: Record) -> InputAnswer:
    """Return the input that a record is."""
    return InputAnswer(
        of=trace_id("record", record.seq),
        what=f"record {record.seq} of {record.on}: {record.kind} {record.key}; {record.source}",
        tag=record.tag,
        key=str(record.seq),
    )
