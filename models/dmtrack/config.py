"""All numbers of the network and the tracker, in frozen dataclasses with their source.

`ModelConfig` fixes shapes (which a weights file must fit), `TrackerConfig` the inference protocol (which may
change without retraining). Training numbers are in `dmtrack.training.train_config`.
"""

from __future__ import annotations

import dataclasses
import difflib
import functools
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Self, get_args, get_origin, get_type_hints

from dmtrack.errors import ConfigError
from dmtrack.numbers import shown

#: Precision of the network's large products, and what a person may ask for.
Precision = Literal["fp32", "bf16", "fp16", "int8"]
PrecisionChoice = Literal["auto", Precision]
#: What computes the network; `eager` is `torch` without CUDA graphs.
Backend = Literal["auto", "openvino", "torch", "eager"]
Pace = Literal["off", "auto"]  # whether every target is searched in every frame, see `TrackerConfig.pace`


def chosen(name: str, value: str, literal: Any) -> Any:  # noqa: ANN401 - a `Literal` has no type
    """Return a value that must be one of a `Literal`; else a `ConfigError` lists them."""
    if value not in get_args(literal):
        raise ConfigError(
            f"unknown {name} {shown(str(value))}", hint=f"one of: {', '.join(get_args(literal))}"
        )
    return value


_LARGEST = 10**12


@functools.cache
def _kinds(config: type) -> dict[str, Any]:
    """Return the types of the fields of a configuration."""
    hints = get_type_hints(config)
    return {field.name: hints[field.name] for field in dataclasses.fields(config)}


class _Config:
    """Dictionary round trip that names unknown keys; shared by the frozen configurations."""

    __slots__ = ()

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Build from plain values, as read from JSON or TOML.

        `ConfigError`: a key is unknown (the closest known one is named) or a value is invalid.
        """
        known = {field.name for field in dataclasses.fields(cls)}  # type: ignore[arg-type]
        for key in values:
            if key not in known:
                close = difflib.get_close_matches(key, known, n=1)
                hint = f"did you mean {close[0]!r}?" if close else f"known: {', '.join(sorted(known))}"
                raise ConfigError(f"unknown {cls.__name__} key {shown(str(key))}", hint=hint)
        return cls(**values)

    def _require_plain(self) -> None:
        """Raise `ConfigError` unless fields have their types, and numbers are finite and not huge."""
        for name, kind in _kinds(type(self)).items():  # type: ignore[arg-type]  # a type is hashable
            value = getattr(self, name)
            if get_origin(kind) is Literal:
                chosen(name, value, kind)
            elif kind is float and type(value) is int:
                object.__setattr__(self, name, float(value) if abs(value) <= _LARGEST else math.inf)
            elif type(value) is not kind:
                what = {int: "a whole number", float: "a number", bool: "true or false"}.get(kind, "text")
                raise ConfigError(f"{name}={shown(str(value))} is not {what}")
            if kind in (int, float) and not abs(getattr(self, name)) <= _LARGEST:
                raise ConfigError(f"{name}={shown(str(value))} is too large, or not finite")

    def _require_positive(self, *names: str) -> None:
        for name in names:
            if getattr(self, name) < 1:
                raise ConfigError(f"{name}={getattr(self, name)} must be at least 1")

    def to_dict(self) -> dict[str, Any]:
        """Return plain values that `from_dict` reads back."""
        return dataclasses.asdict(self)  # type: ignore[call-overload,no-any-return]


@dataclass(frozen=True, slots=True)
class ModelConfig(_Config):
    """Shapes of the network.

    Attributes:
        name: Preset name, for messages.
        width: Token width C.
        depth: Number of transformer blocks.
        heads: Attention heads; `width` must be divisible by it.
        mlp_ratio: Hidden width of the MLP over `width`.
        stem: `patch` (one 16x16 convolution, published), `conv` (four stride-2 convolutions,
            which learns faster from scratch), or `lite` (the same with ImageNet stages beside it).
        template_size: Side of a template crop in px.
        search_size: Side of the search crop in px.
        memory_frames: Number T of templates in the tracker's memory. No tensor's size depends on it.
        head_width: Channels of the first layer of each head tower; halved in the next three.
        temporal_width: Inner width of a spatio-temporal adapter (STMA).
        shallow_width: Inner width of a shallow complementary adapter (PMCA).
        deep_width: Inner width of a deep complementary adapter (PMCA); also its head count.
        stream_merge: How the two streams enter the head: `sum` (published) or `mean`, which
            leaves a frozen one-stream head on its own scale.
        aux_share: With `mean`: share of the second stream, in (0, 1).
        drop_path_rate: Stochastic depth of the last block, rising linearly from 0. Training only.
        template_prompt: Mark the template tokens that the target's box covers (the token types of LoRAT,
            arXiv 2403.05231), so that the box's shape is known, not guessed. Published: no.
        quality_head: A fourth tower of the head predicts the overlap of each cell's box with the target;
            it becomes the score (IoU-Net, arXiv 1807.11590). Published: no.
    """

    name: str
    width: int
    depth: int
    heads: int
    mlp_ratio: float
    stem: Literal["patch", "conv", "lite"]
    template_size: int
    search_size: int
    memory_frames: int
    head_width: int
    temporal_width: int = 12
    shallow_width: int = 8
    deep_width: int = 8
    stream_merge: Literal["sum", "mean"] = "sum"
    aux_share: float = 0.5
    drop_path_rate: float = 0.1
    template_prompt: bool = False
    quality_head: bool = False

    STRIDE = 16  # pixels per token side. The stems below are built for it.

    def __post_init__(self) -> None:
        self._require_plain()
        self._require_positive(
            "width", "heads", "head_width", "temporal_width", "shallow_width", "deep_width"
        )
        if not (1 / self.width <= self.mlp_ratio <= 64 and 0 <= self.drop_path_rate < 1):
            raise ConfigError("mlp_ratio must be above 0 and at most 64, drop_path_rate in [0, 1)")
        if not 0 < self.aux_share < 1:
            raise ConfigError(f"aux_share={self.aux_share} must be between 0 and 1")
        for name in ("template_size", "search_size"):
            if getattr(self, name) <= 0 or getattr(self, name) % self.STRIDE:
                raise ConfigError(f"{name}={getattr(self, name)} is not a multiple of {self.STRIDE}")
        if self.width % self.heads:
            raise ConfigError(f"width={self.width} is not divisible by heads={self.heads}")
        if not (1 <= self.memory_frames <= 64 and self.depth >= 1):
            raise ConfigError("memory_frames must be from 1 to 64, depth at least 1")
        if self.head_width % 8:
            raise ConfigError(f"head_width={self.head_width} cannot be halved three times")

    @property
    def template_grid(self) -> int:
        """Tokens along one side of a template."""
        return self.template_size // self.STRIDE

    @property
    def search_grid(self) -> int:
        """Tokens along one side of the search region: the side of the score map."""
        return self.search_size // self.STRIDE

    @property
    def adapter_parameters(self) -> int:
        """Number of trained parameters of one adapter set, from the widths alone.

        Source: specification 5 (786,432 for the published widths 12, 8, 8).
        """
        c, t, s, d = self.width, self.temporal_width, self.shallow_width, self.deep_width
        temporal = (c * t + t) + (3 * t + t) + (t * c + c)
        shallow = (c * s + s) + (s * s + s) + (s * c + c)
        attention = (3 * d * d + 3 * d) + (d * d + d)
        judger = (2 * d * d + d) + (d * d + d)
        deep = (c * d + d) + 2 * attention + judger + 2 * (2 * d) + (d * c + c)
        return self.depth * (2 * temporal + shallow + deep)


#: The published network: ViT-B/16, 128/256 px. `memory_frames` is 3 for thermal and event, 2 for depth.
BASE = ModelConfig(
    name="base",
    width=768,
    depth=12,
    heads=12,
    mlp_ratio=4.0,
    stem="patch",
    template_size=128,
    search_size=256,
    memory_frames=3,
    head_width=256,
)

#: The bundled network, small enough to be trained from scratch on a CPU.
TINY = ModelConfig(
    name="tiny",
    width=192,
    depth=8,
    heads=3,
    mlp_ratio=4.0,
    stem="conv",
    template_size=96,
    search_size=192,
    memory_frames=2,
    head_width=128,
    shallow_width=16,
    deep_width=16,
    stream_merge="mean",
    drop_path_rate=0.0,
    template_prompt=True,
    quality_head=True,
)

PRESETS: Mapping[str, ModelConfig] = {"base": BASE, "tiny": TINY}


def model_preset(name: str, modality: str | None = None) -> ModelConfig:
    """Return the preset `name`, with the paper's memory for `modality`.

    `name` is `base` or `tiny`; only `base` with `depth` differs (2 templates). `ConfigError`: there is no
    such preset.

    Source: specification 3.1.
    """
    if name not in PRESETS:
        raise ConfigError(f"unknown model preset {name!r}", hint=f"known: {', '.join(PRESETS)}")
    preset = PRESETS[name]
    if name == "base" and modality == "depth":
        return dataclasses.replace(preset, memory_frames=2)
    return preset


@dataclass(frozen=True, slots=True)
class TrackerConfig(_Config):
    """The inference protocol. The defaults are the published one (specification 3).

    Attributes:
        template_factor: Template crop side over sqrt(w h).
        search_factor: Search crop side over sqrt(w h).
        min_size_px: Smallest side of the tracked box, and the part of it that must stay inside the frame.
        min_shown_px: The same for the reported box, if it is less (published: the same).
        edge_error_px: Typical distance between the edges of two good boxes of one target; lowers the
            reported score of small targets, see `dmtrack.tracking.tracker`. 0 is off.
        window: `multiply` (published): response = Hann x score. `add`: response =
            (1 - window_weight) x penalty x score + window_weight x Hann.
        window_weight: Weight of the Hann window with `window="add"`.
        size_penalty: Strength k of exp(-k (change - 1)) for jumps in scale and aspect ratio, applied to
            every cell's own predicted size before the peak is chosen. 0 is off. `window="add"` only.
        size_inertia: Share of the previous box size kept in the new one, in [0, 1). 0 is off.
        voting: Report the mean of the boxes of all cells that overlap the chosen one, weighted by squared
            score, instead of the chosen box, which is still the one that is tracked.
        anchor: Keep the first template for ever in the memory's oldest place.
        update_interval: Frames between template updates; 1 is every frame.
        update_score: Store a template only from a frame with at least this score. 0 is always.
        recovery: Doubt, lose and find targets again by their score (published: no; every box is
            `tracked`). The thresholds are meant for a score that is the expected overlap.
        uncertain_score: Below it a box is `uncertain` and gives no template.
        lost_after: Consecutive uncertain frames after which a target is `lost`: its last trusted box is held
            while it is searched, first nearby, and after as many frames again all over the frame.
        found_score: A lost target is resumed at this score.
        sweep_interval: Frames between two searches beyond the neighbourhood.
        sweep_windows: Number of search regions in such a search.
        leaps: Where the camera's motion, or the target's own last step repeated, takes a target further than
            0.6 of its size, search for it there, too.
        aux_backup: Where RGB has lost more of its contrast or sharpness since the target's first template
            than the second stream has, the head reads as much of the second stream as of RGB, see
            `dmtrack.tracking.fading`.
        pace: Search a target that is sure and slow in every second frame only, and move it by its own motion
            in between, which halves the cost of many targets. Frames due for a new template are searched.
    """

    template_factor: float = 2.0
    search_factor: float = 4.0
    min_size_px: float = 10.0
    min_shown_px: float = 10.0
    edge_error_px: float = 0.0
    window: Literal["multiply", "add"] = "multiply"
    window_weight: float = 0.0
    size_penalty: float = 0.0
    size_inertia: float = 0.0
    voting: bool = False
    anchor: bool = False
    update_interval: int = 1
    update_score: float = 0.0
    recovery: bool = False
    uncertain_score: float = 0.4
    lost_after: int = 10
    found_score: float = 0.6
    sweep_interval: int = 3
    sweep_windows: int = 12
    leaps: bool = False
    aux_backup: bool = False
    pace: bool = False

    def __post_init__(self) -> None:
        self._require_plain()
        if not (0 <= self.update_score <= 1 and self.size_penalty >= 0):
            raise ConfigError("update_score must be in [0, 1] and size_penalty not below 0")
        if not (0 <= self.window_weight <= 1 and 0 <= self.size_inertia < 1):
            raise ConfigError("window_weight must be in [0, 1] and size_inertia in [0, 1)")
        if not (0 < self.template_factor <= 16 and 0 < self.search_factor <= 16):
            raise ConfigError("template_factor and search_factor must be above 0 and at most 16")
        if not (0 < self.min_size_px <= 1000 and 0 < self.min_shown_px <= 1000 and self.edge_error_px >= 0):
            raise ConfigError(
                "min_size_px and min_shown_px must be above 0 and at most 1000, edge_error_px not below 0"
            )
        self._require_positive("update_interval", "lost_after", "sweep_interval", "sweep_windows")
        if not 0 <= self.uncertain_score <= self.found_score <= 1:
            raise ConfigError("0 <= uncertain_score <= found_score <= 1 must hold")


#: The published protocol: every frame updates the memory, the score is windowed, nothing is gated.
PUBLISHED_TRACKER = TrackerConfig()

#: The protocol of the bundled weights: the window is added, jumps in size are penalised and damped, the first
#: template stays in the memory, and the recent one is only renewed at a high score. A template taken while
#: somebody passes would show both, and the wrong one might be tracked then. Renewed in every frame, as
#: published, it drifted off the target on two of nine real clips.
TINY_TRACKER = TrackerConfig(
    window="add",
    window_weight=0.35,
    size_penalty=0.04,
    size_inertia=0.5,
    voting=True,
    anchor=True,
    update_interval=18,
    update_score=0.75,
    min_shown_px=2.0,
    edge_error_px=1.0,
    recovery=True,
    leaps=True,
    aux_backup=True,
)


def tracker_preset(network: str) -> TrackerConfig:
    """Return the inference protocol that suits a network: ours for `tiny`, else the published one."""
    return TINY_TRACKER if network == "tiny" else PUBLISHED_TRACKER


def installed_version() -> str:
    """Return the installed version of dmtrack, which is `dmtrack.__version__`."""
    import importlib.metadata  # takes 30 ms, and only this function needs it

    try:
        return importlib.metadata.version("dmtrack")
    except importlib.metadata.PackageNotFoundError:
        return "(not installed)"
