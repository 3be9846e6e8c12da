"""The real recording of every event format: what independent decoders say of it, and what it shows."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from clips import written
from program import exit_code

from dmtrack.errors import DecodeError, FormatError
from dmtrack.video.events.event_batch import EventBatch
from dmtrack.video.events.event_reader import open_events
from dmtrack.video.events.event_source import EventSource
from dmtrack.video.modality import guess_modality

pytestmark = pytest.mark.data

FACTS: dict[str, dict[str, Any]] = json.loads(Path(__file__).with_name("event_facts.json").read_text())
FACTS.pop("_")
NOT_READ = {"tonic_sample_aedat_header.aedat", "tonic_sample_nmnist.bin", "evl_faces_easy_0001.bin"}


@pytest.fixture(scope="session")
def recordings(shared_data) -> Path:
    return shared_data / "events"


@pytest.mark.parametrize("name", FACTS)
def test_facts(name, recordings):
    facts = dict(FACTS[name])
    with open_events(recordings / name) as reader:
        events = EventBatch.joined(list(reader))
        assert reader.damaged == 0
    t_sum = facts.pop("t_sum")
    assert {"by": facts.pop("by")}
    assert facts == {
        "events": len(events),
        "first_us": int(events.t[0]),
        "last_us": int(events.t[-1]),
        "x": [int(events.x.min()), int(events.x.max())],
        "y": [int(events.y.min()), int(events.y.max())],
        "positive": int(events.p.sum()),
        "x_sum": int(events.x.sum(dtype=np.int64)),
        "y_sum": int(events.y.sum(dtype=np.int64)),
    }
    assert t_sum in (None, int(events.t.sum()))
    assert (np.diff(events.t) >= 0).all()


def test_every_recording_has_facts(recordings):
    names = {path.name for path in recordings.iterdir()}
    assert names - set(FACTS) == NOT_READ


@pytest.mark.parametrize("name", sorted(NOT_READ))
def test_what_is_not_read_says_what_to_do(name, recordings):
    with pytest.raises(FormatError, match=r"is not read; convert it to \.csv or \.npy"):
        EventSource(recordings / name)


def test_two_decodings_of_one_recording(recordings):
    """The other program's times differ (see event_facts.json); places and polarities may not."""
    raw, array = (
        EventBatch.joined(list(open_events(recordings / f"exp_evt3_sample.{suffix}")))
        for suffix in ("raw", "npy")
    )
    for name in ("x", "y", "p"):
        np.testing.assert_array_equal(getattr(raw, name), getattr(array, name))
    late = np.unique(array.t - raw.t)
    assert late.tolist() == [4096 * n for n in range(12)]


@pytest.mark.parametrize(
    "name", ["exp_evt2_sample.raw", "exp_evt3_sample.raw", "tonic_sample.aedat4", "faery_dvs.es"]
)
def test_pictures_look_like_event_pictures(name, recordings):
    with EventSource(recordings / name) as source:
        guess = guess_modality(Path("x"), (frame.pixels for frame in list(source)[-4:]))
    assert guess.modality == "event"


@pytest.mark.parametrize("keep", [0.3, 0.7, 0.99])
def test_aedat4_cut_short(keep, recordings, tmp_path, caplog):
    data = (recordings / "tonic_sample.aedat4").read_bytes()
    path = written(tmp_path / "cut.aedat4", data[: int(len(data) * keep)])
    with open_events(path) as reader:
        count = sum(len(batch) for batch in reader)
    assert 0.9 * keep < count / FACTS["tonic_sample.aedat4"]["events"] < 1.05 * keep + 0.01
    assert reader.damaged == 1
    assert "ends in the middle of a packet, at byte" in caplog.text


def test_aedat4_damaged_inside(recordings, tmp_path):
    data = bytearray((recordings / "tonic_sample.aedat4").read_bytes())
    data[300_000:300_200] = b"\xff" * 200
    path = written(tmp_path / "bad.aedat4", data)
    batches: list[EventBatch] = []
    with open_events(path) as reader, pytest.raises(DecodeError, match=r"packet \d+, at byte \d+,") as caught:
        batches.extend(reader)
    count = sum(map(len, batches))
    assert 20_000 < count < 60_000
    offset = int(str(caught.value).split("at byte ")[1].split(",")[0])
    assert 270_000 < offset <= 300_200


def test_aedat4_with_a_length_that_lies(recordings, tmp_path):
    data = bytearray((recordings / "tonic_sample.aedat4").read_bytes())
    data[2338:2342] = (2**31 - 16).to_bytes(4, "little")
    path = written(tmp_path / "bad.aedat4", data)
    with pytest.raises(DecodeError, match="it holds no event"):
        EventSource(path)


@pytest.mark.parametrize("length", [20, 1000])
def test_aedat4_with_half_a_header(length, recordings, tmp_path):
    path = written(tmp_path / "bad.aedat4", (recordings / "tonic_sample.aedat4").read_bytes()[:length])
    with pytest.raises(DecodeError, match="the header is damaged"):
        open_events(path)


@pytest.mark.slow
def test_a_resumed_evaluation_and_a_batch_read_an_archive_as_it_is(shared_data, tmp_path, capfd):
    road = shared_data / "val" / "rgbe_davis346_road"
    words = ["evaluate", "--run", str(road), "-o", str(tmp_path / "out")]
    for more in ([], ["--resume"]):
        assert exit_code(*words, *more) == 0
    assert "2 kept from before" in capfd.readouterr().out
    assert exit_code("batch", road, "-o", tmp_path / "batch", "--no-video") == 0
