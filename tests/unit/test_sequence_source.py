"""Samples from annotated folders: pictures of a bright target, and what is wrong with data."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from dmtrack.datasets.opening import find_sequences
from dmtrack.errors import ConfigError, DatasetError, DecodeError, FormatError
from dmtrack.synthetic.sample import TrainingSample
from dmtrack.training.data import SkipTally, open_segment
from dmtrack.training.sequences import MAX_IN_A_ROW, SequenceConfig, SequenceSource, visible_frames
from dmtrack.training.train_config import BadData
from dmtrack.video.frame import Modality

FRAMES, WIDTH, HEIGHT = 24, 240, 180
TARGET_RGB, TARGET_AUX = (250, 120, 60), 250
#: Of the target in the picture, and its thermal picture at half the size.
BOX_W, BOX_H = 30, 20

#: No augmentation but what moves the box.
PLAIN = SequenceConfig(
    template_size=64,
    search_size=128,
    templates=2,
    grey_share=0,
    brightness=0,
    flip_share=0,
    aux_alone_share=0,
)


@dataclass(frozen=True)
class Style:
    """How a data set stores a clip."""

    rgb: str
    aux: str
    truth: str
    modality: Modality
    suffix: str = "jpg"
    aux_suffix: str = "jpg"


STYLES = {
    "lasher": Style("visible", "infrared", "visible.txt", Modality.THERMAL),
    "vtuav": Style("rgb", "ir", "rgb.txt", Modality.THERMAL),
    "depthtrack": Style("color", "depth", "groundtruth.txt", Modality.DEPTH, aux_suffix="png"),
    "visevent": Style("vis_imgs", "event_imgs", "groundtruth.txt", Modality.EVENT, "bmp", "bmp"),
}


def corner(frame: int) -> tuple[int, int]:
    return 90 + 2 * frame, 70 + frame


def painted(frame: int, colour: tuple[int, ...] | int, ground: int, dtype: type = np.uint8) -> np.ndarray:
    shape = (HEIGHT, WIDTH) if isinstance(colour, int) else (HEIGHT, WIDTH, 3)
    picture: np.ndarray = np.full(shape, ground, dtype)
    x, y = corner(frame)
    picture[y : y + BOX_H, x : x + BOX_W] = colour
    return picture


def aux_picture(style: Style, frame: int) -> np.ndarray:
    if style.modality is Modality.DEPTH:
        return painted(frame, 1000, 4000, np.uint16)
    if style.modality is Modality.EVENT:
        return painted(frame, (30, 30, 220), 255)
    return cv2.resize(painted(frame, TARGET_AUX, 10), (WIDTH // 2, HEIGHT // 2), interpolation=cv2.INTER_AREA)


def write_clip(
    folder: Path, layout: str = "lasher", frames: int = FRAMES, rows: list[str] | None = None
) -> Path:
    """Write a clip as its data set is distributed."""
    style = STYLES[layout]
    for name in (style.rgb, style.aux):
        (folder / name).mkdir(parents=True)
    for frame in range(frames):
        name = f"{frame + 1:08d}"
        colour = painted(frame, TARGET_RGB[::-1], 20)
        cv2.imwrite(
            str(folder / style.rgb / f"{name}.{style.suffix}"), colour, [cv2.IMWRITE_JPEG_QUALITY, 98]
        )
        cv2.imwrite(str(folder / style.aux / f"{name}.{style.aux_suffix}"), aux_picture(style, frame))
    truth = rows or ["{},{},{},{}".format(*corner(frame), BOX_W, BOX_H) for frame in range(frames)]
    (folder / style.truth).write_text("\n".join(truth) + "\n")
    if layout == "visevent":
        (folder / "absent_label.txt").write_text("1\n" * frames)
    return folder


@pytest.fixture(scope="module")
def sets(tmp_path_factory) -> Path:
    """A folder with one clip of each layout, in a folder of the layout's name."""
    root = tmp_path_factory.mktemp("sets")
    for layout in STYLES:
        write_clip(root / layout / "clip", layout)
    return root


def found_box(crop: np.ndarray, bright: Callable[[np.ndarray], np.ndarray]) -> list[float]:
    """Corners, as fractions of the side, of the pixels that are bright."""
    rows, columns = np.nonzero(bright(crop.astype(int)))
    ends = np.array([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1])
    return (ends / crop.shape[0]).tolist()


def is_target_rgb(crop: np.ndarray) -> np.ndarray:
    return np.abs(crop[..., :3] - TARGET_RGB).sum(axis=2) < 150


def assert_box_on_target(sample: TrainingSample, bright: Callable[[np.ndarray], np.ndarray]) -> None:
    """Within two pixels of the picture: the rounding of the crop's corner, and what is resized."""
    cx, cy, w, h = sample.box_cxcywh.tolist()
    corners = np.clip([cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2], 0, 1)
    assert found_box(sample.search, bright) == pytest.approx(corners.tolist(), abs=2 * w / BOX_W)


@pytest.mark.parametrize("layout", STYLES)
def test_the_box_lies_on_the_target_in_both_streams(sets, layout):
    modality = STYLES[layout].modality
    config = replace(PLAIN, modality=modality, flip_share=0.5, centre_jitter=2.0)
    source = SequenceSource.open(sets / layout, config)
    assert dict(source.listing.layouts) == {layout: 1}
    sampler = source(3)
    in_aux: dict[Modality, Callable[[np.ndarray], np.ndarray]] = {
        Modality.THERMAL: lambda crop: crop[..., 3] > 130,
        Modality.EVENT: lambda crop: (crop[..., 3] > 150) & (crop[..., 4] < 130),
        # Near is blue in JET, whose channels stay in BGR order: the first is blue.
        Modality.DEPTH: lambda crop: (crop[..., 3] > 90) & (crop[..., 5] < 60),
    }
    for _ in range(12):
        sample = sampler.sample()
        assert sample.search.shape == (128, 128, 6)
        assert sample.templates.shape == (2, 64, 64, 6)
        assert sample.visible
        assert_box_on_target(sample, is_target_rgb)
        assert_box_on_target(sample, in_aux[modality])


def test_templates_are_centred_and_not_jittered(sets):
    sampler = SequenceSource.open(sets / "lasher", replace(PLAIN, modality=Modality.THERMAL))(0)
    side = np.ceil(2 * (BOX_W * BOX_H) ** 0.5)
    for template in sampler.sample().templates:
        half_w, half_h = BOX_W / side / 2, BOX_H / side / 2
        expected = [0.5 - half_w, 0.5 - half_h, 0.5 + half_w, 0.5 + half_h]
        assert found_box(template, is_target_rgb) == pytest.approx(expected, abs=1.2 / side)


def test_the_search_crop_is_jittered(sets):
    sampler = SequenceSource.open(sets / "lasher", PLAIN)(0)
    boxes = np.array([sampler.sample().box_cxcywh for _ in range(200)])
    assert boxes[:, :2].std(axis=0) == pytest.approx((3 / 12**0.5 / 4,) * 2, rel=0.15)
    assert np.abs(boxes[:, :2] - 0.5).max() <= 1.5 / 4 + 0.01
    # The crop's side is the mean of two jittered sides on a log scale.
    assert np.log(boxes[:, 2]).std() == pytest.approx(0.25 / 2**0.5, rel=0.15)


def test_one_stream_is_the_first_or_sometimes_the_second(sets):
    colour = SequenceSource.open(sets / "lasher", PLAIN)(0).sample()
    assert colour.search.shape == (128, 128, 3)
    assert is_target_rgb(colour.search).any()
    alone = SequenceSource.open(sets / "lasher", replace(PLAIN, aux_alone_share=1))(0).sample()
    assert np.ptp(alone.search.astype(int), axis=2).max() == 0
    assert_box_on_target(alone, lambda crop: crop[..., 0] > 130)


def test_a_plain_folder_of_pictures_gives_one_stream_only(tmp_path):
    write_clip(tmp_path / "walk")
    (tmp_path / "walk" / "visible").rename(tmp_path / "walk" / "img")
    for path in sorted((tmp_path / "walk" / "infrared").iterdir()):
        path.unlink()
    (tmp_path / "walk" / "infrared").rmdir()
    (tmp_path / "walk" / "visible.txt").rename(tmp_path / "walk" / "groundtruth.txt")
    sample = SequenceSource.open(tmp_path, PLAIN)(0).sample()
    assert_box_on_target(sample, is_target_rgb)
    with pytest.raises(DatasetError, match="no sequence to draw thermal pairs from: 1 found"):
        SequenceSource.open(tmp_path, replace(PLAIN, modality=Modality.THERMAL))


def test_sixteen_bit_thermal_is_stretched(tmp_path):
    clip = write_clip(tmp_path / "clip")
    for path in sorted((clip / "infrared").iterdir()):
        path.unlink()
        counts = painted(int(path.stem) - 1, 9000, 7000, np.uint16)
        cv2.imwrite(str(path.with_suffix(".png")), counts)
    sample = SequenceSource.open(tmp_path, replace(PLAIN, modality=Modality.THERMAL))(0).sample()
    assert_box_on_target(sample, lambda crop: crop[..., 3] > 200)


def test_the_same_seed_gives_the_same_samples(sets):
    config = replace(PLAIN, modality=Modality.THERMAL, grey_share=0.3, brightness=0.2, flip_share=0.5)
    source = SequenceSource.open(sets, config)
    again = pickle.loads(pickle.dumps(source))
    first, second, other = source(5), again(5), source(6)
    different = 0
    for _ in range(6):
        a, b, c = first.sample(), second.sample(), other.sample()
        assert np.array_equal(a.search, b.search)
        assert np.array_equal(a.templates, b.templates)
        assert np.array_equal(a.box_cxcywh, b.box_cxcywh)
        different += not np.array_equal(a.search, c.search)
    assert different == 6


def test_all_sequences_of_the_modality_are_drawn_from(sets):
    source = SequenceSource.open(sets, replace(PLAIN, modality=Modality.THERMAL))
    assert dict(source.listing.layouts) == {"lasher": 1, "vtuav": 1}
    assert source.listing.other == 2
    assert "2 sequences (1 lasher, 1 vtuav), 2 do not suit" in str(source.listing)


def test_brightness_varies_by_crop_and_grey_is_grey(sets):
    config = replace(PLAIN, brightness=0.2, grey_share=1, aux_alone_share=0)
    sampler = SequenceSource.open(sets / "lasher", config)(0)
    levels = []
    for _ in range(40):
        sample = sampler.sample()
        assert np.ptp(sample.search.astype(int), axis=2).max() == 0
        levels.append([crop.max() for crop in (*sample.templates, sample.search)])
    level = np.array(levels, float)
    grey = 0.299 * TARGET_RGB[0] + 0.587 * TARGET_RGB[1] + 0.114 * TARGET_RGB[2]
    assert level.min() > 0.78 * grey
    assert level.max() < 1.25 * grey
    assert level.max() - level.min() > 0.25 * grey
    assert (np.abs(level[:, 0] - level[:, 2]) > 5).any(), "each crop has its own factor"


# --- which frames and sequences count ------------------------------------------------------


@pytest.mark.parametrize(
    ("layout", "size", "visible"),
    [
        ("lasher", (1, 1), True),
        ("lasher", (0, 5), False),
        ("depthtrack", (10, 40), False),
        ("depthtrack", (40, 10), False),
        ("depthtrack", (11, 11), True),
        ("visevent", (5, 40), False),
        ("visevent", (6, 6), True),
        ("vtuav", (1, 1), True),
    ],
)
def test_visible_is_what_the_data_set_calls_so(tmp_path, layout, size, visible):
    rows = ["100,80,{},{}".format(*size), "100,80,30,20", "0,0,0,0", "nan,nan,nan,nan"]
    clip = write_clip(tmp_path / "clip", layout, frames=4, rows=rows)
    assert visible_frames(find_sequences(clip)[0]).tolist() == ([0, 1] if visible else [1])


def test_visevent_labels_hide_frames(tmp_path):
    clip = write_clip(tmp_path / "clip", "visevent", frames=3)
    (clip / "absent_label.txt").write_text("1\n0\n1\n")
    assert visible_frames(find_sequences(clip)[0]).tolist() == [0, 2]


@pytest.mark.parametrize(
    ("frames", "hidden", "usable"),
    [(20, 0, True), (19, 0, False), (20, 13, True), (20, 14, False)],
    ids=["20 frames", "19 frames", "7 visible", "6 visible"],
)
def test_short_and_rarely_visible_sequences_are_left_out(tmp_path, frames, hidden, usable):
    """With T = 2 templates: at least 20 frames, more than 2 (T + 1) = 6 visible ones."""
    rows = ["100,80,30,20"] * (frames - hidden) + ["0,0,0,0"] * hidden
    write_clip(tmp_path / "odd", frames=frames, rows=rows)
    write_clip(tmp_path / "good")
    source = SequenceSource.open(tmp_path, PLAIN)
    assert [entry.sequence.name for entry in source.sequences] == (["good", "odd"] if usable else ["good"])
    assert source.listing.other == (0 if usable else 1)
    assert source.listing.faults == ()


def test_videos_cannot_be_drawn_from_at_random(tmp_path):
    (tmp_path / "clip").mkdir()
    (tmp_path / "clip" / "rgb.mp4").touch()
    (tmp_path / "clip" / "groundtruth.txt").write_text("1,2,30,40\n" * 30)
    with pytest.raises(DatasetError, match="each needs 20 pictures"):
        SequenceSource.open(tmp_path, PLAIN)


@pytest.mark.parametrize(
    "values",
    [{"templates": 0}, {"window": 1}, {"window_growth": 0}, {"flip_share": 1.5}, {"brightness": -0.1}],
)
def test_impossible_numbers_are_refused(values):
    with pytest.raises(ConfigError):
        replace(PLAIN, **values)


# --- bad data ------------------------------------------------------------------------------


def drop_a_frame(clip: Path) -> None:
    (clip / "infrared" / "00000007.jpg").unlink()


def add_a_row(clip: Path) -> None:
    with (clip / "visible.txt").open("a") as file:
        file.write("1,1,5,5\n")


def spoil_a_row(clip: Path) -> None:
    (clip / "visible.txt").write_text("1,2,3\n" * FRAMES)


def empty_two_boxes(clip: Path) -> None:
    rows = (clip / "visible.txt").read_text().splitlines()
    rows[3], rows[9] = "90,70,0,20", "90,70,30,-4"
    (clip / "visible.txt").write_text("\n".join(rows))


@pytest.mark.parametrize(
    ("spoil", "error", "message", "left_out"),
    [
        (drop_a_frame, DatasetError, "24 pictures in visible, but 23 in infrared", True),
        (add_a_row, DatasetError, "24 pictures, but 25 rows of ground truth", True),
        (spoil_a_row, FormatError, "row 1 has 3 values", True),
        (empty_two_boxes, DatasetError, "2 boxes have a place but no area, first in frame 3", False),
    ],
    ids=["missing frame", "more boxes than frames", "malformed boxes", "boxes without area"],
)
def test_bad_clips_are_named_and_counted_or_fatal(tmp_path, spoil, error, message, left_out):
    write_clip(tmp_path / "good")
    spoil(write_clip(tmp_path / "bad"))
    source = SequenceSource.open(tmp_path, PLAIN)
    assert [entry.sequence.name for entry in source.sequences] == (["good"] if left_out else ["bad", "good"])
    assert len(source.listing.faults) == 1
    assert message in source.listing.faults[0]
    assert "bad" in source.listing.faults[0]
    assert f"1 with bad data; first: {source.listing.faults[0]}" in str(source.listing)
    with pytest.raises(error, match=message):
        SequenceSource.open(tmp_path, PLAIN, BadData.FATAL)


def remove(path: Path) -> None:
    path.unlink()


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:20])


def no_picture(path: Path) -> None:
    path.write_text("<html>not found</html>")


@pytest.mark.parametrize("spoil", [remove, truncate, no_picture])
@pytest.mark.parametrize("stream", ["visible", "infrared"])
def test_unreadable_pictures_are_skipped_and_named_or_fatal(tmp_path, spoil, stream):
    clip = write_clip(tmp_path / "clip")
    config = replace(PLAIN, modality=Modality.THERMAL)
    source = SequenceSource.open(tmp_path, config)
    for frame in range(8, 18):
        spoil(clip / stream / f"{frame:08d}.jpg")
    sampler = source(0)
    samples = [sampler.sample() for _ in range(10)]
    for sample in samples:
        assert_box_on_target(sample, is_target_rgb)
    skipped = [message for sample in samples for message in sample.skipped]
    assert skipped
    assert all(stream in message and ".jpg" in message for message in skipped)
    fatal = replace(source, bad_data=BadData.FATAL)(0)
    with pytest.raises(DecodeError, match=rf"{stream}/0000\d+\.jpg"):
        _ = [fatal.sample() for _ in range(10)]


def test_boxes_outside_the_picture_are_skipped_and_named(tmp_path):
    rows = ["90,70,30,20"] * 18 + ["900,70,30,20"] * 6
    write_clip(tmp_path / "clip", rows=rows)
    sampler = SequenceSource.open(tmp_path, PLAIN)(0)
    skipped = [message for _ in range(10) for message in sampler.sample().skipped]
    assert skipped
    assert all("outside the 240x180 frame" in message and "clip frame" in message for message in skipped)


def test_too_many_bad_samples_in_a_row_are_an_error(tmp_path):
    clip = write_clip(tmp_path / "clip")
    source = SequenceSource.open(tmp_path, PLAIN)
    for path in (clip / "visible").iterdir():
        path.unlink()
    with pytest.raises(DatasetError, match=f"{MAX_IN_A_ROW} samples in a row could not be made, the last: "):
        source(0).sample()


@pytest.mark.parametrize("workers", [0, 1])
def test_what_was_skipped_travels_with_the_batch_and_errors_stay_errors(tmp_path, workers):
    clip = write_clip(tmp_path / "clip")
    source = SequenceSource.open(tmp_path, PLAIN)
    for frame in range(8, 18):
        remove(clip / "visible" / f"{frame:08d}.jpg")

    def batches(one: SequenceSource) -> list[object]:
        return list(open_segment(one, seed=0, segment=0, batches=2, batch_size=6, workers=workers))

    tally = SkipTally()
    for batch in batches(source):
        tally.add(batch.skipped)  # type: ignore[attr-defined]
    assert tally.count > 0
    assert "visible" in tally.first[0]
    with pytest.raises(DecodeError) as caught:
        batches(replace(source, bad_data=BadData.FATAL))
    assert caught.value.where is not None
    assert caught.value.where.endswith(".jpg")
    assert "\n" not in str(caught.value)


def test_the_tally_counts_all_and_names_the_first():
    tally = SkipTally()
    assert tally.news() is None
    tally.add(["a", "a", "b", "c", "d"])
    assert tally.news() == "5 samples could not be made, drawn again; first: a | b | c"
    assert tally.news() is None
    tally.add(["e"])
    assert (tally.news() or "").startswith("6 samples")
