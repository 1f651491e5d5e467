"""The template of a new study says what every key means, and is read without a fault."""

from pathlib import Path

from abatis.model.fields import fields_of
from abatis.model.study import read_study
from abatis.show.new import write_new_study


def describe_field(field):
    """Meaning, unit, choices, bounds and default of a field in one line."""
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


def test_every_setting_is_explained_as_the_field_table_says(tmp_path):
    folder = write_new_study(tmp_path / "new")
    lines = (folder / "study.toml").read_text("utf-8").splitlines()
    for field in fields_of("study.toml"):
        key = field.column.rpartition(".")[2]
        place = next(i for i, line in enumerate(lines) if line.startswith(f"{key} = "))
        assert lines[place - 1] == f"# {describe_field(field)}"


def test_the_template_is_read_without_a_fault(tmp_path):
    study = read_study(write_new_study(tmp_path / "new"))
    assert study.home == ("HOME",)
    assert isinstance(study.folder, Path)
