"""The whole tracker against boxes recorded from the published one.

Crops are cut at whole pixels, so rounding of the network does not feed back: the published network itself in
float64 moves a box by at most 1.6e-4 px. Boxes must agree to 0.01 px, crops and templates exactly.
"""

from __future__ import annotations

import dataclasses
import zlib
from fractions import Fraction
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from dmtrack.geometry.box import Box
from dmtrack.geometry.crop import Crop
from dmtrack.network.weights.checkpoint import Weights, build_model
from dmtrack.tracking.memory import MemoryFrames
from dmtrack.tracking.tracker import Tracker
from dmtrack.video.frame import Frame, FramePair, Modality

HERE = Path(__file__).parent
BOX_TOLERANCE_PX = 0.01
SCORE_TOLERANCE = 2e-5


class Watch:
    """Notes what the tracker cuts and which templates it feeds."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.crops: dict[int, list[tuple[int, float]]] = {128: [], 256: []}
        self.fed: list[list[int]] = []
        self._known: list[bytes] = []
        patch.setattr(Crop, "cut", self._watched_cut(Crop.cut))
        patch.setattr(MemoryFrames, "push", self._watched_push(MemoryFrames.push))
        patch.setattr(MemoryFrames, "stacked", self._watched_stacked(MemoryFrames.stacked))

    def _watched_cut(self, cut):
        def watched(crop: Crop, image: np.ndarray) -> np.ndarray:
            pixels = cut(crop, image)
            self.crops[crop.size_px].append((zlib.crc32(pixels.tobytes()), crop.size_px / crop.side_px))
            return pixels

        return watched

    def _watched_push(self, push):
        def watched(memory: MemoryFrames, tokens) -> None:
            self._known.append(tokens.numpy().tobytes())
            push(memory, tokens)

        return watched

    def _watched_stacked(self, stacked):
        def watched(memory: MemoryFrames):
            tokens = stacked(memory)
            self.fed.append([self._known.index(t.numpy().tobytes()) for t in tokens.split(64, dim=1)])
            return tokens

        return watched


def _pair(index: int, image: np.ndarray) -> FramePair:
    rgb, aux = (Frame(index, index, Fraction(1, 30), half) for half in (image[..., :3], image[..., 3:]))
    return FramePair(rgb, aux, Modality.THERMAL, image)


@pytest.mark.parametrize(
    ("name", "frames"),
    [
        pytest.param("a", 5, id="a-until-the-first-template-is-gone"),
        pytest.param("b", 4, id="b-until-the-first-template-is-gone", marks=pytest.mark.slow),
        pytest.param("a", 30, id="a-whole", marks=pytest.mark.slow),
        pytest.param("b", 15, id="b-whole", marks=pytest.mark.slow),
    ],
)
def test_the_tracker_is_the_published_one(name, frames, weights, recipe_frames, monkeypatch):
    with np.load(HERE / f"golden_track_{name}.npz") as file:
        golden = dict(file)
    images = list(islice(recipe_frames(int(golden["seed"])), frames))
    assert [zlib.crc32(image.tobytes()) for image in images] == golden["frame_crc32"][:frames].tolist()
    config = dataclasses.replace(weights.meta.config, memory_frames=int(golden["template_number"]))
    network = build_model(Weights(dataclasses.replace(weights.meta, config=config), weights.tensors))
    watch = Watch(monkeypatch)

    tracker = Tracker(network)
    found = list(tracker.initialize(_pair(0, images[0]), [Box(*golden["init_box"].tolist())]))
    for index in range(1, frames):
        found.extend(tracker.update(_pair(index, images[index])))

    _compare_crops(watch, golden, frames)
    _compare_templates(watch, golden, frames)
    boxes = np.array([target.box.xywh for target in found])
    np.testing.assert_allclose(boxes, golden["boxes"][:frames], rtol=0, atol=BOX_TOLERANCE_PX)
    scores = np.array([target.score for target in found])
    np.testing.assert_allclose(scores, golden["scores"][:frames], rtol=0, atol=SCORE_TOLERANCE)


def _compare_crops(watch: Watch, golden: dict[str, np.ndarray], frames: int) -> None:
    for size, kind, count in ((256, "search", frames - 1), (128, "template", frames)):
        crcs = golden[f"{kind}_crop_crc32"][:count].tolist()
        factors = golden[f"{kind}_resize_factor"][:count].tolist()
        assert watch.crops[size] == list(zip(crcs, factors, strict=True)), kind


def _compare_templates(watch: Watch, golden: dict[str, np.ndarray], frames: int) -> None:
    expected = [[int(i) for i in row if i >= 0] for row in golden["template_ids"][: frames - 1]]
    assert watch.fed == expected
