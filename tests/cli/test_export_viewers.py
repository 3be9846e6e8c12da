"""`dmtrack export --format mcap` and `rrd`: what a viewer opens holds both pictures and the boxes."""

from __future__ import annotations

import base64
import json
import shutil
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from mcap.reader import make_reader
from program import csv_rows


@pytest.fixture
def rows(track) -> list[dict[str, str]]:
    assert track("--box", "20,16,16,16", "--box", "40,20,12,12", "--no-video").code == 0
    return csv_rows("out/boxes.csv")


def test_foxglove_gets_pictures_and_boxes(run_cli, rows):
    outcome = run_cli("export", "out", "--format", "mcap", "-o", "a.mcap")
    assert (outcome.code, outcome.out) == (0, "a.mcap\n"), outcome.err
    topics: dict[str, list[tuple[int, dict[str, Any]]]] = {}
    with Path("a.mcap").open("rb") as file:
        for schema, channel, message in make_reader(file).iter_messages():
            assert schema.encoding == "jsonschema"
            assert channel.message_encoding == "json"
            assert set(json.loads(message.data)) <= {*json.loads(schema.data)["properties"], "measure"}
            topics.setdefault(channel.topic, []).append((message.log_time, json.loads(message.data)))
    assert sorted(topics) == ["/aux", "/aux/targets", "/rgb", "/rgb/targets", "/targets/1", "/targets/2"]
    second = [row for row in rows if row["id"] == "2"]
    assert [time_ns for time_ns, _ in topics["/targets/2"]] == [
        round(float(r["time_s"]) * 1e9) for r in second
    ]
    assert [said["box"][0] for _, said in topics["/targets/2"]] == [float(row["x"]) for row in second]
    (_, boxes), (_, picture) = topics["/aux/targets"][0], topics["/aux"][0]
    assert [point["x"] for point in boxes["points"][0]["points"]] == [20, 36, 36, 20]
    assert boxes["texts"][1]["text"] == "2 1.00"
    shown = cv2.imdecode(np.frombuffer(base64.b64decode(picture["data"]), np.uint8), cv2.IMREAD_COLOR)
    assert shown.shape == (64, 96, 3)
    run_cli("export", "out", "-o", "a.mcap").refused(5, "exists already")  # the suffix says the format


@pytest.mark.parametrize("kind", ["mcap", "rrd"])
def test_several_recordings_need_a_folder(run_cli, rows, kind):
    shutil.copytree("out", "runs/a")
    shutil.copytree("out", "runs/b")
    outcome = run_cli("export", "runs", "--format", kind, "-o", f"two.{kind}")
    outcome.refused(5, f"there are 2 recordings, and {kind} holds one a file")
    assert not Path(f"two.{kind}").exists()


def test_a_missing_library_is_named_with_its_extra(run_cli, rows, monkeypatch):
    for kind, library, extra in (("mcap", "mcap.writer", "foxglove"), ("rrd", "rerun", "rerun")):
        monkeypatch.setitem(sys.modules, library, None)
        outcome = run_cli("export", "out", "--format", kind, "-o", "seen/")
        outcome.refused(4, f'pip install "dmtrack[{extra}]"')
        assert list(Path("seen").iterdir()) == []


@pytest.mark.skipif(find_spec("rerun") is None, reason="rerun-sdk (170 MB) is not installed")
def test_rerun_gets_pictures_and_boxes(run_cli, rows):
    outcome = run_cli("export", "out", "--format", "rrd", "-o", "a.rrd")
    assert (outcome.code, outcome.out) == (0, "a.rrd\n"), outcome.err
    data = Path("a.rrd").read_bytes()
    assert data.startswith(b"RRF")
    assert data.count(b"\xff\xd8\xff") >= 2, "no JPEG picture is in it"
