from pathlib import Path

import cv2
import numpy as np
import pytest

from dmtrack.errors import ConfigError, FormatError
from dmtrack.video.frame import Modality
from dmtrack.video.modality import guess_modality
from dmtrack.video.second.encoding import (
    GreyRange,
    ModalityEncoder,
    encode,
    encode_depth,
    encode_event,
    encode_thermal,
    measure_grey_range,
    stretch_thermal16,
)


def depth_scene(rng: np.random.Generator, holes: float = 0.05) -> np.ndarray:
    depth = np.full((48, 64), 4000, np.uint16)
    depth[10:30, 10:30] = 900
    depth[20:40, 40:60] = 12_500
    depth += rng.integers(0, 30, depth.shape).astype(np.uint16)
    depth[rng.random(depth.shape) < holes] = 0
    return depth


def thermal_scene(rng: np.random.Generator) -> np.ndarray:
    counts = 29_500 + rng.integers(0, 120, (48, 64))
    counts[20:30, 20:40] += 900
    return counts.astype(np.uint16)


def published_depth(depth: np.ndarray) -> np.ndarray:
    """The steps of specification 3.6, one by one."""
    values = depth.copy()
    limit = min(3 * np.median(values), 10000)
    values[values > limit] = np.asarray(limit).astype(values.dtype)
    scaled = cv2.normalize(values, None, alpha=0, beta=255, norm_type=cv2.NORM_MINMAX)
    return cv2.applyColorMap(np.asarray(scaled, dtype=np.uint8), cv2.COLORMAP_JET)


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(7)


class TestDepth:
    @pytest.mark.parametrize("holes", [0.0, 0.05, 0.4, 0.7], ids=lambda h: f"{h:.0%} holes")
    def test_equals_the_published_steps_bit_for_bit(self, rng, holes):
        depth = depth_scene(rng, holes)
        assert np.array_equal(encode_depth(depth), published_depth(depth))

    def test_half_median_is_cut_like_the_published_cast(self):
        depth = np.array([[1, 2, 3, 900], [1, 2, 3, 800]], np.uint16)  # median 2.5, limit 7.5
        assert np.array_equal(encode_depth(depth), published_depth(depth))

    def test_stays_in_bgr_order(self):
        near_and_far = np.array([[1000, 2000, 2000]], np.uint16)
        colours = encode_depth(near_and_far)
        assert colours[0, 0].tolist() == [128, 0, 0]  # nearest is dark blue: blue comes first
        assert colours[0, 1].tolist() == [0, 0, 128]

    def test_mostly_holes_is_one_colour(self, rng):
        assert len(np.unique(encode_depth(depth_scene(rng, 0.7)).reshape(-1, 3), axis=0)) == 1

    @pytest.mark.parametrize("value", [0, 1, 5000, 65535])
    def test_constant_pictures_are_one_colour(self, value):
        colours = encode_depth(np.full((4, 5), value, np.uint16))
        assert colours.shape == (4, 5, 3)
        assert (colours == colours[0, 0]).all()

    def test_8_bit_depth_is_taken_the_same_way(self, rng):
        depth = rng.integers(0, 256, (20, 30)).astype(np.uint8)
        values = np.minimum(depth, min(255, int(3 * np.median(depth))))
        scaled = cv2.normalize(values, None, alpha=0, beta=255, norm_type=cv2.NORM_MINMAX)
        assert np.array_equal(encode_depth(depth), cv2.applyColorMap(scaled, cv2.COLORMAP_JET))

    def test_grey_video_counts_as_depth_and_colour_video_as_a_depth_map(self, rng):
        gray = rng.integers(0, 256, (20, 30)).astype(np.uint8)
        assert np.array_equal(encode_depth(np.dstack([gray] * 3)), encode_depth(gray))
        colour = encode_depth(depth_scene(rng))[..., ::-1]
        assert np.array_equal(encode_depth(colour), colour[..., ::-1])

    def test_input_is_left_alone(self, rng):
        depth = depth_scene(rng)
        before = depth.copy()
        encode_depth(depth)
        assert np.array_equal(depth, before)


SIDES = ("left", "right", "top", "bottom")


class TestThermal:
    def test_8_bit_is_unchanged(self, rng):
        colour = rng.integers(0, 256, (6, 8, 3)).astype(np.uint8)
        assert np.array_equal(encode_thermal(colour), colour)
        gray = colour[..., 0]
        assert np.array_equal(encode_thermal(gray), np.dstack([gray] * 3))

    def test_16_bit_keeps_order_and_uses_the_range(self, rng):
        counts = thermal_scene(rng)
        gray = stretch_thermal16(counts)
        assert gray.dtype == np.uint8
        assert (gray.min(), gray.max()) == (0, 255)
        order = np.argsort(counts, axis=None)
        assert (np.diff(gray.ravel()[order].astype(int)) >= 0).all()

    def test_one_hot_pixel_does_not_darken_the_rest(self, rng):
        counts = thermal_scene(rng)
        before = stretch_thermal16(counts)
        counts[0, 0] = 65_535
        assert abs(stretch_thermal16(counts).astype(int)[1:] - before[1:]).max() <= 2

    def test_flat_scene_is_not_blown_up_to_full_contrast(self, rng):
        noise = (8000 + rng.integers(0, 4, (48, 64))).astype(np.uint16)
        assert int(np.ptp(stretch_thermal16(noise))) <= 32

    def test_given_range_is_used(self):
        gray = stretch_thermal16(np.array([[90, 100, 150, 200, 210]], np.uint16), GreyRange(100, 200))
        assert gray.tolist() == [[0, 0, 128, 255, 255]]

    def test_range_is_the_percentiles(self):
        counts = np.arange(1000, 2000, dtype=np.uint16).reshape(20, 50)
        found = measure_grey_range(counts, 99)
        assert (found.low, found.high) == pytest.approx((1010, 1990), abs=1)

    def test_stream_does_not_flicker_when_something_hot_enters(self, rng):
        counts = thermal_scene(rng)
        hotter = counts.copy()
        hotter[:10, :20] += 3000
        background = (slice(35, None), slice(0, 15))
        alone = [stretch_thermal16(c)[background].mean() for c in (counts, hotter)]
        smoothed = ModalityEncoder(Modality.THERMAL)
        stream = [smoothed(c)[background].mean() for c in (counts, hotter)]
        assert abs(stream[1] - stream[0]) < 0.5 * abs(alone[1] - alone[0])

    def test_stream_follows_at_once_where_the_old_range_says_nothing(self, rng):
        counts = thermal_scene(rng)
        smoothed = ModalityEncoder(Modality.THERMAL)
        smoothed(counts)
        assert np.array_equal(smoothed(counts - 20_000)[..., 0], stretch_thermal16(counts - 20_000))

    @pytest.mark.parametrize("border", [1, 8, 20])
    @pytest.mark.parametrize("coldest", [900, 7000, 30_000])
    def test_a_border_without_counts_changes_nothing_inside(self, rng, border, coldest):
        counts = (coldest + rng.integers(0, 30, (60, 80))).astype(np.uint16)
        counts[25:35, 30:40] = coldest + 600
        framed = counts.copy()
        framed[:, :border] = framed[:, -border:] = 0
        inside = np.s_[:, border:-border]
        found, plain = (
            stretch_thermal16(framed)[inside].astype(int),
            stretch_thermal16(counts)[inside].astype(int),
        )
        assert abs(found - plain).max() <= 3
        assert stretch_thermal16(framed)[:, 0].max() == 0

    @pytest.mark.parametrize("value", [1, 100, 21_000, 32_767, 60_000])
    @pytest.mark.parametrize("place", [np.s_[:, :9], np.s_[:, -1:], np.s_[:9], np.s_[-9:]], ids=SIDES)
    def test_a_border_of_any_count_changes_nothing_inside(self, rng, value, place):
        """The whole scene was one grey beside a border of 1 or of 32767."""
        counts = (7000 + rng.integers(0, 30, (60, 80))).astype(np.uint16)
        counts[25:35, 30:40] = 7600
        framed = counts.copy()
        framed[place] = value
        inside = np.s_[9:-9, 9:-9]
        found, plain = (stretch_thermal16(one)[inside].astype(int) for one in (framed, counts))
        assert abs(found - plain).max() <= 3

    @pytest.mark.parametrize("value", [0, 65_535])
    @pytest.mark.parametrize("degrees", [10, -30])
    @pytest.mark.parametrize("way", [cv2.INTER_LINEAR, cv2.INTER_CUBIC], ids=["linear", "cubic"])
    def test_a_border_that_registering_has_mixed_with_the_scene(self, rng, value, degrees, way):
        """A hundredth of the picture lay between the two, and half of the greys with it."""
        counts = (7000 + rng.integers(0, 30, (120, 160))).astype(np.uint16)
        counts[50:70, 60:90] = 7600
        place = cv2.getRotationMatrix2D((80, 60), degrees, 1)
        turned = cv2.warpAffine(counts, place, (160, 120), flags=way, borderValue=value)
        found = stretch_thermal16(turned.astype(np.uint16))
        assert found[45:48, 80].max() <= 40
        assert found[58:62, 72:76].min() >= 215

    @pytest.mark.parametrize("rows", [np.s_[:3], np.s_[-4:]], ids=["first", "last"])
    def test_telemetry_in_the_rows_at_the_edge_changes_nothing(self, rng, rows):
        counts = (7000 + rng.integers(0, 30, (63, 80))).astype(np.uint16)
        counts[25:35, 30:40] = 7600
        written = counts.copy()
        written[rows] = rng.integers(0, 65_536, written[rows].shape)
        found, plain = (stretch_thermal16(one)[8:-8].astype(int) for one in (written, counts))
        assert abs(found - plain).max() <= 3

    def test_black_that_is_part_of_the_scene_stays(self):
        counts = np.tile(np.linspace(0, 4000, 80).astype(np.uint16), (20, 1))
        assert measure_grey_range(counts).low < 60


class TestEvent:
    def test_is_unchanged(self, rng):
        picture = rng.integers(0, 256, (6, 8, 3)).astype(np.uint8)
        assert np.array_equal(encode_event(picture), picture)
        assert np.array_equal(encode_event(picture[..., 1]), np.dstack([picture[..., 1]] * 3))

    def test_16_bit_is_refused_with_a_way_out(self):
        with pytest.raises(FormatError, match="--modality"):
            encode_event(np.zeros((4, 4), np.uint16))


@pytest.mark.parametrize("modality", list(Modality))
@pytest.mark.parametrize("shape", [(12, 16), (12, 16, 3)], ids=["grey", "colour"])
def test_every_8_bit_picture_becomes_three_channels(modality, shape, rng):
    picture = rng.integers(0, 256, shape).astype(np.uint8)
    encoded = encode(picture, modality)
    assert (encoded.shape, encoded.dtype) == ((12, 16, 3), np.uint8)


def test_stream_encoder_agrees_with_the_single_picture_at_first(rng):
    counts = thermal_scene(rng)
    assert np.array_equal(ModalityEncoder(Modality.THERMAL)(counts), encode(counts, Modality.THERMAL))


class TestGuess:
    @pytest.mark.parametrize(
        ("path", "expected"),
        [
            ("seq/infrared", Modality.THERMAL),
            ("seq/ir", Modality.THERMAL),
            ("gtot/Tunnel/i", Modality.THERMAL),
            ("night_thermal.mkv", Modality.THERMAL),
            ("FLIR0042.mp4", Modality.THERMAL),
            ("rigLWIR.mkv", Modality.THERMAL),
            ("camThermal.mp4", Modality.THERMAL),
            ("seq/depth", Modality.DEPTH),
            ("depth_raw.mkv", Modality.DEPTH),
            ("seq/event_imgs", Modality.EVENT),
            ("dvs.avi", Modality.EVENT),
            ("thermal/depth.mkv", Modality.DEPTH),
            ("rgbt_bus/second.mp4", Modality.THERMAL),
        ],
    )
    def test_names(self, path, expected):
        guess = guess_modality(Path(path))
        assert guess.modality is expected
        assert guess.reason

    @pytest.mark.parametrize("name", ["circle.mp4", "third.avi", "prevention.mp4", "aux.mp4"])
    def test_words_inside_words_do_not_count(self, name):
        with pytest.raises(ConfigError, match="--modality"):
            guess_modality(Path(name))

    def test_pictures_are_not_asked_for_when_the_name_says_it(self):
        def unreadable():
            raise AssertionError("opened")
            yield

        assert guess_modality(Path("ir.mp4"), unreadable()).modality is Modality.THERMAL

    def test_16_bit_with_holes_and_wide_range_is_depth(self, rng):
        assert guess_modality(Path("a"), [depth_scene(rng)]).modality is Modality.DEPTH

    def test_16_bit_without_holes_and_narrow_range_is_thermal(self, rng):
        guess = guess_modality(Path("a"), [thermal_scene(rng)] * 2)
        assert guess.modality is Modality.THERMAL
        assert "16-bit" in guess.reason

    def test_grey_8_bit_is_thermal(self, rng):
        gray = rng.integers(0, 256, (20, 30)).astype(np.uint8)
        assert guess_modality(Path("a"), [gray]).modality is Modality.THERMAL
        assert guess_modality(Path("a"), [np.dstack([gray] * 3)]).modality is Modality.THERMAL

    def test_grey_of_10_bits_without_holes_is_thermal(self):
        """As 8 bits are: so thermal video of H.265 comes, from black to white."""
        gray = np.arange(64, 941, dtype=np.uint16).reshape(1, -1)
        assert guess_modality(Path("a"), [gray]).modality is Modality.THERMAL

    def test_white_canvas_is_event_even_after_an_empty_picture(self, rng):
        canvas = np.full((48, 64, 3), 255, np.uint8)
        points = rng.random((48, 64))
        events = canvas.copy()
        events[points < 0.1] = (220, 30, 30)
        events[points > 0.9] = (30, 30, 200)
        assert guess_modality(Path("a"), [canvas, events]).modality is Modality.EVENT

    @pytest.mark.parametrize(
        "samples",
        [
            [],
            [np.zeros((8, 8), np.uint16)],
            [np.full((8, 8, 3), 255, np.uint8)],
            [np.arange(8 * 8 * 3, dtype=np.uint8).reshape(8, 8, 3)[..., ::-1] * np.uint8(7)],
            [np.arange(65_536, dtype=np.uint16).reshape(256, 256)],
        ],
        ids=["nothing", "all zero", "white", "colour", "wide range without holes"],
    )
    def test_undecidable_asks(self, samples):
        with pytest.raises(ConfigError, match="--modality thermal, depth or event"):
            guess_modality(Path("a"), samples)

    def test_contradicting_pictures_ask(self, rng):
        gray = rng.integers(0, 256, (20, 30)).astype(np.uint8)
        colour = rng.integers(0, 256, (20, 30, 3)).astype(np.uint8)
        with pytest.raises(ConfigError):
            guess_modality(Path("a"), [gray, colour])
