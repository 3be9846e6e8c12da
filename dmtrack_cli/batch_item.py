"""How the program tracks one item of a batch: the run that `dmtrack track` does, into a given folder."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Self

from dmtrack.batch.work import Place, Report, Task
from dmtrack.errors import CheckpointError
from dmtrack.geometry.box import Box
from dmtrack.video.frame import Modality
from dmtrack.video.grid import Fit
from dmtrack_cli.option_groups import words
from dmtrack_cli.options import Losing, Network, Pairing, Picture
from dmtrack_cli.progress import SilentReporter
from dmtrack_cli.sensor_options import Counts
from dmtrack_cli.track_options import Hardware, Inputs, Outputs, Wanted
from dmtrack_cli.track_preparation import prepared_run
from dmtrack_cli.video_options import VideoCodecs


@dataclass(frozen=True, slots=True)
class WeightsDigests:
    """What `--weights` meant when the batch began, for each kind of input that it has weights for."""

    known: tuple[tuple[Modality | None, str], ...]

    @classmethod
    def of(cls, asked: str) -> Self:
        """Look the weights up.

        Raises:
            CheckpointError: There are none for any input.
        """
        from dmtrack.network.weights.store import find_weights  # imports torch

        known: list[tuple[Modality | None, str]] = []
        problem: CheckpointError | None = None
        for modality in (*Modality, None):
            try:
                files = find_weights(asked, modality)
            except CheckpointError as error:
                problem = problem or error
            else:
                known.append((modality, " ".join(file.sha256 for file in files)))
        if not known and problem is not None:
            raise problem
        return cls(tuple(known))

    def of_modality(self, modality: Modality | None) -> str | None:
        """Return the digest for one kind of input; None if there are no weights for it."""
        return dict(self.known).get(modality)


@dataclass(frozen=True, slots=True)
class TrackItem:
    """Tracks one item; what holds for the whole batch travels with it to the workers.

    Attributes:
        network: What tracks.
        picture: What annotated videos show.
        losing: What happens when a target is lost.
        pairing: How streams are matched; an item's own offset and alignment go before it.
        counts: How counts of second streams become pictures.
        codecs: What decodes and encodes videos; the device of an item's network, if it is to.
        digests: What the weights meant when the batch began.
    """

    network: Network = field(default_factory=Network)
    picture: Picture = field(default_factory=Picture)
    losing: Losing = field(default_factory=Losing)
    pairing: Pairing = field(default_factory=Pairing)
    counts: Counts = field(default_factory=Counts)
    codecs: VideoCodecs = field(default_factory=VideoCodecs)
    digests: WeightsDigests = field(default_factory=lambda: WeightsDigests(()))

    def with_digests(self, digests: WeightsDigests) -> TrackItem:
        """Return the same with what its weights mean."""
        return replace(self, digests=digests)

    def check(self) -> None:
        """Refuse now what every item would fail of.

        Raises:
            ConfigError: An option is out of range.
        """
        _ = self.pairing.options, self.losing.stop_after_s, self.counts.options

    def options(self, modality: Modality | None) -> object:
        """Return what decides results besides the item; the device and the threads are left out.

        Another machine may go on with a batch, whatever it computes on.
        """
        digest = self.digests.of_modality(modality)
        read = (self.pairing.options, self.counts.options)
        return [digest, self.network.precision, self.network.backend, self.picture.shown, self.losing, *read]

    def __call__(self, task: Task, folder: Path, place: Place, report: Report) -> None:
        """Track `task.item` into `folder`; see `dmtrack.batch.work.Runner`."""
        item = task.item
        pairing = self.pairing
        if item.offset_s is not None:
            pairing = replace(pairing, offset_ms=float(item.offset_s * 1000))
        if item.align is not None:
            pairing = replace(pairing, align=item.align, fit=Fit.RESIZE)
        inputs = Inputs(
            rgb=item.rgb,
            aux=pairing.second(item.rgb, item.aux),
            modality=item.modality,
            start=item.start,
            end=item.end,
            pairing=pairing,
            counts=self.counts,
            boxes=tuple(_box_text(box) for box in item.boxes),
            box_files=item.box_files,
        )
        hardware = Hardware(place.device, place.threads, self.codecs, tuned=place.tuned)
        wanted = Wanted(inputs, Outputs(folder, self.picture), self.network, self.losing, hardware)
        with prepared_run(wanted) as run:
            command = list(_command(run.wanted, task.folder))
            run.record = replace(run.record, command=command, batch=task.mark)
            run.execute(_Frames(report, run.expected_frames))


class _Frames(SilentReporter):
    """Counts frames for the batch."""

    def __init__(self, report: Report, total: int | None) -> None:
        self._report = report
        self._total = total
        self._done = 0

    def advance(self, score: float | None) -> None:
        """Count one more."""
        self._done += 1
        self._report(self._done, self._total)


def _box_text(box: Box) -> str:
    return ",".join(repr(value) for value in box.xywh)


def _command(wanted: Wanted, folder: Path) -> Iterator[str]:
    """Yield the words of the `dmtrack track` that does the same as one item."""
    inputs = wanted.inputs
    yield from ("dmtrack", "track", str(inputs.rgb))
    if inputs.aux is not None:
        yield str(inputs.aux)
    yield from (f"--box={text}" for text in inputs.boxes)
    yield from (f"--box-file={path}" for path in inputs.box_files)
    values = {"--modality": inputs.modality, "--start": inputs.start, "--end": inputs.end}
    yield from (f"{name}={value}" for name, value in values.items() if value is not None)
    output = (wanted.outputs.picture, wanted.hardware.video)
    for group in (inputs.pairing, inputs.counts, wanted.network, wanted.losing, *output):
        yield from words(group)
    yield f"--output={folder}"
