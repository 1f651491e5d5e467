"""The programme as an Excel workbook that computes itself: inputs, formulas, and checks against abatis."""

from __future__ import annotations

import io
from decimal import ROUND_HALF_UP, Decimal

from openpyxl import Workbook  # type: ignore[import-untyped]

from abatis.programme.book_checks import (
    BASE_YEAR,
    CARRY,
    DISCOUNT,
    FIRST_PAID,
    INDEXATION,
    BookInput,
    YearRows,
    write_checks,
    write_economy,
    write_hours,
)
from abatis.programme.book_sheets import CENTS, PLAIN, SHARE, Sheet, letter_of, open_sheet
from abatis.programme.book_tail import write_tail, write_upkeep

FIRST_SHARE = 10
RATES = ("upkeep [share a year]", "life [years]")
GUIDE = (
    (
        "Blue cells are inputs. Black cells are formulas. Grey cells are figures that abatis wrote for "
        "comparison; nothing is computed from them."
    ),
    (
        "Settings: years and rates. Lines: money of each budget line by year. Measures and Quantities: "
        "what each work is made of and what it costs. Works: start year, months, share of the work by "
        "year. Payments: money of each work by year. Years: money by budget line and year."
    ),
    (
        "Money asked in prices of the base year becomes nominal by the price index of the year. Halves of "
        "a cent go to the even cent; the last year of a work takes what rounding leaves."
    ),
    (
        "Start years are the decision that abatis made. Change one, and the money follows; the hours do "
        "not: they come from the network of the study and are given as figures on the sheet Hours."
    ),
    (
        "Quantities are shown to three digits and costs are counted before that rounding, to the full "
        "euro: the column 'rounding' makes up the difference and a check limits it."
    ),
    "Upkeep and After: what has to be kept and built again, also after the last year.",
    "Lines that abatis does not plan spend the money of each year as given.",
)


def build_workbook(given: BookInput) -> bytes:
    """Return `programme.xlsx` as bytes.

    Parameters
    ----------
    given : the programme.

    In words: amounts, unit costs, years and shares stand as inputs; every sum of money is a formula. The
    sheet Checks sets the formulas beside what abatis computed; hours are the one result that a workbook
    cannot compute (they need the network), so only their weighing is by formula. Halves of a cent go to the
    even cent, as in the schedule. A workbook holds no results until a program opens and computes it.
    """
    book = Workbook()
    book.remove(book.active)
    guide = open_sheet(book, "Read me", (100,))
    _write_settings(open_sheet(book, "Settings", (34, 22, 70)), given)
    _write_lines(open_sheet(book, "Lines", (20, 46, 12, 26, 18, 40, 6)), given)
    _write_measures(open_sheet(book, "Measures", (12, 44, 10, 16, 60, 6)), given)
    _write_quantities(open_sheet(book, "Quantities", (30, 16, 12, 26, 12, 16, 18, 16, 18, 12, 18)), given)
    _write_works(open_sheet(book, "Works", (30, 16, 10, 10, 10, 10, 10, 8, 10)), given)
    _write_payments(open_sheet(book, "Payments", (30, 16, 26, 10, 18)), given)
    rows = _write_years(open_sheet(book, "Years", (46, 26, 12)), given)
    hours = write_hours(open_sheet(book, "Hours", (46, 12, 12)), given, rows)
    write_economy(open_sheet(book, "Economy", (34, 20, 20, 12, 12, 12, 20, 12, 12, 12, 12, 8)), given, rows)
    last = write_upkeep(open_sheet(book, "Upkeep", (30, 12, 10, 16, 12, 10, 16)), given)
    more = write_tail(open_sheet(book, "After", (10, 24, 24, 24, 14)), given, last)
    verdict = write_checks(open_sheet(book, "Checks", (64, 22, 22, 16, 12)), given, rows, hours, more)
    _write_guide(guide, given, verdict)
    book.calculation.fullCalcOnLoad = True
    kept = io.BytesIO()
    book.save(kept)
    return kept.getvalue()


def _write_guide(sheet: Sheet, given: BookInput, verdict: str) -> None:
    sheet.put_title(f"Programme of plan {given.plan.name}, {given.study.title}")
    for text in GUIDE:
        sheet.add(text)
    sheet.add("All checks:")
    sheet.add((f"={verdict}", PLAIN))


def _write_settings(sheet: Sheet, given: BookInput) -> None:
    study, terms = given.study, given.terms
    sheet.put_title("Settings")
    sheet.put_header(("setting", "value", "meaning"))
    for name, value, meaning in (
        ("base year", terms.base_year, "year of the prices of all unit costs"),
        ("indexation", study.indexation, "rise of prices, share per year"),
        ("discount", study.discount, "an hour one year later counts this share less"),
        ("carry-over", terms.carry_over, "share of unspent money of a line that moves to the next year"),
        ("first year", given.years[0], "first year of the programme"),
        ("years", len(given.years), "number of years"),
        ("budget", terms.funding.budget, "reading of the public figures in use"),
        ("study", study.name, ""),
        ("study state", given.plan.study_hash, "fingerprint of the study's inputs"),
        ("plan", given.plan.name, ""),
    ):
        sheet.add(name, sheet.input(value), meaning)


def _write_lines(sheet: Sheet, given: BookInput) -> None:
    terms = given.terms
    fund_of = {
        line: given.fund_names[fund] for fund, members in enumerate(terms.funding.funds) for line in members
    }
    sheet.put_title("Budget lines, nominal EUR")
    sheet.put_header(
        ("line", "name", "planned here", "fund", "amount [EUR]", "source", "tag", *given.years, "sum [EUR]")
    )
    first, last = letter_of(8), letter_of(7 + len(given.years))
    for number, line in enumerate(terms.funding.lines):
        row = sheet.row
        sheet.add(
            line.key,
            line.name,
            "yes" if number in fund_of else "no",
            fund_of.get(number, ""),
            sheet.input(line.amount_eur, CENTS),
            line.source,
            line.tag,
            *(sheet.input(float(one), CENTS) for one in terms.funding.money_eur[number]),
            (f"=SUM({first}{row}:{last}{row})", CENTS),
        )


def _write_measures(sheet: Sheet, given: BookInput) -> None:
    sheet.put_title("Unit costs in prices of the base year")
    sheet.put_header(("measure", "name", "unit", "unit cost [EUR]", "source", "tag", *RATES))
    table = given.study.tables["upkeep"]
    share_of = dict(zip(table["measure"], table["yearly_share"], strict=True))
    used = {name for row in given.terms.options for name, _ in given.siting.options[row].quantities}
    for _, one in given.study.tables["measures"].iterrows():
        if one["measure"] in used:
            cost = sheet.input(float(one["unit_cost_eur"]), CENTS)
            rates = (float(share_of.get(one["measure"], 0.0)), float(one["life_years"]))
            told = (one["source"], one["tag"], *(sheet.input(rate, PLAIN) for rate in rates))
            sheet.add(one["measure"], one["name"], one["unit"], cost, *told)


def _list_parts(given: BookInput, row: int) -> list[tuple[str, int, float, float]]:
    """Measures of one option: key, fund, units and rounding in EUR; the dearest of a fund takes it."""
    terms = given.terms
    table = given.study.tables["measures"]
    unit = dict(zip(table["measure"], table["unit_cost_eur"], strict=True))
    parts = given.list_parts(row)
    fund_of = [terms.funding.fund_of.get(measure, 0) for measure, _ in parts]
    listed = []
    for place, (measure, units) in enumerate(parts):
        fund = fund_of[place]
        left = 0.0
        if fund not in fund_of[place + 1 :]:
            shown = sum(
                _round_money(unit[key] * count)
                for (key, count), other in zip(parts, fund_of, strict=True)
                if other == fund
            )
            left = float(Decimal(repr(float(terms.full_cost_eur[row, fund]))) - shown)
        listed.append((measure, fund, float(units), left))
    return listed


def _round_money(value: float) -> Decimal:
    """Round to the cent as a worksheet does."""
    return Decimal(repr(float(value))).quantize(Decimal("0.01"), ROUND_HALF_UP)


def _write_quantities(sheet: Sheet, given: BookInput) -> None:
    sheet.put_title("What every option is made of, prices of the base year")
    sheet.put_header(
        (
            "site/option",
            "site",
            "measure",
            "fund",
            "units",
            "unit cost [EUR]",
            "product [EUR]",
            "rounding [EUR]",
            "cost [EUR]",
            "rounding is small",
            "paid outside the programme [EUR]",
        )
    )
    for row, key in enumerate(given.terms.option_keys):
        parts = _list_parts(given, row)
        for place, (measure, fund, units, left) in enumerate(parts):
            at = sheet.row
            is_last = all(one[1] != fund for one in parts[place + 1 :])
            before = float(given.terms.paid_eur[row, fund]) if is_last else 0.0
            sheet.add(
                key,
                given.terms.sites[row],
                measure,
                given.fund_names[fund],
                sheet.input(units, PLAIN),
                (f"=SUMIFS(Measures!$D:$D,Measures!$A:$A,C{at})", CENTS),
                (f"=ROUND(E{at}*F{at},2)", CENTS),
                sheet.input(left, CENTS),
                (f"=ROUND(G{at}+H{at},2)", CENTS),
                (f'=IF(ABS(H{at})<=0.001*SUMIFS($F:$F,$A:$A,A{at})+0.51,"yes","no")', PLAIN),
                sheet.input(before, CENTS),
            )


def _write_works(sheet: Sheet, given: BookInput) -> None:
    """One row per option: years, months, and the share of the work that falls into each year."""
    terms, schedule = given.terms, given.schedule
    sheet.put_title("Works: start years are the decision; shares of the work by year follow from the months")
    sheet.put_header(
        (
            "site/option",
            "site",
            "start year",
            "finish year",
            "waiting [months]",
            "work [months]",
            "fixed before",
            "paid",
            "finish by abatis",
            *given.years,
        )
    )
    for row, key in enumerate(terms.option_keys):
        at = sheet.row
        fixed, start = bool(terms.is_fixed[row]), int(schedule.start_year[row])
        finish = int(schedule.finish_year[row]) if schedule.finish_year[row] != -1 else ""
        length = f"MAX(1,ROUNDUP((E{at}+F{at})/12-0.000000001,0))"
        sheet.add(
            key,
            terms.sites[row],
            sheet.input(start if start != -1 else ""),
            sheet.input(finish) if fixed else (f'=IF(C{at}="","",C{at}+{length}-1)', PLAIN),
            sheet.input(float(terms.spans.wait_months[row]), PLAIN),
            sheet.input(float(terms.spans.lead_months[row]), PLAIN),
            "yes" if fixed else "no",
            "yes" if terms.paid[row] else "no",
            sheet.compare(finish),
            *(
                (_share_formula(at, letter_of(FIRST_SHARE + place), fixed), SHARE)
                for place in range(len(given.years))
            ),
        )


def _share_formula(at: int, letter: str, fixed: bool) -> str:
    """Share of the work of row `at` in the year at the head of a column."""
    year = f"{letter}$2"
    if fixed:
        return f"=IF(AND({year}>=$C{at},{year}<=$D{at}),1/($D{at}-$C{at}+1),0)"
    begin, end = f"12*({year}-$C{at})", f"12*({year}-$C{at}+1)"
    overlap = f"MAX(0,MIN({end},$E{at}+$F{at})-MAX({begin},$E{at}))/$F{at}"
    return f'=IF($C{at}="",0,IF({year}<$C{at},0,IF($F{at}<=0,IF({year}=$D{at},1,0),{overlap})))'


def round_even(value: str) -> str:
    """Formula that rounds a formula to the cent, halves to the even cent.

    Examples
    --------
    >>> round_even("A1")
    'IF(A1*100-INT(A1*100)=0.5,ROUND(A1*50,0)/50,ROUND(A1*100,0)/100)'
    """
    return f"IF({value}*100-INT({value}*100)=0.5,ROUND({value}*50,0)/50,ROUND({value}*100,0)/100)"


def _write_payments(sheet: Sheet, given: BookInput) -> None:
    """One row per option and fund: its cost, and what is paid in each year."""
    terms, count = given.terms, len(given.years)
    sheet.put_title("Payments in prices of the base year, EUR")
    sheet.put_header(("site/option", "site", "fund", "fixed before", "cost [EUR]", *given.years, "sum [EUR]"))
    first, last = letter_of(FIRST_PAID), letter_of(FIRST_PAID + count - 1)
    for row, key in enumerate(terms.option_keys):
        work = 3 + row
        for fund, name in enumerate(given.fund_names):
            if not any(one[1] == fund for one in _list_parts(given, row)):
                continue
            at = sheet.row
            cells = [(_pay_formula(given, row, work, at, place), CENTS) for place in range(count)]
            sheet.add(
                key,
                terms.sites[row],
                name,
                "yes" if terms.is_fixed[row] else "no",
                (f"=ROUND({_sum_parts('I', at)}-{_sum_parts('K', at)},2)", CENTS),
                *cells,
                (f"=SUM({first}{at}:{last}{at})", CENTS),
            )


def _sum_parts(letter: str, at: int) -> str:
    """Sum of a column of Quantities over the option and fund of row `at`."""
    return f"SUMIFS(Quantities!${letter}:${letter},Quantities!$A:$A,A{at},Quantities!$D:$D,C{at})"


def _pay_formula(given: BookInput, row: int, work: int, at: int, place: int) -> str:
    if given.terms.paid[row]:
        return "=0"
    share = f"Works!{letter_of(FIRST_SHARE + place)}{work}"
    plain = round_even(f"($E{at}*{share})")
    if given.terms.is_fixed[row]:
        return f"={plain}"
    before = (
        f"$E{at}-SUM({letter_of(FIRST_PAID)}{at}:{letter_of(FIRST_PAID + place - 1)}{at})"
        if place
        else f"$E{at}"
    )
    last = letter_of(FIRST_SHARE + len(given.years) - 1)
    if place == len(given.years) - 1:
        return f"=IF({share}=0,0,ROUND({before},2))"
    later = f"SUM(Works!{letter_of(FIRST_SHARE + place + 1)}{work}:{last}{work})"
    return f"=IF({share}=0,0,IF({later}=0,ROUND({before},2),{plain}))"


def _write_years(sheet: Sheet, given: BookInput) -> YearRows:
    terms, letters = given.terms, given.year_letters
    sheet.put_title("Money by budget line and year, EUR")
    sheet.put_header(("what", "line or fund", "unit", *given.years, "sum"))
    index = sheet.add_years(
        "price index", "", "factor", [f"=(1+{INDEXATION})^({x}$2-{BASE_YEAR})" for x in letters], PLAIN, False
    )
    weight = sheet.add_years(
        "weight of an hour",
        "",
        "factor",
        [f"=(1+{DISCOUNT})^-({x}$2-{letters[0]}$2)" for x in letters],
        PLAIN,
        False,
    )
    asked = _write_asked(sheet, given, index)
    nominal, available = _write_nominal(sheet, given, asked)
    base = _write_base(sheet, given, asked, nominal, index)
    count = len(terms.funding.lines)
    totals = [
        sheet.add_years(
            words,
            "all lines",
            "EUR",
            ["=" + "+".join(f"{x}{rows[line]}" for line in range(count)) for x in letters],
            CENTS,
        )
        for words, rows in (("spent, nominal", nominal), ("spent, prices of the base year", base))
    ]
    sheet.add_years(
        "spent since the first year, nominal",
        "all lines",
        "EUR",
        [f"=SUM(${letters[0]}{totals[0]}:{x}{totals[0]})" for x in letters],
        CENTS,
        False,
    )
    return YearRows(
        index,
        weight,
        tuple(nominal[line] for line in range(count)),
        tuple(base[line] for line in range(count)),
        available,
        totals[0],
        totals[1],
    )


def _write_asked(sheet: Sheet, given: BookInput, index: int) -> dict[int, int]:
    """What the options ask of every fund, at prices of the base year and nominal; rows of the nominal."""
    letters = given.year_letters
    asked = {}
    for fund, name in enumerate(given.fund_names):
        at = sheet.row
        paid = [letter_of(FIRST_PAID + place) for place in range(len(letters))]
        sheet.add_years(
            "asked, prices of the base year",
            name,
            "EUR",
            [f"=ROUND(SUMIFS(Payments!${p}:${p},Payments!$C:$C,$B{at}),2)" for p in paid],
            CENTS,
        )
        asked[fund] = sheet.add_years(
            "asked, nominal",
            name,
            "EUR",
            ["=" + round_even(f"({x}{at}*{x}${index})") for x in letters],
            CENTS,
        )
    return asked


def _write_nominal(
    sheet: Sheet, given: BookInput, asked: dict[int, int]
) -> tuple[dict[int, int], dict[int, int]]:
    """Money of every line at hand and spent; a fund draws on its first line first."""
    terms, letters = given.terms, given.year_letters
    nominal: dict[int, int] = {}
    available: dict[int, int] = {}
    for line, one in enumerate(terms.funding.lines):
        money = [f"Lines!{letter_of(8 + place)}{3 + line}" for place in range(len(letters))]
        fund = next((f for f, members in enumerate(terms.funding.funds) if line in members), None)
        if fund is None:
            nominal[line] = sheet.add_years("spent, nominal", one.key, "EUR", [f"={m}" for m in money], CENTS)
            continue
        at = sheet.row
        hand = [
            f"={m}" if not place else f"=({letters[place - 1]}{at}-{letters[place - 1]}{at + 1})*{CARRY}+{m}"
            for place, m in enumerate(money)
        ]
        available[line] = sheet.add_years("at hand, nominal", one.key, "EUR", hand, CENTS, False)
        members = terms.funding.funds[fund]
        earlier = members[: members.index(line)]
        takes = []
        for x in letters:
            left = f"{x}{asked[fund]}" + "".join(f"-{x}{nominal[other]}" for other in earlier)
            if line == members[-1]:
                takes.append(f"=ROUND({left},2)")
            else:
                takes.append(f"=ROUND(MIN({left},INT(100*{x}{at}+0.000001)/100),2)")
        nominal[line] = sheet.add_years("spent, nominal", one.key, "EUR", takes, CENTS)
    return nominal, available


def _write_base(
    sheet: Sheet, given: BookInput, asked: dict[int, int], nominal: dict[int, int], index: int
) -> dict[int, int]:
    """Spending by line in prices of the base year; the first line of a fund takes what rounding leaves."""
    terms, letters = given.terms, given.year_letters
    base: dict[int, int] = {}
    at = sheet.row
    for line in range(len(terms.funding.lines)):
        base[line] = at + line
    for line, one in enumerate(terms.funding.lines):
        fund = next((f for f, members in enumerate(terms.funding.funds) if line in members), None)
        if fund is None:
            cells = ["=" + round_even(f"({x}{nominal[line]}/{x}${index})") for x in letters]
        else:
            members, row = terms.funding.funds[fund], asked[fund]
            if line == members[0]:
                rest = "".join(f"-{{x}}{base[other]}" for other in members[1:])
                cells = [f"=ROUND({x}{row - 1}{rest.format(x=x)},2)" for x in letters]
            else:
                cells = [
                    f"=IF({x}{row}=0,0,{round_even(f'({x}{row - 1}*({x}{nominal[line]}/{x}{row}))')})"
                    for x in letters
                ]
        sheet.add_years("spent, prices of the base year", one.key, "EUR", cells, CENTS)
    return base
