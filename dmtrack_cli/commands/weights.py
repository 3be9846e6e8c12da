"""`dmtrack weights`: add published checkpoints; list, show and verify weights."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from dmtrack.errors import CheckpointError
from dmtrack.video.frame import Modality
from dmtrack_cli.command_line import Command, Group
from dmtrack_cli.console import out

if TYPE_CHECKING:
    from dmtrack.network.weights.data_folder import WeightsFile

app = typer.Typer(
    cls=Group,
    no_args_is_help=True,
    add_completion=False,
    help="Manage the built-in weights and those in your data folder.",
)

_NameArgument = Annotated[
    str, typer.Argument(metavar="NAME", help="A name from `dmtrack weights list`, or tiny, tiny-open, base.")
]


@app.command(cls=Command)
def add(
    file: Annotated[
        Path,
        typer.Argument(metavar="FILE", help="A published DMTrack or OSTrack checkpoint (.pth.tar, .pth)."),
    ],
    modality: Annotated[
        Modality | None,
        typer.Option(help="What a DMTrack checkpoint was trained for; leave it out for OSTrack."),
    ] = None,
    name: Annotated[str | None, typer.Option(help="Name of the weights. Default: base-MODALITY.")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace weights of the same name.")] = False,
) -> None:
    """Convert a published checkpoint and keep it in your data folder.

    Nothing in the file is executed: a hostile checkpoint is an error.
    """
    from dmtrack.network.weights.data_folder import add_published

    added = add_published(file, modality=modality, name=name, overwrite=overwrite)
    use = "base" if added.name.startswith("base-") else added.name
    _print(f"added {added.name} ({_size(added)}, sha256 {added.sha256})", f"use it with: --weights {use}")


@app.command(name="list", cls=Command)
def list_() -> None:
    """List the built-in weights and those in your data folder."""
    from dmtrack.network.weights.data_folder import stored, stored_names, weights_folder
    from dmtrack.network.weights.store import bundled_weights

    table = Table(box=None, pad_edge=False)
    for heading in ("name", "part", "modality", "size", "from", "sha256"):
        table.add_column(heading, overflow="fold")
    for entry in bundled_weights():
        table.add_row(*_row(entry, "in the box"))
    for name in stored_names():
        try:
            entry = stored(name)
        except CheckpointError as error:
            table.add_row(name, "damaged", "", "", error.what, "")
        else:
            table.add_row(*_row(entry, entry.meta.source_name))
    out.print(table)
    _print(f"data folder: {weights_folder()}")


@app.command(cls=Command)
def show(name: _NameArgument) -> None:
    """Show details of one set of weights."""
    from dmtrack.network.weights.store import named

    for number, entry in enumerate(named(name)):
        _print(*([""] if number else []), *_facts(entry))


def _facts(entry: WeightsFile) -> list[str]:
    meta = entry.meta
    facts = {
        "name": entry.name,
        "path": entry.path,
        "size": _size(entry),
        "sha256": entry.sha256,
        "added": entry.added or "in the box",
        "part": meta.kind,
        "modality": meta.modality or "one stream",
        "trained on": meta.trained_on,
        "source": meta.source_name,
        "source sha256": meta.source_sha256,
        "foundation sha256": meta.foundation_sha256,
    }
    facts |= {f"config {key}": value for key, value in meta.config.to_dict().items()}
    if meta.tracker is not None:
        facts |= {f"tracker {key}": value for key, value in meta.tracker.to_dict().items()}
    return [f"{key:24} {value}" for key, value in facts.items() if value not in (None, "")]


@app.command(cls=Command)
def verify(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME]...", help="Names to check. Default: all.")
    ] = None,
) -> None:
    """Check that stored weights are unchanged since they were added, and that they load."""
    from dmtrack.network.weights.data_folder import stored_names
    from dmtrack.network.weights.data_folder import verify as verify_file
    from dmtrack.network.weights.store import bundled_weights, named

    for name in names or (*(entry.name for entry in bundled_weights()), *stored_names()):
        for entry in named(name):
            verify_file(entry)
            _print(f"{entry.name}: ok")


def _row(entry: WeightsFile, source: str) -> tuple[str, ...]:
    modality = entry.meta.modality or ""
    return entry.name, entry.meta.kind, modality, _size(entry), source, entry.sha256[:12]


def _size(entry: WeightsFile) -> str:
    return f"{entry.path.stat().st_size / 1e6:.1f} MB"


def _print(*lines: str) -> None:
    """Print plain lines, unwrapped, so that a shell can process them."""
    for line in lines:
        out.print(line, markup=False, soft_wrap=True)
