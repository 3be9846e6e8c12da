"""Batches of recordings: find them, check them, track them on all cores, GPUs or machines, resume.

    if __name__ == "__main__":  # worker processes import this file
        plan = plan_batch(Path("recordings"), Path("results"))
        runner = TrackItem.of(TrackRequest("recordings"))  # options for all of them
        for event in run_batch(plan, Path("results"), runner, WorkerOptions().engine()):
            ...  # ItemStarted, ItemAdvanced, ItemRetried, ItemFinished

A `Runner` tracks one item; `TrackItem` does what `dmtrack track` does, and can be replaced.
"""

from dmtrack.batch.discovery import find_items
from dmtrack.batch.item import BatchItem, Findings, LeftOut, Problem
from dmtrack.batch.local import LocalEngine
from dmtrack.batch.manifest import read_manifest
from dmtrack.batch.plan import Plan, PlannedItem, Shard, make_plan, plan_batch
from dmtrack.batch.ray_engine import RayEngine
from dmtrack.batch.run import Existing, as_resumed, run_batch
from dmtrack.batch.summary import ItemStatus, SummaryRow
from dmtrack.batch.track_item import TrackItem
from dmtrack.batch.work import (
    Engine,
    Event,
    ItemAdvanced,
    ItemFinished,
    ItemRetried,
    ItemStarted,
    Report,
    Runner,
    Task,
    WorkerSlot,
)
from dmtrack.batch.workers import EngineChoice, WorkerOptions

__all__ = [
    "BatchItem", "Engine", "EngineChoice", "Event", "Existing", "Findings", "ItemAdvanced", "ItemFinished",
    "ItemRetried", "ItemStarted", "ItemStatus", "LeftOut", "LocalEngine", "Plan", "PlannedItem", "Problem",
    "RayEngine", "Report", "Runner", "Shard", "SummaryRow", "Task", "TrackItem", "WorkerOptions",
    "WorkerSlot", "as_resumed", "find_items", "make_plan", "plan_batch", "read_manifest", "run_batch",
]  # fmt: skip
