"""The whole chain on the packaged example, from facts to report."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from abatis.examples.lithuania import write_example
from abatis.show.results import Progress, Results
from abatis.show.workflow import build_study, choose_settings, solve_study


def run_demo(
    folder: Path, progress: Progress, note: Callable[[str], None] | None = None
) -> tuple[Path, Results]:
    """Write the example of Lithuania, build its mesh, solve it and write plan, GeoPackage and report.

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
    return solve_study(study, mesh, choose_settings(study), progress, note)
