"""The build of the page: the hook of the package, its faults, and what the page may not hold."""

from __future__ import annotations

import importlib.util
import json
import re
import stat
import types
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def hook() -> types.ModuleType:
    pytest.importorskip(
        "hatchling", reason="the build hook needs hatchling; its faults are not tested without"
    )
    spec = importlib.util.spec_from_file_location("hatch_build", ROOT / "hatch_build.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def start(hook: types.ModuleType, root: Path, target: str = "wheel") -> None:
    made: Any = hook.PageBuildHook(str(root), {}, None, None, str(root), target)
    made.initialize("standard", {})


def put_node(folder: Path, text: str) -> Path:
    node = folder / "node"
    node.write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
    node.chmod(node.stat().st_mode | stat.S_IXUSR)
    return node


def put_page(root: Path, hook: types.ModuleType) -> Path:
    page = root / hook.STATIC / "index.html"
    page.parent.mkdir(parents=True)
    page.write_text("made before", encoding="utf-8")
    return page


def test_skip_takes_the_page_that_is_there(
    hook: types.ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = put_page(tmp_path, hook)
    monkeypatch.setenv(hook.SKIP, "1")
    monkeypatch.setattr(hook, "build_page", lambda web: pytest.fail("npm was called"))
    start(hook, tmp_path)
    assert page.read_text(encoding="utf-8") == "made before"


def test_skip_without_a_page_says_how_to_build_it(
    hook: types.ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(hook.SKIP, "1")
    with pytest.raises(RuntimeError, match=r"ABATIS_SKIP_WEB is set.*npm run build"):
        start(hook, tmp_path)


def test_source_package_builds_nothing(
    hook: types.ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(hook.SKIP, raising=False)
    start(hook, tmp_path, "sdist")
    assert not (tmp_path / hook.STATIC).exists()


def test_npm_runs_in_web_with_its_node_first_on_the_path(
    hook: types.ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    web = tmp_path / "web"
    web.mkdir()
    (web / "package.json").write_text("{}", encoding="utf-8")
    page = tmp_path / hook.STATIC / "index.html"
    node = put_node(
        tmp_path,
        f'echo "$PWD $2 $3 ${{PATH%%:*}}" >> "{tmp_path}/calls"; mkdir -p "{page.parent}"; : > "{page}"',
    )
    monkeypatch.delenv(hook.SKIP, raising=False)
    monkeypatch.setattr(hook, "find_node", lambda: (node, Path("npm-cli.js")))
    start(hook, tmp_path)
    calls = (tmp_path / "calls").read_text(encoding="utf-8").splitlines()
    assert calls == [f"{web} ci --no-audit {tmp_path}", f"{web} run build {tmp_path}"]


def test_failed_npm_is_told_with_its_last_lines_and_a_remedy(
    hook: types.ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = put_node(tmp_path, "echo no such host; exit 7")
    monkeypatch.setattr(hook, "find_node", lambda: (node, Path("npm-cli.js")))
    with pytest.raises(RuntimeError, match=r"(?s)npm ci.*code 7.*no such host.*ABATIS_SKIP_WEB"):
        hook.build_page(tmp_path)


def test_missing_node_is_told(hook: types.ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hook.shutil, "which", lambda name: None)
    with pytest.raises(RuntimeError, match=r"node 20\.19 or newer"):
        hook.find_system_node()


def test_lock_file_fixes_every_package_and_holds_no_address() -> None:
    lock = json.loads((ROOT / "web" / "package-lock.json").read_text(encoding="utf-8"))
    packages = {name: one for name, one in lock["packages"].items() if name}
    assert len(packages) > 30
    assert [name for name, one in packages.items() if "resolved" in one] == []
    assert [
        name for name, one in packages.items() if not str(one.get("integrity", "")).startswith("sha512-")
    ] == []
    wanted = json.loads((ROOT / "web" / "package.json").read_text(encoding="utf-8"))
    versions = {**wanted["dependencies"], **wanted["devDependencies"]}
    assert [name for name, version in versions.items() if not re.fullmatch(r"[0-9.]+", version)] == []
    assert {name: packages[f"node_modules/{name}"]["version"] for name in versions} == versions


def test_page_names_no_address_outside() -> None:
    sources = [
        path for path in (ROOT / "web" / "src").rglob("*") if path.suffix in (".ts", ".svelte", ".css")
    ]
    assert len(sources) > 20
    held = [
        f"{path.relative_to(ROOT)}: {found}"
        for path in [*sources, ROOT / "web" / "index.html"]
        for found in re.findall(
            r"(?:https?:)?//[a-z0-9-]+\.[a-z]{2,}[^\s'\"]*", path.read_text(encoding="utf-8")
        )
    ]
    assert held == []
