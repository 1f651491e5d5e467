"""QGIS styles (QML) of the layers in plan.gpkg, in the colours of the static maps."""

from __future__ import annotations

from collections.abc import Sequence
from xml.sax.saxutils import escape, quoteattr

GAIN_CLASSES = (
    (0.0, 0.05, "#f1efe9", "under 3 minutes"),
    (0.05, 0.5, "#c7e9b4", "to 0.5 h"),
    (0.5, 1.0, "#7fcdbb", "0.5 to 1 h"),
    (1.0, 2.0, "#41b6c4", "1 to 2 h"),
    (2.0, 4.0, "#1d91c0", "2 to 4 h"),
    (4.0, 8.0, "#225ea8", "4 to 8 h"),
    (8.0, 10_000.0, "#0c2c84", "over 8 h"),
)


def _rgba(color: str, alpha: int = 255) -> str:
    return f"{int(color[1:3], 16)},{int(color[3:5], 16)},{int(color[5:7], 16)},{alpha}"


def _options(values: dict[str, str]) -> str:
    inner = "".join(
        f'<Option type="QString" name={quoteattr(key)} value={quoteattr(value)}/>'
        for key, value in values.items()
    )
    return f'<Option type="Map">{inner}</Option>'


def _fill(name: str, color: str, alpha: int = 190) -> str:
    values = {"color": _rgba(color, alpha), "style": "solid", "outline_style": "no"}
    return _symbol("fill", name, "SimpleFill", values)


def make_line(name: str, color: str, width_mm: float, dash: bool = False) -> str:
    """Build the symbol of a line."""
    values = {
        "line_color": _rgba(color),
        "line_width": f"{width_mm:g}",
        "line_width_unit": "MM",
        "line_style": "dash" if dash else "solid",
        "capstyle": "round",
    }
    return _symbol("line", name, "SimpleLine", values)


def make_marker(name: str, shape: str, color: str, size_mm: float) -> str:
    """Build the symbol of a point."""
    values = {
        "name": shape,
        "color": _rgba(color),
        "size": f"{size_mm:g}",
        "size_unit": "MM",
        "outline_color": "255,255,255,255",
        "outline_width": "0.2",
    }
    return _symbol("marker", name, "SimpleMarker", values)


def _symbol(kind: str, name: str, layer: str, values: dict[str, str]) -> str:
    return (
        f'<symbol type="{kind}" name="{name}" alpha="1" clip_to_extent="1" force_rhr="0">'
        f'<layer class="{layer}" enabled="1" locked="0" pass="0">{_options(values)}</layer></symbol>'
    )


def write_rules(rules: Sequence[tuple[str, str, str]]) -> str:
    """Build a rule-based renderer from (filter, legend text, symbol) in drawing order."""
    found = "".join(
        f'<rule key="{{{index}}}" symbol="{index}" label={quoteattr(label)} filter={quoteattr(condition)}/>'
        for index, (condition, label, _) in enumerate(rules)
    )
    symbols = "".join(symbol for _, _, symbol in rules)
    return (
        f'<renderer-v2 type="RuleRenderer" symbollevels="0" enableorderby="0" forceraster="0">'
        f'<rules key="{{root}}">{found}</rules><symbols>{symbols}</symbols></renderer-v2>'
    )


def _labels(field: str, size_pt: float, color: str, condition: str) -> str:
    """Build rule-based labels for the features that keep to a condition."""
    return (
        '<labeling type="rule-based"><rules key="{labels}">'
        f'<rule key="{{label}}" filter={quoteattr(condition)}><settings calloutType="simple">'
        f'<text-style fieldName={quoteattr(field)} fontSize="{size_pt:g}" fontSizeUnit="Point" '
        f'textColor="{_rgba(color)}" isExpression="0" namedStyle="Regular">'
        '<text-buffer bufferDraw="1" bufferSize="0.8" bufferSizeUnits="MM" bufferColor="255,255,255,255"/>'
        '</text-style><placement placement="1"/><rendering obstacle="1"/></settings></rule></rules>'
        "</labeling>"
    )


def write_style(renderer: str, labels: str = "", note: str = "") -> str:
    """Write a whole style around a renderer."""
    return (
        '<!DOCTYPE qgis PUBLIC "http://mrcc.com/qgis.dtd" "SYSTEM">'
        f'<qgis version="3.34.0" styleCategories="Symbology|Labeling" labelsEnabled="{1 if labels else 0}">'
        f"{renderer}{labels}<layerOpacity>1</layerOpacity><abstract>{escape(note)}</abstract></qgis>"
    )


def grade_cells(column: str, classes: Sequence[tuple[float, float, str, str]], note: str) -> str:
    """Build a graduated style of polygons from (low, high, colour, legend text)."""
    ranges = "".join(
        f'<range symbol="{index}" lower="{low:.6f}" upper="{high:.6f}" render="true" '
        f"label={quoteattr(label)}/>"
        for index, (low, high, _, label) in enumerate(classes)
    )
    symbols = "".join(_fill(str(index), color) for index, (_, _, color, _) in enumerate(classes))
    return write_style(
        f'<renderer-v2 type="graduatedSymbol" attr="{column}" graduatedMethod="GraduatedColor" '
        'symbollevels="0" enableorderby="0" forceraster="0">'
        f"<ranges>{ranges}</ranges><symbols>{symbols}</symbols></renderer-v2>",
        note=note,
    )


def _style_cells() -> str:
    note = "Hours that the plan adds to the least time from the nearest front."
    return grade_cells("gained_h", GAIN_CLASSES, note)


SHARE_CLASSES = (
    (0.0, 0.02, "#fee9c8", "under 2 %"),
    (0.02, 0.05, "#fdc98a", "2 to 5 %"),
    (0.05, 0.1, "#fb9a50", "5 to 10 %"),
    (0.1, 0.2, "#e2602c", "10 to 20 %"),
    (0.2, 1.0, "#a3240f", "over 20 %"),
)


def _style_shares() -> str:
    return grade_cells(
        "share", SHARE_CLASSES, "Share of all shortest routes that pass the cell, before the plan."
    )


LAYER_STYLES = {
    "cells": _style_cells(),
    "lines": write_style(
        f'<renderer-v2 type="singleSymbol" symbollevels="0" enableorderby="0" forceraster="0">'
        f"<symbols>{make_line('0', '#777777', 0.3)}</symbols></renderer-v2>",
        note="Cheapest closing line of each echelon.",
    ),
    "sites": write_style(
        write_rules(
            [
                ('NOT "chosen"', "not chosen", make_line("0", "#999999", 0.4)),
                ('"chosen" AND "kind" = \'line\'', "chosen site", make_line("1", "#d55e00", 1.1)),
                ('"chosen" AND "kind" = \'crossing\'', "chosen crossing", make_line("2", "#111111", 1.4)),
            ]
        ),
        _labels("label", 8, "#7a2b00", '"chosen"'),
        "Sites of the study; chosen ones carry the label of the report.",
    ),
    "routes": write_style(
        write_rules(
            [
                ("\"state\" = 'before'", "fastest before", make_line("0", "#0072b2", 0.9)),
                ("\"state\" = 'after'", "fastest with the plan", make_line("1", "#d55e00", 0.5)),
            ]
        ),
        note="Fastest route of each approach.",
    ),
    "places": write_style(
        write_rules(
            [
                ('NOT "objective"', "place", make_marker("0", "circle", "#444444", 1.4)),
                ('"objective"', "objective", make_marker("1", "star", "#111111", 4.0)),
            ]
        ),
        _labels("name", 8, "#222222", '"objective" OR "population" >= 10000'),
        "Places of the study.",
    ),
    "facilities": write_style(
        write_rules(
            [
                ('NOT "protected_work"', "facility", make_marker("0", "square", "#666666", 1.6)),
                ('"protected_work"', "protected work", make_marker("1", "triangle", "#b00000", 3.0)),
            ]
        ),
        _labels("name", 7, "#444444", '"protected_work"'),
        "What must be spared or kept reachable; protected works: dams, dykes, nuclear power stations.",
    ),
    "needed_cells": _style_shares(),
    "avenues": write_style(
        write_rules(
            [
                ('"state" = \'before\' AND "avenue" = 1', "best avenue", make_line("0", "#08306b", 0.9)),
                ('"state" = \'before\' AND "avenue" > 1', "other avenue", make_line("1", "#6baed6", 0.7)),
                ("\"state\" = 'after'", "avenue with the plan", make_line("2", "#d55e00", 0.5)),
            ]
        ),
        note="Fast routes of each approach that keep apart, before and with the plan.",
    ),
    "shared_stretches": write_style(
        '<renderer-v2 type="singleSymbol" symbollevels="0" enableorderby="0" forceraster="0">'
        f"<symbols>{make_line('0', '#aa4499', 1.6)}</symbols></renderer-v2>",
        note="Where avenues of one approach run together.",
    ),
    "chokepoints": write_style(
        write_rules(
            [
                ("\"kind\" = 'cell'", "chokepoint", make_marker("0", "circle", "#a3240f", 2.6)),
                ("\"kind\" = 'bridge'", "bridge most needed", make_marker("1", "square", "#111111", 2.6)),
            ]
        ),
        _labels("label", 8, "#7a2b00", "TRUE"),
        "Cells and bridges that most shortest routes pass.",
    ),
}
