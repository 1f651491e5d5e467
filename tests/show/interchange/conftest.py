"""One export of the small study in every format, shared by the tests of this folder."""

from __future__ import annotations

import os
import shutil
import subprocess

import pytest

from abatis.show.interchange.exporting import WRITERS, export_results


def keep_quiet(stage, share):
    """Progress that nobody watches."""


@pytest.fixture(scope="session")
def exported(results, tmp_path_factory):
    """Folder with the plan in every format; not to be changed."""
    folder = tmp_path_factory.mktemp("export") / "all"
    export_results(results, tuple(WRITERS), folder, False, keep_quiet)
    return folder


@pytest.fixture(scope="session")
def ogrinfo():
    """Run GDAL's ogrinfo and return what it says; left out where GDAL's programs are not installed."""
    program = shutil.which("ogrinfo")
    if program is None:
        if os.environ.get("CI") == "true":
            pytest.fail("ogrinfo (package gdal-bin) is missing: the runner must have it")
        pytest.skip("ogrinfo is not installed: no second program reads the files")

    def ask(*words):
        asked = [program, "-ro", *map(str, words)]
        answer = subprocess.run(asked, capture_output=True, text=True, timeout=120, check=False)
        assert answer.returncode == 0, answer.stderr
        assert "ERROR" not in answer.stderr
        return answer.stdout

    return ask
