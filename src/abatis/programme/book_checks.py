"""Sheets of the programme's workbook that weigh it: hours, economy, and checks against abatis."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from abatis.barrier.options import list_stocked
from abatis.barrier.sites import Siting
from abatis.model.plan import Plan
from abatis.model.study import Study
from abatis.programme.afford import Affordability
from abatis.programme.book_sheets import CENTS, HOURS, PLAIN, SHARE, Sheet, letter_of
from abatis.programme.schedule import Schedule
from abatis.programme.terms import Terms

FIRST_YEAR = 4
FIRST_PAID = 6
HALF_CENT = 0.005
BASE_YEAR, INDEXATION, DISCOUNT, CARRY = (f"Settings!$B${row}" for row in (3, 4, 5, 6))

Check = tuple[str, str, float]


@dataclass(frozen=True)
class BookInput:
    """What a workbook is made of: a study, its plan, terms and schedule, and its affordability."""

    study: Study
    plan: Plan
    siting: Siting
    terms: Terms
    schedule: Schedule
    affordability: Affordability

    @property
    def years(self) -> list[int]:
        """Calendar years of the programme."""
        found: list[int] = self.terms.years.tolist()
        return found

    @property
    def year_letters(self) -> list[str]:
        """Column letters of the years on the sheet Years."""
        return [letter_of(FIRST_YEAR + place) for place in range(len(self.years))]

    def list_measures(self, row: int) -> list[str]:
        """Measures of an option of the plan, the cheapest part first."""
        return [measure for measure, _ in self.list_parts(row)]

    def list_parts(self, row: int) -> list[tuple[str, float]]:
        """Measures and units of an option, the cheapest part first, without what stands in stock."""
        table = self.study.tables["measures"]
        unit = dict(zip(table["measure"], table["unit_cost_eur"], strict=True))
        stocked = list_stocked(self.study)
        parts = self.siting.options[self.terms.options[row]].quantities
        paid = [pair for pair in parts if pair[0] not in stocked]
        return sorted(paid, key=lambda pair: unit[pair[0]] * pair[1])

    @property
    def fund_names(self) -> list[str]:
        """Name of every fund: its lines joined by a plus."""
        lines = self.terms.funding.lines
        return ["+".join(lines[line].key for line in members) for members in self.terms.funding.funds]


@dataclass(frozen=True)
class YearRows:
    """Row numbers on the sheet Years."""

    index: int
    weight: int
    nominal: tuple[int, ...]
    base: tuple[int, ...]
    available: dict[int, int]
    total_nominal: int
    total_base: int


def write_hours(sheet: Sheet, given: BookInput, rows: YearRows) -> str:
    """Write hours by approach as figures and their value by formula; returns the cell of their sum."""
    problem, letters = given.siting.problem, given.year_letters
    sheet.put_title(
        "Arrival times at the end of each year, hours (figures of abatis; the weighing by formula)"
    )
    sheet.put_header(("approach", "weight", "unit", *given.years))
    first = sheet.row
    for row, key in enumerate(problem.approach_keys):
        weight = sheet.input(float(problem.approach_weight[row]), PLAIN)
        sheet.add(key, weight, "h", *(sheet.compare(float(h), HOURS) for h in given.schedule.held_h[row]))
    last = sheet.row - 1
    if problem.objective == "minimum":
        cells = [f"=MIN({x}{first}:{x}{last})" for x in letters]
    else:
        cells = [f"=SUMPRODUCT($B{first}:$B{last},{x}{first}:{x}{last})" for x in letters]
    value = sheet.add_years("hours held", "", "h", cells, HOURS, False)
    sheet.add("before the programme", "", "h", sheet.compare(float(given.schedule.before_h), HOURS))
    at = sheet.row
    weights = f"Years!{letters[0]}{rows.weight}:{letters[-1]}{rows.weight}"
    sheet.add(
        "discounted hours held",
        "",
        "h",
        (f"=SUMPRODUCT({weights},{letters[0]}{value}:{letters[-1]}{value})", HOURS),
    )
    return f"Hours!D{at}"


def write_economy(sheet: Sheet, given: BookInput, rows: YearRows) -> None:
    """Write the programme against GDP and defence money by year, EU money, and duties that remain."""
    table = {int(row["year"]): row for _, row in given.study.tables["economy"].iterrows()}
    sheet.put_title("Programme against the economy, nominal EUR")
    captions: tuple[str, ...] = ("year", "programme [EUR]", "GDP [EUR]", "defence, low [share of GDP]")
    captions += ("defence [share of GDP]", "defence, high [share of GDP]", "defence money [EUR]")
    captions += ("share of it", "least", "most", "share of GDP", "tag", "source")
    sheet.put_header(captions)
    for place, year in enumerate(given.years):
        at = sheet.row
        spent = (f"=Years!{given.year_letters[place]}{rows.total_nominal}", CENTS)
        if year not in table:
            sheet.add(year, spent)
            continue
        row = table[year]
        shares = [sheet.input(float(row[f"defence_{x}share"]), SHARE) for x in ("low_", "", "high_")]
        ratio = [(f'=IF(C{at}*{x}{at}=0,"",B{at}/(C{at}*{x}{at}))', SHARE) for x in "EFD"]
        gdp = sheet.input(float(row["gdp_eur"]), CENTS)
        money = (f"=C{at}*E{at}", CENTS)
        part = (f"=B{at}/C{at}", SHARE)
        sheet.add(year, spent, gdp, *shares, money, *ratio, part, row["tag"], row["source"])
    sheet.add()
    sheet.add("EU money [EUR]", "", "kind", "certain", "tag", "source")
    first = sheet.row
    for _, one in given.study.tables["eu_money"].iterrows():
        amount = sheet.input(float(one["amount_eur"]), CENTS)
        certain = "yes" if one["certain"] else "no"
        sheet.add(one["name"], amount, one["kind"], certain, one["tag"], one["source"])
    total = f"Years!{letter_of(FIRST_YEAR + len(given.years))}{rows.total_nominal}"
    summed = f"SUM(B{first}:B{sheet.row - 1})" if sheet.row > first else "0"
    sheet.add("share of all lines", (f"=IF({total}=0,0,{summed}/{total})", SHARE))
    sheet.add()
    sheet.add("Duties that remain [EUR, prices of the base year]", "expected", "low", "high", "tag", "source")
    for duty in given.affordability.liabilities:
        amounts = (duty.amount_eur, duty.low_eur, duty.high_eur)
        sheet.add(duty.name, *(sheet.compare(one, CENTS) for one in amounts), duty.tag, duty.source)


def write_checks(sheet: Sheet, given: BookInput, rows: YearRows, hours: str, more: Sequence[Check]) -> str:
    """Set formulas beside the figures of abatis; returns the cell that says whether all agree."""
    schedule, letters = given.schedule, given.year_letters
    total = letter_of(FIRST_YEAR + len(letters))
    sheet.put_title("Checks: formulas of this workbook against the figures of abatis")
    sheet.put_header(("what", "by formula", "by abatis", "difference", "agrees"))
    first = sheet.row

    def check(what: str, formula: str, figure: float, allowed: float = HALF_CENT, style: str = CENTS) -> None:
        at = sheet.row
        sheet.add(
            what,
            (formula, style),
            sheet.compare(float(figure), style),
            (f"=B{at}-C{at}", style),
            (f'=IF(ABS(D{at})<{allowed:.6f},"yes","no")', PLAIN),
        )

    for number, line in enumerate(schedule.lines):
        for place, year in enumerate(given.years):
            cell = f"=Years!{letters[place]}{rows.nominal[number]}"
            check(f"{line} {year}, nominal [EUR]", cell, schedule.nominal_eur[number, place])
            cell = f"=Years!{letters[place]}{rows.base[number]}"
            check(f"{line} {year}, base-year prices [EUR]", cell, schedule.spend_eur[number, place])
        cell = f"=Years!{total}{rows.nominal[number]}"
        check(f"{line}, all years, nominal [EUR]", cell, schedule.nominal_eur[number].sum())
    for place, year in enumerate(given.years):
        cell = f"=Years!{letters[place]}{rows.total_nominal}"
        check(f"all lines {year}, nominal [EUR]", cell, schedule.nominal_eur[:, place].sum())
    check(
        "all lines, all years, nominal [EUR]",
        f"=Years!{total}{rows.total_nominal}",
        schedule.nominal_eur.sum(),
    )
    check("all lines, base-year prices [EUR]", f"=Years!{total}{rows.total_base}", schedule.spend_eur.sum())
    check("plan, base-year prices [EUR]", "=SUM(Quantities!I:I)", given.plan.cost_eur)
    free = (schedule.start_year != -1) & ~given.terms.is_fixed
    paid = letter_of(FIRST_PAID + len(letters))
    formula = f'=SUMIFS(Payments!E:E,Payments!{paid}:{paid},">0",Payments!D:D,"no")'
    check("started here, base-year prices [EUR]", formula, given.terms.cost_eur[free].sum())
    check("rows whose rounding is not small", '=COUNTIF(Quantities!J:J,"no")', 0.0)
    check("discounted hours held [h]", f"={hours}", schedule.objective, 1e-5, HOURS)
    for number, row in rows.available.items():
        for place, year in enumerate(given.years):
            x = letters[place]
            short = f"=MIN(0,Years!{x}{row}-Years!{x}{rows.nominal[number]})"
            check(f"{schedule.lines[number]} {year}: money at hand is not passed [EUR]", short, 0.0)
    check("money of every line adds up to its amount [EUR]", _sum_amounts(given), 0.0)
    for one in more:
        check(*one)
    last = sheet.row - 1
    verdict = f'IF(COUNTIF(Checks!E{first}:E{last},"yes")={last - first + 1},"all agree","NOT ALL AGREE")'
    sheet.add("all", (f"={verdict}", PLAIN))
    return f"Checks!B{last + 1}"


def _sum_amounts(given: BookInput) -> str:
    last = 2 + len(given.terms.funding.lines)
    letter = letter_of(8 + len(given.years))
    return f"=SUM(Lines!E3:E{last})-SUM(Lines!{letter}3:{letter}{last})"
