"""The schedule kept beside a plan, so that page, workbook and draws speak of the same one."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, fields, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np

from abatis.model.plan import Plan, Problem
from abatis.model.storage import write_text_whole
from abatis.model.study import Study
from abatis.programme.fixed import FixedWork
from abatis.programme.schedule import Progress, Schedule, solve_schedule
from abatis.programme.terms import Terms

FILE = "schedule.json"
ARRAYS = {
    "years": np.int64,
    "start_year": np.int64,
    "finish_year": np.int64,
    "spend_eur": np.float64,
    "nominal_eur": np.float64,
    "held_h": np.float64,
    "value_h": np.float64,
    "bound_h": np.float64,
}


@dataclass(frozen=True)
class Asked:
    """How a schedule is asked for: budget by name, gap as a share, seconds, seed.

    `fixed` are works built or contracted already, None for those of fixed_works.csv.
    """

    named_budget: str | None
    gap: float
    time_limit_s: float
    seed: int
    fixed: tuple[FixedWork, ...] | None = None


@dataclass(frozen=True)
class KeptSchedule:
    """A schedule, how it was asked for, and the mark of the terms it kept."""

    asked: Asked
    terms_mark: str
    schedule: Schedule


def find_schedule(
    place: Path,
    plan: Plan,
    problem: Problem,
    terms: Terms,
    asked: Asked,
    any_search: bool = False,
    progress: Progress | None = None,
) -> Schedule:
    """Return the schedule kept beside a plan, or solve it and keep it.

    Parameters
    ----------
    place : folder of the plan.
    plan, problem, terms : the plan, its problem and what the schedule has to keep.
    asked : how it is asked for.
    any_search : true when a kept schedule will do whatever gap, seconds and seed it was made with.
    progress : called with the stage in words and the share done.

    In words: a search under a time limit may end elsewhere on another day; a kept schedule does not. It is
    solved anew when study, watch, plan, money, rules or the question changed.
    """
    mark = mark_terms(plan, terms)
    kept = read_schedule(place)
    if kept is not None and kept.terms_mark == mark and (any_search or kept.asked == asked):
        return kept.schedule
    schedule = solve_schedule(problem, terms, asked.gap, asked.time_limit_s, asked.seed, progress)
    keep_schedule(place, KeptSchedule(asked, mark, schedule))
    return schedule


def keep_schedule(place: Path, kept: KeptSchedule) -> None:
    """Write schedule.json beside a plan; numbers are written in full, so that reading gives the same bits."""
    schedule = {
        one.name: value.tolist() if isinstance(value, np.ndarray) else value
        for one in fields(kept.schedule)
        for value in (getattr(kept.schedule, one.name),)
    }
    content = {"asked": asdict(kept.asked), "terms_mark": kept.terms_mark, "schedule": schedule}
    write_text_whole(place / FILE, json.dumps(content, indent=1, ensure_ascii=False) + "\n")


def read_schedule(place: Path) -> KeptSchedule | None:
    """Return the schedule kept beside a plan; None where none is kept or it cannot be read."""
    try:
        content = json.loads((place / FILE).read_text(encoding="utf-8"))
        asked = dict(content["asked"])
        if asked["fixed"] is not None:
            asked["fixed"] = tuple(FixedWork(**one) for one in asked["fixed"])
        parts: dict[str, Any] = dict(content["schedule"])
        for name, kind in ARRAYS.items():
            parts[name] = np.array(parts[name], kind)
        parts["option_keys"], parts["lines"] = tuple(parts["option_keys"]), tuple(parts["lines"])
        return KeptSchedule(Asked(**asked), str(content["terms_mark"]), Schedule(**parts))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def mark_terms(plan: Plan, terms: Terms) -> str:
    """Return the mark of all that a schedule depends on: study, what posts see, options, money, rules."""
    digest = hashlib.sha256()
    _feed(digest, (plan.study_hash, plan.watch_hash))
    _feed(digest, terms)
    return digest.hexdigest()


def mark_draws(study: Study, schedule: Schedule) -> str:
    """Return a short mark of what draws rest on: the schedule and the tables of risks."""
    digest = hashlib.sha256()
    for name in ("option_keys", "start_year", "finish_year", "nominal_eur", "held_h"):
        _feed(digest, getattr(schedule, name))
    for table in ("risks", "risk_correlations"):
        digest.update(study.tables[table].to_csv(index=False).encode())
    return digest.hexdigest()[:16]


def _feed(digest: Any, value: Any) -> None:
    """Add a value to a digest: arrays by shape and bytes, dataclasses and containers part by part."""
    if isinstance(value, np.ndarray):
        digest.update(f"{value.dtype.str}{value.shape}".encode())
        digest.update(np.ascontiguousarray(value).tobytes())
    elif is_dataclass(value):
        for one in fields(value):
            digest.update(one.name.encode())
            _feed(digest, getattr(value, one.name))
    elif isinstance(value, dict):
        for key in sorted(value):
            digest.update(str(key).encode())
            _feed(digest, value[key])
    elif isinstance(value, tuple | list):
        digest.update(f"[{len(value)}]".encode())
        for one in value:
            _feed(digest, one)
    else:
        digest.update(f"{value!r};".encode())
