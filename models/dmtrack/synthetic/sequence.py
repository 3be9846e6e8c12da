"""`SyntheticSequence`: whole frames of a made-up scene, with the true box in each."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from dmtrack.errors import ConfigError
from dmtrack.geometry.box import Box
from dmtrack.synthetic.camera_look import CameraLook, NoiseBank
from dmtrack.synthetic.casting import CastingConfig, SceneFactory, Take
from dmtrack.synthetic.photographs import PhotoLibrary
from dmtrack.synthetic.scene import Scene, View
from dmtrack.synthetic.sensors import DepthLook, EventLook, ThermalLook
from dmtrack.synthetic.sprite import Image
from dmtrack.synthetic.stock import Stock, StockSize
from dmtrack.video.frame import Frame, Modality, Pixels

_SMALL_STOCK = StockSize(sprites=24, cut_outs=24, canvases=3, sprite_uses=1000, canvas_uses=1000)
_TRIES = 200
_LEAST_INSIDE = 0.8


@dataclass(frozen=True, slots=True)
class SyntheticFrame:
    """One instant of a made-up sequence.

    Attributes:
        rgb: Colour frame.
        aux: Frame of the second stream as its sensor delivers it: thermal `(H, W)` uint8, depth
            `(H, W)` uint16 in millimetres, events `(H, W, 3)` uint8; None for one stream.
        box: True box of the target, tight, whatever covers it.
        visible_share: Part of the target that is inside the frame and not covered, 0 to 1.
    """

    rgb: Frame
    aux: Frame | None
    box: Box
    visible_share: float


class SyntheticSequence:
    """A made-up recording; iterating renders it, twice alike.

    Args:
        seed: Of everything.
        modality: Of the second stream, or None.
        size: Width and height in pixels.
        frames: Number of frames.
        frame_rate: Frames per second.
        photographs: Real photographs to build with, or None.
        casting: What the scene is made of.

    Raises:
        ConfigError: The size or the number of frames is not usable.
    """

    def __init__(
        self,
        seed: int,
        modality: Modality | None = None,
        size: tuple[int, int] = (320, 240),
        frames: int = 60,
        frame_rate: Fraction = Fraction(30),
        photographs: PhotoLibrary | None = None,
        casting: CastingConfig | None = None,
    ) -> None:
        if frames < 1 or min(size) < 32:
            raise ConfigError(
                f"cannot make {frames} frames of {size[0]}x{size[1]}", hint="at least 1 of 32x32"
            )
        self.modality = modality
        self.frames = frames
        self.frame_rate = frame_rate
        self._seed = seed
        rng = np.random.default_rng(seed)
        stock = Stock(rng, photographs, None, _SMALL_STOCK)
        factory = SceneFactory(casting or CastingConfig(longest_frames=float(frames)), stock, rng)
        self.scene = self._choose(factory, size, frames).scene
        self._look = CameraLook.draw(rng)
        self._sensor = self._draw_sensor(rng)

    @staticmethod
    def _choose(factory: SceneFactory, size: tuple[int, int], frames: int) -> Take:
        """Draw scenes until the target starts, and mostly stays, inside the frame."""
        for _ in range(_TRIES):
            take = factory.draw(size, float(frames))
            times = [0.0, *np.linspace(0.0, frames - 1.0, 12).tolist()]
            if all(_inside(take.scene, t) for t in times):
                return take
        raise ConfigError(
            f"no target stays inside {size[0]}x{size[1]} for {frames} frames", hint="ask for fewer frames"
        )

    def _draw_sensor(self, rng: np.random.Generator) -> ThermalLook | DepthLook | EventLook | None:
        if self.modality is None:
            return None
        if self.modality is Modality.THERMAL:
            return ThermalLook.draw(rng, self.scene)
        if self.modality is Modality.DEPTH:
            return DepthLook.draw(rng, self.scene)
        return EventLook.draw(rng, self.scene)

    def __len__(self) -> int:
        """Return the number of frames."""
        return self.frames

    def __iter__(self) -> Iterator[SyntheticFrame]:
        """Render frame by frame."""
        rng = np.random.default_rng((self._seed, 1))
        noise = NoiseBank(rng)
        view = View.whole(self.scene.width, self.scene.height)
        for index in range(self.frames):
            rendering = self.scene.render(float(index), view)
            assert rendering.rgb is not None  # noqa: S101
            rgb = self._look.apply(rendering.rgb, noise)
            aux = self._second(float(index), view, noise, rng)
            yield SyntheticFrame(
                self._frame(index, rgb),
                None if aux is None else self._frame(index, aux),
                self.scene.target_box(float(index)),
                rendering.visible_share,
            )

    def boxes(self) -> list[Box]:
        """Return the true box of every frame, without rendering any."""
        return [self.scene.target_box(float(index)) for index in range(self.frames)]

    def _frame(self, index: int, pixels: Pixels) -> Frame:
        return Frame(index, index, 1 / self.frame_rate, pixels)

    def _second(self, t: float, view: View, noise: NoiseBank, rng: np.random.Generator) -> Pixels | None:
        """Return what the second camera delivers at `t`, before any encoding."""
        sensor = self._sensor
        if isinstance(sensor, ThermalLook):
            grey: Image = np.ascontiguousarray(sensor.picture(self.scene, t, view, noise)[..., 0])
            return grey
        if isinstance(sensor, DepthLook):
            return sensor.depth_mm(self.scene, t, view)
        return None if sensor is None else sensor.picture(self.scene, t, view, rng)


def _inside(scene: Scene, t: float) -> bool:
    """Return whether nearly all of the target's box lies inside the frame, and it is not tiny."""
    box = scene.target_box(t)
    x1, y1, x2, y2 = box.xyxy
    w = min(x2, scene.width) - max(x1, 0.0)
    h = min(y2, scene.height) - max(y1, 0.0)
    return (
        min(w, h) > 4.0 and w * h > _LEAST_INSIDE * box.area and box.area < 0.3 * scene.width * scene.height
    )
