"""Ranges, scales and palettes of the second stream."""

from __future__ import annotations

from fractions import Fraction

import cv2
import numpy as np
import pytest

from dmtrack.errors import ConfigError
from dmtrack.video.frame import Modality
from dmtrack.video.pictures.counts import AS_STORED, CountScale
from dmtrack.video.second.aux_encoder import (
    AuxEncoder,
    AuxNorm,
    AuxRange,
    EncodingOptions,
    encode_depth_range,
    find_palette,
    fine_heat,
    kelvin_per_count,
    palettes,
    parse_aux_range,
    scaled_depth,
)
from dmtrack.video.second.encoding import GreyRange, ModalityEncoder, encode_depth
from dmtrack.video.second.gauge import AuxUnit, CountMeaning
from dmtrack.video.stream_files import open_source

RAMP = (7000 + np.arange(60 * 80).reshape(60, 80) // 2).astype(np.uint16)
WALL = np.linspace(2000, 4000, 4800).astype(np.uint16).reshape(60, 80)


def thermal(**options) -> AuxEncoder:
    return AuxEncoder(Modality.THERMAL, EncodingOptions(**options))


def depth(**options) -> AuxEncoder:
    return AuxEncoder(Modality.DEPTH, EncodingOptions(**options))


class TestPublishedStaysPublished:
    @pytest.mark.parametrize("modality", list(Modality))
    def test_pictures_of_eight_bits(self, modality):
        picture = np.random.default_rng(1).integers(0, 255, (20, 30, 3)).astype(np.uint8)
        assert np.array_equal(AuxEncoder(modality)(picture), ModalityEncoder(modality)(picture))

    def test_depth_with_holes(self):
        """Zeros count in the published median and minimum; leaving them out is another choice."""
        millimetres = RAMP.copy()
        millimetres[:20] = 0
        assert np.array_equal(depth()(millimetres), encode_depth(millimetres))

    def test_a_scale_of_one_changes_nothing(self):
        assert np.array_equal(depth(depth_scale_mm=Fraction(1))(RAMP), encode_depth(RAMP))


class TestDepth:
    def test_a_scale_makes_millimetres(self):
        """Tenths of a millimetre: 70 000 tenths do not fit, so the sensor says 7000 to 9399 of them."""
        assert np.array_equal(
            depth(depth_scale_mm=Fraction(1, 10))(RAMP), encode_depth((RAMP / 10).round().astype(np.uint16))
        )

    @pytest.mark.parametrize(
        ("scale", "counts", "millimetres"),
        [
            (Fraction(1, 4), [0, 1, 2, 3, 65535], [0, 1, 1, 1, 16384]),
            (Fraction(10), [0, 1, 6553, 6554, 65535], [0, 10, 65530, 65535, 65535]),
            (Fraction(1, 1000), [0, 1, 400], [0, 1, 1]),
        ],
        ids=["quarter", "centimetres", "micrometres"],
    )
    def test_no_measurement_stays_none_and_a_measurement_stays_one(self, scale, counts, millimetres):
        assert scaled_depth(np.array([counts], np.uint16), scale).tolist() == [millimetres]

    def test_what_the_file_states_is_used_unless_another_is_given(self):
        stated = AuxEncoder(Modality.DEPTH, EncodingOptions(), Fraction(1, 4))
        given = AuxEncoder(Modality.DEPTH, EncodingOptions(depth_scale_mm=Fraction(1, 2)), Fraction(1, 4))
        assert np.array_equal(stated(RAMP), encode_depth(scaled_depth(RAMP, Fraction(1, 4))))
        assert np.array_equal(given(RAMP), encode_depth(scaled_depth(RAMP, Fraction(1, 2))))
        assert stated.remarks == ("One count of depth is 0.25 mm.",)

    @pytest.mark.parametrize(
        ("options", "stated", "counts", "pixels", "said"),
        [
            ({}, None, AS_STORED, WALL, "Depth is read as millimetres, half of it within 3.0 m"),
            (
                {},
                Fraction(1),
                CountScale(1000.0, is_metres=True),
                WALL,
                "read as metres, half of it within 3.0 m",
            ),
            ({}, Fraction(1), AS_STORED, WALL, ""),
            ({"depth_scale_mm": 1}, None, AS_STORED, WALL, ""),
            ({"depth_scale_mm": 5}, Fraction(1), AS_STORED, WALL, "One count of depth is 5 mm."),
            ({}, Fraction(1), CountScale(1000.0, -5.0), WALL, "counts are negative: nothing is measured"),
            ({}, None, AS_STORED, (WALL >> 4).astype(np.uint8), "have 8 bits: nothing is measured"),
            (
                {},
                None,
                AS_STORED,
                cv2.applyColorMap((WALL >> 4).astype(np.uint8), 2),
                "in colour, and shown as",
            ),
            ({}, None, AS_STORED, np.dstack([(WALL >> 4).astype(np.uint8)] * 3), ""),
        ],
        ids=[
            "assumed",
            "metres",
            "stated",
            "given",
            "given anew",
            "below 0",
            "8 bits",
            "colours",
            "grey video",
        ],
    )
    def test_what_is_assumed_of_its_counts_is_said(self, options, stated, counts, pixels, said):
        """A scale that nobody states was taken for millimetres without a word, and distances were wrong."""
        encoder = AuxEncoder(Modality.DEPTH, EncodingOptions(**options), stated, counts)
        encoder(np.asarray(pixels))
        assert said in " ".join(encoder.remarks)
        assert bool(said) is bool(encoder.remarks)
        is_measured = pixels.dtype == np.uint16 and not counts.zero
        assert (encoder.meaning is not None) is is_measured

    def test_a_fixed_range_leaves_holes_out(self):
        millimetres = np.array([[0, 500, 1000, 2000, 3000]], np.uint16)
        levels = _levels_of(depth(range=AuxRange(1000, 3000))(millimetres))
        assert levels == [0, 1, 1, 128, 255]

    def test_percentiles_leave_holes_out(self):
        """Half of the picture is not measured: the published encoding is then one colour."""
        millimetres = np.full((60, 80), 2000, np.uint16)
        millimetres[:, 40:] = 4000
        millimetres[:31] = 0
        assert len(np.unique(encode_depth(millimetres).reshape(-1, 3), axis=0)) == 1
        assert sorted(set(_levels_of(depth(norm=AuxNorm.PERCENTILE)(millimetres)))) == [0, 1, 255]

    def test_percentiles_keep_to_the_published_limit_of_distance(self):
        """A wall at 8 m behind things at 1 m is noise: the range ends at three times the median."""
        millimetres = np.full((60, 80), 1000, np.uint16)
        millimetres[:, :5] = 900
        millimetres[:, 60:] = 8000
        levels = _levels_of(depth(norm=AuxNorm.PERCENTILE)(millimetres))
        assert sorted(set(levels)) == [1, 13, 255]

    def test_a_picture_without_any_measurement_is_no_error(self):
        encoder = depth(norm=AuxNorm.PERCENTILE)
        assert set(_levels_of(encoder(np.zeros((4, 4), np.uint16)))) == {0}
        assert len(set(_levels_of(encoder(RAMP)))) > 100


def _levels_of(picture: np.ndarray) -> list[int]:
    colours = cv2.applyColorMap(np.arange(256, dtype=np.uint8), cv2.COLORMAP_JET).reshape(-1, 3)
    return [
        int(np.argmin(np.abs(colours.astype(int) - pixel).sum(1)))
        for pixel in picture.reshape(-1, 3).astype(int)
    ]


class TestThermal:
    def test_a_fixed_range_maps_counts_to_grey(self):
        picture = thermal(range=AuxRange(1000, 2000))(np.array([[0, 1000, 1500, 2000, 65535]], np.uint16))
        assert picture[0, :, 0].tolist() == [0, 0, 128, 255, 255]
        assert np.ptp(picture, axis=2).max() == 0

    @pytest.mark.parametrize(
        ("step", "bits"), [(0.01, 16), (0.04, 14), (0.1, 16), (0.4, 14)], ids=lambda value: str(value)
    )
    @pytest.mark.parametrize("celsius", [-40.0, 20.0, 120.0])
    def test_degrees_of_linear_temperature(self, step, bits, celsius):
        kelvin = celsius + 273.15 + np.array([[-10.0, -10.0, 0.0, 0.0, 10.0]])
        counts = np.rint(kelvin / step).astype(np.uint16)
        assert counts.max() < 2**bits
        encoder = thermal(range=AuxRange(celsius - 10, celsius + 10, is_celsius=True))
        grey = encoder(counts)[0, :, 0].astype(int)
        assert grey == pytest.approx([0, 0, 128, 128, 255], abs=6 if step >= 0.4 else 2)
        assert encoder.remarks == (f"Thermal counts are read as linear temperature, {step:g} K per count.",)

    @pytest.mark.parametrize("nothing", [0, 65535])
    @pytest.mark.parametrize("share", [0.0, 0.02, 0.4])
    def test_pixels_that_measure_nothing_do_not_hide_linear_temperature(self, nothing, share):
        counts = np.rint((np.linspace(15, 30, 4800) + 273.15) * 100).astype(np.uint16)
        counts[: round(share * 4800)] = nothing
        encoder = thermal()
        encoder(counts.reshape(60, 80))
        assert encoder.meaning == CountMeaning(0.01, -273.15, AuxUnit.CELSIUS)

    @pytest.mark.parametrize(
        ("counts", "is_odd"),
        [
            (np.linspace(29_000, 30_500, 4800), True),
            (np.linspace(500, 9000, 4800), True),
            (np.linspace(0, 200, 4800), False),
            (np.random.default_rng(1).integers(0, 65536, 4800), False),
            (np.full(4800, 300), False),
        ],
        ids=["heat", "depth", "few counts", "noise", "flat"],
    )
    def test_counts_whose_bytes_are_swapped_are_said(self, counts, is_odd):
        picture = counts.astype(np.uint16).reshape(60, 80)
        for pixels, is_said in ((picture, False), (picture.byteswap(), is_odd)):
            encoder = thermal()
            encoder(pixels)
            assert any("byte order" in remark for remark in encoder.remarks) is is_said

    @pytest.mark.parametrize(
        ("unit", "middle"),
        [("Fahrenheit", 72), ("Fahrenheit", 100), ("", 20), ("", 49), ("", 300), ("Celsius", 400)],
    )
    def test_degrees_that_may_be_others_are_told(self, unit, middle):
        degrees = np.linspace(middle - 10, middle + 10, 81, dtype=np.float32)[None]
        scale = CountScale(100.0)
        encoder = AuxEncoder(Modality.THERMAL, counts=scale)
        encoder(scale.counts(degrees))
        assert [remark.partition("is it in ")[2] for remark in encoder.remarks] == (
            [f"{unit}?"] if unit else []
        )

    @pytest.mark.parametrize("holes", [1.0, 0.7])
    @pytest.mark.parametrize(
        ("counts", "scale", "options"),
        [
            (29_315, AS_STORED, {}),
            (7_329, AS_STORED, {"range": AuxRange(15, 45, is_celsius=True)}),
            (29_315, CountScale(100.0), {}),
            (2_000, CountScale(100.0), {}),
            (29_315, CountScale(100.0, -273.15), {}),
        ],
        ids=["0.01 K", "0.04 K", "kelvin", "celsius", "celsius below 0"],
    )
    def test_what_is_not_measured_does_not_decide_what_counts_mean(self, counts, scale, options, holes):
        """A camera that starts up, or a lens cap; and a picture of which most is none."""
        encoder = AuxEncoder(Modality.THERMAL, EncodingOptions(**options), counts=scale)
        picture = np.full((10, 10), counts, np.uint16)
        first = picture.copy()
        first.flat[: int(holes * 100)] = 0
        for one in (first, picture):
            encoder(one)
        meaning = encoder.meaning
        assert counts * meaning.per_count + meaning.zero == pytest.approx(20, abs=0.1)
        assert ("begins with an empty picture" in " ".join(encoder.remarks)) is (holes == 1)

    @pytest.mark.parametrize("counts", [RAMP * 0 + 16_000, RAMP * 0 + 60_000, (RAMP // 100).astype(np.uint8)])
    def test_counts_that_are_no_temperature_are_refused(self, counts):
        with pytest.raises(ConfigError, match="no linear temperature"):
            kelvin_per_count(counts)

    def test_percentiles_do_not_flicker(self):
        """A hot object passes: the wall behind it must not jump in brightness from frame to frame."""
        rng = np.random.default_rng(3)
        alone, followed = [], []
        encoder = thermal(norm=AuxNorm.PERCENTILE)
        for number in range(60):
            counts = rng.normal(8000, 20, (60, 80))
            counts[:, :20] += 300
            if 20 <= number < 40:
                counts[20:40, 30:50] += 2500
            frame = counts.astype(np.uint16)
            followed.append(float(encoder(frame)[:, 60:, 0].mean()))
            alone.append(float(thermal(norm=AuxNorm.PERCENTILE)(frame)[:, 60:, 0].mean()))
        assert np.abs(np.diff(alone)).max() > 20, "the scene would flicker by itself"
        assert np.abs(np.diff(followed)).max() < 11
        assert np.abs(np.diff(followed[22:])).max() < 5, "but for the first two frames of the object"
        assert np.abs(np.diff(followed[5:20])).max() < 1.0

    def test_eight_bits_are_stretched_when_asked(self):
        dull = np.linspace(100, 160, 60 * 80).reshape(60, 80).astype(np.uint8)
        assert thermal(norm=AuxNorm.PERCENTILE)(dull)[..., 0].max() == 255
        assert thermal()(dull)[..., 0].max() == 160


@pytest.mark.parametrize(
    ("ground", "more", "is_told"),
    [
        ((255, 255, 255), (220, 30, 30), False),
        ((250, 252, 247), (30, 30, 200), False),
        ((0, 0, 0), (220, 30, 30), True),
        ((128, 128, 128), (255, 255, 255), True),
        ((30, 37, 52), (216, 223, 236), True),
    ],
    ids=["VisEvent", "compressed", "black", "grey", "dark"],
)
@pytest.mark.parametrize("share", [0.05, 0.45, 0.9])
def test_event_pictures_that_are_not_on_white_are_told(ground, more, is_told, share):
    """Of a picture full of events nothing follows."""
    picture = np.full((60, 80, 3), ground, np.uint8)
    picture[np.random.default_rng(3).random((60, 80)) < share] = more
    encoder = AuxEncoder(Modality.EVENT)
    assert np.array_equal(encoder(picture), picture)
    assert ["not on white" in remark for remark in encoder.remarks] == [True] * (is_told and share < 0.5)


class TestPalettes:
    @pytest.mark.parametrize("palette", sorted(palettes()))
    def test_a_palette_is_named_and_shown_as_it_is(self, palette):
        picture = palettes()[palette][_scene()]
        encoder = thermal()
        assert np.array_equal(encoder(picture), picture)
        (remark,) = encoder.remarks
        assert f"coloured by the palette {palette!r} and shown as they are" in remark

    @pytest.mark.parametrize("palette", ["iron", "rainbow"])
    def test_compression_does_not_hide_a_palette(self, make_video, palette):
        picture = palettes()[palette][cv2.resize(_scene(), (320, 240))]
        path = make_video("thermal.mp4", [picture] * 3, options={"crf": "30"})
        with open_source(path) as source:
            assert find_palette(np.asarray(next(iter(source)).pixels, np.uint8)) == palette

    def test_colours_of_a_photograph_are_no_palette(self):
        rng = np.random.default_rng(0)
        small = rng.integers(0, 255, (12, 16, 3)).astype(np.uint8)
        encoder = thermal()
        encoder(np.asarray(cv2.resize(small, (320, 240), interpolation=cv2.INTER_CUBIC), np.uint8))
        assert "are in colour and shown as they are" in encoder.remarks[0]

    def test_grey_video_is_nothing_to_speak_of(self):
        encoder = thermal()
        encoder(np.asarray(cv2.cvtColor(_scene(), cv2.COLOR_GRAY2RGB), np.uint8))
        assert encoder.remarks == ()

    def test_with_a_range_a_palette_becomes_grey(self):
        picture = np.asarray(cv2.applyColorMap(_scene(), cv2.COLORMAP_HOT)[..., ::-1], np.uint8).copy()
        encoded = thermal(norm=AuxNorm.PERCENTILE)(picture)
        assert np.ptp(encoded, axis=2).max() == 0
        assert np.corrcoef(encoded[..., 0].ravel(), _scene().ravel())[0, 1] > 0.95


def _scene() -> np.ndarray:
    y, x = np.mgrid[:120, :160]
    return (40 + x + 60 * np.exp(-((x - 80) ** 2 + (y - 60) ** 2) / 400)).clip(0, 255).astype(np.uint8)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("7000,9000", AuxRange(7000, 9000)),
        ("15C,45C", AuxRange(15, 45, True)),
        ("-10.5c, 20 °C", AuxRange(-10.5, 20, True)),
        ("0.5,1", AuxRange(0.5, 1)),
    ],
)
def test_ranges_as_written(text, expected):
    assert parse_aux_range(text) == expected
    assert parse_aux_range(str(expected)) == expected


@pytest.mark.parametrize("text", ["", "5", "9,7", "7,7", "15C,45", "a,b", "1,2,3", "nan,5"])
def test_what_is_no_range(text):
    with pytest.raises(ConfigError, match="range"):
        parse_aux_range(text)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: EncodingOptions(norm=AuxNorm.FIXED), "--aux-range"),
        (lambda: EncodingOptions(norm=AuxNorm.PERCENTILE, range=AuxRange(1, 2)), "give one of them"),
        (lambda: EncodingOptions(depth_scale_mm=Fraction(0)), "not positive"),
        (lambda: thermal(depth_scale_mm=Fraction(2)), "is for depth"),
        (lambda: depth(range=AuxRange(1, 2, True)), "degrees are for thermal"),
        (lambda: AuxEncoder(Modality.EVENT, EncodingOptions(norm=AuxNorm.PERCENTILE)), "event pictures"),
    ],
)
def test_choices_that_contradict_are_refused(make, message):
    with pytest.raises(ConfigError, match=message):
        make()


def test_before_anything_is_measured_depth_is_one_colour():
    assert len(np.unique(encode_depth_range(RAMP, None).reshape(-1, 3), axis=0)) == 1
    assert len(np.unique(encode_depth_range(RAMP, GreyRange(7000, 9000)).reshape(-1, 3), axis=0)) > 100


@pytest.mark.parametrize("border", [0, 16383, 65535])
def test_a_border_of_no_measurement_does_not_flatten_the_scene(border):
    counts = (7500 + np.arange(120 * 160).reshape(120, 160) % 7).astype(np.uint16)
    counts[50:70, 70:90] = 8000
    plain = AuxEncoder(Modality.THERMAL)(counts.copy())
    counts[:8], counts[:, :12] = border, border
    shown = AuxEncoder(Modality.THERMAL)(counts)
    assert np.abs(shown[8:, 12:].astype(int) - plain[8:, 12:]).max() <= 8


@pytest.mark.parametrize("degrees", [(-20, 40), (5, 360), (5, 390), (10, 640), (10, 900), (-15, 1400)])
@pytest.mark.parametrize("zero", [0.0, 273.15])
def test_heat_for_others_is_counted_in_steps_that_are_known(degrees, zero):
    """Of what is hotter than 382 C hundredths of a kelvin said 382."""
    low, hottest = degrees
    celsius = np.concatenate([np.linspace(low, low + 20, 4000), np.linspace(50, hottest, 200)])
    stored = (celsius + zero).astype(np.float32)[None]
    scale = CountScale.of(stored)
    encoder = AuxEncoder(Modality.THERMAL, counts=scale)
    counts = scale.counts(stored)
    encoder(counts)
    heat = fine_heat(counts, encoder.meaning)
    step = 0.01 if scale.per_unit == 100 else 0.1
    assert hottest < 382 or step == 0.1
    assert np.abs(heat * step - 273.15 - celsius).max() <= 0.08
