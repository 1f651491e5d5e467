"""Answers about plans on disk: sites on the map, the curve beside a plan, two plans side by side."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import shapely

from abatis.show.app.answers.plans import CompareAnswer, CurveAnswer, CurvePointAnswer, PlanAnswer
from abatis.show.app.answers.tables import TableAnswer, answer_tables
from abatis.show.app.answers.views import FeaturesAnswer
from abatis.show.app.describing import describe_line, describe_plan, list_measures, to_hours
from abatis.show.app.ground_layers import read_plan_layers
from abatis.show.app.loaded import KeptPlan, LoadedStudy, Snapshot
from abatis.show.app.switching import assess_nothing, assess_plan, list_rule_names
from abatis.show.app.views.shapes import collect, make_feature
from abatis.show.compare import compare_plans

CURVE_FILE = "curve.json"
WHY_FILE = "why.json"
CHANGED = "the curve was made for another state of the plan or the study"


def answer_plan(study: LoadedStudy, kept: KeptPlan) -> PlanAnswer:
    """Describe a plan with its rules; of a stale plan only what stands on disk."""
    if kept.stale:
        return describe_plan(study, kept, [], [])
    now = study.snapshot()
    broken = list(assess_plan(now, kept).broken)
    return describe_plan(study, kept, broken, list_rule_names(now, kept.plan.budget_eur))


def draw_sites(now: Snapshot, kept: KeptPlan, effects: dict[str, str]) -> FeaturesAnswer:
    """Draw all candidate sites as lines.

    Properties: key, label, name, kind, echelon, chosen_option (null: open), cost_eur and effect of the chosen
    option, gap_km, roads, bridges, seen_share (null: no watch result), lon, lat; `options` with key, name,
    costs, delays in hours, land_take_m2, lead_months and measures.
    """
    siting, ends = now.siting, now.edge_lonlat
    options: dict[str, list[dict[str, Any]]] = {site.key: [] for site in siting.sites}
    for option in siting.options:
        options[option.site].append(
            {
                "key": option.option,
                "name": option.name,
                "cost_eur": option.cost_eur,
                "cost_low_eur": option.cost_low_eur,
                "cost_high_eur": option.cost_high_eur,
                "delay_h_open": option.delay_open_h,
                "delay_h_road": option.delay_road_h,
                "delay_h_bridge": option.delay_bridge_h,
                "land_take_m2": option.land_take_m2,
                "lead_months": option.lead_months,
                "measures": [one.model_dump() for one in list_measures(now.study, option)],
            }
        )
    chosen = {one.site: one for one in kept.plan.options}
    seen = siting.seen_share
    features = []
    for place, site in enumerate(siting.sites):
        lines = shapely.line_merge(shapely.multilinestrings(shapely.linestrings(ends[site.edges])))
        picked = chosen.get(site.key)
        words = {
            "key": site.key,
            "label": now.labels[site.key],
            "name": site.name,
            "kind": site.kind,
            "echelon": site.echelon,
            "chosen_option": picked.option if picked else None,
            "cost_eur": picked.cost_eur if picked else 0.0,
            "effect": effects.get(site.key, "") if picked else "",
            "gap_km": round(site.gap_km, 3),
            "roads": site.roads,
            "bridges": site.bridges,
            "seen_share": None if seen is None else round(float(seen[place]), 4),
            "lon": round(site.lon, 5),
            "lat": round(site.lat, 5),
            "options": options[site.key],
        }
        features.append(make_feature(lines, words))
    return collect(features)


def read_effects(study_folder: Path, kept: KeptPlan) -> dict[str, str]:
    """Return what each chosen site does to the avenues, from plan.gpkg; empty where that is not made."""
    path = study_folder / "plans" / kept.name / "plan.gpkg"
    if not path.is_file():
        return {}
    state = path.stat()
    key = (str(path), state.st_mtime_ns, state.st_size, kept.version)
    # Looked up once: another request may empty what is held at any moment.
    effects = _effects.get(key)
    if effects is None:
        sites = read_plan_layers(path.parent, kept.plan).get("sites")
        found = {} if sites is None else dict(zip(sites["site"], sites["effect"], strict=True))
        effects = {str(site): str(effect) for site, effect in found.items() if effect}
        if len(_effects) > MOST_EFFECTS:
            _effects.clear()
        _effects[key] = effects
    return effects


MOST_EFFECTS = 16
_effects: dict[tuple[str, int, int, str], dict[str, str]] = {}


def read_curve(study: LoadedStudy, kept: KeptPlan) -> CurveAnswer:
    """Read the curve beside a plan; `made` is false where there is none that fits plan and study."""
    now = study.snapshot()
    before_h = to_hours(assess_nothing(now).value_h)
    try:
        text = (study.folder / "plans" / kept.name / CURVE_FILE).read_text(encoding="utf-8")
        values = json.loads(text)
        # A budget without a plan has no choices.
        points = [_read_point(one) for one in values["points"] if one["choices"] is not None]
    except FileNotFoundError:
        return CurveAnswer(made=False, before_h=before_h)
    except (OSError, ValueError, KeyError, TypeError):
        return CurveAnswer(made=False, stale=f"{CURVE_FILE} is damaged", before_h=before_h)
    held = values.get("study_hash", kept.plan.study_hash), values.get("watch_hash", kept.plan.watch_hash)
    known = all((site, option) in now.option_row for one in points for site, option in one["choices"].items())
    if held != (kept.plan.study_hash, kept.plan.watch_hash) or not known:
        return CurveAnswer(made=False, stale=CHANGED, before_h=before_h)
    own = {one.site: one.option for one in kept.plan.options}
    answers = []
    for one in sorted(points, key=lambda point: point["budget_eur"]):
        changes: dict[str, str | None] = {site: None for site in own if site not in one["choices"]}
        changes |= {site: option for site, option in one["choices"].items() if own.get(site) != option}
        answers.append(CurvePointAnswer(**one, changes=changes))
    return CurveAnswer(made=True, before_h=before_h, points=answers)


def read_full_reason(study: LoadedStudy, kept: KeptPlan, site: str) -> TableAnswer | None:
    """Return what the job `why` left about a site of this very plan, or None."""
    folder = study.folder / "plans" / kept.name
    path = folder / WHY_FILE
    try:
        # Solving again keeps the file beside the new plan; it is then older than the plan.
        if path.stat().st_mtime_ns < (folder / "plan.json").stat().st_mtime_ns:
            return None
        values = json.loads(path.read_text(encoding="utf-8"))
        table = TableAnswer.model_validate(values["tables"]["sites"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    rows = [row for row in table.rows if row.get("site") == site]
    if values.get("study_hash") != kept.plan.study_hash or not rows:
        return None
    return table.model_copy(update={"rows": rows})


def _read_point(one: dict[str, Any]) -> dict[str, Any]:
    """Check one point of a curve; what is no number is refused."""

    def number(key: str) -> float | None:
        value = one.get(key)
        return float(value) if value is not None and math.isfinite(float(value)) else None

    return {
        "budget_eur": float(one["budget_eur"]),
        "value_h": number("value_h"),
        "bound_h": number("bound_h"),
        "cost_eur": number("cost_eur") or 0.0,
        "choices": {str(site): str(option) for site, option in dict(one["choices"]).items()},
    }


def compare_two(study: LoadedStudy, a: KeptPlan, b: KeptPlan) -> CompareAnswer:
    """Put two plans side by side.

    In words: the tables are those of `abatis compare`; `sites` says for every site of either plan whether a,
    b or both close it the same way, or `other` when both close it with different options.
    """
    folders = [study.folder / "plans" / one.name for one in (a, b)]
    chosen_a, chosen_b = ({one.site: one.option for one in kept.plan.options} for kept in (a, b))

    def say(site: str) -> str:
        if site not in chosen_b:
            return "a"
        if site not in chosen_a:
            return "b"
        return "both" if chosen_a[site] == chosen_b[site] else "other"

    after_b = {one.id: one.after_h for one in b.plan.approaches}
    arrivals: list[dict[str, str | float | None]] = [
        {
            "approach": one.id,
            "name": one.name,
            "before_h": to_hours(one.before_h),
            "a_h": to_hours(one.after_h),
            "b_h": to_hours(after_b.get(one.id, math.inf)),
        }
        for one in a.plan.approaches
    ]
    return CompareAnswer(
        a=describe_line(study, a),
        b=describe_line(study, b),
        arrivals=arrivals,
        sites={site: say(site) for site in sorted({*chosen_a, *chosen_b})},
        tables=answer_tables(compare_plans(*folders)),
    )
