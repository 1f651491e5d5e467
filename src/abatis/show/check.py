"""A study checked as a whole before anything is built from it."""

from __future__ import annotations

from pathlib import Path

from abatis.ground.build import SizePrediction, predict_size
from abatis.ground.checking import check_sources
from abatis.model.errors import Fault, InputError
from abatis.model.study import Study, read_study
from abatis.show.clearance import check_civil_tables
from abatis.show.watch_answer import check_watch_tables


def check_whole_study(folder: Path) -> tuple[Study, SizePrediction]:
    """Read a study and look at its sources; returns it with the size to expect of its mesh.

    Parameters
    ----------
    folder : study folder.

    Raises
    ------
    InputError : all faults of settings and tables at once; when these have none, all faults of the civil
        tables, of the watch and of the sources at once (see `check_sources`).
    SizeError : as for `predict_size`.
    """
    found = read_study(folder)
    faults: list[Fault] = []
    for check in (check_civil_tables, check_watch_tables):
        try:
            check(found)
        except InputError as error:
            faults += error.faults
    try:
        ground = check_sources(found)
    except InputError as error:
        if not faults:
            raise
        faults += error.faults
    if faults:
        raise InputError(faults)
    return found, predict_size(found, ground)
