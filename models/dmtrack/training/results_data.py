"""Results of `dmtrack track` as training data: tracked and corrected boxes of the user's own camera.

Each box is used as far as it can be trusted: given ones always, tracked ones with their score as probability,
uncertain and lost ones never. The chosen frames are written as pictures, as the tracker saw them (paired in
time, encoded, brought onto the RGB grid), and sampled like any data set.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from dmtrack.atomic import make_folder, os_errors_translated, part_path, scratch_folder
from dmtrack.boxes.keyframes import KEYFRAMES
from dmtrack.boxes.reading import TABLE
from dmtrack.datasets.image_files import ImageFiles
from dmtrack.datasets.sequence import Sequence as AnnotatedSequence
from dmtrack.errors import DatasetError
from dmtrack.output.record import RECORD, results_in
from dmtrack.run.corrections import EarlierRun
from dmtrack.run.inputs import open_inputs, with_streams
from dmtrack.tracking.result import TrackedBox, TrackState
from dmtrack.video.frame import FramePair, Modality
from dmtrack.video.pictures.picture_file import encoded_picture

MOST_FRAMES: Final = 600
"""Most frames of a recording that are written, spread evenly; those with given boxes are always included."""
RESULTS_LAYOUT: Final = "results"
_SECOND: Final = "second"  # Windows has no folder `aux`
_FAST_PNG: Final = 1

Floats = npt.NDArray[np.float64]


def modality_of_results(folder: Path) -> Modality | None:
    """Return the modality of the first results in a folder; None if there are no results or one stream."""
    results = results_in(folder)
    return _modality(EarlierRun.read(results[0])) if results else None


def _modality(run: EarlierRun) -> Modality | None:
    said = (run.record.get("configuration") or {}).get("modality")
    return None if said is None else Modality(said)


def sequences_of_results(folder: Path, pictures: Path) -> list[AnnotatedSequence]:
    """Return one sequence for each target of the results in a folder.

    `folder` is as for `results_in`; existing pictures are reused. `InputError`: results, or their recording,
    cannot be read; `DatasetError`: no box can be trusted; `OutputError`: the pictures cannot be written.
    """
    return [one for results in results_in(folder) for one in _sequences_of(results, pictures)]


def _sequences_of(folder: Path, pictures: Path) -> Iterator[AnnotatedSequence]:
    earlier = EarlierRun.read(folder)
    rows = [row for boxes in earlier.rows.boxes.values() for row in boxes.values() if _is_trusted(row)]
    if not rows:
        raise DatasetError("it has no trusted box", where=folder, hint="correct it with dmtrack review")
    chosen = _chosen_frames(rows)
    where = pictures / f"{folder.absolute().name}-{_digest(folder)}"
    if not where.is_dir():
        _write_pictures(earlier, chosen, where)
    rgb, aux = ImageFiles.of(where / "rgb"), where / _SECOND
    places = {int(Path(name).stem): place for place, name in enumerate(rgb.names)}
    modality = _modality(earlier) if aux.is_dir() else None
    for target_id in sorted({row.target_id for row in rows}):
        own = [row for row in rows if row.target_id == target_id and row.frame_index in places]
        boxes: Floats = np.full((len(rgb), 4), np.nan)
        visible = np.zeros(len(rgb), np.bool_)
        for row in own:
            boxes[places[row.frame_index]] = row.box.xywh
            visible[places[row.frame_index]] = True
        if own:
            yield AnnotatedSequence(
                name=f"{folder.absolute().name}_{target_id}",
                modality=modality,
                rgb_paths=rgb,
                aux_paths=ImageFiles.of(aux) if aux.is_dir() else (),
                boxes=boxes,
                visible=visible,
                start_frame=int(np.argmax(visible)),
                layout=RESULTS_LAYOUT,
            )


def _is_trusted(row: TrackedBox) -> bool:
    """Return whether a row is used: with its score as probability, but the same in every call."""
    if row.state is TrackState.INIT:
        return True
    chance = np.random.default_rng((row.target_id, row.frame_index)).random()
    return row.state is TrackState.TRACKED and chance < (row.score or 0.0)


def _chosen_frames(rows: Sequence[TrackedBox]) -> set[int]:
    given = {row.frame_index for row in rows if row.state is TrackState.INIT}
    others = sorted({row.frame_index for row in rows} - given)
    room = max(0, MOST_FRAMES - len(given))
    if len(others) > room:
        others = [others[place] for place in np.linspace(0, len(others) - 1, room).astype(int)]
    return given | set(others)


def _digest(folder: Path) -> str:
    """Return a name that changes with the results from which the pictures are made."""
    files = (folder / name for name in (TABLE, KEYFRAMES, RECORD))
    parts = [path.read_bytes() for path in files if path.is_file()]
    return hashlib.sha256(b"".join([_SECOND.encode(), *parts])).hexdigest()[:12]


def _write_pictures(earlier: EarlierRun, chosen: set[int], folder: Path) -> None:
    """Write the chosen frames as the tracker sees them; the folder appears once it is complete."""
    request, _ = with_streams(earlier.request)
    with scratch_folder(make_folder(folder.parent) / f"{part_path(folder).name}-{os.getpid()}") as scratch:
        make_folder(scratch / "rgb")
        with open_inputs(request) as pairs:
            for pair in pairs:
                if pair.rgb.index in chosen:
                    _write_pair(pair, scratch)
                if pair.rgb.index >= max(chosen):
                    break
        with os_errors_translated(folder):
            if not folder.is_dir():  # else another process of a parallel run was faster
                scratch.rename(folder)


def _write_pair(pair: FramePair, folder: Path) -> None:
    streams = {"rgb": pair.image[..., :3]}
    if pair.aux_image is not None:
        # Coloured depth gets its channels reversed when it is read again: reverse them here, too.
        turned = pair.modality is Modality.DEPTH
        streams[_SECOND] = pair.aux_image[..., ::-1] if turned else pair.aux_image
    for name, image in streams.items():
        path = make_folder(folder / name) / f"{pair.rgb.index:08d}.png"
        with os_errors_translated(path):
            path.write_bytes(encoded_picture(image, level=_FAST_PNG))
