"""Track a target in two synchronised videos: RGB plus thermal, depth or event.

    from dmtrack import Box, track

    for target in track("rgb.mp4", "thermal.mkv", [Box(10, 20, 30, 40)]):
        ...  # target.frame_index, target.time_s, target.box, target.score

The names below are loaded when they are first used, so that `import dmtrack` costs nothing and whoever
only reads boxes never loads torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from dmtrack.config import ModelConfig, TrackerConfig
    from dmtrack.errors import (
        BoxError,
        CheckpointError,
        ConfigError,
        DatasetError,
        DecodeError,
        DmtrackError,
        FormatError,
        InputError,
        OutputError,
        PairingError,
        VideoError,
    )
    from dmtrack.geometry.box import Box
    from dmtrack.run.pipeline import load_tracker, track, track_pairs
    from dmtrack.tracking.result import FrameResult, TrackedBox, TrackState
    from dmtrack.tracking.start import TargetStart
    from dmtrack.tracking.tracker import Tracker
    from dmtrack.video.frame import Frame, FramePair, Modality, VideoInfo
    from dmtrack.video.inspection import PairReport, inspect_pair
    from dmtrack.video.pairing import PairedSource, open_pair
    from dmtrack.video.position import Position

_HOMES: Final = {
    "config": ("ModelConfig", "TrackerConfig"),
    "errors": (
        "BoxError",
        "CheckpointError",
        "ConfigError",
        "DatasetError",
        "DecodeError",
        "DmtrackError",
        "FormatError",
        "InputError",
        "OutputError",
        "PairingError",
        "VideoError",
    ),
    "geometry.box": ("Box",),
    "run.pipeline": ("load_tracker", "track", "track_pairs"),
    "tracking.result": ("FrameResult", "TrackState", "TrackedBox"),
    "tracking.start": ("TargetStart",),
    "tracking.tracker": ("Tracker",),
    "video.frame": ("Frame", "FramePair", "Modality", "VideoInfo"),
    "video.inspection": ("PairReport", "inspect_pair"),
    "video.pairing": ("PairedSource", "open_pair"),
    "video.position": ("Position",),
}
_MODULE_OF: Final = {name: f"dmtrack.{module}" for module, names in _HOMES.items() for name in names}

__all__ = [
    "Box",
    "BoxError",
    "CheckpointError",
    "ConfigError",
    "DatasetError",
    "DecodeError",
    "DmtrackError",
    "FormatError",
    "Frame",
    "FramePair",
    "FrameResult",
    "InputError",
    "Modality",
    "ModelConfig",
    "OutputError",
    "PairReport",
    "PairedSource",
    "PairingError",
    "Position",
    "TargetStart",
    "TrackState",
    "TrackedBox",
    "Tracker",
    "TrackerConfig",
    "VideoError",
    "VideoInfo",
    "inspect_pair",
    "load_tracker",
    "open_pair",
    "track",
    "track_pairs",
]


def __getattr__(name: str) -> object:
    """Load a public name from the module it lives in (PEP 562)."""
    module = _MODULE_OF.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(importlib.import_module(module), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """List the public names too, loaded or not."""
    return sorted({*globals(), *__all__})
