"""Names: of result folders on any file system, of streams that belong together, of parts of a batch."""

from __future__ import annotations

from pathlib import Path

import pytest

from dmtrack.atomic import place_key
from dmtrack.batch.plan import Shard, folder_name
from dmtrack.datasets.stream_names import StreamName, group_streams
from dmtrack.errors import ConfigError, printable
from dmtrack.video.frame import Modality


@pytest.mark.parametrize(
    ("item_id", "expected"),
    [
        pytest.param("walk 1", "walk 1", id="a-space-stays"),
        pytest.param("nächtliche Straße 夜", "nächtliche Straße 夜", id="any-script-stays"),
        pytest.param("a/b", "a__b", id="nested"),
        pytest.param("../../etc", "_.__..__etc", id="cannot-leave-the-folder"),
        pytest.param("-rf", "_rf", id="no-option"),
        pytest.param(".hidden", "_hidden", id="not-hidden"),
        pytest.param('a:b*c?"d', "a_b_c__d", id="what-some-system-forbids"),
        pytest.param("a\nb", "a_b", id="control"),
        pytest.param("trailing.", "trailing_", id="windows-drops-a-dot"),
        pytest.param("NUL.txt", "NUL_.txt", id="a-device-of-windows"),
        pytest.param("summary.csv", "summary.csv_", id="our-own-file"),
        pytest.param("u\u0308", "\u00fc", id="one-form-of-unicode"),
    ],
)
def test_folder_names(item_id, expected):
    assert folder_name(item_id) == expected


def test_long_ids_are_cut_and_stay_apart():
    first, second = folder_name("夜" * 200 + "a"), folder_name("夜" * 200 + "b")
    assert first != second
    assert max(len(name.encode()) for name in (first, second)) <= 180


@pytest.mark.parametrize("other", ["WALK", "Walk", "ｗalk"])
def test_names_that_some_file_system_takes_for_one(other):
    assert place_key("walk") == place_key(other)


def test_unprintable_text_becomes_escapes():
    assert printable("a\nb\udc80ü") == "a\\nb\\udc80ü"


@pytest.mark.parametrize(
    ("stem", "name", "modality"),
    [
        ("walk_rgb", "walk", None),
        ("walk_1_TIR", "walk_1", Modality.THERMAL),
        ("walk-depth", "walk", Modality.DEPTH),
        ("walk 2 event", "walk 2", Modality.EVENT),
        ("thermal_007", "007", Modality.THERMAL),
        ("visible", "", None),
    ],
)
def test_stream_names(stem, name, modality):
    assert StreamName.parse(stem) == StreamName(name, modality)


@pytest.mark.parametrize("stem", ["walk", "stairs", "colorful", "prevent_run", "rgbwalk"])
def test_names_of_no_sensor(stem):
    assert StreamName.parse(stem) is None


def test_shards_share_everything_out_once():
    entries = list(range(11))
    parts = [Shard(number, 4).part(entries) for number in range(1, 5)]
    assert sorted(entry for part in parts for entry in part) == entries
    assert Shard.parse(" 3/8 ") == Shard(3, 8)


@pytest.mark.parametrize("text", ["0/4", "5/4", "1", "1/0", "a/b", "-1/3", ""])
def test_no_such_shard(text):
    with pytest.raises(ConfigError, match=r"part"):
        Shard.parse(text)


@pytest.mark.parametrize(
    ("names", "pairs"),
    [
        (["DJI_0001_V.MP4", "DJI_0001_T.MP4"], [("DJI_0001_V.MP4", "DJI_0001_T.MP4")]),
        (["DJI_0001_W.MP4", "DJI_0001_T.MP4", "DJI_0001_Z.MP4"], [("DJI_0001_W.MP4", "DJI_0001_T.MP4")]),
        (
            ["DJI_20240115123456_0001_V.MP4", "DJI_20240115123457_0001_T.MP4"],
            [("DJI_20240115123456_0001_V.MP4", "DJI_20240115123457_0001_T.MP4")],
        ),
        (["walk_v.mp4", "walk_t.mp4"], [("walk_v.mp4", "walk_t.mp4")]),
        (["shirt_t.mp4"], []),
        (["DJI_0001_V.MP4", "DJI_0002_T.MP4"], []),
    ],
)
def test_drones_end_names_with_a_letter(names, pairs):
    groups = [group for group in group_streams(map(Path, names)) if group.why_not() is None]
    assert [(group.rgb[0].name, group.aux[0][0].name) for group in groups] == pairs
    assert all(group.aux[0][1] is Modality.THERMAL for group in groups)
