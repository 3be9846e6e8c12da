"""Track a target in two synchronised videos: RGB plus thermal, depth or event.

    from dmtrack import track

    for target in track("rgb.mp4", "thermal.mkv", boxes=[(10, 20, 30, 40)]):
        ...  # target.frame_index, target.time_s, target.box, target.score

The names below are loaded on first use, so that `import dmtrack` costs nothing and programs that only read
boxes never load torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from dmtrack.boxes.detections import DetectionOptions
    from dmtrack.boxes.reading import read_results, read_rows
    from dmtrack.boxes.results import data_frame
    from dmtrack.config import ModelConfig, TrackerConfig
    from dmtrack.datasets.ground_truth import read_boxes
    from dmtrack.drawing.draw import Layout, compose_result
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
    from dmtrack.evaluation.evaluation import evaluate_results
    from dmtrack.evaluation.overlap import iou_per_frame
    from dmtrack.geometry.alignment_file import read_alignment
    from dmtrack.geometry.box import Box
    from dmtrack.geometry.intrinsics import Intrinsics, read_intrinsics
    from dmtrack.run.codecs import CodecOptions
    from dmtrack.run.pipeline import load_tracker, track, track_pairs
    from dmtrack.run.rendering import RenderRequest, render_to_file
    from dmtrack.run.request import NetworkOptions, OutputOptions, RecoveryOptions, TrackRequest
    from dmtrack.run.session import TrackRun, track_to_folder
    from dmtrack.tracking.result import FrameResult, TrackedBox, TrackState
    from dmtrack.tracking.start import Absence, TargetStart
    from dmtrack.tracking.tracker import Tracker
    from dmtrack.training.train_config import TrainRequest, train_numbers
    from dmtrack.training.training_run import train
    from dmtrack.video.frame import Frame, FramePair, Modality, VideoInfo
    from dmtrack.video.inspection import PairReport, inspect_pair
    from dmtrack.video.live.pairs import LiveOptions
    from dmtrack.video.pairing import PairedSource, open_pair
    from dmtrack.video.position import Position
    from dmtrack.video.second.aux_encoder import EncodingOptions
    from dmtrack.video.second.gauge import AuxMeasure, AuxUnit
    from dmtrack.video.streams import OnMissing, PairingOptions, Sync

_HOMES: Final = {
    "boxes.detections": ("DetectionOptions",),
    "boxes.reading": ("read_results", "read_rows"),
    "boxes.results": ("data_frame",),
    "config": ("ModelConfig", "TrackerConfig"),
    "datasets.ground_truth": ("read_boxes",),
    "drawing.draw": ("Layout", "compose_result"),
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
    "evaluation.evaluation": ("evaluate_results",),
    "evaluation.overlap": ("iou_per_frame",),
    "geometry.alignment_file": ("read_alignment",),
    "geometry.box": ("Box",),
    "geometry.intrinsics": ("Intrinsics", "read_intrinsics"),
    "run.codecs": ("CodecOptions",),
    "run.pipeline": ("load_tracker", "track", "track_pairs"),
    "run.rendering": ("RenderRequest", "render_to_file"),
    "run.request": ("NetworkOptions", "OutputOptions", "RecoveryOptions", "TrackRequest"),
    "run.session": ("TrackRun", "track_to_folder"),
    "tracking.result": ("FrameResult", "TrackState", "TrackedBox"),
    "tracking.start": ("Absence", "TargetStart"),
    "tracking.tracker": ("Tracker",),
    "training.train_config": ("TrainRequest", "train_numbers"),
    "training.training_run": ("train",),
    "video.second.aux_encoder": ("EncodingOptions",),
    "video.frame": ("Frame", "FramePair", "Modality", "VideoInfo"),
    "video.second.gauge": ("AuxMeasure", "AuxUnit"),
    "video.inspection": ("PairReport", "inspect_pair"),
    "video.live.pairs": ("LiveOptions",),
    "video.pairing": ("PairedSource", "open_pair"),
    "video.position": ("Position",),
    "video.streams": ("OnMissing", "PairingOptions", "Sync"),
}
_MODULE_OF: Final = {name: f"dmtrack.{module}" for module, names in _HOMES.items() for name in names}

__version__: str
"""The installed version."""

__all__ = [
    "Absence", "AuxMeasure", "AuxUnit", "Box", "BoxError", "CheckpointError", "CodecOptions", "ConfigError",
    "DatasetError", "DecodeError", "DetectionOptions", "DmtrackError", "EncodingOptions", "FormatError",
    "Frame", "FramePair", "FrameResult", "InputError", "Intrinsics", "Layout", "LiveOptions", "Modality",
    "ModelConfig", "NetworkOptions", "OnMissing", "OutputError", "OutputOptions", "PairReport",
    "PairedSource", "PairingError", "PairingOptions", "Position", "RecoveryOptions", "RenderRequest", "Sync",
    "TargetStart", "TrackRequest", "TrackRun", "TrackState", "TrackedBox", "Tracker", "TrackerConfig",
    "TrainRequest", "VideoError", "VideoInfo", "compose_result", "data_frame", "evaluate_results",
    "inspect_pair", "iou_per_frame", "load_tracker", "open_pair", "read_alignment", "read_boxes",
    "read_intrinsics", "read_results", "read_rows", "render_to_file", "track", "track_pairs",
    "track_to_folder", "train", "train_numbers",
]  # fmt: skip


def __getattr__(name: str) -> object:
    """Load a public name from the module it lives in (PEP 562)."""
    module = _MODULE_OF.get(name)
    if name == "__version__":
        value: object = importlib.import_module("dmtrack.config").installed_version()
    elif module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    else:
        value = getattr(importlib.import_module(module), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """List the public names too, loaded or not."""
    return sorted({*globals(), *__all__})
