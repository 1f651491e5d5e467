"""The answer of one view of the page: tables, map layers and charts, or which job makes them."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, Field

from abatis.show.app.answers.tables import TableAnswer

JobKind = Literal["solve", "curve", "programme", "risk", "watch", "people", "why", "report"]
SeriesKind = Literal["bar", "line", "band"]


class AxisAnswer(BaseModel):
    """One axis: caption, unit ('' for words and years), and its values where they are the same for all."""

    caption: str
    unit: str = ""
    values: list[float | int | str] = Field(default_factory=list)


class SeriesAnswer(BaseModel):
    """One series of a chart, a value for each value of the first axis (null where there is none).

    `bar` and `line` have `values`; a `band` has `low` and `high`. Bars with one `stack` stand on each other.
    `trace` holds what to ask ``/api/trace?of=`` for, one for each value.
    """

    key: str
    name: str
    kind: SeriesKind
    values: list[float | str | None] = Field(default_factory=list)
    low: list[float | None] = Field(default_factory=list)
    high: list[float | None] = Field(default_factory=list)
    stack: str = ""
    trace: list[str] = Field(default_factory=list)


class SpanAnswer(BaseModel):
    """One bar over time: waiting from `begin`, work from `work` to `end`, in years with fractions."""

    label: str
    begin: float
    work: float
    end: float
    is_fixed: bool = False


class ChartAnswer(BaseModel):
    """One chart: plain arrays with units; `spans` hold the bars of a Gantt chart, else `series`."""

    title: str
    x: AxisAnswer
    y: AxisAnswer
    series: list[SeriesAnswer] = Field(default_factory=list)
    spans: list[SpanAnswer] = Field(default_factory=list)
    note: str = ""


class FeaturesAnswer(BaseModel):
    """A layer of the map: a GeoJSON FeatureCollection in EPSG:4326."""

    type: Literal["FeatureCollection"] = "FeatureCollection"
    features: list[dict[str, Any]] = Field(default_factory=list)


class ViewAnswer(BaseModel):
    """What one view shows.

    `made` is false when results are missing or of another state of the study: `why` says so in words and
    `job` is the kind of job that makes them, null when no job does. `notes` are sentences to be shown.
    """

    made: bool
    job: JobKind | None = None
    why: str = ""
    notes: list[str] = Field(default_factory=list)
    tables: dict[str, TableAnswer] = Field(default_factory=dict)
    features: dict[str, FeaturesAnswer] = Field(default_factory=dict)
    charts: dict[str, ChartAnswer] = Field(default_factory=dict)


def tell_missing(job: JobKind | None, why: str) -> ViewAnswer:
    """Answer that results are not there, why, and which job makes them."""
    return ViewAnswer(made=False, job=job, why=why)
