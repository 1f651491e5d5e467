"""What the law says of each measure in each country on a day; a plan that breaks it cannot be solved."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from importlib import resources

import pandas as pd

from abatis.model.errors import Fault, InputError, nearest_word
from abatis.model.law_kinds import LAW_KINDS, NEVER
from abatis.model.study import Study
from abatis.people.dates import UNSURE_TAGS, format_since, parse_span
from abatis.people.treaties import (
    Standing,
    check_dates,
    check_order,
    find_standing,
    list_changes,
    merge_own_rows,
    read_instruments,
    read_packaged,
    read_register,
)

FILE = "tables/law_rules.csv"
GENERAL = ("national", "customary", "abatis")
HAZARD = "hazard"
# Kinds that only the register and the rules speak of; `model/law_kinds.py` keeps them out of the measures.
BANNED = ("anti_personnel_mine", "cluster_munition")


@dataclass(frozen=True)
class Ruling:
    """One rule that holds for one kind of measure in one state on a day."""

    rule: str
    instrument: str
    article: str
    effect: str
    duty: str
    since: str
    certain: bool
    wording: str
    tag: str
    source: str


@dataclass(frozen=True)
class MeasureLaw:
    """What the law says of one measure in one state: `lawful` is None where no register knows the state."""

    measure: str
    name: str
    kind: str
    state: str
    lawful: bool | None
    rulings: tuple[Ruling, ...]

    @property
    def verdict(self) -> str:
        """Lawful, lawful with duties, unlawful or not known, as one word or three."""
        if self.lawful is None:
            return "not known"
        if not self.lawful:
            return "unlawful"
        return "lawful with duties" if self.duties else "lawful"

    @property
    def duties(self) -> tuple[str, ...]:
        """Words of the duties, each once."""
        return tuple(dict.fromkeys(one.duty for one in self.rulings if one.effect == "duty"))


@dataclass(frozen=True)
class Norm:
    """One norm that a state can keep of its own will; `kept` is yes, no or `to be shown`."""

    norm: str
    asks: str
    basis: str
    evidence: str
    kept: str
    tag: str


def read_law_rules(study: Study | None = None) -> pd.DataFrame:
    """Read the packaged rules, with the rows of the study's own law_rules.csv in place of the same ones.

    Raises
    ------
    InputError : every fault of the study's rows.
    """
    packaged = read_packaged("law_rules")
    if study is None or study.tables["law_rules"].empty:
        return packaged
    own = study.tables["law_rules"]
    states = {"any", *read_packaged("treaties")["state"], *study.home, *study.hostile}
    faults = _check_rules(own, states, {str(one) for one in packaged["rule"]})
    if faults:
        raise InputError(faults)
    return merge_own_rows(packaged, own, "law_rules")


def _check_rules(rules: pd.DataFrame, states: set[str], packaged: set[str]) -> list[Fault]:
    faults = []
    instruments = (*read_instruments(), *GENERAL)
    kinds = ("any", HAZARD, *LAW_KINDS, *BANNED)
    for number, row in rules.iterrows():
        line = int(str(number))
        if row["rule"] in packaged and row["rule"].startswith("never_"):
            faults.append(Fault(f"{NEVER}: this rule stays", FILE, line, "rule", "delete the row"))
        if row["instrument"] not in instruments:
            text = f"'{row['instrument']}' is an unknown treaty"
            remedy = nearest_word(row["instrument"], instruments)
            faults.append(Fault(text, FILE, line, "instrument", remedy))
        if row["state"] not in states:
            text = f"'{row['state']}' is a state that neither the study nor the register knows"
            faults.append(Fault(text, FILE, line, "state", nearest_word(row["state"], sorted(states))))
        for kind in row["kinds"]:
            if kind not in kinds:
                text = f"has the unknown word '{kind}'"
                faults.append(Fault(text, FILE, line, "kinds", nearest_word(kind, kinds)))
        if row["effect"] == "duty" and not row["duty"]:
            faults.append(Fault("is missing", FILE, line, "duty", "say what the rule obliges to"))
        if row["instrument"] in GENERAL and row["binding"] == "party":
            text = f"'{row['instrument']}' is no treaty that a state could join"
            faults.append(Fault(text, FILE, line, "binding", "write always"))
        faults += check_dates(row, ("since", "until"), FILE, line)
        faults += check_order(row, ("since", "until"), FILE, line)
    return faults


def list_standings(study: Study, day: date, states: Sequence[str] = ()) -> tuple[Standing, ...]:
    """List how states stand to every treaty of the register on a day.

    Parameters
    ----------
    study : its own register rows replace packaged ones; its home and hostile states are shown.
    day : the day asked for.
    states : other states to show instead.

    Raises
    ------
    InputError : a state asked for that is not in the register.
    """
    register = read_register(study)
    known = set(register["state"])
    wrong = [state for state in states if state not in known]
    if wrong:
        raise InputError(
            [
                Fault(
                    f"'{one}' is not in the treaty register",
                    column="--state",
                    remedy=nearest_word(one, sorted(known)),
                )
                for one in wrong
            ]
        )
    chosen = tuple(states) or (*study.home, *study.hostile)
    return tuple(
        find_standing(register, state, instrument, day)
        for state in dict.fromkeys(chosen)
        for instrument in read_instruments()
    )


def find_rulings(
    rules: pd.DataFrame, register: pd.DataFrame, state: str, kinds: Sequence[str], day: date
) -> tuple[Ruling, ...]:
    """Find the rules that hold for kinds of measures in a state on a day.

    In words: a rule of a treaty holds while the state is bound, or while that is contested or not known; a
    rule that binds always holds between its own dates. Dates are taken at their earliest for the beginning
    and at their latest for the end, so that a rule is rather shown a day too long.
    """
    found = []
    for _, row in rules.iterrows():
        if row["state"] not in ("any", state) or not set(row["kinds"]) & {"any", *kinds}:
            continue
        if row["since"] and day < parse_span(row["since"])[0]:
            continue
        if row["until"] and day >= parse_span(row["until"])[1]:
            continue
        since, certain = format_since(row["since"], row["tag"]), row["tag"] not in UNSURE_TAGS
        if row["binding"] == "party":
            standing = find_standing(register, state, row["instrument"], day)
            if not standing.binds:
                continue
            certain = certain and standing.certain
            since = since or standing.since
        found.append(
            Ruling(
                rule=str(row["rule"]),
                instrument=str(row["instrument"]),
                article=str(row["article"]),
                effect=str(row["effect"]),
                duty=str(row["duty"]),
                since=since,
                certain=certain,
                wording=str(row["wording"]),
                tag=str(row["tag"]),
                source=str(row["source"]),
            )
        )
    return tuple(found)


def assess_measures(study: Study, day: date) -> tuple[MeasureLaw, ...]:
    """Say of every measure of the catalogue, in every home country, what the law says on a day.

    In words: unlawful when a rule forbids its kind there and then; lawful otherwise, with the duties of all
    rules that hold. Last come the kinds that are never a measure, so that nobody has to look for them.
    """
    rules, register = read_law_rules(study), read_register(study)
    known = set(register["state"])
    rows = []
    kinds = {*study.tables["measures"]["law_kind"], *BANNED}
    for state in study.home:
        of_kind = {kind: find_rulings(rules, register, state, (kind,), day) for kind in kinds}
        for _, row in study.tables["measures"].iterrows():
            kind = str(row["law_kind"])
            rulings = of_kind[kind]
            forbidden = any(one.effect == "prohibits" for one in rulings)
            lawful = False if forbidden else True if state in known else None
            rows.append(MeasureLaw(str(row["measure"]), str(row["name"]), kind, state, lawful, rulings))
        for kind in BANNED:
            name = f"{kind.replace('_', ' ')}: never a measure"
            bans = tuple(one for one in of_kind[kind] if one.effect == "prohibits")
            rows.append(MeasureLaw("-", name, kind, state, False, bans))
    return tuple(rows)


def list_duties(study: Study, state: str, kinds: Sequence[str], day: date) -> tuple[Ruling, ...]:
    """List the duties that a state has on a day for kinds of measures, or for ground (`hazard`)."""
    rulings = find_rulings(read_law_rules(study), read_register(study), state, kinds, day)
    return tuple(one for one in rulings if one.effect == "duty")


def check_measures(study: Study, day: date) -> list[Fault]:
    """List the measures that options use and that a rule forbids on a day, with the rule.

    Parameters
    ----------
    study : measures that no option uses are passed over: no plan can hold them.
    day : the day on which the works would stand.

    Returns
    -------
    One fault per measure, state and rule; empty when every plan would be lawful.
    """
    used = _find_used(study)
    faults = []
    for one in assess_measures(study, day):
        if one.measure not in used:
            continue
        for ruling in one.rulings:
            if ruling.effect == "prohibits":
                faults.append(_name_fault(study, one, ruling, day))
    return faults


def _name_fault(study: Study, measure: MeasureLaw, ruling: Ruling, day: date) -> Fault:
    measures = study.tables["measures"]
    line = int(str(measures.index[measures["measure"] == measure.measure][0]))
    text = f"'{measure.measure}' is unlawful in {measure.state} on {day.isoformat()}"
    text += f" by the rule {ruling.rule} ({ruling.instrument}, art. {ruling.article}): {ruling.wording}"
    remedy = "leave it out of tables/options.csv, stocks.csv and belts.csv"
    return Fault(text, "tables/measures.csv", line, "measure", remedy)


def _find_used(study: Study) -> set[str]:
    """Measures that an option, a stock or a reserve belt names."""
    options = study.tables["options"]
    columns = [options[name] for name in ("open_measure", "road_measure", "bridge_measure")]
    columns += [study.tables[name]["measure"] for name in ("stocks", "belts")]
    return {str(one) for column in columns for one in column if one}


def check_programme_measures(study: Study) -> list[Fault]:
    """List what `check_measures` finds on any day of the programme, each rule at its first such day.

    In words: a plan says what is built, not yet when; so it has to be lawful from the first day of the
    programme to the last. Only days on which something changes need a look.
    """
    first = date(study.first_year, 1, 1)
    last = date(study.first_year + study.programme_years - 1, 12, 31)
    days = {first, *list_changes(read_register(study), study.home, first, last)}
    for _, row in read_law_rules(study).iterrows():
        for column in ("since", "until"):
            if row[column]:
                days |= {day for day in parse_span(row[column]) if first <= day <= last}
    seen: set[tuple[str, str]] = set()
    faults = []
    for day in sorted(days):
        for fault in check_measures(study, day):
            key = (str(fault.row), fault.problem.split(" on ")[0] + fault.problem.split(" by the rule ")[1])
            if key not in seen:
                seen.add(key)
                faults.append(fault)
    return faults


def require_lawful(study: Study) -> None:
    """Refuse a study whose plans could be unlawful.

    Raises
    ------
    InputError : what `check_programme_measures` finds; each fault names its rule.
    """
    faults = check_programme_measures(study)
    if faults:
        raise InputError(faults)


def list_norms(study: Study) -> tuple[Norm, ...]:
    """List the norms that a state can keep of its own will, and which of them the study shows as kept.

    In words: abatis answers only what it can see: no anti-personnel mine among the measures, records and
    marking of the hazard register. Everything else is to be shown by the study's author.
    """
    text = resources.files("abatis.people").joinpath("voluntary_norms.csv").read_text(encoding="utf-8")
    hazards = study.tables["hazards"]
    laid = hazards[(hazards["origin"] == "reserve_belt") & (hazards["status"] == "open")]
    answers = {"no_anti_personnel": "yes"}
    if len(laid):
        recorded = bool((laid["record"] & (laid["custodian"] != "")).all())
        watched = bool((laid["marked"] & laid["monitored"] & (laid["inspected"] != "")).all())
        answers |= {"keep_records": "yes" if recorded else "no", "mark_and_watch": "yes" if watched else "no"}
    return tuple(
        Norm(
            row["norm"],
            row["asks"],
            row["basis"],
            row["evidence"],
            answers.get(row["norm"], "to be shown"),
            row["tag"],
        )
        for row in csv.DictReader(text.splitlines())
    )
