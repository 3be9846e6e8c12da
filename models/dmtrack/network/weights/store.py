"""From `--weights` to a network: weights in the box, in the user's data folder, or at a path."""

from __future__ import annotations

import functools
import itertools
import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from dmtrack.config import PUBLISHED_TRACKER, ModelConfig, TrackerConfig, tracker_preset
from dmtrack.errors import CheckpointError
from dmtrack.network.weights.data_folder import SUFFIX, WeightsFile, stored, stored_names, weights_folder
from dmtrack.video.frame import Modality

if TYPE_CHECKING:
    from dmtrack.network.model import DMTrack

_Item = TypeVar("_Item")
_log = logging.getLogger(__name__)

#: The networks in the box, each with its folder below that of the bundled weights.
_IN_THE_BOX = {"tiny": "", "tiny-open": "open"}


@dataclass(frozen=True, eq=False)
class ResolvedWeights:
    """Weights that were found, their network, and their digests for the record."""

    name: str  # as asked for
    # Modality of the second stream; None for one stream
    modality: Modality | None
    files: tuple[WeightsFile, ...]  # one whole file, or a foundation and adapters

    @functools.cached_property
    def model(self) -> DMTrack:
        """The network, read on first use: on the CPU, in float32 and eval mode.

        `CheckpointError`: the files are damaged, or do not belong together.
        """
        from dmtrack.network.weights.checkpoint import build_model, load_weights  # imports torch

        loaded = [load_weights(file.path) for file in self.files]
        if self.streams == 1 and loaded[0].meta.kind == "full":
            loaded = [loaded[0].part("foundation")]
        return build_model(*loaded)

    @property
    def config(self) -> ModelConfig:
        """Shapes of the network."""
        return self.files[-1].meta.config

    @property
    def streams(self) -> int:
        """Most streams that it takes: 1 or 2."""
        return 1 if self.modality is None or self.files[-1].is_foundation else 2

    @property
    def tracker_config(self) -> TrackerConfig:
        """The inference protocol of the adapters, else that of the foundation, else the published one."""
        said = (file.meta.tracker for file in reversed(self.files))
        return next((config for config in said if config is not None), PUBLISHED_TRACKER)

    @property
    def sha256(self) -> dict[str, str]:
        """File name -> digest, for the record of a run."""
        return {file.path.name: file.sha256 for file in self.files}


def resolve_weights(asked: str | Path, modality: Modality | None) -> ResolvedWeights:
    """Find weights and check their headers.

    `asked` is `tiny` or `tiny-open` (in the box), `base` (the published weights, once added), a name in the
    data folder, a weights file, or a folder with a foundation and adapters. With one stream, `modality` None,
    the foundation alone is used. `CheckpointError`: there are no such weights (for `base`, the message says
    where they are published), they are not weights, or they are for another modality.
    """
    return ResolvedWeights(str(asked), modality, find_weights(asked, modality))


def find_weights(asked: str | Path, modality: Modality | None) -> tuple[WeightsFile, ...]:
    """Return the files of weights, foundation first, tensors unread; see `resolve_weights` for errors."""
    if str(asked) in _IN_THE_BOX:
        return _of_folder(tuple(_in_the_box(str(asked))), modality, "the weights in the box")
    if asked == "base":
        return (_base(modality),)
    if str(asked) in stored_names():
        return _completed(stored(str(asked)), modality)
    path = Path(asked).expanduser()
    if path.is_dir():
        return _of_folder(_weights_in(path), modality, str(path))
    if not path.exists():
        known = ", ".join((*_IN_THE_BOX, "base", *stored_names()))
        raise CheckpointError(
            "there are no such weights", where=asked, hint=f"give a path or one of: {known}"
        )
    return _completed(WeightsFile.at(path), modality)


def bundled_folder() -> Path:
    """Return the folder of the weights in the box."""
    return Path(str(resources.files("dmtrack").joinpath("weights")))


def bundled_weights() -> Iterator[WeightsFile]:
    """Yield the weights in the box: for each network a foundation, and adapters for each modality."""
    return itertools.chain.from_iterable(map(_in_the_box, _IN_THE_BOX))


def named(name: str) -> tuple[WeightsFile, ...]:
    """Return the weights of a name in the box or in the data folder; for `tiny` or `base` all of that kind.

    Errors as `stored`; `CheckpointError`: the published weights have not been added yet.
    """
    if name in _IN_THE_BOX:
        return tuple(_in_the_box(name))
    if name == "base":
        found = tuple(stored(one) for one in stored_names() if one.startswith("base-"))
        return found or (_base(None),)
    return (next((file for file in bundled_weights() if file.name == name), None) or stored(name),)


def _in_the_box(name: str) -> Iterator[WeightsFile]:
    """Yield a foundation and its adapters, with the inference protocol of this version.

    The protocol is not updated in the files: adapters record the digest of their foundation's file.
    """
    for file in _weights_in(bundled_folder() / _IN_THE_BOX[name], f"{name}-"):
        yield replace(file, meta=replace(file.meta, tracker=tracker_preset(file.meta.config.name)))


def _weights_in(folder: Path, prefix: str = "") -> tuple[WeightsFile, ...]:
    return tuple(WeightsFile.at(path) for path in sorted(folder.glob(f"{prefix}*{SUFFIX}")))


def _of_folder(
    files: Sequence[WeightsFile], modality: Modality | None, where: str
) -> tuple[WeightsFile, ...]:
    """Choose the file for a modality, or the foundation, among the files of a folder."""
    if modality is None:
        return (_only([file for file in files if file.is_foundation], "foundation weights", where),)
    suited = [file for file in files if not file.is_foundation and file.meta.modality == modality]
    return _completed(_only(suited, f"{modality} weights", where), modality)


def _only(files: Sequence[WeightsFile], wanted: str, where: str) -> WeightsFile:
    if not files:
        raise CheckpointError(
            f"there are no {wanted}", where=where, hint="dmtrack weights list shows what is there"
        )
    if len(files) > 1:
        names = ", ".join(file.name for file in files)
        raise CheckpointError(
            f"there are several {wanted}: {names}", where=where, hint="name one with --weights"
        )
    return files[0]


def _base(modality: Modality | None) -> WeightsFile:
    """Return the published weights for a modality, or the published foundation."""
    usual = f"base-{modality or 'foundation'}"
    if usual in stored_names():
        return stored(usual)
    kind = "foundation" if modality is None else "full"
    suited = [
        file
        for file in _readable(stored, stored_names())
        if file.meta.config.name == "base" and (file.meta.kind, file.meta.modality) == (kind, modality)
    ]
    if not suited:
        raise _not_added(modality)
    return _only(suited, f"base weights for {modality or 'one stream'}", str(weights_folder()))


def _not_added(modality: Modality | None) -> CheckpointError:
    """Return an error that says where the weights are published, and which command adds them."""
    if modality is None:
        return CheckpointError(
            "the published base weights for one stream are not here yet",
            hint="download OSTrack_ep0300.pth.tar (ViT-B, 256 px) by the links on the OSTrack authors' "
            "GitHub page (paper arXiv 2203.11991), then: dmtrack weights add OSTrack_ep0300.pth.tar",
        )
    return CheckpointError(
        f"the published base weights for {modality} are not here yet",
        hint="download DMTrack_ep0060.pth.tar by the links on the DMTrack authors' GitHub page "
        f"(paper arXiv 2508.01592), then: dmtrack weights add DMTrack_ep0060.pth.tar --modality {modality}",
    )


def _completed(file: WeightsFile, modality: Modality | None) -> tuple[WeightsFile, ...]:
    """Check that a file suits the input, and add their foundation to adapters."""
    meta = file.meta
    if modality is not None and file.is_foundation:
        raise CheckpointError(
            "holds a foundation, which takes one stream, but there are two",
            where=file.path,
            hint=f"give weights for {modality}, or leave the second stream out",
        )
    if modality is not None and meta.modality not in (None, modality):
        raise CheckpointError(f"is for {meta.modality}, but the second stream is {modality}", where=file.path)
    if meta.kind != "adapters":
        return (file,)
    foundation = _foundation_of(file)
    return (foundation,) if modality is None else (foundation, file)


def _foundation_of(adapters: WeightsFile) -> WeightsFile:
    """Find the foundation of adapters by its recorded digest: beside them, in the data folder or in the box.

    Adapters that record no digest take the only foundation beside them.
    """
    folder = adapters.path.parent
    beside = _readable(WeightsFile.at, sorted(folder.glob(f"*{SUFFIX}")))
    wanted = adapters.meta.foundation_sha256
    if wanted is None:
        return _only([file for file in beside if file.is_foundation], "foundation weights", str(folder))
    for file in itertools.chain(beside, _readable(stored, stored_names()), bundled_weights()):
        if file.is_foundation and file.sha256 == wanted:
            return file
    raise CheckpointError(
        f"the foundation these adapters were trained on (sha256 {wanted[:12]}…) was not found",
        where=adapters.path,
        hint="put its weights file into the same folder",
    )


def _readable(look: Callable[[_Item], WeightsFile], items: Iterable[_Item]) -> Iterator[WeightsFile]:
    """Read the headers of files that nobody asked for by name; damaged ones are skipped with a warning."""
    for item in items:
        try:
            yield look(item)
        except CheckpointError as error:
            _log.warning("passed over: %s", error)
