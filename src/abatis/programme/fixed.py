"""Works that are built or contracted already: tables/fixed_works.csv, read with all its faults at once."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from abatis.barrier.options import SiteOption
from abatis.model.errors import Fault, nearest_word
from abatis.model.study import Study

PLACE = "tables/fixed_works.csv"


@dataclass(frozen=True)
class FixedWork:
    """An option of the plan that is built or contracted already: calendar years of its start and finish.

    `paid` is true when its money is not taken from the years of the programme at all; `paid_eur` is the part
    of its cost, in base-year prices, that was paid outside them: then the rest falls evenly on the years from
    the first of the programme (or its own start, when later) to its finish.
    """

    site: str
    start_year: int
    finish_year: int
    paid: bool = False
    paid_eur: float = 0.0


def read_fixed_works(
    study: Study, options: Sequence[SiteOption], faults: list[Fault]
) -> tuple[FixedWork, ...]:
    """Read what is built or contracted already from fixed_works.csv.

    Parameters
    ----------
    study : its table fixed_works, first year and number of years.
    options : the options of the plan, one per site.
    faults : every fault found is added; the result is of use only without faults.

    In words: a row speaks of a whole option, or of one of its measures; then every measure of the option
    needs a row. The work lasts from the first start of its rows to their last finish, and what its rows say
    was paid adds up. A work finished before the first year is paid.
    """
    table = study.tables["fixed_works"]
    of_site = {one.site: one for one in options}
    rows: dict[str, list[tuple[int, pd.Series]]] = {}
    count = len(faults)
    for number, row in table.iterrows():
        line = int(str(number))
        option = of_site.get(str(row["site"]))
        if option is None:
            text = f"site '{row['site']}' is built or contracted but not in the plan"
            remedy = nearest_word(str(row["site"]), of_site) or "lock it in (rules.csv) and solve again"
            faults.append(Fault(text, PLACE, line, "site", remedy))
        else:
            faults += _check_row(study, option, row, line)
            rows.setdefault(option.site, []).append((line, row))
    for site, given in rows.items():
        faults += _check_site(of_site[site], given)
    if len(faults) > count:
        return ()
    return tuple(_join_rows(study, of_site[site], [row for _, row in given]) for site, given in rows.items())


def _check_row(study: Study, option: SiteOption, row: pd.Series, line: int) -> list[Fault]:
    faults = []
    used = [measure for measure, _ in option.quantities]
    last = study.first_year + study.programme_years - 1
    if row["option"] and row["option"] != option.option:
        text = f"is '{row['option']}', but the plan closes site '{option.site}' by '{option.option}'"
        faults.append(Fault(text, PLACE, line, "option", "solve again with what is built, or correct it"))
    elif row["measure"] and row["measure"] not in used:
        text = f"'{row['measure']}' is no part of '{option.option}' at site '{option.site}'"
        faults.append(Fault(text, PLACE, line, "measure", nearest_word(str(row["measure"]), used)))
    if row["finish_year"] < row["start_year"]:
        text = f"is {int(row['finish_year'])}, before the start in {int(row['start_year'])}"
        faults.append(Fault(text, PLACE, line, "finish_year", "order the two years"))
    if row["start_year"] > last:
        text = f"is {int(row['start_year'])}, after the last year of the programme, {last}"
        faults.append(Fault(text, PLACE, line, "start_year", "delete the row or lengthen the programme"))
    return faults


def _check_site(option: SiteOption, given: Sequence[tuple[int, pd.Series]]) -> list[Fault]:
    """A site has one row for all of it, or one for each of its measures."""
    measures = [str(row["measure"]) for _, row in given]
    line = given[-1][0]
    if "" in measures and len(measures) > 1:
        text = f"site '{option.site}' has a row for all of it and {len(measures) - 1} more"
        return [Fault(text, PLACE, line, "measure", "keep one row, or name a measure in each")]
    twice = sorted({one for one in measures if measures.count(one) > 1})
    faults = [
        Fault(f"'{one}' at site '{option.site}' stands twice", PLACE, line, "measure", "delete one")
        for one in twice
    ]
    missing = [measure for measure, _ in option.quantities if measure not in measures]
    if "" not in measures and missing:
        text = f"site '{option.site}' has no row for {', '.join(missing)}: a site is fixed as a whole"
        faults.append(Fault(text, PLACE, line, "measure", "add a row, or leave the measure empty"))
    return faults


def _join_rows(study: Study, option: SiteOption, rows: Sequence[pd.Series]) -> FixedWork:
    start = min(int(row["start_year"]) for row in rows)
    finish = max(int(row["finish_year"]) for row in rows)
    paid_eur = round(math.fsum(float(row["paid_eur"]) for row in rows if not math.isnan(row["paid_eur"])), 2)
    paid = finish < study.first_year or paid_eur >= option.cost_eur > 0
    return FixedWork(option.site, start, finish, paid, 0.0 if paid else paid_eur)
