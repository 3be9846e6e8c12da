"""The library without the program: `track`, `track_pairs`, `load_tracker`, devices and precisions."""

from __future__ import annotations

import gc
import inspect
import math
import re
import shutil
import sys
import types
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from dmtrack import (
    AuxMeasure,
    AuxUnit,
    Box,
    BoxError,
    CheckpointError,
    ConfigError,
    FormatError,
    FramePair,
    Modality,
    NetworkOptions,
    OnMissing,
    OutputOptions,
    PairingOptions,
    Position,
    RecoveryOptions,
    TargetStart,
    TrackedBox,
    Tracker,
    TrackerConfig,
    TrackRequest,
    TrackState,
    VideoError,
    data_frame,
    evaluate_results,
    load_tracker,
    open_pair,
    read_boxes,
    read_results,
    read_rows,
    track,
    track_pairs,
    track_to_folder,
)
from dmtrack.output.record import read_run_json

BOX = Box(20, 16, 16, 16)


def test_track_yields_boxes_frame_by_frame(recording, weights):
    found = list(track(recording.rgb, recording.thermal, [BOX], weights=weights))
    assert [target.frame_index for target in found] == list(range(12))
    assert found[0].box == BOX
    assert found[0].state is TrackState.INIT
    assert float(found[5].time_s) == pytest.approx(0.5)


def test_track_gives_what_the_program_gives(track, recording, weights):
    import dmtrack
    from dmtrack.boxes.reading import read_rows

    assert track("--box", "20,16,16,16", "--no-video").code == 0
    rows = read_rows(Path("out/boxes.csv"))
    found = list(dmtrack.track(recording.rgb, recording.thermal, BOX, weights=weights))
    for row, target in zip(rows, found, strict=True):
        assert row.box.xywh == pytest.approx(target.box.xywh, abs=1e-6)
        assert row.score == pytest.approx(target.score, abs=1e-6)


@pytest.mark.parametrize(
    ("start", "end", "frames"), [(2, 4, [2, 3]), ("0.3s", "0.5s", [3, 4]), (None, "1", [0])]
)
def test_start_and_end(recording, weights, start, end, frames):
    found = track(recording.rgb, boxes=BOX, weights=weights, start=start, end=end)
    assert [target.frame_index for target in found] == frames


def test_several_targets_keep_their_order(recording, weights):
    found = list(track(recording.rgb, boxes=[BOX, Box(50, 20, 10, 10)], weights=weights, end=2))
    assert [(target.frame_index, target.target_id) for target in found] == [(0, 1), (0, 2), (1, 1), (1, 2)]


def starts_of(found: list[Any]) -> list[tuple[int, int]]:
    return [(target.frame_index, target.target_id) for target in found if target.state is TrackState.INIT]


def test_targets_start_at_their_frames_under_their_ids(recording, weights):
    targets: list[Any] = [TargetStart(Box(50, 20, 10, 10), 4, 5), BOX, TargetStart(Box(30, 16, 12, 12), 2, 3)]
    found = list(track(recording.rgb, recording.thermal, targets, weights=weights, end=7))
    assert starts_of(found) == [(0, 1), (3, 2), (5, 4)]
    assert [target.target_id for target in found if target.frame_index == 6] == [1, 2, 4]


def test_a_late_target_is_followed_as_if_alone(recording, weights):
    """Neither the frames before it nor its neighbour change a target's boxes."""
    late = Box(23, 16, 16, 16)
    alone = list(track(recording.rgb, recording.thermal, late, weights=weights, start=3))
    targets: list[Any] = [TargetStart(Box(50, 20, 10, 10), 1), TargetStart(late, 7, 3)]
    found = list(track(recording.rgb, recording.thermal, targets, weights=weights))
    pairs = zip(alone, (target for target in found if target.target_id == 7), strict=True)
    for one, other in pairs:
        assert other.frame_index == one.frame_index
        assert other.box.xywh == pytest.approx(one.box.xywh, abs=1e-3)


def test_frames_before_the_first_target_are_results_too(recording, weights):
    tracker = load_tracker(weights)
    with open_pair(recording.rgb, end=Position(index=4)) as pairs:
        results = list(track_pairs(pairs, tracker, [TargetStart(BOX, 3, 2)]))
    assert [len(result.targets) for result in results] == [0, 0, 1, 1]
    assert [result.infer_ms > 0 for result in results] == [False, False, False, True]


def test_a_run_forgets_the_targets_of_the_run_before(recording, weights):
    tracker = load_tracker(weights)
    for starts in ([BOX], [TargetStart(BOX, 3, 2)]):
        with open_pair(recording.rgb, end=Position(index=3)) as pairs:
            results = list(track_pairs(pairs, tracker, starts))
    assert [target.target_id for result in results for target in result.targets] == [3]


def test_a_missing_frame_gives_its_target_to_the_next(recording, weights, caplog):
    tracker = load_tracker(weights)
    with open_pair(recording.rgb) as pairs:
        some = (pair for pair in pairs if pair.rgb.index != 4)
        found = [
            target
            for result in track_pairs(some, tracker, [TargetStart(BOX, 1, 4)])
            for target in result.targets
        ]
    assert starts_of(found) == [(5, 1)]
    assert "frame 4 is missing: target 1 starts at frame 5" in caplog.text


def test_a_target_behind_the_last_pair_costs_nobody_the_others(recording, weights, caplog):
    tracker = load_tracker(weights)
    targets: list[Any] = [BOX, TargetStart(BOX, 2, 6)]
    with open_pair(recording.rgb, end=Position(index=3)) as pairs:
        found = [len(one.targets) for one in track_pairs(pairs, tracker, targets)]
    assert found == [1, 1, 1]
    assert "the last frame was 2, and what starts later was not tracked: target 2 at frame 6" in caplog.text


@pytest.mark.parametrize(
    ("targets", "words"),
    [
        pytest.param(
            [TargetStart(BOX, 1, 20)], "last frame was 11.*target 1 at frame 20", id="behind-the-end"
        ),
        pytest.param([BOX, TargetStart(Box(500, 1, 5, 5), 2, 6)], "outside the 96x64", id="outside-later"),
        pytest.param([TargetStart(BOX, 1, 1)], "starts at frame 1, but the first frame is 2", id="too-early"),
    ],
)
def test_starts_that_cannot_be(recording, weights, targets, words):
    with pytest.raises(BoxError, match=words):
        list(track(recording.rgb, boxes=targets, weights=weights, start=2))


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(lambda: track("a.mp4", boxes=[TargetStart(BOX, 2), TargetStart(BOX, 2)]), id="twice"),
        pytest.param(lambda: TargetStart(BOX, 0), id="id-0"),
        pytest.param(lambda: TargetStart(BOX, 1, -1), id="frame-below-0"),
    ],
)
def test_ids_and_frames_are_checked(make):
    with pytest.raises(BoxError, match=r"id 2 is given twice|id 0 is below 1|frame -1"):
        make()


def test_the_tracker_refuses_an_id_that_is_taken(recording, weights):
    tracker = load_tracker(weights)
    with open_pair(recording.rgb) as pairs:
        pair = next(iter(pairs))
        tracker.initialize(pair, [BOX, BOX], [5, 3])
        assert tracker.targets == (3, 5)
        with pytest.raises(BoxError, match="taken"):
            tracker.add(pair, [BOX], [3])
        assert [target.target_id for target in tracker.add(pair, [BOX])] == [6]


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        pytest.param({"rgb": "nowhere.mp4", "boxes": BOX}, VideoError, id="missing-input"),
        pytest.param({"boxes": []}, BoxError, id="no-box"),
        pytest.param({"boxes": BOX, "weights": "nowhere"}, CheckpointError, id="missing-weights"),
        pytest.param({"boxes": BOX, "device": "cuda:9"}, ConfigError, id="missing-device"),
        pytest.param({"boxes": BOX, "precision": "fp8"}, ConfigError, id="unknown-precision"),
        pytest.param({"boxes": BOX, "modality": "smell"}, ConfigError, id="unknown-modality"),
    ],
)
def test_errors_come_before_the_first_frame(recording, weights, arguments, error):
    with pytest.raises(error):
        track(**{"rgb": recording.rgb, "aux": recording.thermal, "weights": weights, **arguments})


def test_run_drops_each_pair_before_the_next(recording, weights):
    import gc
    import weakref

    tracker = load_tracker(weights, Modality.THERMAL)
    seen: list[weakref.ref[Any]] = []
    with open_pair(recording.rgb, recording.thermal) as pairs:
        for result in track_pairs(pairs, tracker, [BOX]):
            seen.append(weakref.ref(result.pair.image))
            assert result.infer_ms > 0 or result.pair.rgb.index == 0
    del result
    gc.collect()
    assert sum(ref() is not None for ref in seen) <= 1


def test_run_needs_a_box(recording, weights):
    tracker = load_tracker(weights)
    with open_pair(recording.rgb) as pairs, pytest.raises(BoxError):
        next(track_pairs(pairs, tracker, []))


def test_load_tracker_returns_a_tracker_on_the_cpu(weights):
    tracker = load_tracker(weights, Modality.DEPTH, device="cpu")
    assert isinstance(tracker, Tracker)
    assert tracker.network.device == torch.device("cpu")


@pytest.mark.parametrize("precision", ["bf16", "fp16", pytest.param("int8", marks=pytest.mark.slow)])
def test_half_precision_runs_and_stays_close(recording, weights, precision):
    exact = list(track(recording.rgb, recording.thermal, BOX, weights=weights, end=2))
    rough = list(track(recording.rgb, recording.thermal, BOX, weights=weights, end=2, precision=precision))
    assert rough[1].score == pytest.approx(exact[1].score, abs=0.02)


@pytest.mark.gpu
def test_cuda_gives_the_boxes_of_the_cpu(recording, weights):
    words: dict[str, Any] = {"rgb": recording.rgb, "aux": recording.thermal, "boxes": BOX, "weights": weights}
    here = list(track(**words, device="cpu", end=4))
    there = list(track(**words, device="cuda:0", precision="fp32", end=4))
    for a, b in zip(here, there, strict=True):
        assert b.box.xywh == pytest.approx(a.box.xywh, abs=0.05)


class TestAsAUserTypesIt:
    def test_boxes_are_numbers_and_options_are_plain_values(self, recording, weights):
        exact = PairingOptions(offset_s=Fraction(1, 10), on_missing=OnMissing.BLANK)
        plain = PairingOptions(offset_s=0.1, on_missing="blank")  # type: ignore[arg-type]
        assert plain == exact
        words: dict[str, Any] = {"weights": weights, "end": 4, "pairing": plain}
        boxes = [
            target.box for target in track(recording.rgb, recording.thermal, [(20, 16, 16, 16)], **words)
        ]
        assert boxes == [target.box for target in track(recording.rgb, recording.thermal, BOX, **words)]
        one = track(recording.rgb, boxes=(20, 16, 16, 16), weights=weights, end=1)
        array = track(recording.rgb, boxes=np.array([[20, 16, 16, 16]]), weights=weights, end=1)
        assert [target.box for target in one] == [target.box for target in array] == [BOX]

    @pytest.mark.parametrize(
        ("make", "words", "said"),
        [
            pytest.param(partial(track, "a.mp4"), {"boxes": [(1, 2, 3)]}, "is no box", id="three-numbers"),
            pytest.param(partial(track, "a.mp4"), {"boxes": ["left"]}, "'left' is no box", id="a-word"),
            pytest.param(
                partial(TrackRequest, "a.mp4"), {"modality": "smell"}, "modality='smell'", id="smell"
            ),
            pytest.param(PairingOptions, {"on_missing": "guess"}, "on_missing='guess'", id="no-policy"),
            pytest.param(PairingOptions, {"offset_s": "soon"}, "offset_s='soon'", id="no-time"),
        ],
    )
    def test_what_cannot_be_is_said(self, make, words, said):
        with pytest.raises((BoxError, ConfigError), match=said):
            make(**words)

    def test_recovery_and_a_protocol_of_ones_own(self, weights):
        tracker = load_tracker(weights, config=TrackerConfig(search_factor=3.0))
        assert (tracker.config.search_factor, tracker.config.recovery) == (3.0, False)
        options = RecoveryOptions(recovery="on", lost_after=7)  # type: ignore[arg-type]
        tracker = load_tracker(weights, "thermal", recovery=options)
        assert (tracker.config.recovery, tracker.config.lost_after) == (True, 7)
        with pytest.raises(ConfigError, match="--lost-after needs recovery"):
            load_tracker(weights, recovery=RecoveryOptions(recovery="off", lost_after=7))  # type: ignore[arg-type]

    def test_the_folder_is_that_of_the_command(self, track, recording, weights):
        assert track("--box", "20,16,16,16", "--end", "4").code == 0
        request = TrackRequest(
            recording.rgb,
            recording.thermal,
            boxes=((20, 16, 16, 16),),  # type: ignore[arg-type]
            end=4,  # type: ignore[arg-type]
            network=NetworkOptions(str(weights), device="cpu"),
            output=OutputOptions("mine"),  # type: ignore[arg-type]
        )
        seen: list[int] = []
        run = track_to_folder(request, lambda result: seen.append(result.pair.rgb.index))
        assert (seen, str(run.record.status)) == ([0, 1, 2, 3], "complete")
        assert sorted(path.name for path in run.files) == sorted(path.name for path in Path("out").iterdir())
        for name in ("boxes.txt", "annotated.mp4"):
            assert Path("mine", name).read_bytes() == Path("out", name).read_bytes()
        records = [read_run_json(Path(folder, "run.json")) for folder in ("out", "mine")]
        assert records[0]["options_sha256"] == records[1]["options_sha256"]
        assert records[1]["command"][:4] == ["dmtrack", "track", str(recording.rgb), str(recording.thermal)]

    def test_two_arrays_into_a_tracker(self, recording, weights):
        tracker = load_tracker(weights, "thermal")
        with open_pair(recording.rgb, recording.thermal, end=Position(index=3)) as pairs:
            read = list(pairs)
        made = [
            FramePair.of(
                pair.rgb.pixels,
                pair.aux.pixels,
                modality="thermal",
                index=number,
                time_s=Fraction(number, 10),
            )
            for number, pair in enumerate(read)
            if pair.aux is not None
        ]
        for one, other in zip(made, read, strict=True):
            assert np.array_equal(one.image, other.image)
            assert one.rgb.time_s == other.rgb.time_s
        found = [[target.box for target in result.targets] for result in track_pairs(made, tracker, [BOX])]
        assert found == [[target.box for target in r.targets] for r in track_pairs(read, tracker, [BOX])]
        with pytest.raises(ConfigError, match="thermal, depth, event"):
            FramePair.of(read[0].rgb.pixels, read[0].rgb.pixels)

    @pytest.mark.parametrize(
        ("shape", "dtype"),
        [
            ((4, 6), "float32"),
            ((4, 6, 3), "float64"),
            ((4, 6), "int16"),
            ((4, 6), ">u2"),
            ((4, 6, 3), "uint16"),
            ((4, 6, 4), "uint8"),
            ((3, 4, 6), "uint8"),
            ((4, 6, 1), "uint16"),
            ((0, 6, 3), "uint8"),
            ((6,), "uint8"),
        ],
    )
    def test_arrays_that_are_no_pictures_are_refused(self, shape, dtype):
        """Four channels, or channels first, were tracked as they lay."""
        good, bad = np.zeros((4, 6, 3), np.uint8), np.zeros(shape, dtype)
        for pictures in ((bad, good), (good, bad)):
            with pytest.raises(FormatError, match=r"is no picture; give \(H, W, 3\) uint8"):
                FramePair.of(*pictures, modality="thermal")

    @pytest.mark.parametrize("time_s", [math.nan, math.inf, np.float32("nan"), None])
    def test_what_is_no_time_and_no_array_is_refused(self, time_s):
        good = np.zeros((4, 6, 3), np.uint8)
        with pytest.raises(FormatError, match="is no time"):
            FramePair.of(good, good, modality="thermal", time_s=time_s)
        wrong: list[Any] = [good.tolist(), [[1], [1, 2]]]
        for numbers in wrong:
            with pytest.raises(FormatError, match="is no picture"):
                FramePair.of(numbers, good, modality="thermal")

    def test_pictures_of_other_libraries_are_arrays(self):
        colour, heat = (
            np.arange(72, dtype=np.uint8).reshape(4, 6, 3),
            np.arange(24, dtype=np.uint8).reshape(4, 6),
        )
        given: Any = (Image.fromarray(colour), torch.from_numpy(heat))
        pair, same = (FramePair.of(*two, modality="thermal") for two in (given, (colour, heat)))
        np.testing.assert_array_equal(pair.image, same.image)

    def test_targets_enter_and_leave_a_loop_of_ones_own(self, recording, weights):
        """Boxes are given as `track` takes them, and what is none is one of our errors."""
        tracker = load_tracker(weights, "thermal")
        with open_pair(recording.rgb, recording.thermal, end=Position(index=3)) as pairs:
            first, second, third = pairs
        numbers = [20, 16, 16, 16]
        for boxes in (numbers, tuple(np.array(numbers)), [numbers], np.array([numbers]), [Box(*numbers)]):
            (begun,) = tracker.initialize(first, boxes)
            assert begun.box == Box(*numbers)
        assert [target.target_id for target in tracker.add(second, [(60, 16, 16, 16)], ids=[7])] == [7]
        assert [target.target_id for target in tracker.update(third)] == [1, 7]
        tracker.drop(1)
        assert tracker.targets == (7,)
        keyframe = TargetStart(Box(*numbers), 1)
        wrong: list[tuple[Any, Any]] = [
            ([keyframe], None),
            ([(1, 2, 3)], None),
            (None, None),
            ([numbers], [1, 2]),
        ]
        for given, ids in wrong:
            with pytest.raises(BoxError):
                tracker.add(third, given, ids)
        assert tracker.targets == (7,)

    def test_frames_print_in_one_line(self):
        pair = FramePair.of(
            np.zeros((4, 6, 3), np.uint8), np.zeros((2, 3), np.uint16), modality="depth", time_s=0.5
        )
        assert repr(pair) == (
            "FramePair(rgb=Frame(index=0, time_s=0.5, 6x4 uint8), "
            "aux=Frame(index=0, time_s=0.5, 3x2 uint16), modality='depth')"
        )

    def test_track_that_is_never_iterated_leaves_no_file_open(self, recording, weights):
        def opened() -> list[str]:
            links = [link.resolve() for link in Path("/proc/self/fd").iterdir()]
            return [str(link) for link in links if link == recording.rgb.resolve()]

        gc.collect()
        before = opened()
        boxes = track(recording.rgb, recording.thermal, BOX, weights=weights)
        assert len(opened()) > len(before)
        del boxes
        gc.collect()
        assert opened() == before

    def test_rows_as_a_table(self, monkeypatch):
        measure = AuxMeasure(2.5, 2.25, 2.75, AuxUnit.METRE)
        found = [
            TrackedBox(3, 1, BOX, 0.5, TrackState.TRACKED, Fraction(1, 2), measure),
            TrackedBox(4, 1, BOX),
        ]
        monkeypatch.setitem(sys.modules, "pandas", None)
        with pytest.raises(ConfigError, match="pip install pandas"):
            data_frame(found)
        stand_in = types.SimpleNamespace(DataFrame=lambda rows, columns: (rows, columns))
        monkeypatch.setitem(sys.modules, "pandas", stand_in)
        rows, columns = data_frame(found)
        assert [[row[name] for name in columns] for row in rows] == [
            [3, 1, 20, 16, 16, 16, 0.5, "tracked", 0.5, 2.5, 2.25, 2.75, "m", None, None, None],
            [4, 1, 20, 16, 16, 16, *[None] * 10],
        ]

    def test_where_a_file_is_named_text_does_as_well(self, recording, monkeypatch, tmp_path):
        import dmtrack
        import dmtrack.batch

        paths = [
            (name, parameter.name)
            for module in (dmtrack, dmtrack.batch)
            for name in module.__all__
            if inspect.isfunction(getattr(module, name))
            for parameter in inspect.signature(getattr(module, name)).parameters.values()
            if "Path" in str(parameter.annotation) and "str" not in str(parameter.annotation)
        ]
        assert not paths
        monkeypatch.chdir(tmp_path)
        shutil.copytree(recording.rgb.parent, "set/walk")
        shutil.copytree("set/walk", "ours/walk")
        truth = "set/walk/groundtruth.txt"
        assert read_rows(truth)[0].box == read_results(truth)[0].rows[0].box == BOX
        assert tuple(read_boxes(truth).boxes[0]) == BOX.xywh
        (item,) = dmtrack.batch.plan_batch("set", "results").items
        assert item.item.rgb == Path("set/walk/rgb.mp4")
        Path("ours/walk.txt").write_text(Path(truth).read_text())
        evaluation = evaluate_results(["ours"], "set", output="report")
        assert Path("report/report.html") in evaluation.files
        for read in (read_rows, read_results, read_boxes):
            with pytest.raises(FormatError, match="nowhere: cannot be read"):
                read("nowhere")

    def test_the_version_and_every_public_name(self):
        import dmtrack

        assert re.match(r"\d+\.\d+|\(not", dmtrack.__version__)
        assert all(getattr(dmtrack, name) is not None for name in dmtrack.__all__)
