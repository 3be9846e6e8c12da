"""How the program tracks one item of a batch: the run that `dmtrack track` does, into a given folder."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Self

from dmtrack.batch.work import Place, Report, Task
from dmtrack.errors import CheckpointError
from dmtrack.geometry.box import Box
from dmtrack.output.draw import Layout
from dmtrack.video.frame import Modality
from dmtrack.video.streams import OnMissing
from dmtrack_cli.progress import SilentReporter
from dmtrack_cli.track_run import InputOptions, NetworkOptions, OutputOptions, prepared_run

if TYPE_CHECKING:
    from dmtrack.pipeline import PrecisionChoice


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
        from dmtrack.network.store import find_weights  # imports torch

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
        weights: As `--weights`.
        digests: What that means.
        precision: As `--precision`.
        layout: What the annotated video shows; None writes none.
        offset_s: Added to the times of second streams whose item says nothing else.
        max_skew_s: Largest distance in time of partners.
        on_missing: What to show without a partner.
        folder_rate: Pictures a second of folders.
    """

    weights: str = "tiny"
    digests: WeightsDigests = field(default_factory=lambda: WeightsDigests(()))
    precision: PrecisionChoice = "auto"
    layout: Layout | None = Layout.SIDE
    offset_s: Fraction = Fraction(0)
    max_skew_s: Fraction | None = None
    on_missing: OnMissing = OnMissing.HOLD
    folder_rate: Fraction = Fraction(30)

    def with_digests(self, digests: WeightsDigests) -> TrackItem:
        """Return the same with what its weights mean."""
        return replace(self, digests=digests)

    def options(self, modality: Modality | None) -> object:
        """Return what decides results besides the item; the device and the threads are left out.

        Another machine may go on with a batch, whatever it computes on.
        """
        digest = self.digests.of_modality(modality)
        pairing = [self.offset_s, self.max_skew_s, self.on_missing, self.folder_rate]
        return [digest, self.precision, self.layout, *pairing]

    def __call__(self, task: Task, folder: Path, place: Place, report: Report) -> None:
        """Track `task.item` into `folder`; see `dmtrack.batch.work.Runner`."""
        item = task.item
        inputs = InputOptions(
            rgb=item.rgb,
            aux=item.aux,
            modality=item.modality,
            start=item.start,
            end=item.end,
            offset_s=self.offset_s if item.offset_s is None else item.offset_s,
            max_skew_s=self.max_skew_s,
            on_missing=self.on_missing,
            folder_rate=self.folder_rate,
            boxes=tuple(_box_text(box) for box in item.boxes),
            box_files=item.box_files,
        )
        network = NetworkOptions(self.weights, place.device, self.precision, place.threads)
        with prepared_run(inputs, network, OutputOptions(folder, self.layout)) as run:
            command = list(_command(inputs, network, replace(run.outputs, folder=task.folder)))
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


def _command(inputs: InputOptions, network: NetworkOptions, outputs: OutputOptions) -> Iterator[str]:
    """Yield the words of the `dmtrack track` that does the same as one item."""
    yield from ("dmtrack", "track", str(inputs.rgb))
    if inputs.aux is not None:
        yield str(inputs.aux)
    values = {
        "--modality": inputs.modality,
        "--weights": network.weights if network.weights != "tiny" else None,
        "--precision": network.precision if network.precision != "auto" else None,
        "--start": inputs.start,
        "--end": inputs.end,
        "--offset-ms": float(inputs.offset_s * 1000) if inputs.offset_s else None,
        "--max-skew-ms": None if inputs.max_skew_s is None else float(inputs.max_skew_s * 1000),
        "--on-missing": inputs.on_missing if inputs.on_missing is not OnMissing.HOLD else None,
        "--folder-rate": float(inputs.folder_rate) if inputs.folder_rate != 30 else None,
        "--layout": outputs.layout if outputs.layout not in (None, Layout.SIDE) else None,
    }
    yield from (f"--box={text}" for text in inputs.boxes)
    yield from (f"--box-file={path}" for path in inputs.box_files)
    yield from (f"{name}={value}" for name, value in values.items() if value is not None)
    if outputs.layout is None:
        yield "--no-video"
    yield f"--output={outputs.folder}"
