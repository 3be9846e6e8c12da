"""`Tracker`: follows boxes from frame to frame with a `DMTrack` network.

Source: specification 3.4 (the published inference protocol); what differs from it is in
`TrackerConfig` and off by default.
"""

from __future__ import annotations

import math
import time
from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from dmtrack.config import PUBLISHED_TRACKER, Precision, TrackerConfig
from dmtrack.errors import BoxError, ConfigError
from dmtrack.geometry.box import Box
from dmtrack.geometry.crop import Crop
from dmtrack.network.backend import gpu_errors_translated, network_of
from dmtrack.network.inference import Array, Network, arrays_of
from dmtrack.tracking.camera_motion import CameraMotion
from dmtrack.tracking.cropping import Cropper, cropper_for, upload
from dmtrack.tracking.fading import MOST, aux_shares, detail
from dmtrack.tracking.memory import MemoryFrames
from dmtrack.tracking.recovery import Found, Trust, is_inside, places_to_look
from dmtrack.tracking.response import choose_peak, hann_window
from dmtrack.tracking.result import TrackedBox, TrackState
from dmtrack.tracking.start import Targets, as_targets
from dmtrack.video.frame import FramePair, Modality

if TYPE_CHECKING:
    import torch

    from dmtrack.network.model import DMTrack


@dataclass(slots=True)
class _Target:
    """The state of one followed target."""

    target_id: int
    box: Box
    memory: MemoryFrames
    trust: Trust
    age: int = 0
    gait: _Gait | None = None
    detail: Array | None = None  # of both streams in its first template
    has_rested: bool = False


#: Largest range of grey levels in a picture that counts as blank.
_FLAT = 8
_FAR = 0.6  # of its size: a target that moves this far is searched at its predicted place too
_AHEAD = 0.9  # weight of a score at the place its own motion predicts: a look-alike may stand there
_SLOW, _STEADY = 0.05, 0.03  # of its size: most that a slow target moves, and grows, in a frame


@dataclass(frozen=True, slots=True)
class _Gait:
    """How a target moves, from its last searches; see `TrackerConfig.pace`."""

    found: Found  # by the last search, moved along with the camera since
    newest: tuple[float, float] = (0.0, 0.0)  # px that its box moved a frame, before the last search
    step: tuple[float, float] = (0.0, 0.0)  # the same, smoothed
    is_calm: bool = False  # whether its score is high and it is slow

    def then(self, found: Found, frames: int, least_score: float) -> _Gait:
        """Return the gait after a search `frames` frames after the last one."""
        box, size = found.box, math.sqrt(self.found.box.area)
        newest = (box.cx - self.found.box.cx) / frames, (box.cy - self.found.box.cy) / frames
        dx, dy = (self.step[0] + newest[0]) / 2, (self.step[1] + newest[1]) / 2  # boxes jitter
        grown = abs(math.log(math.sqrt(box.area) / size)) / frames
        is_slow = math.hypot(dx, dy) <= _SLOW * size and grown <= _STEADY
        return _Gait(found, newest, (dx, dy), is_slow and found.score >= least_score)

    def ahead(self) -> Found:
        """Return the predicted place one frame later."""
        return self.found.moved(*self.step)


class Tracker:
    """Follows one or several targets; all crops of a frame run as one batch.

    A pair that shows RGB alone is searched by the foundation alone, without adapters, against the RGB part of
    the templates. So is every pair until a target was seen in both streams. Where RGB is blank, as while its
    camera is off, the second stream is searched in this way, and no template is taken.

    Args:
        network: The network that finds the targets. A trained `DMTrack` is copied for inference, not changed.
        config: The inference protocol; the published one by default.
        device: Where to run a `DMTrack`; other networks have a device of their own.
        precision: Precision of a `DMTrack`'s large products, see `inference_network`.
        cropper: Cuts the crops; by default the one that suits the network's device.
        modality: Modality of the second stream that the network expects; pairs of another one are refused.
            None accepts all.

    Example:
        >>> tracker = Tracker(model)                                    # doctest: +SKIP
        >>> tracker.initialize(first_pair, [Box(10, 20, 30, 40)])       # doctest: +SKIP
        >>> for pair in pairs:                                          # doctest: +SKIP
        ...     (target,) = tracker.update(pair)
    """

    def __init__(
        self,
        network: DMTrack | Network,
        config: TrackerConfig = PUBLISHED_TRACKER,
        *,
        device: torch.device | str = "cpu",
        precision: Precision = "fp32",
        cropper: Cropper | None = None,
        modality: Modality | None = None,
    ) -> None:
        self.config = config
        self.modality = modality
        self.network: Network = network_of(network, precision, device)
        self.cropper = cropper_for(self.network.device) if cropper is None else cropper
        self._window = upload(hann_window(self.network.config.search_grid), self.network.device)
        self._targets: list[_Target] = []
        self._is_begun = False
        self._camera = CameraMotion()
        self.infer_ms = 0.0

    @property
    def targets(self) -> tuple[int, ...]:
        """The ids of the followed targets."""
        return tuple(target.target_id for target in self._targets)

    def initialize(
        self, pair: FramePair, boxes: Targets, ids: Sequence[int] | None = None
    ) -> tuple[TrackedBox, ...]:
        """Start over with one target for each box, maybe none; ids are 1, 2, … in the order given, or `ids`.

        Raises:
            BoxError: A box is invalid or outside the frame, or an id comes twice.
            ConfigError: The network is not for the pair's second stream.
        """
        self._targets = []
        return self.add(pair, boxes, ids)

    def add(
        self,
        pair: FramePair,
        boxes: Targets,
        ids: Sequence[int] | None = None,
        known: Sequence[Sequence[Array]] = (),
    ) -> tuple[TrackedBox, ...]:
        """Follow more targets from this frame on; ids continue from the highest one, or are `ids`.

        Args:
            pair: The frame pair that shows the targets.
            boxes: Boxes, or four numbers each, in pixels of the RGB frame.
            ids: One a box.
            known: Earlier templates of each target, from `templates`, oldest first. Where there are any, they
                and the template of this frame are kept for ever.

        Raises:
            BoxError: A box is invalid or outside the frame, or an id is taken.
            ConfigError: The network is not for the pair's second stream.
        """
        self._require_fit(pair)
        height, width = pair.image.shape[:2]
        added, given = [], as_targets(boxes)
        for number, (target_id, box) in enumerate(zip(self._new_ids(given, ids), given, strict=True)):
            if not isinstance(box, Box):
                raise BoxError("a keyframe is no box", hint="give its box in its frame, and its id in ids")
            box.require_inside(width, height)
            memory = self._memory(known[number] if known else (), opens=True)
            added.append(_Target(target_id, box, memory, Trust(box), gait=_Gait(Found(box, 1.0, box))))
        self._remember(pair.image, added)
        if self.config.leaps and not self._targets:
            self._camera.shift_px(pair.image)
        self._follow(added)
        return tuple(self._report(pair, target, target.box, 1.0, TrackState.INIT) for target in added)

    def seek(self, box: Box, target_id: int, known: Sequence[Array]) -> None:
        """Search for a target from the next frame on, as for a lost one.

        Args:
            box: Where it was last seen.
            target_id: A free id.
            known: At least one template of it.
        """
        self._new_ids([box], [target_id])
        if not self._targets:
            self._camera = CameraMotion()  # its last frame may be long ago
        trust = Trust(box, missed=1 if self.config.recovery else 0)
        self._follow([_Target(target_id, box, self._memory(known, opens=False), trust)])

    def drop(self, target_id: int) -> None:
        """Stop following a target, and free its id."""
        self._targets = [target for target in self._targets if target.target_id != target_id]

    def look(self, pair: FramePair, target_id: int, box: Box) -> tuple[Box, float]:
        """Return the box and score that a search around `box` gives for a target; its state stays as it is.

        Raises:
            ConfigError: The network is not for the pair's second stream.
        """
        self._require_fit(pair)
        target = next(target for target in self._targets if target.target_id == target_id)
        with self._on_its_device():
            (crop,), rows = self._locate(pair.image, [(target, box)])
            score, *shown = rows[0].tolist()[4:]
        return crop.to_frame(*shown), score

    def templates(self, pair: FramePair, boxes: Sequence[Box]) -> list[Array]:
        """Return the templates that boxes show, one `(S, P, C)` a box, on the network's device.

        Raises:
            ConfigError: The network is not for the pair's second stream.
        """
        self._require_fit(pair)
        tokens, _ = self._embedded(pair.image, boxes)
        return [tokens[:, index] for index in range(len(boxes))]

    def _memory(self, known: Sequence[Array], *, opens: bool) -> MemoryFrames:
        staying = len(known) + opens if known else int(self.config.anchor)
        memory = MemoryFrames(self.network.config.memory_frames, staying=staying)
        for tokens in known:
            memory.push(tokens)
        return memory

    def _follow(self, added: Sequence[_Target]) -> None:
        self._is_begun = True
        self._targets = sorted([*self._targets, *added], key=lambda target: target.target_id)

    def update(self, pair: FramePair) -> tuple[TrackedBox, ...]:
        """Find every target in the next frame; returns one entry a target, in order of id.

        Raises:
            BoxError: No target was ever given.
            ConfigError: The network is not for the pair's second stream.
        """
        if not self._is_begun:
            raise BoxError("there is no box to track", hint="initialize(pair, boxes) comes first")
        self._require_fit(pair)
        begin = time.perf_counter()
        carried = self._carried(pair.image)
        resting = self._resting(carried)
        searched = [target for target in self._targets if target.target_id not in resting]
        found = self._find(pair.image, searched, carried) | resting
        reports = {
            target.target_id: self._settle(pair, target, found[target.target_id]) for target in self._targets
        }
        fresh = []
        for target in searched:
            state, score = reports[target.target_id].state, found[target.target_id].score
            if self._should_remember(target, state, score) or self._is_news(target, state, pair.image):
                fresh.append(target)
            self._note_gait(target, state, found[target.target_id])
        for target in self._targets:
            target.has_rested = target.target_id in resting
        if not _shows_nothing(pair.image):
            self._remember(pair.image, fresh)
        self.infer_ms = (time.perf_counter() - begin) * 1e3
        return tuple(reports.values())

    def _carried(self, image: npt.NDArray[np.uint8]) -> dict[int, Box]:
        """Return, by id, where the camera's motion takes the targets that it moves far."""
        if not (self.config.leaps and self._targets):
            return {}
        shift_px = self._camera.shift_px(image)
        height, width = image.shape[:2]
        carried = {}
        for target in self._targets:
            moved = target.box.moved(*shift_px)
            if is_inside(moved, width, height) and _is_far(moved, target.box):
                carried[target.target_id] = moved
                target.trust.carry(shift_px, width, height)
                if target.gait is not None:
                    target.gait = replace(target.gait, found=target.gait.found.moved(*shift_px))
        return carried

    def _resting(self, carried: Collection[int]) -> dict[int, Found]:
        """Return, by id, the predicted places of calm targets, which are searched in every second frame."""
        if not self.config.pace:
            return {}
        return {
            target.target_id: target.gait.ahead()
            for target in self._targets
            if target.gait is not None
            and target.target_id not in carried
            and target.gait.is_calm
            and (target.age + target.target_id) % 2
            and (target.age + 1) % self.config.update_interval
        }

    def _note_gait(self, target: _Target, state: TrackState | None, found: Found) -> None:
        found = replace(found, box=target.box)
        if state is not TrackState.TRACKED or target.gait is None:
            target.gait = _Gait(found) if state is TrackState.TRACKED else None
        else:
            target.gait = target.gait.then(found, 2 if target.has_rested else 1, self.config.found_score)

    def _find(
        self, image: npt.NDArray[np.uint8], targets: Sequence[_Target], carried: Mapping[int, Box]
    ) -> dict[int, Found]:
        """Return the best find of each target, by id.

        A target is searched around its box; where the camera or its own motion takes it far, also there; a
        lost one at many places.
        """
        looked: list[tuple[tuple[_Target, Box, float], Crop]] = []
        located: list[Array] = []
        with self._on_its_device():
            for group in _alike(targets):
                windows = [
                    (target, box, weight)
                    for target in group
                    for box, weight in self._places(target, image.shape, carried)
                ]
                crops, boxes = self._locate(image, [(target, box) for target, box, _ in windows])
                looked += zip(windows, crops, strict=True)
                located.append(boxes)
            # The only place where a step waits for the device.
            rows = arrays_of(located[0]).concat(located).tolist() if located else []
        finds: dict[int, list[Found]] = {target.target_id: [] for target in targets}
        for ((target, _, weight), crop), row in zip(looked, rows, strict=True):
            box, shown = crop.to_frame(*row[:4]), crop.to_frame(*row[5:])
            finds[target.target_id].append(Found(box, row[4], shown, weight))
        return {
            target.target_id: target.trust.choose(finds[target.target_id], self.config) for target in targets
        }

    def _places(
        self, target: _Target, shape: tuple[int, ...], carried: Mapping[int, Box]
    ) -> list[tuple[Box, float]]:
        """Return the boxes around which to search for a target, each with the weight of a score there."""
        height, width = shape[:2]
        if target.trust.is_lost:
            return [(box, 1.0) for box in places_to_look(target.trust, self.config, width, height)]
        moved = carried.get(target.target_id)
        places = [(target.box, 1.0)] if moved is None else [(moved, 1.0), (target.box, 1.0)]
        if self.config.leaps and target.gait is not None:
            ahead = places[0][0].moved(*target.gait.newest)
            if is_inside(ahead, width, height) and all(_is_far(ahead, box) for box, _ in places):
                places.append((ahead, _AHEAD))
        return places

    def _settle(self, pair: FramePair, target: _Target, found: Found) -> TrackedBox:
        """Take over the find, unless the target is lost: then its last trusted box is held."""
        height, width = pair.image.shape[:2]
        config = self.config
        box = found.box.clipped(width, height, config.min_size_px)
        state = TrackState.TRACKED
        if config.recovery:
            state = target.trust.judge(box, found.score, config)
        is_lost = state is TrackState.LOST
        target.box = target.trust.box if is_lost else box
        shown = target.box if is_lost else found.shown
        shown = shown.clipped(width, height, min(config.min_size_px, config.min_shown_px))
        target.age += 1
        return self._report(
            pair, target, shown, found.score * overlap_bound(shown, config.edge_error_px), state
        )

    def _new_ids(self, boxes: Sequence[object], ids: Sequence[int] | None) -> Sequence[int]:
        if ids is None:
            first = max(self.targets, default=0) + 1
            return range(first, first + len(boxes))
        if len(ids) != len(boxes):
            raise BoxError(f"{len(boxes)} boxes have {len(ids)} ids", hint="give one a box, or none")
        if len({*self.targets, *ids}) < len(self._targets) + len(ids):
            raise BoxError(f"of the target ids {', '.join(map(str, ids))} one is taken or comes twice")
        return ids

    def _is_news(self, target: _Target, state: TrackState | None, image: npt.NDArray[np.uint8]) -> bool:
        """Return whether the target is seen in the second stream for the first time."""
        return state is TrackState.TRACKED and target.memory.streams < image.shape[2] // 3

    def _require_fit(self, pair: FramePair) -> None:
        if pair.image.shape[2] > 3 and self.network.streams == 1:
            raise ConfigError(
                "these weights take one stream, but the pair has two",
                hint="leave the second stream out, or give weights for its modality",
            )
        if self.modality is not None and pair.modality not in (None, self.modality):
            raise ConfigError(
                f"the tracker was loaded for {self.modality}, but the pair is of {pair.modality}",
                hint=f"load_tracker(modality={str(pair.modality)!r})",
            )

    def _should_remember(self, target: _Target, state: TrackState | None, score: float) -> bool:
        due = target.age % self.config.update_interval == 0
        sure = state is TrackState.TRACKED and score >= self.config.update_score
        return due and sure and self.network.config.memory_frames > 1

    def _locate(
        self, image: npt.NDArray[np.uint8], windows: Sequence[tuple[_Target, Box]]
    ) -> tuple[list[Crop], Array]:
        """Search around each box for its target; all targets' memories have one shape.

        Return the searched crops, and `(B, 9)` on the device: cx, cy, w, h as fractions of the crop side, the
        score, and the box to report in the same four numbers.
        """
        size = self.network.config.search_size
        streams = min(image.shape[2] // 3, windows[0][0].memory.streams)
        first = 1 if streams == 2 and _shows_nothing(image) else 0
        image = image[..., 3 * first : 3 * streams]
        crops = [Crop.around(box, self.config.search_factor, size) for _, box in windows]
        tokens = [target.memory.stacked()[first:streams] for target, _ in windows]
        arrays = arrays_of(tokens[0])
        cut = self.cropper.cut(image, crops)
        shares = self._aux_shares([target for target, _ in windows], cut) if streams - first == 2 else ()
        output = self.network.step(arrays.stack(tokens, 1), cut, *shares)
        previous = self._on_device(
            [
                (box.w / crop.side_px, box.h / crop.side_px)
                for (_, box), crop in zip(windows, crops, strict=True)
            ]
        )
        peak = choose_peak(output, self._window, previous, self.config)
        boxes = arrays.stack((peak.boxes_cxcywh_norm, peak.shown_cxcywh_norm))
        kept = self.config.size_inertia
        boxes[..., 2:] = kept * previous + (1 - kept) * boxes[..., 2:]
        return crops, arrays.concat((boxes[0], peak.scores[:, None], boxes[1]), 1)

    def _remember(self, image: npt.NDArray[np.uint8], targets: Sequence[_Target]) -> None:
        """Cut a template around each target's box and append it to its memory."""
        if not targets:
            return
        tokens, crops = self._embedded(image, [target.box for target in targets])
        for index, target in enumerate(targets):
            target.memory.push(tokens[:, index])
            if target.detail is None and len(tokens) > 1:
                target.detail = detail(crops[index : index + 1])[0]

    def _aux_shares(self, targets: Sequence[_Target], crops: Array) -> tuple[Array, ...]:
        """Return `aux_shares` `(B,)` in a tuple, or an empty one if the weights' share holds for all."""
        usual = self.network.config.aux_share
        if not (self.config.aux_backup and usual < MOST):
            return ()
        seen = detail(crops, self.config.template_factor / self.config.search_factor)
        first = [seen[row] if one.detail is None else one.detail for row, one in enumerate(targets)]
        return (aux_shares(seen, arrays_of(seen).stack(first), usual),)

    def _embedded(self, image: npt.NDArray[np.uint8], boxes: Sequence[Box]) -> tuple[Array, Array]:
        """Return the template around each box, `(S, B, P, C)`, and the crops."""
        size = self.network.config.template_size
        crops = [Crop.around(box, self.config.template_factor, size) for box in boxes]
        inner = [crop.from_frame(box) for crop, box in zip(crops, boxes, strict=True)]
        with self._on_its_device():
            cut = self.cropper.cut(image, crops)
            return self.network.embed_template(cut, self._on_device(inner)), cut

    def _on_its_device(self) -> AbstractContextManager[None]:
        return gpu_errors_translated(self.network.device, "fewer targets, --weights tiny, or --device cpu")

    def _on_device(self, rows: Sequence[tuple[float, ...]]) -> Array:
        return upload(np.array(rows, np.float32), self.network.device)

    @staticmethod
    def _report(pair: FramePair, target: _Target, box: Box, score: float, state: TrackState) -> TrackedBox:
        return TrackedBox(pair.rgb.index, target.target_id, box, score, state).measured(pair)


def _is_far(box: Box, other: Box) -> bool:
    return math.hypot(box.cx - other.cx, box.cy - other.cy) >= _FAR * math.sqrt(box.area)


def _shows_nothing(image: npt.NDArray[np.uint8]) -> bool:
    """Return whether RGB in `(H, W, 3 S)` is blank: one grey level, up to compression noise."""
    rgb = image[..., :3]
    return all(np.ptp(pixels) <= _FLAT for pixels in (rgb[::16, ::16], rgb))  # the sparse sample is quick


def _alike(targets: Sequence[_Target]) -> list[list[_Target]]:
    """Group targets whose memories have one shape."""
    groups: dict[tuple[int, int], list[_Target]] = {}
    for target in targets:
        groups.setdefault((len(target.memory), target.memory.streams), []).append(target)
    return list(groups.values())


def overlap_bound(box: Box, edge_error_px: float) -> float:
    """Return the IoU to expect of two boxes of one object, each drawn to within `edge_error_px`.

    Nobody marks an edge better than to about a pixel. For a bus that costs nothing, for a drone twelve pixels
    wide a fifth of the overlap, which no network can see once the crop has been enlarged.

    `edge_error_px` is the typical distance of their edges; 0 is none. The value, in (0, 1], is the IoU of the
    box with itself moved by that distance on both axes.
    """
    if edge_error_px <= 0:
        return 1.0
    common = max(0.0, box.w - edge_error_px) * max(0.0, box.h - edge_error_px)
    return max(common / (2 * box.area - common), 1e-3)
