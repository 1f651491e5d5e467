"""Charts that set plans side by side, and those of stock and depots, as PNG."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from abatis.show.report.programme_charts import COLORS, encode_figure, finish_years, open_figure

LATE, IN_TIME = "#b0506a", "#0b5c9e"


def draw_spans(names: Sequence[str], bands: Sequence[tuple[float, float, float]]) -> bytes:
    """Draw P10 to P90 of hours as a line for each plan, P50 as a dot.

    Parameters
    ----------
    names : plans from the top.
    bands : (P10, P50, P90) in hours of each.
    """
    figure, axes = open_figure(1.0 + 0.42 * len(names))
    for row, (low, middle, high) in enumerate(bands):
        axes.plot([low, high], [row, row], color=COLORS[0], lw=5, alpha=0.3, solid_capstyle="butt")
        axes.plot([middle], [row], "o", color=COLORS[0], ms=7)
        axes.annotate(f"{middle:.2f}", (middle, row), (0, 8), textcoords="offset points", ha="center", size=8)
    axes.set_yticks(range(len(names)), list(names), fontsize=8.5)
    axes.set_ylim(len(names) - 0.4, -0.75)
    axes.set_xlabel("hours held at the end of the last year: P10 to P90, dot P50", fontsize=8.5)
    axes.margins(x=0.08)
    axes.tick_params(axis="x", labelsize=8)
    axes.grid(axis="x", color="#d9dee5", lw=0.6)
    axes.set_axisbelow(True)
    return encode_figure(figure)


def draw_money(names: Sequence[str], families: Mapping[str, Sequence[float]]) -> bytes:
    """Draw the money of each split by family as stacked bars.

    Parameters
    ----------
    names : splits from the top.
    families : name of each family -> EUR in every split.
    """
    figure, axes = open_figure(1.2 + 0.42 * len(names))
    before = np.zeros(len(names))
    for number, (family, eur) in enumerate(families.items()):
        part = np.asarray(eur, float) / 1e6
        axes.barh(
            range(len(names)), part, left=before, height=0.6, color=COLORS[number % len(COLORS)], label=family
        )
        for row, value in enumerate(part):
            if value > 0.05 * max(1.0, float(part.max())):
                at = (before[row] + value / 2, row)
                shown = f"{value:,.0f}" if value >= 10 else f"{value:,.1f}"
                axes.annotate(shown, at, ha="center", va="center", size=8, color="white")
        before += part
    axes.set_yticks(range(len(names)), list(names), fontsize=8.5)
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.set_xlabel("EUR million, prices of the base year", fontsize=8.5)
    axes.tick_params(axis="x", labelsize=8)
    figure.legend(loc="outside lower center", ncols=4, fontsize=8, frameon=False)
    return encode_figure(figure)


def draw_year_bands(
    years: Sequence[int], bands: Mapping[str, Sequence[tuple[float, float, float]]], unit: str = "hours held"
) -> bytes:
    """Draw P50 of a figure by year for each plan, with P10 to P90 as a pale band.

    Parameters
    ----------
    years : calendar years.
    bands : name of each plan -> (P10, P50, P90) by year.
    unit : what is drawn, with its unit.
    """
    figure, axes = open_figure(3.4)
    for number, (name, of_year) in enumerate(bands.items()):
        low, middle, high = np.array(of_year, float).T
        color = COLORS[number % len(COLORS)]
        axes.fill_between(years, low, high, color=color, alpha=0.13, lw=0)
        axes.plot(years, middle, "-o", color=color, ms=3.5, lw=1.5, label=name)
    axes.set_ylabel(f"{unit}, P10 to P90")
    axes.set_xlabel("end of year")
    finish_years(axes, years)
    figure.legend(loc="outside lower center", ncols=3, fontsize=8, frameon=False)
    return encode_figure(figure)


def draw_trade(points: Sequence[tuple[str, float, float, float, float]], share: str) -> bytes:
    """Draw plans by mean and worst share: hollow where they were chosen, full on other scenarios.

    Parameters
    ----------
    points : name, mean and worst hours on the scenarios of the choice, mean and worst on others.
    share : the worst share in words, for example 10 %.
    """
    figure, axes = open_figure(3.4)
    for number, (name, mean, worst, other_mean, other_worst) in enumerate(points):
        color = COLORS[number % len(COLORS)]
        axes.plot([mean, other_mean], [worst, other_worst], color=color, lw=0.8, alpha=0.6)
        axes.plot([mean], [worst], "o", mfc="white", mec=color, ms=7)
        axes.plot([other_mean], [other_worst], "o", color=color, ms=7, label=name)
    axes.set_xlabel("mean over the scenarios [h]", fontsize=8.5)
    axes.set_ylabel(f"mean of the worst {share} [h]", fontsize=8.5)
    axes.tick_params(labelsize=8)
    axes.margins(0.12)
    axes.grid(color="#d9dee5", lw=0.6)
    axes.set_axisbelow(True)
    figure.legend(loc="outside lower center", ncols=2, fontsize=8, frameon=False)
    return encode_figure(figure)


def draw_reach(names: Sequence[str], hours: Sequence[float | None], notice_h: Sequence[float]) -> bytes:
    """Draw hours by road from the nearest depot to each reserve site beside its notice.

    Parameters
    ----------
    names : reserve sites from the top.
    hours : by road; None where no road leads there.
    notice_h : notice of each site.
    """
    figure, axes = open_figure(1.1 + 0.2 * len(names))
    known = [one for one in hours if one is not None]
    most = 1.15 * max([*known, *notice_h])
    for row, (taken, notice) in enumerate(zip(hours, notice_h, strict=True)):
        late = taken is None or taken > notice
        axes.barh(row, most if taken is None else taken, height=0.62, color=LATE if late else IN_TIME)
        axes.plot([notice, notice], [row - 0.45, row + 0.45], color="#1c2330", lw=1.4)
        if taken is None:
            axes.annotate(
                "no road", (most, row), (-4, 0), textcoords="offset points", ha="right", va="center"
            )
    axes.barh(0, 0, color=IN_TIME, label="in time")
    axes.barh(0, 0, color=LATE, label="late")
    axes.plot([], [], color="#1c2330", lw=1.4, label="notice")
    axes.set_yticks(range(len(names)), list(names), fontsize=7.5)
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.set_xlim(0, most)
    axes.set_xlabel("hours by road from the nearest depot in the best choice", fontsize=8.5)
    axes.tick_params(axis="x", labelsize=8)
    figure.legend(loc="outside lower center", ncols=3, fontsize=8, frameon=False)
    return encode_figure(figure)


def draw_stock(
    years: Sequence[int], need_km: Sequence[float], stock_km: Sequence[float], ordered_km: Sequence[float]
) -> bytes:
    """Draw belt-kilometres by year: in stock at its end beside the need, and ordered in it.

    Parameters
    ----------
    years : calendar years.
    need_km, stock_km, ordered_km : by year.
    """
    figure, axes = open_figure(3.0)
    axes.bar(years, ordered_km, width=0.6, color="#c9d3de", label="ordered in the year")
    axes.plot(years, stock_km, "-o", color=COLORS[0], ms=4, label="in stock at its end")
    axes.plot(years, need_km, "--", color=COLORS[1], label="needed")
    axes.set_ylabel("belt-kilometres")
    axes.set_ylim(0, 1.1 * max(1e-9, *need_km, *stock_km, *ordered_km))
    finish_years(axes, years)
    figure.legend(loc="outside lower center", ncols=3, fontsize=8, frameon=False)
    return encode_figure(figure)


def draw_inputs(shares: Mapping[str, Sequence[tuple[str, float]]]) -> bytes:
    """Draw which share of the spread of each result would go if an input were known.

    Parameters
    ----------
    shares : name of each result -> (input, share) from the largest.
    """
    count = sum(len(rows) for rows in shares.values()) + len(shares)
    figure, axes = open_figure(0.9 + 0.24 * count)
    labels, places, at = [], [], 0
    for number, (result, rows) in enumerate(shares.items()):
        axes.barh(
            [at + place for place in range(len(rows))],
            [share for _, share in rows],
            height=0.66,
            color=COLORS[number % len(COLORS)],
            label=result,
        )
        for place, (name, share) in enumerate(rows):
            labels.append(name)
            places.append(at + place)
            shown, spot = f"{100 * share:.0f} %", (share, at + place)
            axes.annotate(shown, spot, (4, 0), textcoords="offset points", va="center", size=7.5)
        at += len(rows) + 1
    axes.set_yticks(places, labels, fontsize=8)
    axes.set_ylim(at - 1.4, -0.6)
    axes.set_xlabel("share of the spread that goes when the input is known", fontsize=8.5)
    axes.tick_params(axis="x", labelsize=8)
    axes.margins(x=0.1)
    figure.legend(loc="outside lower center", ncols=2, fontsize=8, frameon=False)
    return encode_figure(figure)
