"""Charts of the programme page as PNG: money by line, S-curve, hours held, works over the years."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

COLORS = ("#0b5c9e", "#e0a030", "#3a8f5c", "#b0506a", "#7a6ab0", "#5a6472", "#c8792a", "#2a8f9e")
WAIT, WORK, FIXED = "#c9d3de", "#0b5c9e", "#5a6472"
WIDTH_IN, DPI = 8.6, 140
MOST_BARS = 40


@dataclass(frozen=True)
class Bar:
    """One row of the chart of works: years as numbers, the work from `work` to `end` after waiting."""

    label: str
    begin: float
    work: float
    end: float
    is_fixed: bool = False


def draw_cash_flow(years: Sequence[int], lines: Mapping[str, np.ndarray]) -> bytes:
    """Draw nominal money by budget line and year as stacked bars.

    Parameters
    ----------
    years : calendar years.
    lines : name of each line -> EUR by year.
    """
    figure, axes = open_figure(3.6)
    below = np.zeros(len(years))
    for number, (name, eur) in enumerate(lines.items()):
        axes.bar(years, eur / 1e6, bottom=below, width=0.72, color=COLORS[number % len(COLORS)], label=name)
        below += eur / 1e6
    for year, total in zip(years, below, strict=True):
        axes.annotate(f"{total:,.1f}", (year, total), (0, 3), textcoords="offset points", ha="center", size=8)
    axes.set_ylabel("EUR million, nominal")
    axes.set_ylim(0, 1.1 * max(float(below.max()), 1e-9))
    finish_years(axes, years)
    figure.legend(loc="outside lower center", ncols=2, fontsize=8, frameon=False)
    return encode_figure(figure)


def draw_s_curve(years: Sequence[int], spent_eur: np.ndarray, money_eur: np.ndarray) -> bytes:
    """Draw planned money spent since the first year beside the money at hand.

    Parameters
    ----------
    years : calendar years.
    spent_eur, money_eur : by year, of the lines that pay the works.
    """
    figure, axes = open_figure(3.2)
    at = [years[0] - 1, *years]
    money = np.append(0.0, np.cumsum(money_eur)) / 1e6
    spent = np.append(0.0, np.cumsum(spent_eur)) / 1e6
    axes.plot(at, money, "--", color=COLORS[1], label="money of the lines that pay works")
    axes.plot(at, spent, "-o", color=COLORS[0], ms=4, label="spent on works")
    axes.set_ylabel("EUR million since the start, nominal")
    axes.set_ylim(0, None)
    axes.set_xlabel("end of year")
    finish_years(axes, at)
    axes.legend(fontsize=8, frameon=False, loc="upper left")
    return encode_figure(figure)


def draw_hours(
    years: Sequence[int], before_h: float, held_h: np.ndarray, most_h: np.ndarray, bands: Sequence[Any]
) -> bytes:
    """Draw hours held at the end of each year, what the year could hold at most, and bands when drawn.

    Parameters
    ----------
    years : calendar years.
    before_h : hours before the programme.
    held_h, most_h : by year.
    bands : (P10, P50, P90) by year; empty without draws.
    """
    figure, axes = open_figure(3.4)
    at = [years[0] - 1, *years]
    axes.axhline(before_h, color=COLORS[5], lw=1, ls=":", label="before the programme")
    if bands:
        low, middle, high = np.array(bands, float).T
        axes.fill_between(years, low, high, color=COLORS[0], alpha=0.18, lw=0, label="P10 to P90 of draws")
        axes.plot(years, middle, color=COLORS[3], lw=1.2, label="P50 of draws")
    axes.plot(years, most_h, "--", color=COLORS[1], lw=1.2, label="no order of works can hold more")
    axes.plot(at, [before_h, *held_h], "-o", color=COLORS[0], ms=4, label="schedule")
    axes.set_ylabel("hours held")
    axes.set_xlabel("end of year")
    finish_years(axes, at)
    figure.legend(loc="outside lower center", ncols=2, fontsize=8, frameon=False)
    return encode_figure(figure)


def draw_works(years: Sequence[int], bars: Sequence[Bar]) -> bytes:
    """Draw works over the years: waiting for land and delivery pale, work dark.

    Parameters
    ----------
    years : calendar years.
    bars : rows from the top.
    """
    figure, axes = open_figure(max(2.2, 0.9 + 0.215 * len(bars)))
    for row, bar in enumerate(bars):
        color = FIXED if bar.is_fixed else WORK
        axes.barh(row, bar.work - bar.begin, left=bar.begin, height=0.62, color=WAIT)
        axes.barh(row, bar.end - bar.work, left=bar.work, height=0.62, color=color)
    axes.barh(0, 0, color=WAIT, label="waiting for land and delivery")
    axes.barh(0, 0, color=WORK, label="work")
    if any(bar.is_fixed for bar in bars):
        axes.barh(0, 0, color=FIXED, label="built or contracted before")
    axes.set_yticks(range(len(bars)), [bar.label for bar in bars], fontsize=7)
    axes.set_ylim(len(bars) - 0.4, -0.6)
    axes.set_xlim(years[0], years[-1] + 1)
    axes.set_xticks([year + 0.5 for year in years], [str(year) for year in years], fontsize=8)
    axes.set_xticks([*years, years[-1] + 1], minor=True)
    axes.tick_params(axis="x", which="major", length=0)
    axes.grid(axis="x", which="minor", color="#d9dee5", lw=0.6)
    axes.set_axisbelow(True)
    figure.legend(loc="outside lower center", ncols=3, fontsize=8, frameon=False)
    return encode_figure(figure)


def open_figure(height_in: float) -> tuple[Figure, Axes]:
    """Open a figure of the page's width and a height in inches."""
    figure = Figure(figsize=(WIDTH_IN, height_in), dpi=DPI, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    return figure, axes


def finish_years(axes: Axes, years: Sequence[int]) -> None:
    """Put years below and a light grid behind."""
    axes.set_xticks(list(years), [str(year) for year in years], fontsize=8)
    axes.yaxis.set_major_locator(MaxNLocator(6))
    axes.tick_params(axis="y", labelsize=8)
    axes.grid(axis="y", color="#d9dee5", lw=0.6)
    axes.set_axisbelow(True)


def encode_figure(figure: Figure) -> bytes:
    """Return a figure as PNG."""
    kept = io.BytesIO()
    figure.savefig(kept, format="png", metadata={"Software": None})
    return kept.getvalue()
