"""The header of a weights file, read without its tensors and without PyTorch.

A weights file is a safetensors file whose header has one entry of ours, as JSON.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, Self

from safetensors import safe_open

from dmtrack.config import ModelConfig, TrackerConfig, chosen, tracker_preset
from dmtrack.errors import CheckpointError, ConfigError, translated
from dmtrack.numbers import json_value
from dmtrack.video.frame import Modality

Kind = Literal["foundation", "adapters", "full"]

FORMAT_VERSION = 1  # raised when earlier versions of the program could no longer read new files
HEADER_KEY = "dmtrack"  # our entry of the safetensors header, as JSON


@dataclass(frozen=True, slots=True)
class WeightsMeta:
    """The metadata in the header of a weights file."""

    config: ModelConfig  # shapes of the network
    kind: Kind  # which part of the network the file holds
    # Modality of the second stream; None for a foundation, or if unknown
    modality: Modality | None = None
    # The inference protocol that suits these weights; None leaves it to the caller
    tracker: TrackerConfig | None = None
    trained_on: str = ""  # the training data, in words
    source_name: str = ""  # name of the file the weights were converted from, or of the run that made them
    source_sha256: str | None = None  # digest of that file, if there was one
    # For adapters, the digest of the foundation's file they were trained on
    foundation_sha256: str | None = None

    def __post_init__(self) -> None:
        chosen("kind of weights", self.kind, Kind)
        texts = (self.trained_on, self.source_name, self.source_sha256 or "", self.foundation_sha256 or "")
        if not all(isinstance(text, str) for text in texts):
            raise ConfigError("the source or a digest is no text")
        if self.kind == "foundation" and self.modality is not None:
            raise ConfigError("a foundation has no modality: it sees one stream")

    def to_json(self) -> str:
        """Return the text that `from_json` reads back."""
        return json.dumps({"format": FORMAT_VERSION, **asdict(self)}, sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read the output of `to_json`; `ConfigError` if it is damaged, too new, or contradicts itself."""
        with translated(ConfigError, "it is damaged"):
            values = json_value(text)
            if not isinstance(values, dict) or "format" not in values:
                raise ConfigError("it states no format")
            version = values.pop("format")
            if version != FORMAT_VERSION:
                raise ConfigError(f"it has format {version}, this program reads {FORMAT_VERSION}")
            values["config"] = ModelConfig.from_dict(values["config"])
            if values["tracker"] is not None:
                later = asdict(tracker_preset(values["config"].name))  # for fields newer than the header
                values["tracker"] = TrackerConfig.from_dict({**later, **values["tracker"]})
            if values["modality"] is not None:
                values["modality"] = Modality(values["modality"])
            return cls(**values)


def read_meta(path: Path) -> WeightsMeta:
    """Return the header of a weights file; `CheckpointError` if missing, damaged, or not one of ours."""
    with opened(path) as file:
        return file.meta


def sha256_of(path: Path) -> str:
    """Return the hexadecimal digest of a file; `CheckpointError` if it cannot be read."""
    with translated(CheckpointError, "cannot be read", where=path), path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


class OpenedFile:
    """An open weights file whose header has been read."""

    def __init__(self, path: Path, handle: Any) -> None:  # noqa: ANN401 (safetensors has no types)
        self._handle = handle
        self._names: list[str] = list(handle.keys())
        self.meta = _meta_of(handle.metadata() or {}, path)
        if self.meta.config.depth > len(self._names):
            raise CheckpointError(f"claims {self.meta.config.depth} blocks, holds fewer tensors", where=path)

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Return name and shape of every tensor."""
        return {name: tuple(self._handle.get_slice(name).get_shape()) for name in self._names}

    def tensors(self) -> Iterator[tuple[str, Any]]:
        """Yield the name and array of each tensor, of the framework that `opened` was given."""
        for name in self._names:
            yield name, self._handle.get_tensor(name)


@contextmanager
def opened(path: Path, framework: Literal["np", "pt"] = "np") -> Iterator[OpenedFile]:
    """Open a weights file; all errors of the file become `CheckpointError`."""
    if not path.is_file():
        raise CheckpointError("there is no such weights file", where=path)
    hint = "a .pth or .pth.tar is first converted with: dmtrack weights add FILE"
    with translated(
        CheckpointError,
        "is damaged or not a weights file",
        where=path,
        hint=None if path.suffix == ".safetensors" else hint,
    ):
        handle: Any = safe_open(path, framework=framework, device="cpu")
        with handle:
            yield OpenedFile(path, handle)


def _meta_of(header: Mapping[str, str], path: Path) -> WeightsMeta:
    if HEADER_KEY not in header:
        raise CheckpointError("is a safetensors file, but not one of dmtrack's", where=path)
    try:
        return WeightsMeta.from_json(header[HEADER_KEY])
    except ConfigError as error:
        raise CheckpointError(f"has a header that cannot be read ({error})", where=path) from None
