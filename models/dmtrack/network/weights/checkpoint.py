"""Our own weights files: safetensors whose header says what the tensors are and where they came from.

A file holds the one-stream `foundation`, the `adapters` of one modality, or both (`full`). The names of
the tensors are those of `DMTrack.state_dict()`. A file that does not fit exactly is an error.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal, Self

import torch
from safetensors import safe_open
from safetensors.torch import save
from torch import Tensor
from torch.nn import functional as F

from dmtrack.atomic import make_folder, write_atomically
from dmtrack.config import ModelConfig, TrackerConfig, chosen
from dmtrack.errors import CheckpointError, ConfigError, translated
from dmtrack.network.model import DMTrack
from dmtrack.numbers import json_value
from dmtrack.video.frame import Modality

Kind = Literal["foundation", "adapters", "full"]

FORMAT_VERSION = 1  # raised when a reader of today could not read tomorrow's files
_HEADER_KEY = "dmtrack"  # the one entry of the safetensors header that is ours, as JSON
_PREFIXES: Mapping[Kind, tuple[str, ...]] = {
    "foundation": ("foundation.",),
    "adapters": ("adapters.",),
    "full": ("foundation.", "adapters."),
}
#: Position embeddings, and the grid that each is for.
_POSITION_GRIDS = {"foundation.pos_template": "template_grid", "foundation.pos_search": "search_grid"}
_LISTED = 5  # how many names of each sort an error spells out


@dataclass(frozen=True, slots=True)
class WeightsMeta:
    """What a weights file says about itself."""

    config: ModelConfig  # shapes of the network
    kind: Kind  # which part of the network the file holds
    # What the second stream measures; None for a foundation, or when it was not said
    modality: Modality | None = None
    # The inference protocol that suits these weights; None leaves it to the caller
    tracker: TrackerConfig | None = None
    trained_on: str = ""  # in words, the data behind the weights
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
        """Read what `to_json` wrote; `ConfigError` where it is damaged, too new, or cannot be."""
        with translated(ConfigError, "it is damaged"):
            values = json_value(text)
            if not isinstance(values, dict) or "format" not in values:
                raise ConfigError("it states no format")
            version = values.pop("format")
            if version != FORMAT_VERSION:
                raise ConfigError(f"it has format {version}, this program reads {FORMAT_VERSION}")
            values["config"] = ModelConfig.from_dict(values["config"])
            if values["tracker"] is not None:
                values["tracker"] = TrackerConfig.from_dict(values["tracker"])
            if values["modality"] is not None:
                values["modality"] = Modality(values["modality"])
            return cls(**values)


@dataclass(frozen=True, slots=True, eq=False)
class Weights:
    """Tensors by the names of `DMTrack.state_dict()`, on the CPU, and what is known of them."""

    meta: WeightsMeta
    tensors: Mapping[str, Tensor]

    def part(self, kind: Literal["foundation", "adapters"]) -> Weights:
        """Return one half of `full` weights."""
        prefix = _PREFIXES[kind]
        modality = None if kind == "foundation" else self.meta.modality
        tensors = {name: tensor for name, tensor in self.tensors.items() if name.startswith(prefix)}
        return Weights(replace(self.meta, kind=kind, modality=modality), tensors)


def save_weights(
    path: Path, tensors: Mapping[str, Tensor], meta: WeightsMeta, *, dtype: torch.dtype | None = None
) -> str:
    """Write a weights file, under a temporary name first, and return its sha256.

    Tensors outside `meta.kind` are left out; the same tensors and header give the same bytes. `dtype` stores
    floating-point tensors so (`float16` halves the file); None keeps theirs.

    Raises:
        CheckpointError: The tensors do not fit `meta.config`.
        OutputError: The file cannot be written.
    """
    own = {name: tensor for name, tensor in tensors.items() if name.startswith(_PREFIXES[meta.kind])}
    require_fit(expected_shapes(meta.config, meta.kind), _shapes(own), where=path)
    stored = {name: _stored(own[name], dtype) for name in sorted(own)}
    data = save(stored, metadata={_HEADER_KEY: meta.to_json()})
    make_folder(path.parent)
    write_atomically(path, data)
    return hashlib.sha256(data).hexdigest()


def read_meta(path: Path) -> WeightsMeta:
    """Return the header of a weights file; `CheckpointError`: it is missing, damaged, or not one of ours."""
    with _opened(path) as opened:
        return opened.meta


def load_weights(path: Path) -> Weights:
    """Read a weights file; half-precision tensors become float32.

    Raises:
        CheckpointError: The file is missing, damaged, not one of ours, does not fit its own
            configuration, or holds numbers that are not finite.
    """
    with _opened(path) as opened:
        meta = opened.meta
        require_fit(expected_shapes(meta.config, meta.kind), opened.shapes(), where=path)
        weights = Weights(meta, {name: as_trained(tensor) for name, tensor in opened.tensors()})
    require_finite(weights.tensors, where=path)
    return weights


def build_model(
    foundation: Weights,
    adapters: Weights | None = None,
    *,
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.float32,
) -> DMTrack:
    """Build the network in eval mode, with every tensor from the weights.

    `foundation` may be full weights (then `adapters` must be None). Without `adapters` the network takes one
    stream, or has those within full weights. `dtype` is that of its floating-point tensors.

    Raises:
        CheckpointError: The parts are of the wrong kind or of different networks.
    """
    tensors = dict(foundation.tensors)
    config = foundation.meta.config
    if foundation.meta.kind == "adapters" or (adapters and adapters.meta.kind != "adapters"):
        raise CheckpointError("a network needs a foundation, and at most one set of adapters")
    if adapters is not None:
        if foundation.meta.kind != "foundation":
            raise CheckpointError("these weights have adapters already; more cannot be added")
        _require_same_foundation(config, adapters.meta.config)
        tensors.update(adapters.tensors)
        config = adapters.meta.config
    with torch.device("meta"):
        model = DMTrack(config, with_adapters=adapters is not None or foundation.meta.kind == "full")
    require_fit(_shapes(model.state_dict()), _shapes(tensors), where=foundation.meta.source_name)
    model.load_state_dict({name: tensor.clone() for name, tensor in tensors.items()}, assign=True)
    return model.to(device=device, dtype=dtype).eval()


def resize_positions(tensors: Mapping[str, Tensor], config: ModelConfig) -> dict[str, Tensor]:
    """Return the tensors with position embeddings `(1, n n, C)` resampled to the grids of `config`.

    Embeddings that already fit are returned as they are.
    """
    resized = dict(tensors)
    for name, grid_name in _POSITION_GRIDS.items():
        if name not in tensors:
            continue
        grid: int = getattr(config, grid_name)
        position = tensors[name]
        side = round(position.shape[1] ** 0.5)
        if side == grid:
            continue
        image = position.reshape(1, side, side, -1).permute(0, 3, 1, 2)
        image = F.interpolate(image, size=(grid, grid), mode="bicubic", align_corners=False)
        resized[name] = image.permute(0, 2, 3, 1).reshape(1, grid * grid, -1)
    return resized


def expected_shapes(config: ModelConfig, kind: Kind) -> dict[str, tuple[int, ...]]:
    """Return name and shape of every tensor that weights of `kind` must hold."""
    with torch.device("meta"):
        model = DMTrack(config, with_adapters=kind != "foundation")
    shapes = _shapes(model.state_dict())
    return {name: shape for name, shape in shapes.items() if name.startswith(_PREFIXES[kind])}


def require_fit(
    expected: Mapping[str, tuple[int, ...]], found: Mapping[str, tuple[int, ...]], *, where: object
) -> None:
    """Compare names and shapes.

    Raises:
        CheckpointError: Names are missing or unexpected, or shapes differ; they are counted, and the
            first few of each are named.
    """
    missing = [name for name in expected if name not in found]
    unexpected = [name for name in found if name not in expected]
    misshaped = [
        f"{name} {list(found[name])} for {list(shape)}"
        for name, shape in expected.items()
        if name in found and found[name] != shape
    ]
    faults = (("missing", missing), ("unexpected", unexpected), ("misshaped", misshaped))
    said = [f"{len(names)} {fault}: {_listed(names)}" for fault, names in faults if names]
    if said:
        raise CheckpointError(
            f"does not fit the network ({'; '.join(said)})", where=where, hint="nothing was loaded"
        )


def require_finite(tensors: Mapping[str, Tensor], *, where: object) -> None:
    """Refuse weights with an infinity or a NaN, by a `CheckpointError` that names the tensors."""
    broken = [name for name, tensor in tensors.items() if not bool(torch.isfinite(tensor).all())]
    if broken:
        raise CheckpointError(
            f"{len(broken)} tensors hold numbers that are not finite: {_listed(broken)}", where=where
        )


def as_trained(tensor: Tensor) -> Tensor:
    """Return floating-point tensors as float32, counters as int64."""
    return tensor.to(torch.float32 if tensor.is_floating_point() else torch.int64)


def sha256_of(path: Path) -> str:
    """Return the hexadecimal digest of a file; `CheckpointError` where it cannot be read."""
    try:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise CheckpointError(f"cannot be read ({error.strerror or error})", where=path) from None


class _File:
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

    def tensors(self) -> Iterator[tuple[str, Tensor]]:
        """Yield name and tensor."""
        for name in self._names:
            yield name, self._handle.get_tensor(name)


@contextmanager
def _opened(path: Path) -> Iterator[_File]:
    """Open a weights file; translates every error of the file into `CheckpointError`."""
    if not path.is_file():
        raise CheckpointError("there is no such weights file", where=path)
    hint = "a .pth or .pth.tar is first converted with: dmtrack weights add FILE"
    with translated(
        CheckpointError,
        "is damaged or not a weights file",
        where=path,
        hint=None if path.suffix == ".safetensors" else hint,
    ):
        handle: Any = safe_open(path, framework="pt", device="cpu")
        with handle:
            yield _File(path, handle)


def _meta_of(header: Mapping[str, str], path: Path) -> WeightsMeta:
    if _HEADER_KEY not in header:
        raise CheckpointError("is a safetensors file, but not one of dmtrack's", where=path)
    try:
        return WeightsMeta.from_json(header[_HEADER_KEY])
    except ConfigError as error:
        raise CheckpointError(f"has a header that cannot be read ({error})", where=path) from None


def _require_same_foundation(ours: ModelConfig, theirs: ModelConfig) -> None:
    """Adapters may have widths and a memory of their own; what the foundation is made of must agree."""
    widths = ("temporal_width", "shallow_width", "deep_width")
    own = (*widths, "name", "memory_frames", "stream_merge", "aux_share", "drop_path_rate")
    if replace(theirs, **{name: getattr(ours, name) for name in own}) != ours:
        raise CheckpointError(f"adapters for a {theirs.name} network do not fit this {ours.name} foundation")


def _stored(tensor: Tensor, dtype: torch.dtype | None) -> Tensor:
    tensor = tensor.detach().cpu().contiguous()
    return tensor.to(dtype) if dtype is not None and tensor.is_floating_point() else tensor


def _shapes(tensors: Mapping[str, Tensor]) -> dict[str, tuple[int, ...]]:
    return {name: tuple(tensor.shape) for name, tensor in tensors.items()}


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return ", ".join(names[:_LISTED]) + more
