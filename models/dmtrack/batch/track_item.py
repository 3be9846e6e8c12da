"""`TrackItem`: tracks one item of a batch, as `dmtrack track` does."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from dmtrack.atomic import refuse_input
from dmtrack.batch.item import BatchItem
from dmtrack.batch.plan import NO_DETECTOR
from dmtrack.batch.work import Report, Task, WorkerSlot
from dmtrack.boxes.formats.mot import USUAL
from dmtrack.boxes.keyframes import KEYFRAMES
from dmtrack.drawing.trail import PLAIN
from dmtrack.errors import CheckpointError
from dmtrack.geometry.alignment_file import read_alignment
from dmtrack.network.weights.store import find_weights
from dmtrack.run.request import OutputOptions, TrackRequest
from dmtrack.run.session import prepared_run
from dmtrack.tracking.result import FrameResult
from dmtrack.video.frame import Modality
from dmtrack.video.second.grid import Fit


@dataclass(frozen=True, slots=True)
class TrackItem:
    """Tracks one item; the batch's options travel with it to the workers."""

    # The batch's options; inputs and boxes come from an item, as do its own offset and alignment
    usual: TrackRequest
    # Digests of the weights when the batch began, for each modality that they support
    weights_sha256: tuple[tuple[Modality | None, str], ...] = ()

    @classmethod
    def of(cls, usual: TrackRequest) -> TrackItem:
        """Find the weights; `CheckpointError` if there are none for any modality."""
        known: list[tuple[Modality | None, str]] = []
        problem: CheckpointError | None = None
        for modality in (*Modality, None):
            try:
                files = find_weights(usual.network.weights, modality)
            except CheckpointError as error:
                problem = problem or error
            else:
                known.append((modality, " ".join(file.sha256 for file in files)))
        if not known and problem is not None:
            raise problem
        return cls(usual, tuple(known))

    def options(self, modality: Modality | None) -> object:
        """Return everything that decides results besides the item.

        Device and threads are left out, so that another machine can resume a batch.
        """
        usual, network = self.usual, self.usual.network
        pairing = usual.pairing.portable
        weights = dict(self.weights_sha256).get(modality)
        numbers = (network.precision, network.backend)
        mot = [] if usual.output.mot == USUAL else [usual.output.mot]
        video = [] if usual.output.video == PLAIN else [usual.output.video]
        asked = replace(usual.detections, file=None)
        seen = [] if asked == NO_DETECTOR else [asked]
        shown = usual.output.video_layout
        return [weights, *numbers, shown, usual.recovery, pairing, usual.encoding, *mot, *video, *seen]

    def __call__(self, task: Task, folder: Path, slot: WorkerSlot, report: Report) -> None:
        """Track `task.item` into `folder`; see `dmtrack.batch.work.Runner`."""
        asked = replace(self.request_for(task.item), batch=task.mark)
        network = replace(asked.network, device=slot.device, threads=slot.threads)
        request = replace(asked, network=network, output=replace(asked.output, folder=folder))
        named = replace(asked, output=replace(asked.output, folder=task.folder))
        with prepared_run(request) as run:
            if run.request.boxes != asked.boxes:  # boxes that a command line cannot express
                named = replace(named, boxes=(), box_files=(task.folder / KEYFRAMES,))
            run.record = replace(run.record, command=named.command)
            for name in OutputOptions().names:  # the folder will replace an older one
                refuse_input(task.folder / name)
            frames = 0

            def count(result: FrameResult) -> None:
                nonlocal frames
                frames += 1
                expected = run.expected_frames
                report(frames, None if expected is not None and frames > expected else expected)

            run.execute(count)

    def request_for(self, item: BatchItem) -> TrackRequest:
        """Return the request of the equivalent `dmtrack track`."""
        pairing = self.usual.pairing
        if item.offset_s is not None:
            pairing = replace(pairing, offset_s=item.offset_s)
        if item.align is not None:
            pairing = replace(pairing, align=read_alignment(item.align), fit=Fit.RESIZE)
        detections = NO_DETECTOR
        if item.detections is not None:
            detections = replace(self.usual.detections, file=item.detections)
        return replace(
            self.usual,
            rgb=item.rgb,
            aux=item.aux,
            modality=item.modality,
            boxes=item.boxes,
            box_files=item.box_files,
            start=item.start,
            end=item.end,
            detections=detections,
            pairing=pairing,
        )
