"""What a job may be: its settings, and the function of the workflow that does it and writes its results."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from abatis.model.plan import read_plan
from abatis.model.storage import write_text_whole
from abatis.show.app.saved import hash_plan, lock_plan

Progress = Callable[[str, float], None]
Note = Callable[[str], None]
MOST_EUR = 1e15
MOST_SECONDS = 24 * 3600.0
Eur = Annotated[float, Field(ge=0, le=MOST_EUR, allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Seconds = Annotated[float, Field(ge=0, le=MOST_SECONDS, allow_inf_nan=False)]
Seed = Annotated[int, Field(ge=0, le=2**31 - 1)]
Name = Annotated[str, Field(max_length=80)]


class Asked(BaseModel):
    """Settings of a job; a word that is not known is refused."""

    model_config = ConfigDict(extra="forbid")


class SolveAsked(Asked):
    """Settings of `solve`; what is left out is the study's."""

    budget_eur: Eur | None = None
    gap: Share | None = None
    time_limit_s: Seconds | None = None
    seed: Seed | None = None


class CurveAsked(Asked):
    """Settings of `curve`: budgets (shares of the planned one when empty), and which fronts too."""

    budgets_eur: Annotated[list[Eur], Field(max_length=50)] = []
    land: bool = False
    people: bool = False
    gap: Share | None = None
    time_limit_s: Seconds = 300.0
    seed: Seed | None = None


class ProgrammeAsked(Asked):
    """Settings of `programme`."""

    named_budget: Name | None = None
    gap: Share | None = None
    time_limit_s: Seconds | None = None


class RiskAsked(Asked):
    """Settings of `risk`: other plans under the same draws, how many, what is drawn."""

    against: Annotated[list[Name], Field(max_length=8)] = []
    draws: Annotated[int, Field(ge=2, le=100_000)] = 1000
    speeds: bool = False
    shape: Literal["pert", "triangular"] = "pert"
    sensitivity: Annotated[int, Field(ge=0, le=4096)] = 0
    seed: Seed | None = None


class WatchAsked(Asked):
    """Settings of `watch`."""

    budget_eur: Eur | None = None
    target: Literal["person", "vehicle", "low_air"] = "vehicle"
    backup: bool = False
    joint_budget_eur: Eur | None = None
    report: bool = False


class WhyAsked(Asked):
    """Settings of `why`: one site or all, how many other plans, the share of the value they may lose."""

    site: Name = ""
    alternatives: Annotated[int, Field(ge=0, le=20)] = 3
    loss_share: Share = 0.02
    time_limit_s: Seconds = 120.0


class PeopleAsked(Asked):
    """Settings of `people`: none."""


class ReportAsked(Asked):
    """Settings of `report`: none."""


@dataclass(frozen=True)
class Work:
    """What a job is handed: study folder, plan, checked settings, and two ways to tell how far it is."""

    study: Path
    plan: str
    asked: Any
    progress: Progress
    note: Note

    @property
    def place(self) -> Path:
        """Folder of the plan."""
        return self.study / "plans" / self.plan


@dataclass(frozen=True)
class Kind:
    """A kind of job; `needs_plan` is false where the plan is made by the job or may be left out."""

    asked: type[Asked]
    run: Callable[[Work], dict[str, Any]]
    needs_plan: bool = True


def solve(work: Work) -> dict[str, Any]:
    """Solve the study and write the plan."""
    from abatis.show.workflow import choose_settings, describe_plan, load_study, solve_study

    study, mesh = load_study(work.study)
    asked: SolveAsked = work.asked
    settings = choose_settings(
        study, work.plan, asked.budget_eur, asked.gap, asked.time_limit_s, asked.seed
    )  # fmt: skip
    _, results = solve_study(study, mesh, settings, work.progress, work.note)
    return {"plan": work.plan, "rows": describe_plan(results.plan), "files": [f"plans/{work.plan}/plan.json"]}


def trace_curve(work: Work) -> dict[str, Any]:
    """Trace hours against budget and keep the points, with the choices of each, as curve.json."""
    from abatis.show.explain import CurveSettings, trace_study

    asked: CurveAsked = work.asked
    read_hash = hash_plan(work.place)
    before = read_plan(work.place)
    settings = CurveSettings(
        tuple(asked.budgets_eur), asked.land, asked.people, asked.gap, asked.time_limit_s, asked.seed
    )
    tables = trace_study(work.study, settings, work.progress)
    points = [describe_point(row) for row in tables["curve"].rows]
    kept = {
        "made": True,
        "study_hash": before.study_hash,
        "watch_hash": before.watch_hash,
        "points": points,
    }
    with lock_plan(work.study, work.place, read_hash):
        keep_json(work.place / "curve.json", kept)
    return {"plan": work.plan, "points": len(points), "files": [f"plans/{work.plan}/curve.json"]}


def describe_point(row: Mapping[str, Any]) -> dict[str, Any]:
    """Lay one point of the curve out for the page; null where no plan was found.

    Examples
    --------
    >>> describe_point({"budget_eur": 5.0, "value_h": None, "bound_h": 2.0})["choices"] is None
    True
    """
    chosen = row.get("chosen")
    return {
        **{key: row.get(key) for key in ("budget_eur", "value_h", "bound_h", "cost_eur")},
        "choices": None if chosen is None else {one["site"]: one["option"] for one in chosen},
    }


def lay_out(work: Work) -> dict[str, Any]:
    """Lay the plan out over the years and write its page and workbook."""
    from abatis.show.programme import ProgrammeSettings, make_programme
    from abatis.show.report.programme import write_programme_files

    asked: ProgrammeAsked = work.asked
    settings = ProgrammeSettings(work.plan, asked.named_budget, asked.gap, asked.time_limit_s)
    found = make_programme(work.study, settings, work.progress)
    work.progress("page and workbook", 0.0)
    files = ("programme.json", *(path.name for path in write_programme_files(found)))
    return {"plan": work.plan, "files": [f"plans/{work.plan}/{name}" for name in files]}


def draw_risk(work: Work) -> dict[str, Any]:
    """Draw the risk of the plan and keep it beside the plan."""
    from abatis.show.beside import keep_beside
    from abatis.show.risk import RiskSettings, tabulate_risk

    asked: RiskAsked = work.asked
    read_hash = hash_plan(work.place)
    settings = RiskSettings(
        (work.plan, *asked.against), asked.draws, 1, asked.speeds, asked.shape, asked.sensitivity, asked.seed
    )
    tables = tabulate_risk(work.study, settings, work.progress)
    with lock_plan(work.study, work.place, read_hash):
        keep_beside(work.study, work.plan, "risk", tables)
    return {"plan": work.plan, "files": [f"plans/{work.plan}/risk.json"]}


def choose_posts(work: Work) -> dict[str, Any]:
    """Choose posts and write the folder watch/."""
    from abatis.show.watch import WatchSettings
    from abatis.show.watch_answer import answer_watch, list_outdated_plans, tabulate_all
    from abatis.show.watch_export import write_watch
    from abatis.show.workflow import load_study

    asked: WatchAsked = work.asked
    study, mesh = load_study(work.study)
    settings = WatchSettings(asked.target, asked.budget_eur, 2 if asked.backup else 1, work.plan)
    answer = answer_watch(study, mesh, settings, asked.joint_budget_eur, work.progress)
    work.progress("files of the watch", 0.0)
    folder = write_watch(answer, tabulate_all(answer), asked.report, work.progress)
    return {"files": [folder.name], "outdated_plans": list(list_outdated_plans(study))}


def count_people(work: Work) -> dict[str, Any]:
    """Compute the civil account of the plan and keep the view of it beside the plan."""
    from abatis.show.app.views.people import write_people_view

    path = write_people_view(work.study, work.plan, work.progress)
    return {"plan": work.plan, "files": [f"plans/{work.plan}/{path.name}"]}


def tell_why(work: Work) -> dict[str, Any]:
    """Rate the sites of the plan, find plans nearly as good, and keep both as why.json."""
    from abatis.show.app.answers.tables import answer_table
    from abatis.show.explain import WhySettings, explain_plan

    asked: WhyAsked = work.asked
    read_hash = hash_plan(work.place)
    before = read_plan(work.place)
    settings = WhySettings(asked.site, asked.alternatives, asked.loss_share, asked.time_limit_s)
    tables = explain_plan(work.place, settings, work.progress)
    kept = {
        "study_hash": before.study_hash,
        "site": asked.site,
        "tables": {key: answer_table(table).model_dump() for key, table in tables.items()},
    }
    with lock_plan(work.study, work.place, read_hash):
        keep_json(work.place / "why.json", kept)
    return {"plan": work.plan, "files": [f"plans/{work.plan}/why.json"]}


def make_report(work: Work) -> dict[str, Any]:
    """Make report and GeoPackage of the plan anew."""
    from abatis.show.workflow import report_plan

    report_plan(work.place, work.progress)
    return {
        "plan": work.plan,
        "files": [f"plans/{work.plan}/{name}" for name in ("report.html", "plan.gpkg")],
    }


def keep_json(path: Path, value: Mapping[str, Any]) -> None:
    """Write a result whole or not at all."""
    write_text_whole(path, json.dumps(value, ensure_ascii=False, allow_nan=False) + "\n")


KINDS: dict[str, Kind] = {
    "solve": Kind(SolveAsked, solve, needs_plan=False),
    "curve": Kind(CurveAsked, trace_curve),
    "programme": Kind(ProgrammeAsked, lay_out),
    "risk": Kind(RiskAsked, draw_risk),
    "watch": Kind(WatchAsked, choose_posts, needs_plan=False),
    "people": Kind(PeopleAsked, count_people),
    "why": Kind(WhyAsked, tell_why),
    "report": Kind(ReportAsked, make_report),
}
