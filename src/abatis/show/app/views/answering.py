"""How a view is answered: found among kept results, cut for the public, packed once and sent many times."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Annotated

from fastapi import Query, Request
from fastapi.responses import Response

from abatis.show.app.answers.views import ViewAnswer, tell_missing
from abatis.show.app.context import NAME_PATTERN, Visitor
from abatis.show.app.loaded import KeptPlan, LoadedStudy, Snapshot
from abatis.show.app.public import hide_restricted
from abatis.show.app.sending import send_packed
from abatis.show.app.views.kept import CACHE, list_inputs, stamp_files

PUBLIC = "public"
JSON = "application/json"
PlanQuery = Annotated[
    str,
    Query(
        max_length=80, pattern=rf"^$|{NAME_PATTERN}", description="name of a plan; the first when left out"
    ),
]


@dataclass(frozen=True)
class Asked:
    """One question for a view: the state of the study, the plan (None where there is none), its name."""

    study: LoadedStudy
    now: Snapshot
    kept: KeptPlan | None
    name: str

    @property
    def state(self) -> tuple[Hashable, ...]:
        """Changes whenever a file that the view rests on changes."""
        version = self.kept.version if self.kept is not None else ""
        return (self.now.version, version, *stamp_files(list_inputs(self.study.folder, self.name)))


def ask(study: LoadedStudy, plan: str) -> Asked:
    """Find the plan that a question is about: the one named, else the first.

    Raises
    ------
    InputError : there is no plan of that name.
    """
    now = study.snapshot()
    name = plan or next(iter(study.list_plans()), "")
    return Asked(study, now, study.read_plan(name) if name else None, name)


def check_plan(asked: Asked) -> ViewAnswer | None:
    """Answer for a plan that is not there or of another state of the study; None when all is well."""
    if asked.kept is None:
        return tell_missing("solve", "The study has no plan yet.")
    if asked.kept.stale:
        return tell_missing("solve", f"Plan {asked.name} {asked.kept.stale}.")
    return None


def find_view(view: str, asked: Asked, make: Callable[[], ViewAnswer], *more: Hashable) -> ViewAnswer:
    """Return a view, made at most once for each state of the study.

    Parameters
    ----------
    view : its name.
    asked : the question.
    make : makes the view.
    more : what else it depends on.
    """
    return CACHE.get((view, str(asked.study.folder), asked.name, *more), asked.state, make)


def send_view(
    request: Request,
    visitor: Visitor,
    view: str,
    asked: Asked,
    make: Callable[[], ViewAnswer],
    *more: Hashable,
) -> Response:
    """Send a view; the public gets what public.csv allows and nothing else."""
    is_public = visitor.role == PUBLIC
    state = asked.state

    def write() -> bytes:
        answer = find_view(view, asked, make, *more)
        return (hide_restricted(view, answer) if is_public else answer).model_dump_json().encode()

    packed = asked.study.pack(asked.now, ("view", view, asked.name, is_public, *more, *state), write, JSON)
    return send_packed(request, packed)


def mark_status(study: LoadedStudy, plan: str) -> str:
    """Return what changes with the files of the study that a state of the ledger rests on."""
    files = [study.folder / "joint.json"]
    if plan:
        files += [study.folder / "plans" / plan / name for name in ("plan.json", "schedule.json")]
    return repr((study.version, stamp_files(files)))
