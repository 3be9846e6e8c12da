"""The picture of a run, and a run without what draws it."""

from __future__ import annotations

import cv2
import pytest

from dmtrack.errors import FormatError
from dmtrack.training.run_folder import RunFolder, draw_curves, read_columns

ROW = {"loss": 2.0, "focal": 1.0, "giou": 0.4, "l1": 0.1, "quality": 0.3, "iou": 0.5, "learning_rate": 1e-3}


@pytest.fixture
def folder(tmp_path) -> RunFolder:
    """A run of 40 steps, validated twice."""
    run = RunFolder(tmp_path / "run")
    for step in range(1, 41):
        run.append_row("curve.csv", {"step": step, **{name: value / step for name, value in ROW.items()}})
    for step in (20, 40):
        run.append_row("validation.csv", {"step": step, "mean_iou": step / 100, "cup": 0.5})
    return run


def test_the_curves_are_drawn(folder):
    folder.plot_curves()
    picture = cv2.imread(str(folder.path / "curve.png"))
    assert picture is not None
    assert min(picture.shape[:2]) > 500
    assert picture.std() > 5, "something is drawn"


def test_a_run_without_rows_has_no_picture(tmp_path, caplog):
    RunFolder(tmp_path).plot_curves()
    assert not (tmp_path / "curve.png").exists()
    assert caplog.records == []


def test_a_table_of_another_program_ends_no_run(tmp_path, caplog):
    (tmp_path / "curve.csv").write_text("step,cost\n1,2\n")
    RunFolder(tmp_path).plot_curves()
    assert "loss" in caplog.text


def test_a_torn_row_is_left_out(tmp_path):
    (tmp_path / "curve.csv").write_text("step,loss\n1,2.5\n2,1.5\n3\n4,x\n")
    assert read_columns(tmp_path / "curve.csv") == {"step": [1, 2], "loss": [2.5, 1.5]}
    assert read_columns(tmp_path / "missing.csv") == {}


def test_other_processes_write_nothing(folder, tmp_path):
    before = {path.name: path.read_bytes() for path in folder.path.iterdir()}
    other = RunFolder(folder.path, read_only=True)
    other.write_config({})
    other.save_checkpoint({"step": 1})
    other.append_row("curve.csv", {"step": 1})
    other.cut_rows("curve.csv", 0)
    other.plot_curves()
    assert {path.name: path.read_bytes() for path in folder.path.iterdir()} == before
    RunFolder(tmp_path / "new", read_only=True)
    assert not (tmp_path / "new").exists()


def test_tables_that_are_none_end_no_training(tmp_path, caplog):
    folder = RunFolder(tmp_path)
    (tmp_path / "curve.csv").write_bytes(b"step,\xff\n1,2\n")
    folder.plot_curves()
    assert "curve.csv: is no table of a training" in caplog.text
    with pytest.raises(FormatError, match=r"curve\.csv: is no table"):
        folder.cut_rows("curve.csv", 3)
    (tmp_path / "curve.csv").write_text("step,loss\n1,2\n")
    with pytest.raises(FormatError, match="has no column focal, giou"):
        draw_curves(tmp_path)
