"""What the second stream measures at a box: of the target, where it lies in its picture, if that is known."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from dmtrack.drawing.draw import Mark
from dmtrack.geometry.box import Box
from dmtrack.geometry.homography import Homography
from dmtrack.tracking.result import TrackedBox, TrackState
from dmtrack.video.frame import FramePair, Modality
from dmtrack.video.pictures.counts import CountScale
from dmtrack.video.second.aux_encoder import AuxEncoder, AuxRange, EncodingOptions
from dmtrack.video.second.gauge import AuxMeasure, AuxUnit, CountMeaning, Gauge
from dmtrack.video.second.grid import Fit, grid_by, rgb_to_aux

MILLIMETRES = CountMeaning(0.001, 0.0, AuxUnit.METRE)
BOX = Box(40, 30, 40, 60)


def measured(counts: np.ndarray, box: Box = BOX, meaning: CountMeaning = MILLIMETRES) -> AuxMeasure | None:
    return Gauge(meaning, counts.shape[::-1], np.eye(3)).measure(counts, box)


def scene(seed: int = 0) -> np.ndarray:
    """A wall at 5 m with 10 mm of noise; in the middle of `BOX`, on 40 % of it, a person at 2.4 m."""
    noise = np.random.default_rng(seed).normal(0, 10, (120, 160))
    counts = np.full((120, 160), 5000.0) + noise
    counts[36:90, 52:70] = 2400 + noise[36:90, 52:70]
    return counts.astype(np.uint16)


class TestDepth:
    def test_of_the_target_not_of_the_wall_that_most_of_the_box_shows(self):
        found = measured(scene())
        assert np.median(scene()[30:90, 40:80]) > 4900  # what a median over the box would say
        assert found.median == pytest.approx(2.4, abs=0.003)
        assert 2.37 < found.low < found.median < found.high < 2.43
        assert str(found) == "2.40 m"

    def test_holes_and_flying_pixels_are_left_out(self):
        counts = scene()
        counts[::3] = 0
        counts[:, ::5] = 65535
        counts[40:44, 55:60] = 900
        assert measured(counts).median == pytest.approx(2.4, abs=0.003)
        assert measured(counts).low > 2.3

    def test_what_passes_before_a_small_part_of_it_is_not_it(self):
        counts = scene()
        counts[:, 40:56] = 1200  # a post that goes on above and below
        assert measured(counts).median == pytest.approx(2.4, abs=0.003)

    def test_a_part_of_something_larger_is_at_its_distance(self):
        assert measured(scene(), Box(54, 45, 12, 20)).median == pytest.approx(2.4, abs=0.003)

    @pytest.mark.parametrize("side", [1, 3, 12, 118])
    def test_every_size_of_box(self, side):
        counts = np.full((120, 160), 3000, np.uint16)
        assert measured(counts, Box(20.5, 1, side, side)).median == pytest.approx(3.0)

    @pytest.mark.parametrize(
        ("counts", "box"),
        [
            (np.zeros((120, 160), np.uint16), BOX),
            (scene(), Box(300, 30, 40, 60)),
            (scene(), Box(-50, 30, 40, 60)),
            (np.where(np.random.default_rng(0).random((120, 160)) < 0.05, scene(), 0).astype(np.uint16), BOX),
            (scene()[..., None].repeat(3, 2), BOX),
        ],
        ids=["holes", "right of it", "left of it", "a twentieth", "colour"],
    )
    def test_nothing_is_known(self, counts, box):
        gauge = Gauge(MILLIMETRES, (160, 120), np.eye(3))
        assert gauge.measure(counts, box) is None

    def test_a_picture_of_another_size_is_not_read_at_the_wrong_place(self):
        assert Gauge(MILLIMETRES, (320, 240), np.eye(3)).measure(scene(), BOX) is None


class TestTemperature:
    MEANING = CountMeaning(0.01, -273.15, AuxUnit.CELSIUS)

    def street(self) -> np.ndarray:
        counts = np.full((120, 160), 28315.0) + np.random.default_rng(0).normal(0, 5, (120, 160))
        counts[36:90, 52:70] += 2000
        counts[40, 60], counts[80, 75] = 31015, 27315
        counts[:, :45] = 0  # what the other camera does not see
        return counts.astype(np.uint16)

    def test_the_median_is_that_of_the_target_the_ends_are_those_of_the_box(self):
        found = measured(self.street(), meaning=self.MEANING)
        assert found.median == pytest.approx(30.0, abs=0.05)
        assert (found.low, found.high) == (pytest.approx(0.0), pytest.approx(37.0))
        assert str(found) == "30.0 C"

    def test_a_cold_target_before_something_warm(self):
        counts = self.street()
        cold = np.where(counts > 0, 60000 - counts, 0).astype(np.uint16)
        assert measured(cold, meaning=self.MEANING).median == pytest.approx(600 - 303.15 - 273.15, abs=0.05)


class TestWhere:
    """The place in the second picture, against the picture that OpenCV laid onto the RGB grid."""

    RGB = (200, 150)
    TILTED = Homography.of([[1.9, 0.05, 12], [-0.04, 2.1, -6], [1e-4, 2e-4, 1]], (100, 60), RGB)

    @pytest.mark.parametrize(
        ("align", "fit", "size"),
        [
            *[(None, fit, (100, 60)) for fit in Fit],
            *[(None, fit, (333, 410)) for fit in (Fit.LETTERBOX, Fit.CROP, Fit.NONE)],
            (TILTED, Fit.RESIZE, (100, 60)),
        ],
    )
    def test_a_thing_is_found_where_it_is_drawn(self, align, fit, size):
        width, height = size
        spot = (slice(height // 2 - 9, height // 2 + 5), slice(width // 2 - 6, width // 2 + 10))
        picture = np.zeros((height, width, 3), np.uint8)
        picture[spot] = 255
        drawn = grid_by(align, fit)(picture, self.RGB, Modality.EVENT)[..., 0] == 255
        if fit in (Fit.LETTERBOX, Fit.NONE) or align:  # beside the picture it is white
            inside = grid_by(align, fit)(picture, self.RGB, Modality.DEPTH)[..., 1] == 255
            drawn &= inside
        rows, columns = np.nonzero(drawn)
        x, y = (columns.min(), columns.max() + 1), (rows.min(), rows.max() + 1)
        across, down, depth = rgb_to_aux(align, fit, size, self.RGB) @ (np.array([x, y, (1.5, 1.5)]) - 0.5)
        mapped = np.array([across, down]) / depth + 0.5
        found = (mapped[1, 0], mapped[1, 1], mapped[0, 0], mapped[0, 1])
        true = (spot[0].start, spot[0].stop, spot[1].start, spot[1].stop)
        assert found == pytest.approx(true, abs=1.6 if align is None else 2.5)

    def test_behind_the_camera_nothing_is_read(self):
        to_aux = np.array([[1, 0, 0], [0, 1, 0], [-0.01, 0, 1.0]])
        gauge = Gauge(MILLIMETRES, (160, 120), to_aux)
        assert gauge.measure(np.full((120, 160), 1000, np.uint16), Box(150, 10, 20, 20)) is None


FINE = np.full((4, 6), 29815, np.uint16)
RAW = np.full((4, 6), 7500, np.uint16)


class TestWhatIsKnown:
    @pytest.mark.parametrize(
        ("modality", "pixels", "options", "stated", "counts", "known"),
        [
            ("depth", RAW, {}, None, CountScale(), (7.5, "m")),
            ("depth", RAW, {"depth_scale_mm": Fraction(1, 5)}, None, CountScale(), (1.5, "m")),
            ("depth", RAW, {}, Fraction(1, 4), CountScale(), (1.875, "m")),
            ("depth", RAW, {}, Fraction(1), CountScale(1000.0, 0.0, True), (7.5, "m")),
            ("depth", (RAW // 50).astype(np.uint8), {}, None, CountScale(), None),
            ("depth", (RAW // 50).astype(np.uint8), {"depth_scale_mm": 10}, None, CountScale(), (1.5, "m")),
            ("depth", np.zeros((4, 6, 3), np.uint8), {"depth_scale_mm": 10}, None, CountScale(), None),
            ("thermal", FINE, {}, None, CountScale(), (25.0, "C")),
            ("thermal", RAW, {}, None, CountScale(), None),
            ("thermal", RAW, {"range": AuxRange(15, 45, True)}, None, CountScale(), (26.85, "C")),
            ("thermal", RAW, {"range": AuxRange(7000, 9000)}, None, CountScale(), None),
            ("thermal", FINE // 2 + 18000, {}, None, CountScale(), None),
            ("thermal", (RAW // 50).astype(np.uint8), {}, None, CountScale(), None),
            ("thermal", RAW // 3, {}, None, CountScale(100.0, 0.0, True), (25.0, "C")),
            ("thermal", FINE, {}, None, CountScale(100.0), (25.0, "C")),
            ("thermal", FINE, {}, None, CountScale(100.0, -273.15), (25.0, "C")),
            ("thermal", RAW, {}, None, CountScale(1.0, -32768.0), None),
        ],
        ids=[
            *("16 bits", "scale given", "scale stated", "float metres", "8 bits", "8 bits with scale"),
            *("colour", "10 mK", "raw", "range in degrees", "range in counts", "too warm", "8 bits of heat"),
            *("float Celsius", "float Kelvin", "float below 0", "signed counts"),
        ],
    )
    def test_by_what_is_said_or_stored(self, modality, pixels, options, stated, counts, known):
        encoder = AuxEncoder(Modality(modality), EncodingOptions(**options), stated, counts)
        encoder(pixels)
        meaning = encoder.meaning
        if known is None:
            assert meaning is None
            return
        value = int(pixels[0, 0]) * meaning.per_count + meaning.zero
        assert (value, meaning.unit) == (pytest.approx(known[0]), known[1])

    def test_that_degrees_are_assumed_is_said(self):
        encoder = AuxEncoder(Modality.THERMAL)
        encoder(FINE)
        assert encoder.remarks == ("Thermal counts are read as linear temperature, 0.01 K per count.",)


def test_pictures_of_events_do_not_tell_how_many_there_were():
    for picture in (np.zeros((48, 64), np.uint8), np.zeros((48, 64, 3), np.uint8)):
        pair = FramePair.of(np.zeros((48, 64, 3), np.uint8), picture, modality="event")
        assert pair.measure(Box(10, 10, 20, 20)) is None


class TestARow:
    PAIR = FramePair.of(np.zeros((120, 160, 3), np.uint8), scene(), modality="depth", index=4, time_s=0.5)

    def test_says_what_its_pair_tells(self):
        row = TrackedBox(4, 1, BOX, 0.9, TrackState.TRACKED).measured(self.PAIR)
        assert row.time_s == Fraction(1, 2)
        assert row.measure.median == pytest.approx(2.4, abs=0.003)
        assert Mark.of(row).label == "1  0.90  2.40 m  tracked"

    @pytest.mark.parametrize("state", [TrackState.LOST, TrackState.ABSENT])
    def test_of_a_target_that_is_not_there_nothing(self, state):
        assert TrackedBox(4, 1, BOX, 0.1, state).measured(self.PAIR).measure is None

    def test_without_a_partner_nothing(self):
        alone = replace(self.PAIR, aux=None)
        assert TrackedBox(4, 1, BOX, 0.9, TrackState.TRACKED).measured(alone).measure is None

    def test_pictures_of_any_size(self):
        pair = FramePair.of(np.zeros((480, 640, 3), np.uint8), scene(), modality="depth")
        assert pair.measure(Box(160, 120, 160, 240)).median == pytest.approx(2.4, abs=0.003)
