"""Nothing half written ever carries a final name, and every failure is one clear line."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
from clips import written

from dmtrack import atomic
from dmtrack.atomic import LineFile, output_error, part_path, prepare_folder, reserve, write_atomically
from dmtrack.errors import OutputError


def test_final_name_appears_only_on_commit(tmp_path):
    path = tmp_path / "boxes.txt"
    file = LineFile(path)
    file.append("one\n")
    assert not path.exists()
    assert part_path(path).exists()
    file.commit()
    assert path.read_text() == "one\n"
    assert list(tmp_path.iterdir()) == [path]


def test_second_commit_does_nothing(tmp_path):
    file = LineFile(tmp_path / "a.txt", header="h\n")
    file.commit()
    file.commit()
    assert (tmp_path / "a.txt").read_text() == "h\n"


def test_lines_reach_the_disk_while_the_run_goes_on(tmp_path, monkeypatch):
    monkeypatch.setattr(atomic, "FLUSH_SECONDS", 0.0)
    path = tmp_path / "a.txt"
    file = LineFile(path)
    file.append("one\n")
    assert part_path(path).read_text() == "one\n"
    file.commit()


def test_pending_lines_are_bounded(tmp_path):
    path = tmp_path / "a.txt"
    file = LineFile(path)
    for _ in range(3):
        file.append("x" * (atomic.FLUSH_BYTES - 1) + "\n")
    assert part_path(path).stat().st_size == 3 * atomic.FLUSH_BYTES
    file.commit()


def test_full_disk_keeps_whole_lines_and_says_so(tmp_path, limit_file_size, monkeypatch):
    monkeypatch.setattr(atomic, "FLUSH_SECONDS", 0.0)
    path = tmp_path / "a.txt"
    file = LineFile(path, header="header\n")
    limit_file_size(1000)
    for number in range(141):
        file.append(f"{number:06d}\n")
    with pytest.raises(OutputError, match=r"a\.txt: the file has reached the size limit"):
        file.append("000141\n")
    with pytest.raises(OutputError, match="failed before"):
        file.append("more\n")
    file.commit()
    lines = path.read_text().splitlines()
    assert lines == ["header", *(f"{n:06d}" for n in range(141))]
    assert list(tmp_path.iterdir()) == [path]


def test_full_disk_at_the_very_end_keeps_whole_lines(tmp_path, limit_file_size):
    path = tmp_path / "a.txt"
    file = LineFile(path)
    for number in range(100):
        file.append(f"{number:09d}\n")
    limit_file_size(55)
    with pytest.raises(OutputError):
        file.commit()
    assert path.read_text().splitlines() == [f"{n:09d}" for n in range(5)]


def test_full_disk_before_the_first_line_leaves_no_file(tmp_path, limit_file_size):
    file = LineFile(tmp_path / "a.txt", header="a long header\n")
    limit_file_size(5)
    with pytest.raises(OutputError):
        file.commit()
    assert list(tmp_path.iterdir()) == []


def test_existing_result_is_refused_with_a_hint(tmp_path):
    path = written(tmp_path / "a.txt", "old")
    with pytest.raises(OutputError, match=r"a\.txt: this result exists already; give --overwrite") as caught:
        LineFile(path)
    assert caught.value.exit_code == 5
    assert path.read_text() == "old"


def test_overwritten_result_stays_until_the_new_one_is_whole(tmp_path):
    path = written(tmp_path / "a.txt", "old")
    file = LineFile(path, overwrite=True)
    file.append("new\n")
    assert path.read_text() == "old"
    file.commit()
    assert path.read_text() == "new\n"


def test_dangling_link_counts_as_a_result(tmp_path):
    (tmp_path / "a.txt").symlink_to(tmp_path / "nowhere")
    with pytest.raises(OutputError, match="exists already"):
        reserve(tmp_path / "a.txt")


def test_prepare_folder_makes_parents_and_leaves_no_trace(tmp_path):
    folder = prepare_folder(tmp_path / "a" / "b", ["boxes.txt"])
    assert folder.is_dir()
    assert list(folder.iterdir()) == []


def test_prepare_folder_checks_every_name(tmp_path):
    (tmp_path / "run.json").write_text("{}")
    with pytest.raises(OutputError, match=r"run\.json"):
        prepare_folder(tmp_path, ["boxes.txt", "run.json"])
    prepare_folder(tmp_path, ["boxes.txt", "run.json"], overwrite=True)


def test_file_in_place_of_the_folder(tmp_path):
    (tmp_path / "file").write_text("")
    for folder in (tmp_path / "file", tmp_path / "file" / "deeper"):
        with pytest.raises(OutputError, match="a file stands where a folder is needed"):
            prepare_folder(folder)


def test_folder_in_place_of_the_file(tmp_path):
    (tmp_path / "a.txt").mkdir()
    with pytest.raises(OutputError, match="a folder stands where the file should go"):
        reserve(tmp_path / "a.txt", overwrite=True)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_unwritable_folder_is_refused_before_any_work(tmp_path):
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(OutputError, match="permission denied"):
            prepare_folder(tmp_path)
    finally:
        tmp_path.chmod(0o700)


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.ENOSPC, "the disk is full"),
        (errno.EACCES, "permission denied"),
        (errno.EROFS, "the file system is read-only"),
        (errno.ENOTDIR, "a file stands"),
        (errno.ENOLCK, "cannot be written"),
    ],
)
def test_each_cause_has_its_words(number, words):
    message = str(output_error(OSError(number, os.strerror(number)), Path("out/boxes.txt")))
    assert message.startswith(f"{Path('out/boxes.txt')}: {words}")
    assert "\n" not in message


def test_write_probe_failure_is_translated(tmp_path, monkeypatch):
    def refuse(handle: int, data: bytes) -> int:
        raise PermissionError(errno.EACCES, "no")

    monkeypatch.setattr(os, "write", refuse)
    with pytest.raises(OutputError, match="permission denied"):
        prepare_folder(tmp_path)


def test_write_atomically_keeps_the_old_file_on_failure(tmp_path, limit_file_size):
    path = tmp_path / "run.json"
    write_atomically(path, b"old")
    limit_file_size(10)
    with pytest.raises(OutputError):
        write_atomically(path, b"x" * 100)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("step", ["fsync", "replace"])
@pytest.mark.parametrize(
    "error", [KeyboardInterrupt(), OSError(errno.ENOSPC, "full")], ids=["stop", "full disk"]
)
def test_what_happens_while_a_file_gets_its_name_leaves_nothing_of_it(tmp_path, monkeypatch, step, error):
    def fails(*_: object) -> None:
        raise error

    path = tmp_path / "run.json"
    write_atomically(path, b"old")
    with monkeypatch.context() as patch:
        patch.setattr("os.fsync" if step == "fsync" else "pathlib.Path.replace", fails)
        with pytest.raises((OutputError, KeyboardInterrupt)):
            write_atomically(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]
    write_atomically(path, b"again")
    assert path.read_bytes() == b"again"
