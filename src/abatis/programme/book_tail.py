"""Sheets of the programme's workbook for what comes after: upkeep and renewal by formulas."""

from __future__ import annotations

from abatis.programme.book_checks import BASE_YEAR, INDEXATION, BookInput, Check
from abatis.programme.book_sheets import CENTS, PLAIN, SHARE, Sheet, letter_of

FIRST_TAIL = 8


def write_upkeep(sheet: Sheet, given: BookInput) -> int:
    """Write yearly upkeep of every part of every work and the years of its renewal; returns the last row.

    Formula: renewal in year y when floor((y - finish) / life) > floor((y - finish - 1) / life).
    In words: a part is built again whenever a whole life has passed since its work was finished.
    """
    years = [one.year for one in given.affordability.tail]
    sheet.put_title("Upkeep and renewal of what stands, EUR in prices of the base year")
    captions = (
        "site/option",
        "measure",
        "finish year",
        "price [EUR]",
        "upkeep [share a year]",
        "life [years]",
    )
    sheet.put_header((*captions, "upkeep a year [EUR]", *years))
    source = 3
    for row, key in enumerate(given.terms.option_keys):
        for measure in given.list_measures(row):
            at = sheet.row
            cells = []
            for place in range(len(years)):
                year = f"{letter_of(FIRST_TAIL + place)}$2"
                turns = f"INT(({year}-$C{at})/$F{at})>INT(({year}-$C{at}-1)/$F{at})"
                stands = f"AND($C{at}>0,{year}>$C{at},$F{at}>0)"
                cells.append((f"=IF({stands},IF({turns},$D{at},0),0)", CENTS))
            sheet.add(
                key,
                measure,
                (f"=SUMIFS(Works!$D:$D,Works!$A:$A,A{at})", PLAIN),
                (f"=Quantities!E{source}*Quantities!F{source}", CENTS),
                (f"=SUMIFS(Measures!$G:$G,Measures!$A:$A,B{at})", SHARE),
                (f"=SUMIFS(Measures!$H:$H,Measures!$A:$A,B{at})", PLAIN),
                (f"=D{at}*E{at}", CENTS),
                *cells,
            )
            source += 1
    return sheet.row - 1


def write_tail(sheet: Sheet, given: BookInput, last: int) -> list[Check]:
    """Write upkeep and renewal by year; returns what is to be checked against abatis.

    Parameters
    ----------
    sheet : where it is written.
    given : the programme.
    last : last row of the sheet Upkeep.
    """
    sheet.put_title("After the works: upkeep and renewal by year; no budget line pays them")
    sheet.put_header(
        ("year", "upkeep [EUR, base year]", "renewal [EUR, base year]", "both [EUR, nominal]", "within")
    )
    checks = []
    for place, one in enumerate(given.affordability.tail):
        at = sheet.row
        letter = letter_of(FIRST_TAIL + place)
        kept = f'SUMIFS(Upkeep!$G:$G,Upkeep!$C:$C,">0",Upkeep!$C:$C,"<"&A{at})'
        renewed = f"SUM(Upkeep!{letter}3:{letter}{last})"
        sheet.add(
            one.year,
            (f"=ROUND({kept},2)", CENTS),
            (f"=ROUND({renewed},2)", CENTS),
            (f"=ROUND(({kept}+{renewed})*(1+{INDEXATION})^(A{at}-{BASE_YEAR}),2)", CENTS),
            "programme" if one.in_programme else "after it",
        )
        checks += [
            (f"upkeep {one.year}, base-year prices [EUR]", f"=After!B{at}", one.upkeep_eur),
            (f"renewal {one.year}, base-year prices [EUR]", f"=After!C{at}", one.renewal_eur),
            (f"upkeep and renewal {one.year}, nominal [EUR]", f"=After!D{at}", one.nominal_eur),
        ]
    return checks
