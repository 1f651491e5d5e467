"""One figure of a page."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Chart:
    """One chart of a page: PNG in base64, alternative text, caption."""

    png: str
    alt: str
    caption: str
