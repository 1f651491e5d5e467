"""The tables of the monitor: their columns, and the columns by which a row is found again."""

from __future__ import annotations

from dataclasses import dataclass

from abatis.show.tables import Column

MONEY, SHARE, COUNT, INDEX = ",.0f", ".0%", ",.0f", ".2f"
# By part of a status, the columns that together name a row.
KEYS: dict[str, tuple[str, ...]] = {
    "lines": ("country", "line", "year"),
    "readings": ("country", "line", "key", "on", "amount_eur"),
    "earned": ("level", "key"),
    "delays": ("kind", "key"),
    "delays_by_cause": ("country", "cause"),
    "disclosure": ("country", "line"),
    "not_disclosed": ("country", "line", "kind", "key", "column"),
    "renewals": ("kind", "key", "due"),
    "alerts": ("rule", "subject", "key"),
    "contradictions": ("kind", "key", "column", "on"),
    "statements": ("key", "on", "speaker"),
}


@dataclass(frozen=True)
class Section:
    """One table of the monitor: `part` names the rows of a status that it shows."""

    key: str
    part: str
    title: str
    columns: tuple[Column, ...]
    note: str = ""


def _columns(*given: tuple[str, str] | tuple[str, str, str]) -> tuple[Column, ...]:
    return tuple(Column(*one) for one in given)


_LINE_FIGURES = (
    ("planned_eur", "planned [EUR]", MONEY),
    ("contracted_eur", "contracted [EUR]", MONEY),
    ("spent_eur", "spent [EUR]", MONEY),
    ("delivered_eur", "delivered [EUR]", MONEY),
    ("left_eur", "left of the plan [EUR]", MONEY),
    ("spent_share", "spent of the plan [share]", SHARE),
    ("basis", "the plan rests on"),
    ("spent_basis", "spending rests on"),
    ("tag", "tag"),
)
_WHERE = (("country", "country"), ("line", "budget line"))

SECTIONS: tuple[Section, ...] = (
    Section(
        "alerts",
        "alerts",
        "Alerts",
        _columns(
            ("severity", "severity"),
            ("text", "what"),
            ("name", "name"),
            *_WHERE,
            ("value", "figure", ",.4g"),
            ("unit", "unit"),
            ("since", "since"),
            ("rule", "rule"),
            ("tag", "tag"),
        ),
    ),
    Section(
        "lines",
        "lines",
        "Plan against actual by budget line",
        _columns(*_WHERE, *_LINE_FIGURES),
        "What is not disclosed is never counted as 0.",
    ),
    Section(
        "line_years",
        "lines",
        "Plan against actual by budget line and year",
        _columns(*_WHERE, ("year", "year", ".0f"), *_LINE_FIGURES),
    ),
    Section(
        "earned",
        "earned",
        "Earned value",
        _columns(
            ("level", "of"),
            ("key", "key"),
            ("name", "name"),
            *_WHERE,
            ("works", "works", COUNT),
            ("bac_eur", "planned in all (BAC) [EUR]", MONEY),
            ("pv_eur", "planned value (PV) [EUR]", MONEY),
            ("ev_eur", "earned value (EV) [EUR]", MONEY),
            ("ac_eur", "actual cost (AC) [EUR]", MONEY),
            ("spi", "schedule index (SPI)", INDEX),
            ("cpi", "cost index (CPI)", INDEX),
            ("done_share", "done [share]", SHARE),
            ("forecast_eur", "forecast cost [EUR]", MONEY),
            ("planned_finish", "planned finish"),
            ("forecast_finish", "forecast finish"),
            ("undisclosed", "with figures not disclosed", COUNT),
            ("basis", "rests on"),
            ("tag", "tag"),
        ),
        "SPI and CPI below 1: late, dearer than planned.",
    ),
    Section(
        "delays_by_cause",
        "delays_by_cause",
        "Delays by cause",
        _columns(
            ("country", "country"),
            ("cause", "cause"),
            ("works", "works", COUNT),
            ("milestones", "milestones", COUNT),
            ("contracts", "contracts", COUNT),
            ("deliveries", "deliveries", COUNT),
            ("open_count", "still late", COUNT),
            ("days", "days together", COUNT),
            ("mean_days", "days on average", ",.1f"),
            ("planned_eur", "money held up [EUR]", MONEY),
            ("tags", "tags"),
        ),
    ),
    Section(
        "delays",
        "delays",
        "What is or was late",
        _columns(
            ("kind", "kind"),
            ("name", "name"),
            *_WHERE,
            ("cause", "cause"),
            ("due", "due as first named"),
            ("until", "came, or due now"),
            ("days", "days", COUNT),
            ("ended", "over"),
            ("tag", "tag"),
        ),
    ),
    Section(
        "disclosure",
        "disclosure",
        "Disclosure by country and budget line",
        _columns(
            *_WHERE,
            ("told", "told", COUNT),
            ("weak", "weak sources only", COUNT),
            ("undisclosed", "not disclosed", COUNT),
            ("share", "disclosed [share]", SHARE),
        ),
        "Over the figures of money and quantity that were asked or owed.",
    ),
    Section(
        "not_disclosed",
        "not_disclosed",
        "Figures that are not disclosed",
        _columns(
            *_WHERE,
            ("kind", "kind"),
            ("name", "name"),
            ("caption", "figure"),
            ("weak", "weak sources only"),
            ("since", "since"),
            ("source", "source"),
            ("tag", "tag"),
        ),
    ),
    Section(
        "renewals",
        "renewals",
        "Renewals",
        _columns(
            ("due", "due"),
            ("kind", "kind"),
            ("name", "name"),
            *_WHERE,
            ("quantity", "quantity", ",.4g"),
            ("unit", "unit"),
            ("days_left", "days left", COUNT),
            ("basis", "rests on"),
            ("tag", "tag"),
        ),
    ),
    Section(
        "readings",
        "readings",
        "Amounts stated for budget lines",
        _columns(
            *_WHERE,
            ("name", "name"),
            ("stage", "stage"),
            ("years", "years"),
            ("amount_eur", "amount [EUR]", MONEY),
            ("disclosed", "disclosed"),
            ("original", "as published"),
            ("on", "on"),
            ("used", "the plan rests on it"),
            ("source", "source"),
            ("tag", "tag"),
        ),
    ),
    Section(
        "contradictions",
        "contradictions",
        "Records that say different things of one day",
        _columns(("kind", "kind"), ("key", "key"), ("column", "figure"), ("on", "on"), ("values", "values")),
    ),
    Section(
        "statements",
        "statements",
        "What was said",
        _columns(
            ("on", "on"),
            ("speaker", "who"),
            ("topic", "about"),
            ("wording", "in their words"),
            ("value", "figure", ",.4g"),
            ("unit", "unit"),
            ("source", "source"),
            ("tag", "tag"),
        ),
    ),
)


def find_section(key: str) -> Section | None:
    """Return a table of the monitor by its key; None when there is none."""
    return next((one for one in SECTIONS if one.key == key), None)
