"""Files that a publisher does not have, such as tiles of open sea: remembered and not asked for again."""

from __future__ import annotations

import csv
import datetime
import io
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from abatis.model.storage import write_text_whole

ABSENT_NAME = "not_there.csv"
ASK_AGAIN_DAYS = 180


@dataclass(frozen=True)
class AbsentFile:
    """A file that was asked for in vain: its address, the day, and what was found instead."""

    layer: str
    file: str
    address: str
    asked: str
    reason: str


def read_absent(sources: Path, today: datetime.date) -> Mapping[str, AbsentFile]:
    """Read what is known not to be there, by address.

    Parameters
    ----------
    sources : the study's folder sources/.
    today : answers older than 180 days are left out, so that those files are asked for again.

    In words: the file only saves questions; lines that cannot be read count as never asked.
    """
    path = sources / ABSENT_NAME
    try:
        lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    except (OSError, UnicodeDecodeError):
        return {}
    found = {}
    for row in csv.DictReader(lines):
        absent = AbsentFile(**{field.name: row.get(field.name) or "" for field in fields(AbsentFile)})
        try:
            age = today - datetime.date.fromisoformat(absent.asked)
        except ValueError:
            continue
        if absent.address and 0 <= age.days <= ASK_AGAIN_DAYS:
            found[absent.address] = absent
    return found


def write_absent(sources: Path, absent: Mapping[str, AbsentFile]) -> None:
    """Write what is known not to be there, in the order of layers and files; nothing known needs no file.

    Raises
    ------
    InputError : the file cannot be written.
    """
    path = sources / ABSENT_NAME
    if not absent:
        path.unlink(missing_ok=True)
        return
    text = io.StringIO()
    writer = csv.DictWriter(text, [field.name for field in fields(AbsentFile)], lineterminator="\n")
    writer.writeheader()
    writer.writerows(asdict(one) for one in sorted(absent.values(), key=lambda one: (one.layer, one.file)))
    write_text_whole(path, text.getvalue())
