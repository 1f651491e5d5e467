"""A plan as an Excel workbook: figures of abatis, and every sum of them as a formula."""

from __future__ import annotations

import io
import re
import zipfile
from pathlib import Path

from openpyxl import Workbook

from abatis.model.storage import write_whole
from abatis.programme.book_sheets import CENTS, HOURS, PLAIN, Sheet, open_sheet
from abatis.show.results import Results

FIXED_DAY = (2000, 1, 1, 0, 0, 0)
FIXED_STAMP = b"2000-01-01T00:00:00Z"
GUIDE = (
    "Blue cells are figures that abatis wrote. Black cells are formulas. Grey cells are for comparison.",
    "Approaches: hours without and with the plan; the value is their weighted sum, or the least of them.",
    "Sites: what is closed and how, and what it costs in prices of the base year.",
    "Quantities: what each option is made of. What is held in stock is bought by a locked budget line.",
    "Budget: the study's lines with source and tag; tag G is a placeholder.",
    "Checks: sums in this workbook beside what abatis computed.",
)
PUBLIC_GUIDE = (
    "What the public may see of a plan: budget lines, sums, and how many sites are closed.",
    "Places of works and hours are not in this file.",
    "Blue cells are figures that abatis wrote. Black cells are formulas.",
)


def write_workbook(path: Path, results: Results, public: bool) -> None:
    """Write the workbook of a plan, whole or not at all; the same plan gives the same bytes.

    Parameters
    ----------
    path : file to write.
    results : the plan and all that was computed about it.
    public : only budget lines and sums.

    Raises
    ------
    InputError : when the file cannot be written.
    """
    book = Workbook()
    book.remove(book.active)
    guide = open_sheet(book, "Read me", (110,))
    guide.put_title(f"Plan {results.plan.name}: {results.plan.title}")
    for text in PUBLIC_GUIDE if public else GUIDE:
        guide.add(text)
    if public:
        _write_public(open_sheet(book, "Plan", (44, 22, 10)), results)
        _write_budget(open_sheet(book, "Budget", (20, 46, 14, 22, 70, 6)), results)
    else:
        _write_all(book, results)
    book.calculation.fullCalcOnLoad = True
    kept = io.BytesIO()
    book.save(kept)
    with write_whole(path) as temporary:
        temporary.write_bytes(_fix_times(kept.getvalue()))


def _write_all(book: Workbook, results: Results) -> None:
    value = _write_approaches(open_sheet(book, "Approaches", (26, 44, 14, 14, 14, 14)), results)
    cost, count = _write_sites(
        open_sheet(book, "Sites", (10, 22, 44, 10, 10, 44, 20, 20, 20, 14, 14, 14, 16)), results
    )
    _write_quantities(open_sheet(book, "Quantities", (22, 14, 44, 10, 14, 18, 20)), results)
    planned = _write_budget(open_sheet(book, "Budget", (20, 46, 14, 22, 70, 6)), results)
    checks = open_sheet(book, "Checks", (52, 22, 22, 14))
    checks.put_title("Checks")
    checks.put_header(("what", "in this workbook", "by abatis", "agrees"))
    plan = results.plan
    for what, formula, figure, style, slack in (
        ("value of the plan [h]", f"=Approaches!{value}", plan.value_h, HOURS, 1e-6),
        ("cost of the plan [EUR]", f"=Sites!{cost}", plan.cost_eur, CENTS, 0.005),
        ("sites closed", f"=Sites!{count}", len(plan.options), PLAIN, 0),
    ):
        row = checks.row
        verdict = f'=IF(ABS(B{row}-C{row})<={slack},"yes","no")'
        checks.add(what, (formula, style), checks.compare(figure, style), (verdict, PLAIN))
    row = checks.row
    checks.add("budget of the plan [EUR]", checks.compare(plan.budget_eur, CENTS))
    checks.add("cost is within it", (f'=IF(B4<=B{row}+0.005,"yes","no")', PLAIN))
    checks.add("planned budget lines [EUR]", (f"=Budget!{planned}", CENTS))


def _write_approaches(sheet: Sheet, results: Results) -> str:
    """Write hours by approach; returns the cell of the value."""
    plan = results.plan
    sheet.put_title("Hours from the border to each objective, without and with the plan")
    sheet.put_header(("approach", "name", "weight", "before [h]", "with the plan [h]", "gained [h]"))
    first = sheet.row
    for one in plan.approaches:
        row = sheet.row
        figures = (sheet.input(figure, HOURS) for figure in (one.weight, one.before_h, one.after_h))
        sheet.add(one.id, one.name, *figures, (f"=E{row}-D{row}", HOURS))
    last, row = sheet.row - 1, sheet.row
    cells = []
    for letter in "DE":
        span = f"{letter}{first}:{letter}{last}"
        formula = f"=MIN({span})" if plan.objective == "minimum" else f"=SUMPRODUCT(C{first}:C{last},{span})"
        cells.append((formula, HOURS))
    sheet.add(
        "value",
        "least" if plan.objective == "minimum" else "weighted sum",
        "",
        *cells,
        (f"=E{row}-D{row}", HOURS),
    )
    return f"E{row}"


def _write_sites(sheet: Sheet, results: Results) -> tuple[str, str]:
    """Write the chosen sites; returns the cells of their cost and of their number."""
    sheet.put_title("Chosen sites, prices of the base year")
    captions = ("label", "site", "name", "kind", "echelon", "option", "cost [EUR]", "low [EUR]", "high [EUR]")
    hours = ("delay open [h]", "delay road [h]", "delay bridge [h]")
    sheet.put_header((*captions, *hours, "land take [m2]"))
    first = sheet.row
    for one in results.chosen:
        option = one.option
        costs = (option.cost_eur, option.cost_low_eur, option.cost_high_eur)
        delays = (option.delay_open_h, option.delay_road_h, option.delay_bridge_h)
        sheet.add(
            one.label,
            one.site.key,
            one.site.name,
            one.site.kind,
            sheet.input(one.site.echelon),
            option.name,
            *(sheet.input(round(figure, 2), CENTS) for figure in costs),
            *(sheet.input(figure, HOURS) for figure in delays),
            sheet.input(round(option.land_take_m2, 1), "#,##0.0"),
        )
    last, row = sheet.row - 1, sheet.row
    if last < first:
        sheet.add("sum", "", "no site is closed", "", sheet.input(0), "", sheet.input(0.0, CENTS))
        return f"G{row}", f"E{row}"
    sums = [(f"=SUM({letter}{first}:{letter}{last})", CENTS) for letter in "GHI"]
    count = (f'=COUNTIF(G{first}:G{last},">-1")', '0 "sites"')
    land = (f"=SUM(M{first}:M{last})", "#,##0.0")
    sheet.add("sum", "", "", "", count, "", *sums, "", "", "", land)
    return f"G{row}", f"E{row}"


def _write_quantities(sheet: Sheet, results: Results) -> None:
    measures = {str(row["measure"]): row for _, row in results.study.tables["measures"].iterrows()}
    sheet.put_title("What the chosen options are made of, at unit costs of the base year")
    captions = ("site", "measure", "name", "unit", "units", "unit cost [EUR]", "at unit cost [EUR]")
    sheet.put_header(captions)
    first = sheet.row
    for one in results.chosen:
        for key, units in one.option.quantities:
            row, measure = sheet.row, measures[key]
            sheet.add(
                one.site.key,
                key,
                str(measure["name"]),
                str(measure["unit"]),
                sheet.input(float(units), PLAIN),
                sheet.input(float(measure["unit_cost_eur"]), CENTS),
                (f"=ROUND(E{row}*F{row},2)", CENTS),
            )
    if sheet.row > first:
        sheet.add("sum", "", "", "", "", "", (f"=SUM(G{first}:G{sheet.row - 1})", CENTS))


def _write_budget(sheet: Sheet, results: Results) -> str:
    """Write the budget lines; returns the cell of what is planned here."""
    sheet.put_title("Budget lines of the study, nominal EUR")
    sheet.put_header(("line", "name", "planned here", "amount [EUR]", "source", "tag"))
    first = sheet.row
    for _, line in results.study.tables["budget"].iterrows():
        amount = sheet.input(round(float(line["amount_eur"]), 2), CENTS)
        is_planned = "yes" if line["planned"] else "no"
        sheet.add(
            str(line["line"]), str(line["name"]), is_planned, amount, str(line["source"]), str(line["tag"])
        )
    last = sheet.row - 1
    sheet.add("sum", "", "", (f"=SUM(D{first}:D{last})", CENTS))
    sheet.add("planned here", "", "", (f'=SUMIFS(D{first}:D{last},C{first}:C{last},"yes")', CENTS))
    return f"D{sheet.row - 1}"


def _write_public(sheet: Sheet, results: Results) -> None:
    plan = results.plan
    sheet.put_title("The plan in sums")
    sheet.put_header(("what", "value", "unit"))
    for what, figure, unit, style in (
        ("cost", plan.cost_eur, "EUR", CENTS),
        ("budget", plan.budget_eur, "EUR", CENTS),
        ("sites closed", len(plan.options), "", PLAIN),
    ):
        sheet.add(what, sheet.input(figure, style), unit)
    sheet.add("left over", ("=B4-B3", CENTS), "EUR")


def _fix_times(book: bytes) -> bytes:
    """Pack a workbook again with one fixed time everywhere, so that the same figures give the same bytes."""
    packed = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(book)) as source, zipfile.ZipFile(packed, "w") as target:
        for name in source.namelist():
            data = source.read(name)
            if name == "docProps/core.xml":
                data = re.sub(rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", FIXED_STAMP, data)
            entry = zipfile.ZipInfo(name, FIXED_DAY)
            entry.compress_type = zipfile.ZIP_DEFLATED
            target.writestr(entry, data)
    return packed.getvalue()
