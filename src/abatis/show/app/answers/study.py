"""The answer about the study: what it is, what may be asked of it, and its plans."""

from __future__ import annotations

from pydantic import BaseModel, Field

from abatis.show.app.answers.views import FeaturesAnswer
from abatis.show.app.refusals import FaultAnswer

Hours = float | None
"""Hours; null means never."""


class Quantity(BaseModel):
    """What a number is: caption, unit, meaning, where it comes from, and the tag of its weakest input."""

    key: str
    caption: str
    unit: str = ""
    meaning: str = ""
    source: str = ""
    tag: str = ""


class WordAnswer(BaseModel):
    """A word with the name to be shown."""

    key: str
    name: str


class PlaceAnswer(BaseModel):
    """A place: degrees and name."""

    key: str
    name: str
    lon: float
    lat: float


class ApproachAnswer(BaseModel):
    """One approach: from which front to which objective, with what, and its share of all weight."""

    key: str
    name: str
    front: str
    vehicle: str
    season: str
    weight: float
    objective: PlaceAnswer
    source: str
    tag: str


class PairAnswer(BaseModel):
    """A vehicle and a season for which the study gives every speed."""

    vehicle: str
    season: str


class PlanLine(BaseModel):
    """One plan in the list. `bound_h` and `gap` are null for a plan made by hand: nothing is proven of it."""

    name: str
    title: str
    status: str
    value_h: Hours
    before_h: Hours
    bound_h: float | None
    gap: float | None
    proven: bool
    cost_eur: float
    budget_eur: float
    sites: int
    version: str
    made_by: str = ""
    made_at: str = ""
    stale: str = Field(default="", description="why it no longer fits the study; empty when it does")


class SourceAnswer(BaseModel):
    """One source of the study."""

    layer: str
    file: str
    licence: str
    date: str
    source: str
    tag: str
    attribution: str = ""


class StudyAnswer(BaseModel):
    """The study. `faults` is not empty when its files were changed into something that cannot be read."""

    name: str
    title: str
    schematic: bool
    note: str
    home: list[str]
    hostile: list[str]
    countries: list[str]
    resolution: int
    cell_count: int
    bounds: tuple[float, float, float, float]
    version: str
    seasons: list[WordAnswer]
    vehicles: list[WordAnswer]
    pairs: list[PairAnswer]
    approaches: list[ApproachAnswer]
    plans: list[PlanLine]
    objective: str = Field(description="sum: the weighted sum of arrival times counts; minimum: the least")
    classes: list[str] = Field(description="words of land cover, in the order of the column cover")
    tags: dict[str, str]
    sources: list[SourceAnswer]
    quantities: list[Quantity]
    faults: list[FaultAnswer] = Field(default_factory=list)
    tiles: str = Field(
        default="", description="address of map tiles outside this server; empty: none are asked"
    )


class BaseAnswer(BaseModel):
    """The base map, from the study's own sources, simplified; see `sources` in the study for their origin."""

    land: FeaturesAnswer
    water: FeaturesAnswer
    forests: FeaturesAnswer
    rivers: FeaturesAnswer
    borders: FeaturesAnswer
    roads: FeaturesAnswer
    places: FeaturesAnswer
