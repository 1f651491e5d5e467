"""The whole chain on the packaged examples, from facts to report."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from abatis.examples.baltic import write_baltic
from abatis.examples.lithuania import write_example
from abatis.model.storage import write_text_whole
from abatis.show.example_ledger import import_example_ledger
from abatis.show.joint import JointAnswer, describe_joint, join_paths, write_joint_geopackage
from abatis.show.joint_map import write_joint_map
from abatis.show.report.joint import build_joint_report
from abatis.show.results import Progress, Results
from abatis.show.workflow import build_study, choose_settings, solve_study

# At 50 km, the outermost echelon, no ground of the Suwalki corridor (62 km at its narrowest) is protected.
JOINT_DEPTH_KM = 20.0


def run_demo(
    folder: Path, progress: Progress, note: Callable[[str], None] | None = None
) -> tuple[Path, Results]:
    """Write the example of Lithuania, build its mesh, solve it; write plan, GeoPackage, report and ledger.

    Parameters
    ----------
    folder : where the study is written; an earlier demo there is replaced file by file, each whole.
    progress : callback (stage, share done).
    note : callback for value and bound while the solver searches.

    Returns
    -------
    The plan folder and all that is shown of the plan.

    Raises
    ------
    InputError : when the folder holds something else than this example, or cannot be written.
    """
    progress("writing the example", 0.0)
    write_example(folder)
    progress("writing the example", 1.0)
    study, mesh = build_study(folder, progress)
    solved = solve_study(study, mesh, choose_settings(study), progress, note)
    # Last, so that an interrupted demo leaves an earlier one as it was.
    import_example_ledger(folder)
    return solved


def run_joint_demo(folder: Path, progress: Progress) -> tuple[Path, JointAnswer]:
    """Write Estonia, Latvia, Lithuania and north-east Poland, build their meshes and join their lines.

    Parameters
    ----------
    folder : gets one study folder per country, and joint.html, .json, .png and .gpkg.
    progress : callback (stage, share done).

    Returns
    -------
    The report's path and the joint line.

    Raises
    ------
    InputError : see `write_baltic` and `join_paths`.
    """
    progress("writing the examples", 0.0)
    paths = write_baltic(folder)
    progress("writing the examples", 1.0)
    studies = [build_study(path, _tell_of(path.name, progress))[0] for path in paths]
    answer = join_paths(paths, JOINT_DEPTH_KM, progress)
    progress("map and report", 0.0)
    write_joint_map(folder / "joint.png", answer)
    write_joint_geopackage(folder / "joint.gpkg", answer)
    text = json.dumps(describe_joint(answer), indent=2, ensure_ascii=False)
    write_text_whole(folder / "joint.json", text + "\n")
    page = build_joint_report(answer, studies, (folder / "joint.png").read_bytes())
    write_text_whole(folder / "joint.html", page)
    progress("map and report", 1.0)
    return folder / "joint.html", answer


def _tell_of(name: str, progress: Progress) -> Progress:
    """Put a study's name before each stage."""
    return lambda stage, share: progress(f"{name}: {stage}", share)
