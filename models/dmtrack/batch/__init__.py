"""Many recordings in one go: find them, check them, track them on all cores, GPUs or machines, resume.

    if __name__ == "__main__":  # worker processes import this file
        plan = make_plan(find_items(Path("recordings")))
        runner = TrackItem.of(TrackRequest("recordings"))  # options that hold for all of them
        for event in run_batch(plan, Path("results"), runner, LocalEngine(make_slots(SlotOptions()))):
            ...  # ItemStarted, ItemAdvanced, ItemRetried, ItemFinished

A `Runner` tracks one item; `TrackItem` does what `dmtrack track` does, and anything like it may be given.
"""

from dmtrack.batch.discovery import find_items
from dmtrack.batch.item import BatchItem, Findings, LeftOut, Problem
from dmtrack.batch.local import LocalEngine
from dmtrack.batch.manifest import read_manifest
from dmtrack.batch.plan import Plan, PlannedItem, Shard, make_plan
from dmtrack.batch.ray_engine import RayEngine
from dmtrack.batch.run import Engine, Existing, run_batch
from dmtrack.batch.slots import Slot, SlotOptions, make_slots
from dmtrack.batch.summary import ItemStatus, SummaryRow
from dmtrack.batch.track_item import TrackItem
from dmtrack.batch.work import (
    Event,
    ItemAdvanced,
    ItemFinished,
    ItemRetried,
    ItemStarted,
    Place,
    Report,
    Runner,
    Task,
)

__all__ = [
    "BatchItem",
    "Engine",
    "Event",
    "Existing",
    "Findings",
    "ItemAdvanced",
    "ItemFinished",
    "ItemRetried",
    "ItemStarted",
    "ItemStatus",
    "LeftOut",
    "LocalEngine",
    "Place",
    "Plan",
    "PlannedItem",
    "Problem",
    "RayEngine",
    "Report",
    "Runner",
    "Shard",
    "Slot",
    "SlotOptions",
    "SummaryRow",
    "Task",
    "TrackItem",
    "find_items",
    "make_plan",
    "make_slots",
    "read_manifest",
    "run_batch",
]
