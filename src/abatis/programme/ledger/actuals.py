"""Plan against actual: planned, contracted, spent and delivered by country, budget line and year."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date

import numpy as np

from abatis.programme.ledger.baseline import Baseline
from abatis.programme.ledger.states import TAG_RANK, KindTable, say_text

FIGURES = ("planned_eur", "contracted_eur", "spent_eur", "delivered_eur")
OUTTURN = "spent"
# Of two amounts for the same years the later counts; of the same day, the firmer.
STAGES = ("announced", "planned", "approved", "allocated")
ALL_YEARS = (0, 9999)
EPOCH = date(1970, 1, 1).toordinal()
Cell = tuple[str, str, int | None]


@dataclass(frozen=True)
class Reading:
    """One amount that was stated for a budget line; `used` when the plan rests on it, wholly or in part.

    Weak readings (tag F-) are shown and never used.
    """

    country: str
    line: str
    key: str
    name: str
    stage: str
    years: str
    amount_eur: float | None
    disclosed: bool
    original: str
    on: str
    used: bool
    note: str
    source: str
    tag: str
    records: tuple[int, ...]


@dataclass(frozen=True)
class LineActual:
    """Plan against actual of a budget line in a country: one year, or all years when `year` is None.

    Money in nominal EUR, None where nothing is known. `basis` says what the plan rests on, `spent_basis`
    whether spending is the line's outturn or the sum of works and contracts. `undisclosed` names figures of
    which a part is not disclosed: they are at least what is shown. `grounds` are the records of each figure.
    """

    country: str
    line: str
    year: int | None
    planned_eur: float | None
    contracted_eur: float | None
    spent_eur: float | None
    delivered_eur: float | None
    left_eur: float | None
    spent_share: float | None
    basis: str
    spent_basis: str
    undisclosed: tuple[str, ...]
    tag: str
    grounds: Mapping[str, tuple[int, ...]]
    records: tuple[int, ...]


@dataclass
class _Sum:
    """A figure that is being added up: its amount, the records it rests on and their tags."""

    value: float | None = None
    hidden: bool = False
    basis: str = ""
    parts: list[np.ndarray] = field(default_factory=list)
    tags: set[str] = field(default_factory=set)

    def add(self, value: float, seqs: Sequence[int] | np.ndarray, tag: str) -> None:
        """Add an amount."""
        self.value = (self.value or 0.0) + value
        self.rest_on(seqs)
        self.tags.add(tag)

    def rest_on(self, seqs: Sequence[int] | np.ndarray) -> None:
        """Add records that the figure rests on."""
        self.parts.append(np.asarray(seqs, np.int64))


@dataclass(frozen=True)
class _Amount:
    """A reading as it is computed with."""

    reading: Reading
    first_year: int
    last_year: int
    day: int
    rank: tuple[int, int, int, str]

    @property
    def span(self) -> int:
        """Number of years."""
        return self.last_year - self.first_year + 1

    def lies_in(self, other: _Amount) -> bool:
        """True when the years are a part of those of the other, and fewer; years not told hold no others."""
        if (other.first_year, other.last_year) == ALL_YEARS:
            return False
        inside = other.first_year <= self.first_year and self.last_year <= other.last_year
        return inside and self.span < other.span

    def meets(self, other: _Amount) -> bool:
        """True when the two share a year."""
        return self.first_year <= other.last_year and other.first_year <= self.last_year


def compare_lines(
    tables: Mapping[str, KindTable], weak: KindTable, baseline: Baseline | None = None
) -> tuple[tuple[LineActual, ...], tuple[Reading, ...]]:
    """Hold plan against actual for every budget line and year, and list what was stated of each line.

    Parameters
    ----------
    tables : records of the kinds budget, contract, delivery and work (`tabulate_kind`).
    weak : records of the kind budget, the weak ones among them.
    baseline : the schedule; its money is the plan of its country and lines.

    In words: the plan of a year is the amount for the fewest years around it, spread evenly over them; of
    several for the same years the latest. The plan of a whole line is the latest amount that is no part of a
    longer one. Contracts count with their value in the year they are signed or changed; a cancelled one takes
    its value back. Spending is the line's outturn where one was told, else what works and contracts without
    a work spent, in the year it was told. Nothing that is not disclosed counts as 0.
    """
    amounts = _read_amounts(tables["budget"])
    used: set[str] = set()
    cells: dict[Cell, dict[str, _Sum]] = defaultdict(lambda: defaultdict(_Sum))
    _add_plans(cells, amounts, used)
    _add_outturns(cells, amounts)
    if baseline is not None:
        _lay_baseline(cells, baseline, amounts, used)
    _add_increments(cells, tables["contract"], "amount_eur", "contracted_eur")
    _add_deliveries(cells, tables["delivery"])
    _add_spending(cells, tables)
    rows = [_write_row(cell, sums) for cell, sums in sorted(cells.items(), key=_order)]
    readings = [_read_amount(weak, key, used) for key in range(len(weak.keys))]
    return tuple(rows), tuple(sorted(readings, key=lambda one: (one.country, one.line, one.on, one.key)))


def _order(item: tuple[Cell, dict[str, _Sum]]) -> tuple[str, str, int]:
    (country, line, year), _ = item
    return country, line, year if year is not None else -1


def _read_amount(table: KindTable, key: int, used: set[str]) -> Reading:
    """Read what was said last of one budget amount."""
    rows = range(int(table.starts[key]), int(table.starts[key + 1]))
    said: dict[str, object] = {}
    for row in rows:
        said |= table.records[row].body
    last = table.records[rows[-1]]
    years = _name_years(said.get("first_year"), said.get("last_year"))
    amount = said.get("amount_eur")
    number = float(amount) if isinstance(amount, int | float) else None
    return Reading(
        country=str(said.get("country", "")),
        line=str(said.get("line", "")),
        key=table.keys[key],
        name=str(said.get("name") or ""),
        stage=str(said.get("stage", "")),
        years=years,
        amount_eur=number,
        disclosed=number is not None,
        original=str(said.get("original") or ""),
        on=last.on,
        used=table.keys[key] in used,
        note=str(said.get("note") or ""),
        source=last.source,
        tag=last.tag,
        records=tuple(sorted(table.records[row].seq for row in rows)),
    )


def _name_years(first: object, last: object) -> str:
    """Write the years of an amount.

    Examples
    --------
    >>> _name_years(2024, 2027), _name_years(2024, 2024), _name_years(None, 2035), _name_years(None, None)
    ('2024-2027', '2024', 'to 2035', '')
    """
    if first is None or last is None:
        return f"from {first}" if first is not None else f"to {last}" if last is not None else ""
    return f"{first}" if first == last else f"{first}-{last}"


def _read_amounts(table: KindTable) -> list[_Amount]:
    amounts = []
    for key in range(len(table.keys)):
        reading = _read_amount(table, key, set())
        words = reading.years.split("-") if reading.years[:1].isdigit() else []
        first, last = (int(words[0]), int(words[-1])) if words else ALL_YEARS
        stage = STAGES.index(reading.stage) if reading.stage in STAGES else len(STAGES)
        row = int(table.starts[key + 1]) - 1
        day = int(table.last_day[row])
        rank = (day, stage, TAG_RANK[reading.tag], reading.key)
        amounts.append(_Amount(reading, first, last, day, rank))
    return amounts


def _group(amounts: Iterable[_Amount]) -> dict[tuple[str, str], list[_Amount]]:
    found = defaultdict(list)
    for one in amounts:
        found[one.reading.country, one.reading.line].append(one)
    return found


def choose_whole(amounts: Sequence[_Amount]) -> list[_Amount]:
    """Choose the amounts that make up a whole line: the latest that are no part of a longer one.

    In words: amounts for years that do not meet add up; of those that meet, the latest stands.
    """
    longest = [one for one in amounts if not any(one.lies_in(other) for other in amounts)]
    chosen: list[_Amount] = []
    for one in sorted(longest, key=lambda item: item.rank, reverse=True):
        if not any(one.meets(other) for other in chosen):
            chosen.append(one)
    return chosen


def _add_plans(cells: dict[Cell, dict[str, _Sum]], amounts: Sequence[_Amount], used: set[str]) -> None:
    for (country, line), every in _group(one for one in amounts if one.reading.stage != OUTTURN).items():
        known = [one for one in every if one.reading.disclosed]
        whole = cells[country, line, None]["planned_eur"]
        whole.hidden = len(known) < len(every) and not known
        for one in choose_whole(known):
            _take(whole, one, one.reading.amount_eur or 0.0, used)
        if whole.hidden:
            for one in every:
                whole.rest_on(one.reading.records)
        for year, one in _choose_years(known).items():
            _take(cells[country, line, year]["planned_eur"], one, _spread(one), used)


def _choose_years(amounts: Sequence[_Amount]) -> dict[int, _Amount]:
    """The amount that speaks of each year: that for the fewest years, of those the latest."""
    dated = [one for one in amounts if (one.first_year, one.last_year) != ALL_YEARS]
    years = sorted({year for one in dated for year in range(one.first_year, one.last_year + 1)})
    found = {}
    for year in years:
        speaking = [one for one in dated if one.first_year <= year <= one.last_year]
        fewest = min(one.span for one in speaking)
        found[year] = max((one for one in speaking if one.span == fewest), key=lambda one: one.rank)
    return found


def _spread(amount: _Amount) -> float:
    return round((amount.reading.amount_eur or 0.0) / amount.span, 2)


def _take(total: _Sum, amount: _Amount, value: float, used: set[str]) -> None:
    total.add(value, amount.reading.records, amount.reading.tag)
    total.basis = amount.reading.stage if total.basis in ("", amount.reading.stage) else "several"
    used.add(amount.reading.key)


def _add_outturns(cells: dict[Cell, dict[str, _Sum]], amounts: Sequence[_Amount]) -> None:
    for (country, line), every in _group(one for one in amounts if one.reading.stage == OUTTURN).items():
        known = [one for one in every if one.reading.disclosed]
        hidden = [one for one in every if not one.reading.disclosed]
        for year, one in _choose_years(known).items():
            total = cells[country, line, year]["outturn"]
            total.add(_spread(one), one.reading.records, one.reading.tag)
        whole = cells[country, line, None]["outturn"]
        for one in choose_whole(known):
            whole.add(one.reading.amount_eur or 0.0, one.reading.records, one.reading.tag)
        for one in hidden:
            years = range(one.first_year, one.last_year + 1) if one.span < ALL_YEARS[1] else ()
            for place in (None, *years):
                cells[country, line, place]["spent_eur"].hidden = True
                cells[country, line, place]["spent_eur"].rest_on(one.reading.records)


def _lay_baseline(
    cells: dict[Cell, dict[str, _Sum]], baseline: Baseline, amounts: Sequence[_Amount], used: set[str]
) -> None:
    """Put the schedule's money in the place of the plan of its lines, where it spends any."""
    for line, spent in zip(baseline.lines, baseline.spend_eur, strict=True):
        if not spent.sum() > 0:
            continue
        for year, value in zip((*baseline.years, None), (*spent.tolist(), float(spent.sum())), strict=True):
            total = _Sum(round(value, 2), basis="schedule")
            cells[baseline.country, line, year]["planned_eur"] = total
        used -= {
            one.reading.key
            for one in amounts
            if (one.reading.country, one.reading.line) == (baseline.country, line)
        }


def _locate(table: KindTable) -> tuple[np.ndarray, np.ndarray]:
    """Country and line of every key of a table."""
    return say_text(table, "country")[0], say_text(table, "line")[0]


def _years_of(table: KindTable, rows: np.ndarray) -> np.ndarray:
    """Calendar year of the first day that the date of each row may mean."""
    days = (table.first_day[rows] - EPOCH).astype("datetime64[D]")
    years: np.ndarray = days.astype("datetime64[Y]").astype(np.int64) + 1970
    return years


def _add_increments(
    cells: dict[Cell, dict[str, _Sum]],
    table: KindTable,
    column: str,
    figure: str,
    left_out: np.ndarray | None = None,
) -> None:
    """Add what a running total of each key rose by, in the year in which it was told.

    `left_out` bool[g] are keys that count elsewhere.
    """
    if not len(table):
        return
    value, hidden = table.read_numbers(column)
    if column == "amount_eur":
        value, hidden = value.copy(), hidden.copy()
        stage = table.read_texts("stage")
        bound = np.isin(stage, ("signed", "changed", "completed", "cancelled"))
        value[~bound], hidden[~bound] = np.nan, False
        value[stage == "cancelled"] = 0.0
    counted = np.ones(len(table), bool) if left_out is None else ~left_out[table.group]
    known = np.flatnonzero(~np.isnan(value) & counted)
    before = np.zeros(len(known))
    follows = table.group[known][1:] == table.group[known][:-1]
    before[1:][follows] = value[known][:-1][follows]
    _add_rows(cells, table, known, value[known] - before, figure)
    _mark_hidden(cells, table, np.flatnonzero(hidden & counted), figure)


def _group_rows(table: KindTable, rows: np.ndarray) -> list[tuple[Cell, np.ndarray]]:
    """Places of rows by the cells that they belong to: their year, and all years."""
    country, line = _locate(table)
    where = {name: code for code, name in enumerate(dict.fromkeys(zip(country, line, strict=True)))}
    of_key = np.array([where[one] for one in zip(country, line, strict=True)], np.int64)
    names = list(where)
    found: list[tuple[Cell, np.ndarray]] = []
    for years in (_years_of(table, rows), np.zeros(len(rows), np.int64)):
        code = of_key[table.group[rows]] * ALL_YEARS[1] + years
        order = np.argsort(code, kind="stable")
        cuts = np.flatnonzero(np.diff(code[order])) + 1
        for places in np.split(order, cuts) if len(rows) else []:
            number, year = divmod(int(code[places[0]]), ALL_YEARS[1])
            found.append(((*names[number], year or None), places))
    return found


def _add_rows(
    cells: dict[Cell, dict[str, _Sum]], table: KindTable, rows: np.ndarray, values: np.ndarray, figure: str
) -> None:
    """Add values of rows to the cells of their country, line and year."""
    tag_of = {rank: tag for tag, rank in TAG_RANK.items()}
    for cell, places in _group_rows(table, rows):
        weakest = tag_of[int(table.rank[rows[places]].min())]
        amount = round(float(values[places].sum()), 2)
        cells[cell][figure].add(amount, table.seq[rows[places]], weakest)


def _mark_hidden(cells: dict[Cell, dict[str, _Sum]], table: KindTable, rows: np.ndarray, figure: str) -> None:
    for cell, places in _group_rows(table, rows):
        cells[cell][figure].hidden = True
        cells[cell][figure].rest_on(table.seq[rows[places]])


def _add_deliveries(cells: dict[Cell, dict[str, _Sum]], table: KindTable) -> None:
    if not len(table):
        return
    value, hidden = table.read_numbers("amount_eur")
    rows = np.flatnonzero(~np.isnan(value))
    _add_rows(cells, table, rows, value[rows], "delivered_eur")
    _mark_hidden(cells, table, np.flatnonzero(hidden), "delivered_eur")


def _add_spending(cells: dict[Cell, dict[str, _Sum]], tables: Mapping[str, KindTable]) -> None:
    """Sum what works and contracts without a work spent; an outturn of the line goes before it."""
    _add_increments(cells, tables["work"], "spent_eur", "spent_eur")
    contracts = tables["contract"]
    known = set(tables["work"].keys)
    named = say_text(contracts, "work")[0]
    of_work = np.array([one in known for one in named], bool)
    _add_increments(cells, contracts, "paid_eur", "spent_eur", of_work)
    for sums in cells.values():
        told = sums.pop("outturn", None)
        if told is not None and told.value is not None:
            told.basis = "outturn"
            sums["spent_eur"] = told
        elif "spent_eur" in sums and sums["spent_eur"].value is not None:
            sums["spent_eur"].basis = "works and contracts"


def _write_row(cell: Cell, sums: Mapping[str, _Sum]) -> LineActual:
    country, line, year = cell
    figures = {name: sums.get(name, _Sum()) for name in FIGURES}
    planned, spent = figures["planned_eur"].value, figures["spent_eur"].value
    grounds = {name: _list_records(one.parts) for name, one in figures.items() if one.parts}
    tags = {tag for one in figures.values() for tag in one.tags}
    over = planned is not None and spent is not None
    return LineActual(
        country=country,
        line=line,
        year=year,
        planned_eur=planned,
        contracted_eur=figures["contracted_eur"].value,
        spent_eur=spent,
        delivered_eur=figures["delivered_eur"].value,
        left_eur=round(planned - spent, 2) if over else None,  # type: ignore[operator]
        spent_share=spent / planned if over and planned else None,  # type: ignore[operator]
        basis=figures["planned_eur"].basis,
        spent_basis=figures["spent_eur"].basis,
        undisclosed=tuple(name for name in FIGURES if figures[name].hidden),
        tag=min(tags, key=lambda one: TAG_RANK[one]) if tags else "",
        grounds=grounds,
        records=_list_records([part for one in figures.values() for part in one.parts]),
    )


def _list_records(parts: Sequence[np.ndarray]) -> tuple[int, ...]:
    """The numbers of records, each once."""
    return tuple(np.unique(np.concatenate(parts)).tolist()) if parts else ()
