"""Answers about the ground: isochrones and avenues (cells and times are Arrow)."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, Field

from abatis.show.app.answers.study import Quantity
from abatis.show.app.answers.tables import TableAnswer
from abatis.show.app.answers.views import FeaturesAnswer


class IsochronesAnswer(FeaturesAnswer):
    """Lines of equal time; property `hours`. `from_words` says from where to where the time is."""

    from_words: str
    quantities: list[Quantity] = Field(default_factory=list)


class AvenuesAnswer(BaseModel):
    """Avenues, stretches that avenues share, chokepoints and cells that routes need.

    With a plan these are read from the files beside it; `made` is false where they were not made yet, and
    `job` then names the job that makes them.
    """

    made: bool
    job: str = ""
    features: dict[str, FeaturesAnswer] = Field(default_factory=dict)
    tables: dict[str, TableAnswer] = Field(default_factory=dict)
    charts: dict[str, Any] = Field(default_factory=dict)
