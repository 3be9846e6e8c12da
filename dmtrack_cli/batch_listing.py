"""Prints the plan of a batch before anything is tracked: items, and what cannot be tracked."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from dmtrack.batch.plan import Plan, PlannedItem
from dmtrack.errors import counted
from dmtrack.geometry.box import Box
from dmtrack.tracking.start import Absence, Keyframe
from dmtrack_cli.console import listing
from dmtrack_cli.progress import say_json


def print_plan(plan: Plan, base: Path, console: Console) -> None:
    """Print a table of items, then problems, one per line."""
    if plan.items:
        console.print(_table(plan, base))
    for problem in plan.problems:
        name = f"{problem.origin} ({problem.id})" if problem.origin and problem.id else problem.id
        line = Text.assemble(
            ("cannot be tracked: ", "bold red"), f"{name or problem.origin}: {problem.reason}"
        )
        console.print(line, soft_wrap=True)
    for left_out in plan.left_out:
        where = _shown(left_out.path, base)
        console.print(Text.assemble(("left out: ", "yellow"), f"{where}: {left_out.reason}"), soft_wrap=True)
    part = "" if plan.shard.is_whole else f" in part {plan.shard.number} of {plan.shard.count}"
    cannot = f", {len(plan.problems)} cannot be tracked" if plan.problems else ""
    kept = sum(planned.is_kept is True for planned in plan.items)
    stay = f", {kept} kept" if kept else ""
    console.print(f"{counted(len(plan.items), 'item')}{part}{stay}{cannot}", soft_wrap=True)


def say_plan(plan: Plan) -> None:
    """Print the plan as JSON lines."""
    for planned in plan.items:
        item = planned.item
        say_json(
            "item",
            id=item.id,
            rgb=str(item.rgb),
            aux=None if item.aux is None else str(item.aux),
            modality=planned.modality,
            frames=planned.frames,
            boxes=[_box_text(box) for box in item.boxes],
            box_files=[str(path) for path in item.box_files],
            detections=None if item.detections is None else str(item.detections),
            start=None if item.start is None else str(item.start),
            folder=planned.folder,
            kept=planned.is_kept,
        )
    for problem in plan.problems:
        say_json("problem", id=problem.id, origin=problem.origin, reason=problem.reason)
    for left_out in plan.left_out:
        say_json("left_out", path=str(left_out.path), reason=left_out.reason)
    say_json("plan", items=len(plan.items), problems=len(plan.problems), shard=str(plan.shard.suffix) or None)


def _table(plan: Plan, base: Path) -> Table:
    rows, is_resumed = [], any(planned.is_kept is not None for planned in plan.items)
    for planned in plan.items:
        item, frames = planned.item, "?" if planned.frames is None else planned.frames
        work = ("kept" if planned.is_kept else "tracked",) if is_resumed else ()
        rows.append((item.id, *work, _shown(item.rgb, base), _aux(planned, base), frames, _start(planned)))
    resumed = ("results",) if is_resumed else ()
    return listing(("item", *resumed, "RGB", "second stream", ">frames", "start"), rows)


def _aux(planned: PlannedItem, base: Path) -> str:
    aux = planned.item.aux
    if planned.modality is None:
        return "none"
    return f"{'in RGB' if aux is None else _shown(aux, base)} ({planned.modality})"


def _start(planned: PlannedItem) -> str:
    item = planned.item
    given = [_box_text(box) for box in item.boxes] or [path.name for path in item.box_files]
    seen = [] if item.detections is None else [item.detections.name]
    boxes = [*given, *seen] or ["beside RGB"]
    at = "" if item.start is None else f"frame {item.start}: " if item.start.index else f"{item.start}: "
    return at + " and ".join(boxes)


def _box_text(box: Box | Keyframe) -> str:
    if isinstance(box, Absence):
        return f"{box.target_id} absent from frame {box.frame_index} on"
    return str(box if isinstance(box, Box) else box.box)


def _shown(path: Path, base: Path) -> str:
    whole, base = path.absolute(), base.absolute()
    return str(whole.relative_to(base) if whole.is_relative_to(base) else path)
