"""What both recipes share: a study folder from a recipe, the packaged tables and a folder of data."""

from __future__ import annotations

import argparse
import re
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

PACKAGED_TABLES = ("vehicles", "speeds", "crossings", "measures", "options")


@dataclass(frozen=True)
class Request:
    """What the user asked for on the command line."""

    data: Path
    study: Path
    resolution: int | None
    pixel_m: float | None


def read_request(files: Sequence[str], words: Sequence[str] | None = None) -> Request:
    """Read the command line of a recipe and end with a message when data or target are unusable.

    Parameters
    ----------
    files : names that must be in the data folder.
    words : arguments; those of the process when not given.
    """
    parser = argparse.ArgumentParser(description="Write a study folder from a folder of open data.")
    parser.add_argument("data", type=Path, help="folder with the data files")
    parser.add_argument("study", type=Path, help="study folder to write; new or empty")
    parser.add_argument(
        "--resolution", type=int, choices=(7, 8, 9), help="H3 resolution, else as in study.toml"
    )
    parser.add_argument("--pixel-m", type=float, help="working pixel in metres, else as in study.toml")
    given = parser.parse_args(words)
    missing = [name for name in files if not (given.data / name).is_file()]
    if missing:
        parser.exit(1, f"{given.data} lacks: {', '.join(missing)}\n")
    if given.study.exists() and (not given.study.is_dir() or any(given.study.iterdir())):
        parser.exit(1, f"{given.study} is not an empty folder: choose a new one\n")
    return Request(given.data, given.study, given.resolution, given.pixel_m)


def copy_recipe(recipe: Path, request: Request, files: Sequence[str]) -> None:
    """Copy the recipe's settings, tables and source list, the packaged tables, and the data files."""
    for part in ("tables", "sources"):
        (request.study / part).mkdir(parents=True)
        for path in sorted((recipe / part).glob("*.csv")):
            shutil.copyfile(path, request.study / part / path.name)
    packaged = resources.files("abatis.examples.lithuania") / "tables"
    for table in PACKAGED_TABLES:
        text = (packaged / f"{table}.csv").read_text(encoding="utf-8")
        (request.study / "tables" / f"{table}.csv").write_text(text, encoding="utf-8")
    for name in files:
        shutil.copyfile(request.data / name, request.study / "sources" / name)
    settings = (recipe / "study.toml").read_text(encoding="utf-8")
    for key, value in (("resolution", request.resolution), ("pixel_m", request.pixel_m)):
        if value is not None:
            settings = re.sub(rf"(?m)^{key} = .*$", f"{key} = {value:g}", settings)
    (request.study / "study.toml").write_text(settings, encoding="utf-8")


def tell_next(study: Path) -> None:
    """Say what was written and what comes next."""
    sys.stdout.write(f"Study written to {study}.\nNext: abatis check {study}\n")
