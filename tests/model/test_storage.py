"""Files and folders are written whole or not at all."""

import errno
import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from abatis.model import storage
from abatis.model.errors import InputError
from abatis.model.storage import write_folder_whole, write_text_whole, write_whole


def test_an_interrupted_file_leaves_the_earlier_one(tmp_path):
    path = tmp_path / "plan.json"
    write_text_whole(path, "earlier")
    with pytest.raises(KeyboardInterrupt), write_whole(path) as temporary:
        temporary.write_text("half")
        raise KeyboardInterrupt
    assert path.read_text() == "earlier"
    assert [path.name for path in tmp_path.iterdir()] == ["plan.json"]


def test_an_interrupted_folder_leaves_the_earlier_one(tmp_path):
    folder = tmp_path / "base"
    with write_folder_whole(folder) as temporary:
        (temporary / "plan.json").write_text("earlier")
        (temporary / "notes.txt").write_text("mine")
    with pytest.raises(KeyboardInterrupt), write_folder_whole(folder) as temporary:
        (temporary / "plan.json").write_text("half")
        raise KeyboardInterrupt
    assert (folder / "plan.json").read_text() == "earlier"
    with write_folder_whole(folder) as temporary:
        (temporary / "plan.json").write_text("later")
    assert (folder / "plan.json").read_text() == "later"
    assert (folder / "notes.txt").read_text() == "mine", "files of others stay"
    assert [path.name for path in tmp_path.iterdir()] == ["base"]


def test_a_full_disk_is_one_clear_fault(tmp_path):
    path = tmp_path / "plan.json"
    write_text_whole(path, "earlier")
    with (
        pytest.raises(InputError, match=r"no space left on device .*earlier results were kept"),
        write_whole(path),
    ):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert path.read_text() == "earlier"


def test_a_file_in_the_place_of_a_folder_is_a_fault(tmp_path):
    (tmp_path / "plans").write_text("a file")
    with pytest.raises(InputError, match="cannot be written"):
        write_text_whole(tmp_path / "plans" / "base" / "plan.json", "x")


WRITER = """
import sys
from pathlib import Path
from abatis.model.storage import write_folder_whole
folder, number = Path(sys.argv[1]), 0
while True:
    number += 1
    with write_folder_whole(folder) as temporary:
        for name in ("plan.json", "options.csv"):
            (temporary / name).write_text(str(number) * 500)
    print(number, flush=True)
"""


def test_a_writer_killed_at_any_moment_leaves_a_whole_folder(tmp_path):
    dice = random.Random(1)
    folder = tmp_path / "base"
    for _ in range(12):
        command = [sys.executable, "-c", WRITER, str(folder)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:
            assert writer.stdout is not None
            done = int(writer.stdout.readline())
            time.sleep(dice.random() * 0.05)
            writer.kill()
            for line in writer.stdout:
                done = int(line)
        texts = [(folder / name).read_text() for name in ("plan.json", "options.csv")]
        assert texts[0] == texts[1] != ""
        number = int(texts[0][: len(texts[0]) // 500])
        # What was told is there, or the one that followed it.
        assert number in (done, done + 1)


def test_folders_are_swapped_where_the_system_cannot_exchange_them(tmp_path, monkeypatch):
    monkeypatch.setattr(storage, "_exchange", lambda _one, _other: False)
    folder = tmp_path / "base"
    for text in ("earlier", "later"):
        with write_folder_whole(folder) as temporary:
            (temporary / "plan.json").write_text(text)
    assert (folder / "plan.json").read_text() == "later"
    assert [path.name for path in tmp_path.iterdir()] == ["base"]


def test_outdated_files_are_not_carried_over(tmp_path):
    folder = tmp_path / "base"
    folder.mkdir()
    for name in ("plan.json", "report.html", "notes.txt"):
        (folder / name).write_text("earlier")
    with write_folder_whole(folder, ("report.html",)) as temporary:
        (temporary / "plan.json").write_text("later")
    assert {path.name: path.read_text() for path in folder.iterdir()} == {
        "plan.json": "later", "notes.txt": "earlier",
    }  # fmt: skip


@pytest.mark.parametrize("write", [write_folder_whole, write_whole])
def test_a_fault_of_another_file_is_not_told_as_one_of_writing(tmp_path, write):
    source = tmp_path / "nowhere" / "dem.tif"
    with pytest.raises(FileNotFoundError, match=r"dem\.tif"), write(tmp_path / "base"):
        source.open()
    assert list(tmp_path.iterdir()) == []


def test_a_fault_of_the_temporary_folder_is_one_of_writing(tmp_path):
    with (
        pytest.raises(InputError, match=r"base: cannot be written"),
        write_folder_whole(tmp_path / "base") as temporary,
    ):
        (temporary / "missing" / "plan.json").write_text("x")


def test_the_earlier_folder_is_put_back_when_the_swap_fails(tmp_path, monkeypatch):
    monkeypatch.setattr(storage, "_exchange", lambda _one, _other: False)
    folder, replace = tmp_path / "base", Path.replace
    folder.mkdir()
    (folder / "plan.json").write_text("earlier")

    def fail(path, target):
        if target == folder and not path.name.endswith("-old"):
            raise OSError(errno.EBUSY, os.strerror(errno.EBUSY), str(path))
        return replace(path, target)

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(InputError, match="cannot be written"), write_folder_whole(folder) as temporary:
        (temporary / "plan.json").write_text("later")
    assert (folder / "plan.json").read_text() == "earlier"
    assert [path.name for path in tmp_path.iterdir()] == ["base"]
