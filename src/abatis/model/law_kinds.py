"""What the law sees in a measure, and what can never be one."""

from __future__ import annotations

import re

import pandas as pd

from abatis.model.errors import Fault, nearest_word

MINE_RESERVE = "mine_reserve"
LAW_KINDS = (
    "obstacle",
    "ditch",
    "water",
    "wetland",
    "forest",
    "fence",
    "bridge_fixture",
    "depot",
    MINE_RESERVE,
)
NEVER = "anti-personnel mines and cluster munitions are never a measure, whatever the register says"
PLACE = "tables/measures.csv"
# English, Lithuanian, Latvian, Estonian, Polish and Finnish words, and the usual short forms.
_NEVER = re.compile(
    r"anti[\W_]?personn?el|\bAPL?[\W_]mines?|\bAPMs?\b|cluster[\W_]?(?:munition|bomb|mine)|submunition"
    r"|prie[sš]p[eė]stin|pretk[aā]jniek|jalav[aä]emiin|przeciwpiechotn|jalkav[aä]kimiin",
    re.IGNORECASE,
)
_MINE = re.compile(r"\b(?:land)?mine(?:s|field|fields|belt|belts)?\b|\breserve[\W_]belts?\b", re.IGNORECASE)


def speaks_of_banned(text: str) -> bool:
    """True when words speak of anti-personnel mines or cluster munitions, which are never a measure.

    Examples
    --------
    >>> speaks_of_banned("AP mines"), speaks_of_banned("anti-tank ditch")
    (True, False)
    """
    return bool(_NEVER.search(text))


def check_law_kinds(measures: pd.DataFrame) -> list[Fault]:
    """List the measures that can never be one, and those whose kind the law would miss.

    Parameters
    ----------
    measures : the table measures; its index is the line number in the file.

    In words: a key, name or kind that speaks of anti-personnel mines or cluster munitions is refused; a name
    that speaks of mines or of a reserve belt needs law_kind mine_reserve, so that its duties are not lost.

    Examples
    --------
    >>> frame = pd.DataFrame(
    ...     {"measure": ["B1"], "name": ["Reserve belt"], "law_kind": ["obstacle"]}, index=[2]
    ... )
    >>> print(check_law_kinds(frame)[0])
    tables/measures.csv, row 2, law_kind: speaks of mines but is 'obstacle' (write mine_reserve)
    """
    faults = []
    for number, row in measures.iterrows():
        line, kind = int(str(number)), str(row["law_kind"])
        spoken = [column for column in ("measure", "name", "law_kind") if _NEVER.search(str(row[column]))]
        if spoken:
            text = f"'{row[spoken[0]]}' is no measure: {NEVER}"
            faults.append(Fault(text, PLACE, line, spoken[0], "delete the row"))
        elif kind and kind not in LAW_KINDS:
            text = f"has the unknown word '{kind}'"
            faults.append(Fault(text, PLACE, line, "law_kind", nearest_word(kind, LAW_KINDS)))
        elif kind and kind != MINE_RESERVE and _MINE.search(str(row["name"])):
            text = f"speaks of mines but is '{kind}'"
            faults.append(Fault(text, PLACE, line, "law_kind", f"write {MINE_RESERVE}"))
    return faults
