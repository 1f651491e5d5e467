"""What the study says beside the ledger: schedule, law, hazard register, joint line, stock."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

from abatis.model.errors import Fault, InputError
from abatis.model.study import Study
from abatis.people.dates import add_months
from abatis.people.law import assess_measures, list_duties
from abatis.people.treaties import find_effect, read_register
from abatis.programme.ledger.baseline import Baseline, read_baseline
from abatis.programme.ledger.renewals import Change, Renewal
from abatis.programme.ledger.settings import MonitorSettings, read_settings

JOINT_FILE = "joint.json"
HAZARD_KINDS = {"reserve_belt": "mine_reserve"}
# What the hazard register can show of a duty.
EVIDENCE = {
    "record": ("record", "custodian"),
    "mark": ("marked",),
    "monitor": ("monitored",),
    "own": ("owner",),
}


@dataclass(frozen=True)
class Seam:
    """Two neighbours whose separate lines do not meet: what they leave open along their border."""

    between: tuple[str, str]
    open_km: float


@dataclass(frozen=True)
class HazardDuty:
    """An open area of the study's hazard register and the duties that it shows no sign of."""

    key: str
    name: str
    country: str
    missing: tuple[str, ...]
    tag: str


@dataclass(frozen=True)
class Context:
    """What a status needs of the study; an empty one when there is only a ledger.

    `unlawful` maps (state, measure) to the rule that forbids it on the day; `duties` maps a state to its
    duties for hazardous ground and the treaties that ask for each. `settings` are the thresholds, rules and
    service lives of the study, None for the packaged ones.
    """

    baseline: Baseline | None = None
    unlawful: Mapping[tuple[str, str], str] = field(default_factory=dict)
    duties: Mapping[str, Mapping[str, tuple[str, ...]]] = field(default_factory=dict)
    hazards: tuple[HazardDuty, ...] = ()
    changes: tuple[Change, ...] = ()
    seams: tuple[Seam, ...] = ()
    stocks: tuple[Renewal, ...] = ()
    settings: MonitorSettings | None = None

    def for_public(self) -> Context:
        """Return what the public may know of it: the law, and nothing of plan, places and stock."""
        return Context(
            unlawful=self.unlawful, duties=self.duties, changes=self.changes, settings=self.settings
        )


def read_context(study: Study, day: date, plan: str | None = "base") -> Context:
    """Read from a study what a status of its ledger needs on a day.

    Parameters
    ----------
    study : its tables, treaty register, and the file joint.json in its folder where there is one.
    day : the day asked for.
    plan : name of the plan whose schedule actuals are held against; None for none.

    Raises
    ------
    InputError : a damaged joint.json, register or law rules; every fault of the study's own terms, alert
        rules and service lives.
    """
    baseline = None
    if plan is not None and (study.folder / "plans" / Path(plan).name / "plan.json").is_file():
        baseline = read_baseline(study, plan)
    register = read_register(study)
    known = sorted(set(register["state"]))
    unlawful = {
        (one.state, one.measure): f"{ruling.instrument} art. {ruling.article}"
        for one in assess_measures(study, day)
        if one.lawful is False
        for ruling in one.rulings
        if ruling.effect == "prohibits"
    }
    duties: dict[str, dict[str, tuple[str, ...]]] = {}
    for state in known:
        for ruling in list_duties(study, state, ("hazard",), day):
            of_state = duties.setdefault(state, {})
            of_state[ruling.duty] = (*of_state.get(ruling.duty, ()), ruling.instrument)
    changes = []
    for _, row in register.iterrows():
        span = find_effect(row)
        if span is not None and span[1] >= day:
            name = str(row["instrument"])
            changes.append(Change(str(row["state"]), name, span[1], str(row["tag"])))
    return Context(
        baseline=baseline,
        unlawful=unlawful,
        duties=duties,
        hazards=tuple(_check_register(study, day)),
        changes=tuple(changes),
        seams=read_seams(study.folder),
        stocks=tuple(_expire_stocks(study)),
        settings=read_settings(study),
    )


def read_seams(folder: Path) -> tuple[Seam, ...]:
    """Read what the joint line left between neighbours: joint.json, as `abatis joint --json` writes it.

    Raises
    ------
    InputError : the file is no such answer.
    """
    path = folder / JOINT_FILE
    if not path.is_file():
        return ()
    try:
        given = json.loads(path.read_text(encoding="utf-8"))["seams"]
        return tuple(Seam(_read_pair(one["between"]), float(one["open_km"])) for one in given)
    except (OSError, ValueError, KeyError, TypeError) as error:
        remedy = "write it with: abatis joint STUDY STUDY --json"
        raise InputError([Fault(f"holds no joint line: {error}", JOINT_FILE, remedy=remedy)]) from error


def _read_pair(between: object) -> tuple[str, str]:
    words = between.split(" - ") if isinstance(between, str) else between
    if not isinstance(words, list | tuple) or len(words) != 2:
        raise ValueError("a seam lies between two countries")
    return str(words[0]), str(words[1])


def _check_register(study: Study, day: date) -> list[HazardDuty]:
    """Open areas of the hazard register for which the law asks what the register does not show."""
    found = []
    for _, row in study.tables["hazards"].iterrows():
        if row["status"] != "open":
            continue
        kind = HAZARD_KINDS.get(str(row["origin"]), "hazard")
        duties = dict.fromkeys(one.duty for one in list_duties(study, str(row["state"]), (kind,), day))
        missing = tuple(
            duty for duty in duties if duty in EVIDENCE and not all(row[column] for column in EVIDENCE[duty])
        )
        if missing:
            found.append(
                HazardDuty(str(row["hazard"]), str(row["name"]), str(row["state"]), missing, str(row["tag"]))
            )
    return found


def _expire_stocks(study: Study) -> list[Renewal]:
    """Stock that is held already and when its life ends."""
    found = []
    for _, row in study.tables["stocks"].iterrows():
        if row["held_km"] > 0 and row["held_life_years"] > 0:
            ends = add_months(date(study.first_year, 1, 1), 12 * int(row["held_life_years"]))
            found.append(
                Renewal(
                    due=ends.isoformat(), kind="stock", key=str(row["measure"]), name=str(row["measure"]),
                    country=study.home[0], line=str(row["line"]), measure=str(row["measure"]),
                    quantity=float(row["held_km"]), unit="km", basis="life told", days_left=None,
                    tag=str(row["tag"]), records=(),
                )
            )  # fmt: skip
    return found
