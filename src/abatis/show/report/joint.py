"""The report of a joint line: one HTML file for readers who know neither the method nor the ground."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any

import abatis
from abatis.model.study import Study
from abatis.show.joint import JointAnswer, describe_joint, tabulate_joint
from abatis.show.report.build import make_environment
from abatis.show.tables import Column, Table

COUNTRIES = {"EE": "Estonia", "LV": "Latvia", "LT": "Lithuania", "PL": "Poland", "FI": "Finland"}
TAGS = {
    "F": "found in a source",
    "F-": "weak: one or an unsure source",
    "D": "derived from found values",
    "G": "placeholder: has to be replaced before anybody decides",
}


def build_joint_report(answer: JointAnswer, studies: Sequence[Study], map_png: bytes) -> str:
    """Return the report of a joint line as one HTML text that needs nothing outside itself.

    Parameters
    ----------
    answer : the joint line.
    studies : the studies it was made from, for facts and tags.
    map_png : the finished map.
    """
    shown = describe_joint(answer)
    names = [_name(one["id"]) for one in shown["countries"]]
    return (
        make_environment()
        .get_template("joint.html")
        .render(
            version=abatis.__version__,
            names=names,
            schematic=any(study.schematic for study in studies),
            lead=_write_lead(shown),
            cards=_list_cards(shown),
            map=base64.b64encode(map_png).decode("ascii"),
            depth_km=max(one.depth_km for one in answer.joint.territories),
            points=[_write_point(one) for one in shown["joint_points"]],
            tables=tabulate_joint(answer),
            facts=_tabulate_facts(studies),
            notes=shown["notes"],
            tags=_tabulate_tags(studies),
        )
    )


def _name(code: str) -> str:
    return COUNTRIES.get(code, code)


def _money(eur: float) -> str:
    return f"EUR {eur / 1e6:,.1f} million"


def _write_lead(shown: dict[str, Any]) -> str:
    open_km = sum(one["open_km"] for one in shown["seams"])
    count = len(shown["joint_points"])
    return (
        f"Drawn alone, the lines leave {open_km:,.0f} km of common border open. One joint line costs "
        f"{_money(shown['joint_eur'])}, {_money(shown['saving_eur'])} less than mending them, and crosses "
        f"common borders at {count} point{'' if count == 1 else 's'}."
    )


def _list_cards(shown: dict[str, Any]) -> list[dict[str, str]]:
    hours = [one for one in shown["seams"] if one["hours"]]
    worst = max(hours, key=lambda one: one["hours"], default=None)
    cards = [
        {
            "title": "Lines alone",
            "figure": _money(shown["alone_eur"]),
            "text": f"Closing their seams as cheaply as can be costs {_money(shown['mending_eur'])} more.",
        },
        {
            "title": "Joint line",
            "figure": _money(shown["joint_eur"]),
            "text": f"It saves {_money(shown['saving_eur'])}. Unit costs are placeholders (tag G).",
        },
    ]
    if worst is not None:
        pair = " and ".join(_name(code) for code in worst["between"])
        cards.append(
            {
                "title": "Worst seam",
                "figure": f"{worst['hours']:.2f} h",
                "text": f"is what an approach gains through the seam between {pair} near {worst['place']}, "
                f"{worst['open_km']:,.1f} km of open border ({worst['vehicle']}, {worst['season']}).",
            }
        )
    return cards


def _write_point(point: dict[str, Any]) -> str:
    pair = " and ".join(_name(code) for code in point["between"])
    place = f"{point['lat']:.3f} N, {point['lon']:.3f} E"
    return f"{pair}: {point['place_km']:.0f} km from {point['place']} ({place})."


def _tabulate_facts(studies: Sequence[Study]) -> Table:
    columns = (
        Column("country", "country"),
        Column("wording", "fact"),
        Column("source", "source"),
        Column("tag", "tag"),
    )
    rows = [
        {"country": ", ".join(study.home), **{column.key: row[column.key] for column in columns[1:]}}
        for study in studies
        for _, row in study.tables["facts"].iterrows()
    ]
    return Table("Facts about the national programmes", columns, tuple(rows))


def _tabulate_tags(studies: Sequence[Study]) -> Table:
    """Count the rows of all tables by tag."""
    counts = dict.fromkeys(TAGS, 0)
    for study in studies:
        for table in study.tables.values():
            if "tag" in table:
                for tag in table["tag"]:
                    counts[tag] = counts.get(tag, 0) + 1
    columns = (Column("tag", "tag"), Column("meaning", "meaning"), Column("rows", "rows", ",.0f"))
    rows = [
        {"tag": tag, "meaning": TAGS.get(tag, ""), "rows": count} for tag, count in counts.items() if count
    ]
    return Table("Rows of the studies' tables by tag", columns, tuple(rows))
