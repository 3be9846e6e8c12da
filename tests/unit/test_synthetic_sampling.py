"""Training samples: seeded, of the promised shapes, with the box where the target is."""

import json
import pickle
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest

from dmtrack.errors import ConfigError, DatasetError
from dmtrack.synthetic.sample import contact_sheet
from dmtrack.synthetic.sampling import SamplerConfig, TrainingSampler
from dmtrack.synthetic.stock import load_photographs
from dmtrack.video.frame import Modality

TRAIN = Path(__file__).parents[2].parent / "shared" / "data" / "train"
ONLY_RGB = SamplerConfig(grey_share=0.0, thermal_share=0.0, depth_share=0.0, event_share=0.0)


def draw(config, seed, count):
    sampler = TrainingSampler(config, seed)
    return [sampler.sample() for _ in range(count)]


def same(a, b):
    return (
        np.array_equal(a.templates, b.templates)
        and np.array_equal(a.search, b.search)
        and np.array_equal(a.box_cxcywh, b.box_cxcywh)
        and a.visible == b.visible
    )


@pytest.fixture(scope="module")
def photographs(tmp_path_factory):
    """One photograph with a red diamond on grey, and a line for it."""
    folder = tmp_path_factory.mktemp("photographs")
    (folder / "images" / "a").mkdir(parents=True)
    (folder / "instance_polygons" / "a").mkdir(parents=True)
    picture = np.full((240, 320, 3), 120, np.uint8)
    diamond = np.array([[160, 60], [220, 120], [160, 180], [100, 120]], np.int32)
    cv2.fillPoly(picture, [diamond], (30, 30, 220))
    cv2.imwrite(str(folder / "images" / "a" / "one.jpg"), picture, [cv2.IMWRITE_JPEG_QUALITY, 98])
    line = " ".join(str(v) for v in (diamond / (320, 240)).ravel())
    (folder / "instance_polygons" / "a" / "one.txt").write_text(f"29 {line}\n")
    return folder


@pytest.fixture(scope="module")
def thermal_images(tmp_path_factory):
    folder = tmp_path_factory.mktemp("thermal")
    (folder / "images").mkdir()
    picture = np.full((240, 320), 60, np.uint8)
    cv2.ellipse(picture, (150, 120), (20, 12), 0, 0, 360, 230, -1)
    cv2.imwrite(str(folder / "images" / "one.jpg"), picture)
    (folder / "boxes_xywh.json").write_text(json.dumps({"one.jpg": [[130, 108, 40, 24], [0, 0, 2, 2]]}))
    return folder


@pytest.mark.parametrize("modality", [None, *Modality])
def test_the_same_seed_gives_the_same_samples_and_another_seed_others(modality):
    config = SamplerConfig(modality=modality)
    first, again, other = (draw(config, seed, 3) for seed in (3, 3, 4))
    assert all(same(a, b) for a, b in zip(first, again, strict=True))
    assert not any(same(a, b) for a, b in zip(first, other, strict=True))


@pytest.mark.parametrize("modality", [None, *Modality])
@pytest.mark.parametrize("templates", [1, 3])
def test_shapes_and_boxes(modality, templates):
    config = SamplerConfig(modality=modality, templates=templates, template_size=64, search_size=128)
    channels = 3 if modality is None else 6
    for sample in draw(config, 1, 6):
        assert sample.templates.shape == (templates, 64, 64, channels)
        assert sample.search.shape == (128, 128, channels)
        assert sample.templates.dtype == sample.search.dtype == np.uint8
        assert sample.box_cxcywh.dtype == np.float32
        assert sample.template_boxes.shape == (templates, 4)
        assert sample.template_boxes.dtype == np.float32
        # A template is cut around the box that a tracker has, at twice its size.
        assert sample.template_boxes[:, :2] == pytest.approx(0.5, abs=0.13)
        assert np.sqrt(sample.template_boxes[:, 2:].prod(axis=1)) == pytest.approx(0.5, abs=0.1)
        cx, cy, w, h = sample.box_cxcywh
        assert not sample.visible or (0.0 < cx < 1.0 and 0.0 < cy < 1.0)
        # The crop's side is four sizes, but for jitter.
        assert 0.1 < np.sqrt(w * h) < 0.6


def test_the_box_lies_where_the_target_is(photographs):
    """The only red thing around is the target, standing in its photograph."""
    casting = replace(
        ONLY_RGB.casting, photograph_share=1.0, in_place_share=1.0, lookalike_share=0.0, occluder_share=0.0
    )
    config = replace(ONLY_RGB, photographs=photographs, casting=casting, light_change_share=0.0)
    errors = []
    for sample in draw(config, 0, 45):
        red = sample.search[..., 0].astype(int) - sample.search[..., 1:].max(axis=2) > 40
        rows, columns = np.flatnonzero(red.mean(axis=1) > 0.004), np.flatnonzero(red.mean(axis=0) > 0.004)
        cx, cy, w, h = sample.box_cxcywh * sample.search.shape[0]
        if rows.size and min(cx - w / 2, cy - h / 2) > 4 and max(cx + w / 2, cy + h / 2) < 188:
            edges = [columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]
            errors.append(np.abs(np.subtract(edges, [cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2])).mean())
    assert len(errors) >= 15
    assert np.median(errors) < 4.0


def test_templates_show_what_the_search_crop_shows_in_the_box():
    """Colours in the middle of the first template match those in the box better than elsewhere."""
    config = replace(ONLY_RGB, light_change_share=0.0)
    wins = []
    for sample in draw(config, 8, 60):
        size = sample.search.shape[0]
        cx, cy, w, h = sample.box_cxcywh * size
        x1, x2 = (int(np.clip(v, 0, size)) for v in (cx - w / 4, cx + w / 4))
        y1, y2 = (int(np.clip(v, 0, size)) for v in (cy - h / 4, cy + h / 4))
        middle = sample.templates[0, 36:60, 36:60].reshape(-1, 3).mean(axis=0)
        if sample.visible and x2 > x1 + 3 and y2 > y1 + 3:
            inside = np.abs(sample.search[y1:y2, x1:x2].reshape(-1, 3).mean(axis=0) - middle).sum()
            wins.append(inside < np.abs(sample.search.reshape(-1, 3).mean(axis=0) - middle).sum())
    assert np.mean(wins) > 0.75


def test_absent_targets_are_marked():
    visible = [s.visible for s in draw(replace(ONLY_RGB, absent_share=1.0), 2, 12)]
    assert not any(visible)
    assert np.mean([s.visible for s in draw(replace(ONLY_RGB, absent_share=0.0), 2, 20)]) > 0.8


def test_one_stream_shows_every_kind_of_picture_by_its_share():
    grey = draw(replace(ONLY_RGB, grey_share=1.0), 0, 4)
    assert all(np.ptp(s.search.astype(int), axis=2).max() == 0 for s in grey)
    thermal = draw(replace(ONLY_RGB, thermal_share=1.0), 0, 4)
    assert all(np.ptp(s.search.astype(int), axis=2).max() == 0 for s in thermal)
    event = draw(replace(ONLY_RGB, event_share=1.0), 0, 6)
    assert any((s.search == 255).all(axis=2).mean() > 0.3 for s in event)


def test_collages_are_colour_or_grey_or_real_thermal_images(thermal_images):
    """They have no temperatures and no motion to speak of, so no second stream is made up for them."""
    only = replace(ONLY_RGB, collage_share=1.0)
    made_up = draw(replace(only, grey_share=0.5, depth_share=0.25, event_share=0.25), 0, 12)
    grey = [np.ptp(s.search.astype(int), axis=2).max() == 0 for s in made_up]
    assert 0 < sum(grey) < 12
    assert not any((s.search == 255).all(axis=2).mean() > 0.6 for s in made_up)
    real = draw(replace(only, thermal_share=1.0, thermal_images=thermal_images), 0, 5)
    assert all(1.1 < s.box_cxcywh[2] / s.box_cxcywh[3] < 2.6 for s in real)


def test_every_collage_is_a_scene_of_its_own():
    samples = draw(replace(ONLY_RGB, collage_share=1.0, light_change_share=0.0), 3, 8)
    middles = [s.templates[0, 40:56, 40:56].mean(axis=(0, 1)) for s in samples]
    near = [np.abs(a - b).max() < 12 for a, b in pairwise(middles)]
    assert sum(near) < 3


def test_pairs_hold_the_second_stream_in_the_last_channels():
    thermal = draw(SamplerConfig(modality=Modality.THERMAL), 0, 4)
    assert all(np.ptp(s.search[..., 3:].astype(int), axis=2).max() == 0 for s in thermal)
    assert any(np.ptp(s.search[..., :3].astype(int), axis=2).max() > 20 for s in thermal)


def test_the_target_moves_between_samples_over_the_whole_search_crop():
    centres = np.array([s.box_cxcywh[:2] for s in draw(ONLY_RGB, 6, 40)])
    assert centres.min() < 0.3
    assert centres.max() > 0.7
    assert abs(centres.mean() - 0.5) < 0.08


def test_real_thermal_images_are_used_as_they_are(thermal_images):
    config = replace(ONLY_RGB, thermal_share=1.0, real_thermal_share=1.0, thermal_images=thermal_images)
    for sample in draw(config, 0, 5):
        w, h = sample.box_cxcywh[2:]
        assert 1.1 < w / h < 2.6


def test_the_configuration_travels_to_workers():
    config = SamplerConfig(modality=Modality.DEPTH, photographs=Path("somewhere"))
    assert pickle.loads(pickle.dumps(config)) == config


@pytest.mark.parametrize(
    "changes", [{"templates": 0}, {"search_size": 8}, {"thermal_share": 0.9, "grey_share": 0.2}], ids=str
)
def test_impossible_configurations_are_refused(changes):
    with pytest.raises(ConfigError):
        SamplerConfig(**changes)


def test_photographs_are_read_with_their_things(photographs):
    (photograph,) = load_photographs(photographs)
    np.testing.assert_allclose(photograph.outlines[0].min(axis=0), [100, 60], atol=0.01)
    sprite = photograph.cut_out(np.random.default_rng(0), 0)
    assert sprite.box_size[0] == pytest.approx(sprite.box_size[1], rel=0.05)
    middle = sprite.poses[0].levels[0][sprite.height // 2, sprite.width // 2]
    assert middle[0] > 180
    assert middle[3] == 255
    assert sprite.poses[0].levels[0][0, 0, 3] == 0


def test_thermal_boxes_are_read_and_tiny_ones_left_out(thermal_images):
    (photograph,) = load_photographs(thermal_images)
    assert len(photograph.outlines) == 1
    np.testing.assert_allclose(photograph.outlines[0].max(axis=0), [170, 132], atol=0.3)


def test_things_cut_by_the_border_are_no_targets_in_place(thermal_images):
    (photograph,) = load_photographs(thermal_images)
    cut = replace(photograph, outlines=(*photograph.outlines, photograph.outlines[0] - (130, 0)))
    assert len(cut.canvas(np.random.default_rng(0)).whole_things) == 1


def test_unusable_folders_say_what_is_wrong(tmp_path, photographs):
    with pytest.raises(DatasetError, match="no photographs found"):
        load_photographs(tmp_path)
    (tmp_path / "images").mkdir()
    with pytest.raises(DatasetError, match=r"no \.jpg"):
        load_photographs(tmp_path)
    (tmp_path / "images" / "a").mkdir()
    (tmp_path / "images" / "a" / "one.jpg").write_bytes(b"not a picture")
    with pytest.raises(DatasetError, match="cannot be read"):
        load_photographs(tmp_path)
    (tmp_path / "images" / "a" / "one.jpg").write_bytes(
        (photographs / "images" / "a" / "one.jpg").read_bytes()
    )
    (tmp_path / "instance_polygons" / "a").mkdir(parents=True)
    (tmp_path / "instance_polygons" / "a" / "one.txt").write_text("1 0.1 0.2 0.3\n")
    with pytest.raises(DatasetError, match="line 1"):
        load_photographs(tmp_path)


def test_a_broken_list_of_boxes_is_named(tmp_path):
    (tmp_path / "boxes_xywh.json").write_text("{")
    with pytest.raises(DatasetError, match="not JSON"):
        load_photographs(tmp_path)


def test_the_contact_sheet_shows_streams_side_by_side_with_the_box():
    samples = draw(SamplerConfig(modality=Modality.THERMAL), 0, 3)
    sheet = contact_sheet(samples, columns=2)
    tile_width = 2 * (96 + 192) + 3
    assert sheet.shape == (2 * (192 + 3), 2 * tile_width, 3)
    cx, cy, w = samples[0].box_cxcywh[:3] * 192
    column = int(np.clip(96 + round(float(cx - w / 2)), 96, 96 + 191))
    assert sheet[int(np.clip(cy, 0, 191)), column].tolist() == (
        [0, 255, 0] if samples[0].visible else [255, 0, 0]
    )


@pytest.mark.data
@pytest.mark.skipif(not TRAIN.is_dir(), reason="the photographs handed to the project are not here")
@pytest.mark.parametrize("modality", [None, Modality.THERMAL])
def test_the_real_photographs_serve(modality):
    config = SamplerConfig(modality=modality, photographs=TRAIN / "coco", thermal_images=TRAIN / "hit_uav")
    present = replace(config, absent_share=0.0)
    assert np.mean([s.visible for s in draw(present, 0, 30)]) > 0.8
