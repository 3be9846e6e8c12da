"""`dmtrack review`: what a person says is kept at once, and the folder becomes what files make of it."""

from __future__ import annotations

import http.client
import json
import random
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from clips import wait_until
from program import boxes_of

from dmtrack.boxes.detections import DetectionOptions
from dmtrack.boxes.keyframes import keyframes_text, read_keyframes
from dmtrack.errors import BoxError, CheckpointError, ConfigError, FormatError
from dmtrack.geometry.box import Box
from dmtrack.output.record import read_run_json
from dmtrack.run import review as reviewing
from dmtrack.run.corrections import EarlierRun
from dmtrack.run.request import NetworkOptions, OutputOptions, TrackRequest
from dmtrack.run.review import OutOfDateError, Review, results_worst_first
from dmtrack.run.session import track_to_folder
from dmtrack.tracking.edits import absent_from, with_box
from dmtrack.tracking.start import TargetStart
from dmtrack.video.position import Position
from dmtrack_cli.commands import review as review_command
from dmtrack_cli.review.correcting import ReviewSession
from dmtrack_cli.review.frames import FrameShelf
from dmtrack_cli.review.server import PageServer

RIGHT = TargetStart(Box(26, 16, 16, 16), 1, 6)
BOX = {"do": "box", "id": 1, "frame": 6, "x": 26, "y": 16, "w": 16, "h": 16}
WAIT_S = 120


@pytest.fixture(scope="module")
def tracked(recording, weights, tmp_path_factory) -> Path:
    request = TrackRequest(
        recording.rgb,
        recording.thermal,
        boxes=(Box(20, 16, 16, 16),),
        network=NetworkOptions(str(weights)),
        output=OutputOptions(folder=tmp_path_factory.mktemp("tracked") / "out", no_video=True),
    )
    return track_to_folder(request).folder


@pytest.fixture
def results(tracked) -> Path:
    """Results of one target, without a video."""
    return Path(shutil.copytree(tracked, "out"))


@pytest.fixture
def opened() -> Iterator[Callable[..., Review]]:
    with ExitStack() as stack:
        yield lambda request: stack.enter_context(Review.opened(request))


@pytest.fixture
def idle(monkeypatch) -> None:
    """Let nothing be tracked in the background, as on a machine that is killed at once."""

    def stopped(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Review, "_retrack", stopped)
    monkeypatch.setattr(Review, "_has_work", lambda _: False)


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_corrections_give_what_files_give(results, opened, run_cli):
    shutil.copytree(results, "by-files")
    review = opened(TrackRequest(results))
    assert not review.is_behind
    revision = review.change(review.state().revision, lambda keys: with_box(keys, RIGHT))
    review.change(revision, lambda keys: absent_from(keys, 1, 9))
    assert review.wait(WAIT_S)
    state = review.state()
    assert (state.progress.phase in ("idle", "writing"), state.progress.error) == (True, None)
    review.close()
    shutil.copy(results / "keyframes.csv", "by-files/keyframes.csv")
    assert run_cli("track", "--continue", "by-files", "--no-video").code == 0
    assert boxes_of(results) == boxes_of("by-files")
    assert (results / "boxes.txt").read_bytes() == Path("by-files/boxes.txt").read_bytes()
    assert set(files(results)) == set(files(Path("by-files")))
    assert read_run_json(results / "run.json")["status"] == "complete"
    assert int(boxes_of(results)[-1][0]) < 9


def test_what_was_said_outlives_the_server(results, opened, idle):
    before = boxes_of(results)
    review = opened(TrackRequest(results))
    review.change(1, lambda keys: with_box(keys, RIGHT))
    assert RIGHT in read_keyframes(results / "keyframes.csv"), "before it is acknowledged"
    assert review.is_behind
    assert boxes_of(results) == before
    again = opened(TrackRequest(results))
    assert RIGHT in again.state().keyframes
    assert again.is_behind, "the rows are still those of the first box alone"


def test_a_run_that_is_stopped_while_it_writes_leaves_the_results(results, run_cli, monkeypatch):
    before = files(results)

    def stopped(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("dmtrack.run.session.ScoreMean.add", stopped)
    outcome = run_cli("track", "--continue", results, "--box", "26,16,16,16", "--from", "6", "--no-video")
    assert outcome.code == 130
    assert "as they were" in outcome.err
    assert files(results) == before


def test_an_interrupted_run_is_finished(results, run_cli):
    whole = boxes_of(results)
    record = json.loads((results / "run.json").read_text())
    (results / "run.json").write_text(json.dumps(record | {"status": "interrupted"}))
    lines = (results / "boxes.csv").read_text().splitlines(keepends=True)
    (results / "boxes.csv").write_text("".join(lines[:5]))
    assert run_cli("track", "--continue", results, "--no-video").code == 0
    assert len(boxes_of(results)) == len(whole)


def test_packets_are_trusted_unless_the_run_met_a_damaged_one(results):
    assert EarlierRun.read(results).request.pairing.trusts_packets
    record = json.loads((results / "run.json").read_text())
    for name in ("rgb_damaged", "aux_damaged"):
        counts = record["counts"]
        met = {"counts": counts | {"pairing": counts["pairing"] | {name: 1}}}
        (results / "run.json").write_text(json.dumps(record | met))
        assert not EarlierRun.read(results).request.pairing.trusts_packets


def test_two_pages_do_not_overwrite_each_other(results, opened, idle):
    review = opened(TrackRequest(results))
    first = review.change(1, lambda keys: with_box(keys, RIGHT))
    with pytest.raises(OutOfDateError):
        review.change(1, lambda keys: absent_from(keys, 1, 3))
    assert review.change(first, lambda keys: absent_from(keys, 1, 8)) == first + 1
    path = results / "keyframes.csv"
    path.write_text(keyframes_text([TargetStart(Box(20, 16, 16, 16), 1, 0)]))
    with pytest.raises(OutOfDateError):  # somebody wrote to the file
        review.change(first + 1, lambda keys: absent_from(keys, 1, 3))
    assert len(review.state().keyframes) == 1


def test_undo_goes_back_to_the_beginning(results, opened, idle):
    review = opened(TrackRequest(results))
    before = (results / "keyframes.csv").read_bytes()
    revision = review.change(1, lambda keys: with_box(keys, RIGHT))
    revision = review.change(revision, lambda keys: absent_from(keys, 1, 8))
    revision = review.undo(review.undo(revision))
    assert (results / "keyframes.csv").read_bytes() == before
    assert not review.is_behind
    with pytest.raises(BoxError, match="nothing to take back"):
        review.undo(revision)


@pytest.mark.parametrize("phase", ["tracking", "writing"])
def test_what_is_taken_back_while_it_is_tracked_is_not_shown(results, opened, monkeypatch, phase):
    """The folder stays as it was, and so does what the page shows."""
    review, before = opened(TrackRequest(results)), files(results)
    rows, undone = review.rows()[1], list[int]()

    def replaced(made: Any, **values: Any) -> Any:
        if getattr(made, "phase", None) == phase and not undone:
            undone.append(review.undo(review.state().revision))
        return replace(made, **values)

    monkeypatch.setattr(reviewing, "replace", replaced)
    review.change(1, lambda keys: with_box(keys, RIGHT))
    wait_until(lambda: bool(undone) and review.state().progress.phase == "idle")
    review.close()
    assert files(results) == before
    assert (review.state().fresh, review.rows()[1]) == ([], rows)


@pytest.mark.parametrize(
    "box",
    [
        TargetStart(Box(500, 16, 16, 16), 1, 6),
        TargetStart(Box(20, 16, 1, 16), 1, 6),
        TargetStart(Box(20, 16, 16, 16), 1, 99),
    ],
    ids=["outside", "small", "behind the end"],
)
def test_what_cannot_be_is_refused_and_nothing_changes(results, opened, idle, box):
    review, before = opened(TrackRequest(results)), files(results)
    with pytest.raises(BoxError):
        review.change(1, lambda keys: with_box(keys, box))
    assert review.state().revision == 1
    assert files(results) == before


def test_a_recording_without_results(recording, weights, opened):
    request = TrackRequest(
        recording.rgb,
        recording.thermal,
        network=NetworkOptions(str(weights)),
        output=OutputOptions(folder=Path("made"), no_video=True),
    )
    review = opened(request)
    assert review.state().keyframes == ()
    review.change(1, lambda keys: with_box(keys, TargetStart(Box(20, 16, 16, 16), 1, 2)))
    assert review.wait(WAIT_S)
    assert review.state().rows_version > 1
    assert set(review.skews_ms) == set(range(2, 12))
    assert len(review.rows()[1]) == 10
    review.close()
    assert boxes_of("made")[1][0] == "2"


NOT_THERE = [
    (NetworkOptions("nix"), CheckpointError, "no such weights"),
    (NetworkOptions(device="cuda:99"), ConfigError, "cuda"),
    (NetworkOptions(device="cpu", precision="int8", backend="torch"), ConfigError, "int8"),
]


@pytest.mark.parametrize(("network", "kind", "said"), NOT_THERE, ids=["weights", "device", "precision"])
@pytest.mark.parametrize("has_results", [False, True])
def test_a_network_that_is_not_there_is_said_at_once(
    results, recording, opened, network, kind, said, has_results
):
    """Boxes were drawn on the page, and then nothing was tracked."""
    rgb, aux = (results, None) if has_results else (recording.rgb, recording.thermal)
    with pytest.raises(kind, match=said):
        opened(TrackRequest(rgb, aux, network=network))


def test_results_whose_weights_are_gone_are_looked_at_all_the_same(results, weights, opened):
    record = results / "run.json"
    assert str(weights) in record.read_text()
    record.write_text(record.read_text().replace(str(weights), "gone"))
    assert opened(TrackRequest(results)).state().keyframes


def test_results_of_another_recording_are_not_shown(results, recording, opened):
    request = TrackRequest(recording.thermal, output=OutputOptions(folder=results))
    with pytest.raises(ConfigError, match="holds results of"):
        opened(request)


def test_options_that_results_contradict_are_refused_however_they_are_named(results, recording, opened):
    at = OutputOptions(folder=results)
    with pytest.raises(ConfigError, match="--end"):
        opened(TrackRequest(recording.rgb, recording.thermal, end=Position(index=5), output=at))
    with pytest.raises(ConfigError, match="--output: results are corrected in place"):
        opened(TrackRequest(results, output=OutputOptions(folder=Path("other"))))
    assert opened(TrackRequest(recording.rgb, recording.thermal, output=at)).folder == results


def test_a_look_alone_leaves_no_folder(recording, run_cli, monkeypatch):
    def leave(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(review_command, "served", leave)
    outcome = run_cli("review", recording.rgb, "-o", "new/made")
    assert (outcome.code, outcome.err) == (130, "stopped: nothing was said\n")
    assert not Path("new").exists()


def test_a_batch_is_walked_worst_first(results, run_cli, monkeypatch):
    for name in ("good", "bad", "broken"):
        shutil.copytree(results, Path("many", name))
    lines = (results / "boxes.csv").read_text().splitlines(keepends=True)
    Path("many/good/boxes.csv").write_text("".join(lines[:3]))
    Path("many/broken/run.json").write_text("{")
    assert results_worst_first(Path("many")) == [Path("many/bad"), Path("many/good")]
    assert results_worst_first(results) == [results]
    looked_at: list[Path] = []
    monkeypatch.setattr(review_command, "_look", lambda review, *_, **__: looked_at.append(review.folder))
    assert run_cli("review", "many").code == 0
    assert looked_at == [Path("many/bad"), Path("many/good")]


def test_a_defect_in_the_background_is_told(results, opened, monkeypatch):
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("in the network")

    monkeypatch.setattr(reviewing, "prepared_run", broken)
    review = opened(TrackRequest(results))
    review.change(1, lambda keys: with_box(keys, RIGHT))
    assert review.wait(WAIT_S)
    assert "in the network" in review.state().progress.error
    assert review.is_behind
    review.undo(review.state().revision)
    assert (review.state().progress.phase, review.is_behind) == ("idle", False)


KILLED = """
import sys, time
from dmtrack.geometry.box import Box
from dmtrack.run.request import TrackRequest
from dmtrack.run.review import Review
from dmtrack.tracking.edits import with_box
from dmtrack.tracking.start import TargetStart
from dmtrack.video.position import Position

with Review.opened(TrackRequest("out")) as review:
    for number in range(int(sys.argv[1]), 10**6):
        box = TargetStart(Box(20 + number % 40, 16, 16, 16), 1, 1 + number % 11)
        review.change(review.state().revision, lambda keys: with_box(keys, box))
        print(number, flush=True)
        time.sleep(0.05 if number % 7 else 1)
"""


@pytest.mark.slow
@pytest.mark.alone
def test_twenty_kills_lose_nothing_that_was_acknowledged(results, track, run_cli):
    chance, acknowledged = random.Random(0), -1
    said = {0: 20.0}
    for _ in range(20):
        words = [sys.executable, "-c", KILLED, str(acknowledged + 1)]
        with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
            first = process.stdout.readline()
            time.sleep(chance.uniform(0, 4))
            process.kill()
            lines = [first, *process.stdout]
        for line in lines:
            acknowledged = int(line)
            said[1 + acknowledged % 11] = 20 + acknowledged % 40
        keys = read_keyframes(results / "keyframes.csv")
        found = {key.frame_index: key.box.x for key in keys if isinstance(key, TargetStart)}
        after = said | {1 + (acknowledged + 1) % 11: 20 + (acknowledged + 1) % 40}
        assert found in (said, after), "one more may be kept that was not acknowledged yet"
    assert acknowledged >= 20
    assert run_cli("track", "--continue", results, "--no-video").code == 0
    assert track("--box-file", results / "keyframes.csv", "--no-video", "-o", "anew").code == 0
    assert boxes_of(results) == boxes_of("anew")


# --- what a detector saw -------------------------------------------------------------------------


def detected(path: Path) -> Path:
    """The target in every frame, a pixel off, and in frame 6 something else as well, seen once."""
    rows = [f"{n + 1},-1,{21 + n},17,16,16,0.9,-1,-1,-1" for n in range(12)]
    path.write_text("\n".join([*rows, "7,-1,70,40,12,10,0.6,-1,-1,-1", "8,-1,1,1,9,9,0.2,-1,-1,-1"]) + "\n")
    return path


def test_the_detections_of_a_run_are_shown_and_remembered(recording, weights, opened, caplog):
    file = detected(Path("det.txt"))
    run = track_to_folder(
        TrackRequest(
            recording.rgb,
            recording.thermal,
            detections=DetectionOptions(file),
            network=NetworkOptions(str(weights)),
            output=OutputOptions(folder=Path("out"), no_video=True),
        )
    )
    found = [key for key in read_keyframes(run.folder / "keyframes.csv") if isinstance(key, TargetStart)]
    assert [key.box.xywh for key in found][:1] == [(21, 17, 16, 16)]
    review = opened(TrackRequest(run.folder))
    assert [(one.box.xywh, one.score) for one in review.seen[6]] == [
        ((27, 17, 16, 16), 0.9),
        ((70, 40, 12, 10), 0.6),
    ], "also what was seen once"
    assert len(review.seen[7]) == 1, "what is less sure than --min-conf does not count"
    review.change(1, lambda keys: with_box(keys, TargetStart(review.seen[6][0].box, 1, 6)))
    assert review.wait(WAIT_S)
    review.close()
    kept = read_keyframes(run.folder / "keyframes.csv")
    assert set(found) < set(kept), "what the detector started stays, and is tracked from again"
    again = EarlierRun.read(run.folder)
    assert again.detections == DetectionOptions(file.absolute()), "run.json remembers it"
    assert opened(TrackRequest(run.folder)).seen == review.seen
    file.unlink()
    assert opened(TrackRequest(run.folder)).seen == {}
    assert "detections of the run are not shown" in caplog.text


def test_detections_may_be_given(results, opened, run_cli):
    file = detected(Path("det.txt"))
    assert opened(TrackRequest(results)).seen == {}
    assert len(opened(TrackRequest(results, detections=DetectionOptions(file))).seen) == 12
    for words, said in (
        (["--detections", "none.txt"], "none.txt"),
        (["--min-conf", "0.9"], "give --detections FILE as well"),
    ):
        outcome = run_cli("review", results, *words)
        assert outcome.code in (3, 4)
        assert said in outcome.err
    for name in ("one", "two"):
        shutil.copytree(results, Path("many", name))
    outcome = run_cli("review", "many", "--detections", file)
    assert (outcome.code, "about one recording" in outcome.err) == (4, True)


# --- over HTTP ----------------------------------------------------------------------------------


Ask = Callable[..., tuple[int, Any]]


@pytest.fixture
def page(results, opened, idle) -> Iterator[Ask]:
    review = opened(TrackRequest(results))
    shelf = FrameShelf(review.scene)
    with PageServer(ReviewSession(review), shelf) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()

        def ask(question: str, **values: Any) -> tuple[int, Any]:
            connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=20)
            body, head = json.dumps(values), {"Content-Type": "application/json"}
            connection.request("POST", f"/{server.token}/{question}", body, head)
            answer = connection.getresponse()
            found = answer.status, json.loads(answer.read())
            connection.close()
            return found

        yield ask
        server.shutdown()
        thread.join()
    shelf.close()


def test_the_page_is_told_everything(page):
    status, state = page("state")
    assert status == 200
    assert state["keyframes"] == [{"id": 1, "frame": 0, "x": 20, "y": 16, "w": 16, "h": 16, "back": True}]
    assert (state["revision"], state["canUndo"], state["progress"]["phase"]) == (1, False, "idle")
    _, rows = page("rows")
    assert rows["version"] == state["rows"]
    assert rows["targets"]["1"][0] == list(range(12))
    assert [len(column) for column in rows["targets"]["1"]] == [12] * 7
    assert rows["skew"] == [list(range(12)), [0.0] * 12]


def test_the_page_changes_and_takes_back(page):
    status, state = page("change", revision=1, **BOX)
    assert (status, len(state["keyframes"]), state["canUndo"]) == (200, 2, True)
    status, state = page("change", revision=1, **BOX)
    assert (status, "reload" in state["error"]) == (409, True)
    _, state = page("undo", revision=2)
    assert (len(state["keyframes"]), state["revision"]) == (1, 3)


def test_the_page_is_told_what_the_detector_saw(results, opened, idle):
    review = opened(TrackRequest(results, detections=DetectionOptions(detected(Path("det.txt")))))
    session, answers = ReviewSession(review), list[dict[str, Any]]()
    assert session.setup()["detector"] is True
    for frame in (6, 99):
        session.answer("seen", json.dumps({"frame": frame}).encode(), answers.append)
    assert [len(answer["boxes"]) for answer in answers] == [2, 0]
    assert answers[0]["boxes"][1] == {"x": 70, "y": 40, "w": 12, "h": 10, "score": 0.6, "label": None}
    with pytest.raises(FormatError):
        session.answer("seen", b'{"frame": "6"}', answers.append)


def test_bad_changes_are_answered(page):
    for values in (
        {},
        {"do": "box"},
        BOX | {"x": "1"},
        BOX | {"id": 0},
        BOX | {"id": 2**53},
        BOX | {"frame": -1},
        BOX | {"frame": 12},
        BOX | {"frame": True},
        BOX | {"do": ["box"]},
        BOX | {"do": "format"},
        {"do": "rename", "id": 1, "new": 0},
        {"do": "remove", "id": 2},
        {"do": "delete", "id": 1, "frame": 3},
    ):
        status, answer = page("change", revision=1, **values)
        assert (status, "error" in answer) == (400, True), values
        assert page("state")[1]["revision"] == 1


@pytest.mark.parametrize("high", [1_000_000, 2**31, 1_700_000_000_000, 2**53 - 1])
def test_a_target_may_have_any_id_that_files_hold(page, high):
    for revision, values in enumerate(
        (
            {"do": "split", "id": 1, "frame": 6, "new": high} | {side: BOX[side] for side in "xywh"},
            BOX | {"id": high, "frame": 8},
            {"do": "rename", "id": high, "new": high - 1},
            {"do": "remove", "id": high - 1},
        ),
        start=1,
    ):
        status, answer = page("change", revision=revision, **values)
        assert status == 200, answer


def test_boxes_are_not_given_on_the_command_line(run_cli, recording):
    run_cli("review", recording.rgb, "--box", "1,2,3,4").refused(4, "drawn on the page")
