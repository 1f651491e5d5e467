"""Files and folders are written whole or not at all."""

import errno
import os

import pytest

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
