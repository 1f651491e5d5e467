"""The chain of rooms as the command line runs it: build, plan, show."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from abatis.barrier.explain_rules import explain_conflict
from abatis.barrier.network import Network, build_network
from abatis.barrier.planning import find_study_folder, make_plan
from abatis.barrier.proof import make_certificate
from abatis.barrier.sites import site_study
from abatis.barrier.solve import Solution, solve_problem
from abatis.ground.build import build_mesh
from abatis.ground.tiling.crew import Crew, Single
from abatis.ground.tiling.store import TileStore
from abatis.model.errors import Fault, InfeasibleError, InputError
from abatis.model.interrupts import hold_interrupts
from abatis.model.mesh import Mesh, read_mesh, write_mesh
from abatis.model.plan import BY_HAND, Plan, Problem, read_plan, write_plan
from abatis.model.storage import write_folder_whole, write_text_whole
from abatis.model.study import Study, hash_mesh_inputs, read_study
from abatis.people.access_rules import FILE as ACCESS_FILE
from abatis.people.access_rules import list_access_rules, write_access_rows
from abatis.people.law import require_lawful
from abatis.programme.draws import list_seed_faults
from abatis.show.app.saved import FILE as SAVED_FILE
from abatis.show.app.saved import hash_plan, lock_plan, lock_plans
from abatis.show.avenue_maps import draw_avenue_maps
from abatis.show.basemap import prepare_base_map
from abatis.show.beside import RESULTS
from abatis.show.export import write_geopackage
from abatis.show.maps import draw_maps
from abatis.show.report import build_report
from abatis.show.results import Progress, Results, compute_ranges, compute_results
from abatis.show.ruled import solve_ruled

SHOWN_FILES = ("plan.gpkg", "report.html")
PLAN_FILES = ("plan.json", "certificate.json", *SHOWN_FILES)
# What stands beside a plan and would be wrong beside another one of that name.
OUTDATED = (*RESULTS, ACCESS_FILE, SAVED_FILE)
Note = Callable[[str], None]


@dataclass(frozen=True)
class SolveSettings:
    """How a study is solved: plan name, EUR, gap as a share, seconds, seed."""

    name: str
    budget_eur: float
    gap: float
    time_limit_s: float
    seed: int


def choose_settings(
    study: Study,
    name: str = "base",
    budget_eur: float | None = None,
    gap: float | None = None,
    time_limit_s: float | None = None,
    seed: int | None = None,
) -> SolveSettings:
    """Take the settings given and the study's for the others; the budget is the sum of planned lines.

    Raises
    ------
    InputError : when a value is out of its bounds or the name is no folder name.
    """
    faults = []
    if not name.isprintable() or name.strip(" .") != name or not name or set(name) & set("/\\"):
        faults.append(
            Fault(f"'{name}' is no name for a plan", column="--name", remedy="use letters and digits")
        )
    if budget_eur is not None and not 0 <= budget_eur < math.inf:
        faults.append(Fault(f"is {budget_eur:g} but must be 0 or more", column="--budget", remedy="give EUR"))
    if gap is not None and not 0 <= gap <= 1:
        faults.append(Fault(f"is {gap:g} but must be 0 to 1", column="--gap", remedy="give a share"))
    if time_limit_s is not None and not time_limit_s >= 0:
        faults.append(
            Fault(f"is {time_limit_s:g} but must be at least 0", column="--time-limit", remedy="give s")
        )
    faults += list_seed_faults(seed)
    if faults:
        raise InputError(faults)
    lines = study.tables["budget"]
    return SolveSettings(
        name=name,
        budget_eur=float(lines[lines["planned"]]["amount_eur"].sum()) if budget_eur is None else budget_eur,
        gap=study.gap if gap is None else gap,
        time_limit_s=study.time_limit_s if time_limit_s is None else time_limit_s,
        seed=study.seed if seed is None else seed,
    )


def load_study(folder: Path) -> tuple[Study, Mesh]:
    """Read a study and its mesh.

    Raises
    ------
    InputError : when there is no mesh or it was built from another state of the study.
    """
    study = read_study(folder)
    mesh = read_mesh(folder)
    if mesh.study_hash != hash_mesh_inputs(study):
        raise InputError(
            [
                Fault(
                    "was built from another state of the study: its settings, tables or sources were changed",
                    str(folder / "mesh"),
                    remedy=f"run: abatis build {folder}",
                )
            ]
        )
    return study, mesh


def build_study(
    folder: Path, progress: Progress, crew: AbstractContextManager[Crew] | None = None
) -> tuple[Study, Mesh]:
    """Build the mesh of a study folder and write it; finished tiles stay in its folder tiles/.

    Parameters
    ----------
    folder : study folder.
    progress : called with the stage in words and the share done.
    crew : who counts the tiles; this process when left out.
    """
    study = read_study(folder)
    store = TileStore(folder / "tiles")
    with crew or nullcontext(Single()) as counting:
        mesh = build_mesh(study, progress, counting, store)
    write_mesh(mesh, folder)
    return study, mesh


def solve_study(
    study: Study, mesh: Mesh, settings: SolveSettings, progress: Progress, note: Note | None = None
) -> tuple[Path, Results]:
    """Find sites, solve, and write plan.json, options.csv, certificate.json, plan.gpkg and report.html.

    With tables/access_rules.csv the plan keeps these rules, and access_rows.json stands beside it. Results of
    an earlier plan of that name are dropped; files that abatis did not write stay.

    Raises
    ------
    InputError : an option uses a measure that is unlawful in a year of the programme; the rule is named.
    InfeasibleError : no plan keeps the rules; it names the smallest set to relax.
    KeyboardInterrupt : when the search was interrupted; the best plan so far is then in NAME-interrupted, and
        an earlier plan of that name is untouched. Under rules of access no plan is kept.
    """
    require_lawful(study)
    rules = list_access_rules(study)
    siting = site_study(study, mesh, progress)

    # Rows of rules change neither graph nor options, so one compressed network serves every round.
    network = build_network(siting.problem) if rules else None

    def solve(problem: Problem, limit_s: float) -> Solution:
        return _solve_or_explain(problem, settings, limit_s, network, progress, note)

    rows = None
    if rules:
        ruled = solve_ruled(study, mesh, siting, rules, solve, settings.time_limit_s, progress)
        solution, rows = ruled.solution, ruled.rows
    else:
        solution = solve(siting.problem, settings.time_limit_s)
    plan = make_plan(study, siting, solution, settings.name, settings.seed)
    folder = study.folder / "plans" / settings.name
    if solution.status == "interrupted":
        kept = folder.with_name(f"{settings.name}-interrupted")
        progress("stopping: keeping the best plan", 0.0)
        with hold_interrupts(), ExitStack() as turn, write_folder_whole(kept, OUTDATED) as temporary:
            write_plan(plan, temporary, make_certificate(solution))
            turn.enter_context(lock_plans(study.folder))
        raise KeyboardInterrupt(f"the best plan so far is in {kept}")
    results = compute_results(study, mesh, siting, plan, progress)
    with ExitStack() as turn, write_folder_whole(folder, OUTDATED) as temporary:
        write_plan(plan, temporary, make_certificate(solution))
        if rows is not None:
            write_access_rows(rows, rules, temporary)
        show_plan(temporary, results, progress)
        # Last: others may save plans during the minutes of drawing; only the swap needs the turn.
        turn.enter_context(lock_plans(study.folder))
    return folder, results


def _solve_or_explain(
    problem: Problem,
    settings: SolveSettings,
    limit_s: float,
    network: Network | None,
    progress: Progress,
    note: Note | None,
) -> Solution:
    """Solve within some seconds; where no plan exists, find the smallest set of rules to relax."""
    search = "search (at most the time limit)"

    def report_search(value_h: float, bound_h: float, seconds: float) -> None:
        progress(search, min(seconds / limit_s, 1.0) if limit_s > 0 else 1.0)
        if note is not None:
            note(f"value {value_h:.2f} h, at most {bound_h:.2f} h")

    progress(search, 0.0)
    try:
        return solve_problem(
            problem, settings.budget_eur, settings.gap, limit_s, settings.seed, report_search, network
        )  # fmt: skip
    except InfeasibleError:
        progress("which rules stand in the way", 0.0)
        raise explain_conflict(
            problem, settings.budget_eur, max(settings.time_limit_s, 1.0), settings.seed
        ) from None


def report_plan(folder: Path, progress: Progress) -> Results:
    """Make plan.gpkg and report.html of a plan folder anew.

    Raises
    ------
    InputError : no plan, or one of another state of the study; or the plan was replaced meanwhile, and both
        files stay as they were.
    """
    read_hash = hash_plan(folder)
    plan = read_plan(folder)
    study, mesh = load_study(find_study_folder(folder))
    siting = site_study(study, mesh, progress)
    results = compute_results(study, mesh, siting, plan, progress)
    # Drawn beside the folder: it takes minutes in which somebody may replace the plan.
    with TemporaryDirectory(prefix=".part-", dir=folder.parent) as part:
        show_plan(Path(part), results, progress)
        with lock_plan(study.folder, folder, read_hash):
            for name in SHOWN_FILES:
                (Path(part) / name).replace(folder / name)
    return results


def show_plan(folder: Path, results: Results, progress: Progress) -> None:
    """Write plan.gpkg and report.html."""
    write_geopackage(folder / "plan.gpkg", results, progress)
    progress("base map", 0.0)
    base = prepare_base_map(results.study, results.mesh)
    maps = (*draw_maps(results, base, progress), *draw_avenue_maps(results, base, progress))
    html = build_report(results, maps, compute_ranges(results, progress))
    write_text_whole(folder / "report.html", html)


def list_plan_files(folder: Path) -> tuple[Path, ...]:
    """List the files of a plan folder; the rows of access only where the plan obeys such rules."""
    files = tuple(folder / name for name in PLAN_FILES)
    rows = folder / ACCESS_FILE
    return (*files, rows) if rows.is_file() else files


def describe_plan(plan: Plan) -> list[dict[str, object]]:
    """Return the answer in a few rows: what, value, unit."""
    approaches = len(plan.approaches)
    rows: list[tuple[str, float, str, str]] = [
        ("value before", plan.before_h, "h", ",.2f"),
        ("value with the plan", plan.value_h, "h", ",.2f"),
        ("hours bought", plan.value_h - plan.before_h, "h", ",.2f"),
        ("no plan can give more than", plan.bound_h, "h", ",.2f"),
        ("gap", 100 * plan.gap, "%", ",.1f"),
        ("cost", plan.cost_eur, "EUR", ",.0f"),
        ("budget", plan.budget_eur, "EUR", ",.0f"),
        ("sites closed", len(plan.options), "", ",.0f"),
        ("approaches", approaches, "", ",.0f"),
    ]
    return [
        {"what": what, "value": float(value), "shown": format(value, style), "unit": unit}
        for what, value, unit, style in rows
        # Of a plan made by hand nothing is proven.
        if math.isfinite(value) or plan.status != BY_HAND
    ]
