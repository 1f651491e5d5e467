"""Every figure of a kept plan is checked: what was changed by hand, or damaged, is named."""

import json
import math

import pytest

from abatis.barrier.planning import verify_plan
from abatis.model.errors import InputError
from abatis.show.cli import main


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """Folder of an honest plan; a test puts back what it changes."""
    folder = tmp_path_factory.mktemp("study") / "first"
    assert [main([word, str(folder)]) for word in ("new", "build", "solve")] == [0, 0, 0]
    return folder / "plans" / "base"


@pytest.fixture
def change(kept):
    """Write another text into a file of the plan for the time of a test."""
    honest = {name: (kept / name).read_text() for name in ("plan.json", "certificate.json", "options.csv")}
    yield lambda name, text: (kept / name).write_text(text)
    for name, text in honest.items():
        (kept / name).write_text(text)


def test_an_honest_plan_holds_also_without_its_table(kept, change):
    assert verify_plan(kept).reasons == ()
    (kept / "options.csv").unlink()
    assert verify_plan(kept).reasons == ()


@pytest.mark.parametrize(
    ("part", "word", "value", "reason"),
    [
        ("", "value_h", 9.0, "plan.json says value_h 9.0"),
        ("", "bound_h", 9.0, "plan.json says bound_h 9.0"),
        ("", "budget_eur", 9.0, "plan.json says budget_eur 9.0"),
        ("", "before_h", 0.01, "the value without the plan is"),
        ("", "status", "optimal", "its bound lies above its value"),
        ("", "status", "splendid", "names a status 'splendid'"),
        ("", "status", "by_hand", "names a status 'by_hand'"),
        ("", "objective", "minimum", "names the objective minimum"),
        ("", "gap", 0.0, "the gap in plan.json"),
        ("", "gap", math.nan, "the gap in plan.json"),
        ("", "cost_eur", math.nan, "do not add up"),
        ("", "cost_eur", 1.0, "do not add up"),
        ("", "approaches", [], "differ in the approaches"),
        ("approaches", "id", "other", "differ in the approaches"),
        ("approaches", "name", "other", "differ in the approaches"),
        ("approaches", "weight", 7.0, "differ in the approaches"),
        ("approaches", "after_h", 9.0, "not 9.000000000 h (after_h)"),
        ("approaches", "after_h", math.nan, "not nan h (after_h)"),
        ("approaches", "before_h", 0.01, "not 0.010000000 h (before_h)"),
        ("options", "name", "elsewhere", "differ in the options chosen"),
        ("options", "cost_eur", 1.0, "differ in the options chosen"),
    ],
)
def test_a_false_figure_is_named(kept, change, part, word, value, reason):
    plan = json.loads((kept / "plan.json").read_text())
    (plan[part][0] if part else plan)[word] = value
    change("plan.json", json.dumps(plan))
    reasons = verify_plan(kept).reasons
    assert any(reason in one for one in reasons), reasons


@pytest.mark.parametrize(
    ("table", "reason"),
    [
        ("site,option,name,cost_eur\nx,y,z,1.00\n", "differ in the options"),
        ("", "differ in the options"),
        ('site,option,name,cost_eur\n"x', "options.csv is damaged"),
    ],
)
def test_a_false_table_of_options_is_named(kept, change, table, reason):
    change("options.csv", table)
    assert any(reason in one for one in verify_plan(kept).reasons)


@pytest.mark.parametrize(
    ("part", "word", "value"),
    [
        ("", "value_h", "a"),
        ("", "gap", None),
        ("", "seed", True),
        ("", "value_h", 10**400),
        ("", "approaches", None),
        ("", "unknown", 1),
        ("options", "cost_eur", "1"),
        ("options", "site", None),
        ("approaches", "name", 3),
    ],
)
def test_a_plan_of_other_kinds_is_no_plan(kept, change, part, word, value):
    plan = json.loads((kept / "plan.json").read_text())
    (plan[part][0] if part else plan)[word] = value
    change("plan.json", json.dumps(plan))
    with pytest.raises(InputError, match="is not a plan"):
        verify_plan(kept)


@pytest.mark.parametrize("name", ["plan.json", "certificate.json"])
@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("[" * 100_000, "recursion"),
        ('{"format": ' + "9" * 5000 + "}", "digits"),
        ('{"seed": 1, "seed": 2}', "'seed' stands there twice"),
        ("[]", "holds no object"),
        ("{", "is not a plan|is damaged"),
    ],
)
def test_a_damaged_file_is_named(kept, change, name, text, word):
    change(name, text)
    with pytest.raises(InputError, match=word):
        verify_plan(kept)


@pytest.mark.parametrize("kind", [float, str])
def test_options_that_are_no_indices_are_named(kept, change, kind):
    certificate = json.loads((kept / "certificate.json").read_text())
    certificate["chosen"] = [kind(option) for option in certificate["chosen"]]
    change("certificate.json", json.dumps(certificate))
    assert any("is no index" in one for one in verify_plan(kept).reasons)
