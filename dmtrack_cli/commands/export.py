"""`dmtrack export`: results in another format, or the results of a whole batch in one CSV."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Final, TypeAlias

import typer
from rich.text import Text

from dmtrack.boxes.aux_view import BoxStream
from dmtrack.boxes.export import Exported
from dmtrack.boxes.export import export as export_results
from dmtrack.boxes.export import merge as merge_results
from dmtrack.boxes.formats import ResultFormat, format_of_name
from dmtrack.boxes.formats.mot import USUAL, MotOptions, parse_origin
from dmtrack.boxes.formats.waypoints import EVERY_FRAME, AnnotatorOptions
from dmtrack.boxes.results import PictureSize
from dmtrack.errors import ConfigError, counted, translated
from dmtrack.numbers import whole
from dmtrack.options import Option, declared_options
from dmtrack.run.picture_export import ALL_CROPS, CropOptions, PictureFormat, export_pictures
from dmtrack.run.viewer_export import ViewerFormat, export_for_viewer
from dmtrack.video.events.event_options import parse_size
from dmtrack_cli.console import EXIT_SOME_FAILED, err, out, say_line
from dmtrack_cli.option_groups import Without, grouped
from dmtrack_cli.progress import ProgressKind, make_reporter
from dmtrack_cli.shared_options import SourceFormatOption

AnyFormat: TypeAlias = ResultFormat | PictureFormat | ViewerFormat


def parse_format(text: str) -> AnyFormat:
    """Read the name of a format; `BadParameter` if there is none of that name."""
    known: dict[str, AnyFormat] = {str(one): one for one in (*ResultFormat, *PictureFormat, *ViewerFormat)}
    if text not in known:
        raise typer.BadParameter(f"{text!r} is not one of {', '.join(known)}", param_hint="--format")
    return known[text]


_BOXES: Final = frozenset(ResultFormat)
_FORMATS_OF: Final[dict[str, frozenset[AnyFormat]]] = {
    "--from": _BOXES,
    "--from-origin": _BOXES,
    "--label": _BOXES | {PictureFormat.YOLO},
    "--size": _BOXES | {PictureFormat.CROPS},
    "--mot-origin": frozenset({ResultFormat.MOT, ResultFormat.MOTCHALLENGE}),
    "--keep-lost": frozenset({ResultFormat.MOT, ResultFormat.MOTCHALLENGE, ResultFormat.KITTI}),
    "--keyframe-px": frozenset({ResultFormat.CVAT_VIDEO, ResultFormat.LABEL_STUDIO}),
    "--every": frozenset({PictureFormat.CROPS}),
}
"""The formats that each option is for."""
_OF_MERGE: Final = frozenset({"--from", "--from-origin"})


def _require_meaning(given: list[str], target: AnyFormat, *, is_merge: bool) -> None:
    for name in given:
        if target not in _FORMATS_OF[name] or (is_merge and name not in _OF_MERGE):
            boxes, others = _FORMATS_OF[name] & _BOXES, _FORMATS_OF[name] - _BOXES
            named = ", ".join(
                [*(["formats of boxes"] if boxes == _BOXES else sorted(boxes)), *sorted(others)]
            )
            what = "--merge" if is_merge else f"{target}: it is for {named}"
            raise typer.BadParameter(f"{name} means nothing for {what}", param_hint=name)


@grouped
def export(
    results: Annotated[
        list[Path],
        typer.Argument(
            metavar="RESULT",
            help="Results folders of `dmtrack track`, folders of them, or files in any of the formats.",
            show_default=False,
        ),
    ],
    output: Annotated[
        str,
        Option(
            "-o --output",
            "File to write, or a folder: a name without a suffix or with a trailing slash.",
            metavar="PATH",
        ),
    ],
    target: Annotated[
        str | None,
        Option(
            "--format",
            "Format to write. Default: by the suffix of -o: csv, jsonl, xml (cvat-video), mcap, rrd. "
            "dataset, yolo, crops, mcap and rrd contain pictures of both streams.",
            metavar=f"[{'|'.join((*ResultFormat, *PictureFormat, *ViewerFormat))}]",
        ),
    ] = None,
    source: SourceFormatOption = None,
    from_origin: Annotated[
        int,
        Option(
            "--from-origin",
            "Coordinate of the top left pixel in input files of MOT and of rows of boxes alone.",
            metavar="[0|1]",
            parse=parse_origin,
        ),
    ] = 0,
    stream: Annotated[
        BoxStream,
        Option("--stream", "Write boxes in pixels of this stream; aux uses the alignment in run.json."),
    ] = BoxStream.RGB,
    merge: Annotated[
        bool, Option("--merge", "Write one CSV of all results, with the item id as the first column.")
    ] = False,
    label: Annotated[
        str | None,
        Option("--label", "What the targets are (car), for coco, json and annotation tools.", metavar="NAME"),
    ] = None,
    size: Annotated[
        str | None,
        Option(
            "--size",
            "coco, json, label-studio: size of the RGB frames in px (default: from run.json); crops: side "
            "of squares around the target (default: the box itself).",
            metavar="WxH|PX",
        ),
    ] = None,
    overwrite: Annotated[bool, Option("--overwrite", "Replace existing files.")] = False,
    *,
    mot: MotOptions,
    annotator: AnnotatorOptions,
    crops: Annotated[CropOptions, Without("--size")],
) -> None:
    """Convert results to another format.

    Reads a run's results folder, or a file in MOT, CSV, JSON, JSON lines, VOT, LasHeR (any ground truth),
    COCO or an annotation tool's format, and writes any of them. Reports what the target format cannot hold.
    Formats with one target per file give one file per id. --merge skips items that it cannot read; the exit
    code is then 6.
    """
    suffix = Path(output).suffix.lower().removeprefix(".")
    if target is None and not merge and suffix in [*ViewerFormat]:
        target = suffix
    kind = None if target is None else parse_format(target)
    meant = ResultFormat.CSV if merge else kind or format_of_name(output)
    given = {
        "--from": source is not None,
        "--from-origin": from_origin != 0,
        "--label": label is not None,
        "--size": size is not None,
        "--mot-origin": mot.origin != USUAL.origin,
        "--keep-lost": mot.keep_lost,
        "--keyframe-px": annotator != EVERY_FRAME,
        "--every": crops != ALL_CROPS,
    }
    _require_meaning([name for name, is_given in given.items() if is_given], meant, is_merge=merge)
    if merge:
        if kind not in (None, ResultFormat.CSV):
            raise typer.BadParameter("--merge writes csv", param_hint="--format")
        if stream is BoxStream.AUX:
            raise typer.BadParameter("--merge writes pixels of RGB", param_hint="--stream")
        _merge(results, output, source, from_origin, overwrite=overwrite)
        return
    if isinstance(kind, ViewerFormat | PictureFormat) and stream is BoxStream.AUX:
        raise typer.BadParameter(
            f"{kind} holds the pictures of both streams on the RGB grid", param_hint="--stream"
        )
    if isinstance(kind, ViewerFormat):
        _export_for_viewer(results, output, kind, overwrite=overwrite)
        return
    if isinstance(kind, PictureFormat):
        if kind is PictureFormat.CROPS and size is not None:
            crops = replace(crops, side_px=parse_side(size))
        _export_pictures(results, Path(output), kind, label, crops, overwrite=overwrite)
        return
    with translated(ConfigError, "is no size", where="--size"):
        known_size = None if size is None else PictureSize(*parse_size(size))
    done = export_results(
        results,
        output,
        kind,
        source=source,
        source_origin=from_origin,
        stream=stream,
        label=label,
        size=known_size,
        mot=mot,
        annotator=annotator,
        overwrite=overwrite,
    )
    _say_done(done, mot)


def _say_done(done: Exported, mot: MotOptions) -> None:
    _say_empty(done.empty)
    for loss in done.losses:
        say_line("left out", str(loss), "yellow")
    for note in done.notes:
        say_line("note", note, "dim")
    if done.is_unsized:
        say_line("note", "the size of the frames is not known and left out; --size WxH adds it", "dim")
    if done.format in (ResultFormat.MOT, ResultFormat.MOTCHALLENGE):
        say_line("note", f"the top left pixel is {mot.origin},{mot.origin} (--mot-origin)", "dim")
    for file in done.files:
        out.print(Text(str(file)), soft_wrap=True)


def _export_for_viewer(results: list[Path], output: str, target: ViewerFormat, *, overwrite: bool) -> None:
    with make_reporter(ProgressKind.AUTO, None, err, "exporting") as reporter:
        files = export_for_viewer(
            results, output, target, overwrite=overwrite, on_frame=lambda: reporter.advance(None)
        )
    for file in files:
        out.print(Text(str(file)), soft_wrap=True)


def _export_pictures(
    results: list[Path],
    output: Path,
    target: PictureFormat,
    label: str | None,
    crops: CropOptions,
    *,
    overwrite: bool,
) -> None:
    with make_reporter(ProgressKind.AUTO, None, err, "exporting") as reporter:
        done = export_pictures(
            results,
            output,
            target,
            label=label,
            crops=crops,
            overwrite=overwrite,
            on_frame=lambda: reporter.advance(None),
        )
    if done.held:
        say_line(
            "note", f"frames without a partner, with the picture before: {counted(done.held, 'frame')}", "dim"
        )
    if done.lost:
        what = "absent" if target is PictureFormat.DATASET else "left out"
        say_line("note", f"{what}, because a target was lost: {counted(done.lost, 'frame')}", "dim")
    for folder in done.folders:
        out.print(Text(str(folder)), soft_wrap=True)


def parse_side(text: str) -> int:
    """Read the side of crops; `ConfigError` unless it is a number of px that `CropOptions` allows."""
    side = next(one.option for one in declared_options(CropOptions) if one.place == ("side_px",))
    try:
        return int(side.within(whole(text)))
    except ValueError as error:
        what = f"--size {text} is no side of crops ({error})"
        raise ConfigError(what, hint="write it in px, such as 128") from None


def _merge(
    results: list[Path], output: str, source: ResultFormat | None, origin: int, *, overwrite: bool
) -> None:
    done = merge_results(results, output, source=source, source_origin=origin, overwrite=overwrite)
    _say_empty(done.empty)
    for failure in done.failures:
        say_line("left out", str(failure), "bold red")
    out.print(Text(f"{Path(output)}: {counted(done.items, 'item')}"), soft_wrap=True)
    if done.failures:
        raise typer.Exit(EXIT_SOME_FAILED)


def _say_empty(folders: tuple[Path, ...]) -> None:
    if folders:
        names = ", ".join(folder.name for folder in folders)
        say_line("left out", f"folders without results: {names}", "yellow")
