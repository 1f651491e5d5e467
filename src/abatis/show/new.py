"""A new study folder: a small runnable template with a note on every setting, or a copy of an example."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

from abatis.model.errors import Fault, InputError, nearest_word
from abatis.model.fields import Field
from abatis.model.storage import write_text_whole

EXAMPLES = ("lithuania",)


def write_new_study(folder: Path, example: str = "") -> Path:
    """Write a new study folder.

    Parameters
    ----------
    folder : a folder that does not exist yet or is empty.
    example : name of a packaged example to copy; empty for the template.

    Returns
    -------
    The folder.

    Raises
    ------
    InputError : when the folder holds files already, cannot be written, or the example is unknown.
    """
    if example and example not in EXAMPLES:
        raise InputError(
            [
                Fault(
                    f"there is no example '{example}'",
                    column="--example",
                    remedy=nearest_word(example, EXAMPLES),
                )
            ]
        )
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(
            [
                Fault(
                    "is there already and not empty",
                    str(folder),
                    remedy="name a new folder; nothing was written",
                )
            ]
        )
    if example:
        from abatis.examples.lithuania import write_example

        return write_example(folder)
    template = resources.files("abatis.examples.template")
    for part in ("", "tables", "sources"):
        for file in sorted(template.joinpath(part).iterdir(), key=lambda one: one.name):
            if file.is_file() and not file.name.endswith(".py"):
                write_text_whole(folder / part / file.name, file.read_text(encoding="utf-8"))
    return folder


def describe_field(field: Field) -> str:
    """Say in one line what a field means, its unit, bounds, choices and default.

    Examples
    --------
    >>> from abatis.model.fields import fields_of
    >>> describe_field([one for one in fields_of("study.toml") if one.column == "pixel_m"][0])
    'size of the working pixels that composition and gaps are counted on; m; 10 to 250; default 100'
    """
    parts = [field.meaning]
    if field.unit:
        parts.append(field.unit)
    if field.choices:
        parts.append("one of " + ", ".join(field.choices))
    low, high = field.minimum, field.maximum
    if low > float("-inf") and high < float("inf"):
        parts.append(f"{low:.12g} to {high:.12g}")
    elif low > float("-inf"):
        parts.append(f"at least {low:.12g}")
    elif high < float("inf"):
        parts.append(f"at most {high:.12g}")
    parts.append({"required": "required", "-": "may be empty"}.get(field.default, f"default {field.default}"))
    return "; ".join(parts)
