"""Questions and answers about plans: their sites, switches, routes, why, curve, saving and comparing."""

from __future__ import annotations

from pydantic import BaseModel, Field

from abatis.show.app.answers.study import Hours, PlanLine, Quantity
from abatis.show.app.answers.tables import TableAnswer
from abatis.show.app.answers.views import FeaturesAnswer
from abatis.show.app.context import NAME_PATTERN

Choices = dict[str, str | None]
MOST_CHOICES = 20_000


class PlanApproach(BaseModel):
    """One approach of a plan: hours without and with it; null means never."""

    key: str
    name: str
    weight: float
    before_h: Hours
    after_h: Hours


class MeasureUse(BaseModel):
    """How much of one measure an option uses, its price, and where that price comes from."""

    measure: str
    name: str
    quantity: float
    unit: str
    unit_cost_eur: float
    paid: bool = Field(description="false when the measure is held in stock: a locked line has bought it")
    source: str
    tag: str


class PlanOption(BaseModel):
    """A chosen option."""

    site: str
    option: str
    label: str
    place: str
    name: str
    cost_eur: float
    measures: list[MeasureUse]


class PlanAnswer(PlanLine):
    """A plan in full. `proof` says in words what is proven of it; `rules` are the rules it has to keep."""

    objective: str
    proof: str
    seed: int
    seconds: float
    made_with: str
    watch: str = Field(description="how barriers that nobody sees are counted")
    approaches: list[PlanApproach]
    options: list[PlanOption]
    rules: list[str]
    broken_rules: list[str]
    tables: dict[str, TableAnswer]
    quantities: list[Quantity]


class SwitchQuestion(BaseModel):
    """What changes against the plan: per site (key or label) an option, or null to leave it open."""

    choices: Choices = Field(default_factory=dict, max_length=MOST_CHOICES)


class Arrival(BaseModel):
    """Arrival of one approach: without any barrier, with the plan, with the plan as changed; null: never."""

    approach: str
    name: str
    weight: float
    before_h: Hours
    plan_h: Hours
    now_h: Hours


class ChangeAnswer(BaseModel):
    """One site that differs from the plan."""

    site: str
    label: str
    before: str | None
    now: str | None
    cost_eur: float


class SwitchAnswer(BaseModel):
    """What the changed plan is worth. Nothing is proven of it: a bound needs the solver."""

    arrivals: list[Arrival]
    value_h: Hours
    plan_value_h: Hours
    before_value_h: Hours
    cost_eur: float
    plan_cost_eur: float
    budget_eur: float
    sites: int
    changes: list[ChangeAnswer]
    broken_rules: list[str]
    proven: bool
    version: str
    server_ms: float


class RoutesQuestion(SwitchQuestion):
    """Which routes: one approach, or all when it is empty."""

    approach: str = Field("", max_length=200)


class RoutesAnswer(FeaturesAnswer):
    """Fastest routes; properties approach, state (before, plan, now) and hours."""


class Replacement(BaseModel):
    """One site that the money could go to instead."""

    site: str
    label: str
    place: str
    option: str
    cost_eur: float
    loss_h: Hours


class WhyAnswer(BaseModel):
    """Why a plan has a site: hours lost without it, and what the best single other site wins back.

    The quick answer tries one other site at a time; the job `why` searches whole plans and proves bounds.
    `full` is the row that this job left for the site, null where it has not run since the plan was made.
    """

    site: str
    label: str
    place: str
    option: str
    cost_eur: float
    effect: str = Field(description="block, turn, fix, disrupt or none, where plan.gpkg says so; else empty")
    loss_h: Hours
    arrivals: list[Arrival]
    broken_rules: list[str]
    replacements: list[Replacement]
    tried: int
    words: str
    table: TableAnswer
    full: TableAnswer | None = None
    job: str = "why"


class CurvePointAnswer(BaseModel):
    """The best plan found for one budget; `changes` turn the plan into it, as `switch` takes them."""

    budget_eur: float
    value_h: Hours
    bound_h: float | None
    cost_eur: float
    choices: dict[str, str]
    changes: Choices


class CurveAnswer(BaseModel):
    """Plans for many budgets. `made` is false when the job `curve` has not run for this plan and study."""

    made: bool
    job: str = "curve"
    stale: str = ""
    before_h: Hours = None
    points: list[CurvePointAnswer] = Field(default_factory=list)


class SaveQuestion(BaseModel):
    """A plan to be kept: changes against the plan `against` (this plan itself when empty).

    `version` is that of the plan as it was read, empty for a new plan.
    """

    choices: Choices = Field(default_factory=dict, max_length=MOST_CHOICES)
    title: str = Field("", max_length=200, pattern=r"^[^\x00-\x1f\x7f]*$")
    version: str = Field("", pattern=r"^[0-9a-f]{0,64}$")
    against: str = Field("", max_length=80, pattern=rf"^$|{NAME_PATTERN}")


class CompareAnswer(BaseModel):
    """Two plans side by side."""

    a: PlanLine
    b: PlanLine
    arrivals: list[dict[str, str | float | None]]
    sites: dict[str, str] = Field(description="site -> a, b, both or other, for the sites of either plan")
    tables: dict[str, TableAnswer]
