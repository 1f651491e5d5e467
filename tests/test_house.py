"""The rules of the house: sizes, words, locked packages, one version, the commands of the README."""

from __future__ import annotations

import ast
import importlib.metadata
import os
import re
import runpy
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import abatis

ROOT = Path(__file__).resolve().parents[1]
MOST_LINES_IN_A_FILE = 600
MOST_LINES_IN_A_FUNCTION = 80
VERBS = {
    "sight",
    "clearance",
    "people",
    "programme",
    "stock",
    "risk",
    "split",
    "robust",
    "watch",
    "notice",
    "law",
    "validate",
    "avenues",
    "joint",
    "new",
    "fetch",
    "build",
    "check",
    "times",
    "line",
    "solve",
    "compare",
    "report",
    "demo",
    "verify",
    "fields",
    "why",
    "curve",
    "interdict",
}
SOURCES = sorted((ROOT / "src").rglob("*.py"))
LOCKS = ("run.txt", "dev.txt", "build.txt")


def list_files() -> list[Path]:
    """Files that git tracks or would track; without git (a source archive), all but what is built."""
    asked = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    answer = subprocess.run(asked, cwd=ROOT, capture_output=True, text=True, check=False)
    if answer.returncode == 0:
        names = [name for name in answer.stdout.split("\0") if name]
        return [ROOT / name for name in names if (ROOT / name).is_file()]
    built = {".venv", "demo", "dist", "build", "__pycache__"}
    return [
        path
        for path in ROOT.rglob("*")
        if path.is_file()
        and not any(p in built or p.endswith("_cache") for p in path.relative_to(ROOT).parts)
    ]


def read_text(path: Path) -> str | None:
    """Text of a file, or None if it is not text."""
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return None


def normalize(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def read_pins(file: str) -> dict[str, tuple[str, int]]:
    """Package -> (version, number of hashes) of one lock file."""
    joined = (ROOT / "requirements" / file).read_text(encoding="utf-8").replace("\\\n", " ")
    pins = {}
    for line in joined.splitlines():
        found = re.match(r"^([A-Za-z0-9._-]+)==(\S+)", line)
        if found:
            pins[normalize(found[1])] = (found[2], line.count("--hash=sha256:"))
    return pins


def read_project() -> dict:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def test_source_files_are_short():
    assert SOURCES
    lengths = {str(path.relative_to(ROOT)): len(path.read_text("utf-8").splitlines()) for path in SOURCES}
    assert {name: count for name, count in lengths.items() if count > MOST_LINES_IN_A_FILE} == {}


def test_functions_are_short():
    long = {}
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                continue
            first = node.body[1] if ast.get_docstring(node) and len(node.body) > 1 else node.body[0]
            lines = (node.end_lineno or first.lineno) - first.lineno + 1
            if lines > MOST_LINES_IN_A_FUNCTION:
                long[f"{path.relative_to(ROOT)}:{node.name}"] = lines
    assert long == {}


def test_every_kernel_is_cached():
    """Compiling takes seconds; without the cache every command would pay them again."""
    kernel = re.compile(r"@(?:numba\.)?n?jit\b(\([^)]*\))?")
    bare = []
    for path in SOURCES:
        text = path.read_text("utf-8")
        bare += [path.name for found in kernel.finditer(text) if "cache=True" not in (found[1] or "")]
    assert bare == []


def test_files_have_plain_names():
    vague = {"utils", "util", "helpers", "common", "misc"}
    assert [path.name for path in SOURCES if path.stem in vague] == []


def test_every_room_has_its_floor():
    """A new room must be added to the import rules, or they would not see it."""
    tables = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    layers, examples, top = tables["tool"]["importlinter"]["contracts"]
    rooms = {path.parent.name for path in (ROOT / "src" / "abatis").glob("*/__init__.py")}
    rooms |= {path.parent.name for path in (ROOT / "src" / "abatis").glob("*/*.py")}
    floors = set(re.findall(r"\w+", " ".join(layers["layers"])))
    assert rooms - {"examples"} <= floors
    above = {f"abatis.{room}" for room in rooms - {"examples", "model", "ground"}}
    assert set(examples["forbidden_modules"]) == above
    assert set(top["source_modules"]) == {f"abatis.{room}" for room in rooms - {"examples", "show"}}


def forbidden_words() -> dict[str, re.Pattern[str]]:
    """Patterns that no file may hold; put together from parts so that this file does not hold them."""
    hosts = ["|".join((r"pypi\.", r"pythonhosted\.", r"registry\.npmjs", r"deb\.debian\.")), "simple/"]
    here = [re.escape(str(folder).strip("/")) + "/" for folder in (ROOT, ROOT.parent / "shared")]
    roots = ["home/[a-z]", "root/", "Users/[A-Za-z]", *here]
    return {
        "a package registry's host": re.compile(rf"(?:{hosts[0]})(?:org|io|com)|https?://\S*/{hosts[1]}"),
        "a path of one machine": re.compile(r"(?<![\w.)}\]/-])/(?:" + "|".join(roots) + ")"),
        "a conflict left over": re.compile(r"^(?:<{7}|>{7}) ", re.MULTILINE),
    }


def test_forbidden_words_are_found_where_they_are():
    words = forbidden_words()
    assert words["a package registry's host"].search("--index-url https://" + "pypi" + ".org/x")
    assert words["a path of one machine"].search("open('/" + "home/ona/data.tif')")
    assert words["a path of one machine"].search(f"see {ROOT}/x")
    assert not words["a path of one machine"].search("docs/home/start.md and https://example.org/home/x")


def test_no_forbidden_words():
    files = list_files()
    assert ROOT / "README.md" in files
    faults = []
    for path in files:
        text = read_text(path)
        for what, pattern in forbidden_words().items():
            found = pattern.search(text) if text is not None else None
            if found:
                faults.append(f"{path.relative_to(ROOT)}: {what}: {found[0]!r}")
    assert faults == []


@pytest.mark.parametrize("file", LOCKS)
def test_locks_hold_pins_and_hashes_only(file):
    text = (ROOT / "requirements" / file).read_text(encoding="utf-8")
    pin = re.compile(
        r"^([A-Za-z0-9._-]+==\S+( ; .+)? \\|    --hash=sha256:[0-9a-f]{64}( \\)?|# The .* unsafe .*|)$"
    )
    assert [line for line in text.splitlines() if not pin.match(line)] == []
    assert "://" not in text
    assert text.count("==") == len(read_pins(file)) > 0
    assert [name for name, (_, hashes) in read_pins(file).items() if hashes == 0] == []


def test_locks_agree():
    run, dev, build = (read_pins(file) for file in LOCKS)
    assert {name: pin for name, pin in run.items() if dev.get(name) != pin} == {}
    assert {name: pin for name, pin in build.items() if dev.get(name) != pin} == {}


def test_dependencies_are_locked_and_installed():
    pins = read_pins("run.txt")
    asked = {normalize(re.match(r"[A-Za-z0-9._-]+", line)[0]) for line in read_project()["dependencies"]}
    lines = (ROOT / "requirements" / "run.in").read_text(encoding="utf-8").split("\n")
    assert asked == {normalize(line) for line in lines if line and not line.startswith("#")}
    assert asked - set(pins) == set()
    # What runs these tests is what the lock says.
    installed = {name: importlib.metadata.version(name) for name in asked}
    assert installed == {name: pins[name][0] for name in asked}


def test_version_stands_in_one_place():
    assert "version" in read_project()["dynamic"]
    assert "version" not in read_project()
    assert re.fullmatch(r"\d+\.\d+\.\d+", abatis.__version__)
    assert importlib.metadata.version("abatis") == abatis.__version__
    version = r"^__version__\s*=|^\s*version\s*=\s*[\"']\d+\.\d+\.\d+[\"']"
    holders = [
        str(path.relative_to(ROOT)) for path in SOURCES if re.search(version, path.read_text("utf-8"), re.M)
    ]
    assert holders == ["src/abatis/__init__.py"]
    # These two are for readers; they may not fall behind.
    assert f"\nversion: {abatis.__version__}\n" in (ROOT / "CITATION.cff").read_text("utf-8")
    assert f"\n## {abatis.__version__}" in (ROOT / "CHANGELOG.md").read_text("utf-8")


def call_cli(monkeypatch, *arguments: str) -> int:
    """Exit code of the command line, called in this process through the project's own entry point."""
    entry = importlib.metadata.entry_points(group="console_scripts", name="abatis")["abatis"].load()
    monkeypatch.setattr(sys, "argv", ["abatis", *arguments])
    try:
        code = entry()
    except SystemExit as stop:
        code = stop.code
    return int(code or 0)


def test_readme_names_every_verb():
    text = (ROOT / "README.md").read_text("utf-8")
    assert set(re.findall(r"^\| `abatis (\w+)", text, re.M)) >= VERBS


def test_every_verb_of_the_readme_exists(monkeypatch, capsys):
    text = (ROOT / "README.md").read_text("utf-8")
    for verb in sorted(set(re.findall(r"(?:`|bin/)abatis (\w+)", text))):
        assert call_cli(monkeypatch, verb, "--help") == 0, verb
        assert verb in capsys.readouterr().out
    assert call_cli(monkeypatch, "abracadabra", "--help") != 0


def test_readme_links_lead_somewhere():
    for name in ("README.md", "CONTRIBUTING.md", "ARCHITECTURE.md"):
        text = (ROOT / name).read_text("utf-8")
        targets = [link for link in re.findall(r"\]\(([^)#]+)", text) if "://" not in link]
        assert [link for link in targets if not (ROOT / link).exists()] == []


def test_make_targets_of_the_readme_exist():
    makefile = (ROOT / "Makefile").read_text("utf-8")
    targets = set(re.findall(r"^([a-z][a-z-]*):", makefile, re.M))
    for name in ("README.md", "CONTRIBUTING.md"):
        assert set(re.findall(r"\bmake ([a-z]+)\b(?=[ `]| *#)", (ROOT / name).read_text("utf-8"))) <= targets
    assert {"demo", "test", "bench", "clean"} <= targets


def test_make_demo_says_what_is_wrong_with_an_old_python(tmp_path):
    old = tmp_path / "python"
    old.write_text("#!/bin/sh\nexit 1\n")
    old.chmod(0o755)
    asked = ["make", "-s", "demo", f"VENV={tmp_path}/venv", f"PYTHON={old}"]
    answer = subprocess.run(asked, cwd=ROOT, capture_output=True, text=True, check=False, env=os.environ)
    assert answer.returncode != 0
    assert "needs Python 3.11 or newer" in answer.stderr
    assert not (tmp_path / "venv").exists()


class TestBenchmarkRunner:
    """benchmarks/run.py: rows are checked, goals judged, names filtered."""

    runner = runpy.run_path(str(ROOT / "benchmarks" / "run.py"))
    row = {"name": "x", "ours": 1.0, "peer": 3.0, "ratio": 3.0, "goal": "ratio >= 2", "unit": "s", "note": ""}

    def test_goal_is_judged(self):
        judge = self.runner["judge_goal"]
        assert judge(self.row) == "yes"
        assert judge({**self.row, "ratio": 1.9}) == "no"
        assert judge({**self.row, "goal": "ours <= 0.5"}) == "no"
        assert judge({**self.row, "goal": "as small as possible"}) == ""

    def test_row_without_a_column_is_refused(self):
        short = {key: value for key, value in self.row.items() if key != "unit"}
        with pytest.raises(ValueError, match="unit"):
            self.runner["check_row"](short, "bench_x.py")

    def test_names_filter(self, tmp_path):
        for name in ("bench_times.py", "bench_demo.py", "other.py"):
            (tmp_path / name).touch()
        found = self.runner["find_benchmarks"]
        assert [path.name for path in found("", tmp_path)] == ["bench_demo.py", "bench_times.py"]
        assert [path.name for path in found("tim", tmp_path)] == ["bench_times.py"]

    def test_every_benchmark_file_has_run(self):
        for path in self.runner["find_benchmarks"](""):
            names = [node.name for node in ast.parse(path.read_text("utf-8")).body if hasattr(node, "name")]
            assert "run" in names, path.name
