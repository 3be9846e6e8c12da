"""Opening a path of any kind as a stream of frames, and two paths as a pair of streams."""

from __future__ import annotations

import re
from contextlib import ExitStack, suppress
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Final

from dmtrack.errors import ConfigError, InputError, VideoError, translated
from dmtrack.video.archive import inside, is_archive
from dmtrack.video.container.bag import BagReader, is_bag
from dmtrack.video.container.reader import VideoReader
from dmtrack.video.events.bag_events import event_topic
from dmtrack.video.events.event_options import EventOptions
from dmtrack.video.events.event_reader import is_event_file
from dmtrack.video.events.event_source import EventSource
from dmtrack.video.events.schedule import FrameClock
from dmtrack.video.foreign import require_known
from dmtrack.video.frame import VideoInfo
from dmtrack.video.name_matching import match_numbers, remarks_on_gaps
from dmtrack.video.pictures.flir import FLIR_SUFFIXES
from dmtrack.video.pictures.folder import FolderReader
from dmtrack.video.pictures.picture_file import page_count, picture_count
from dmtrack.video.pictures.picture_list import IMAGE_SUFFIXES
from dmtrack.video.pictures.picture_names import seconds_in_names
from dmtrack.video.record3d import RECORD3D_SUFFIX, Record3dReader
from dmtrack.video.source import DEFAULT_FRAME_RATE, FrameSource, closing_on_error
from dmtrack.video.split import SplitSource, SplitStreams
from dmtrack.video.streams import PairingOptions, Split, StreamPair, Sync, default_max_skew_s
from dmtrack.video.time_file import StampedSource, read_times
from dmtrack.video.track_choice import GIVEN_TWICE, ONE_STREAM, TrackChoice, TrackInfo, TrackPicker

_TIMES_NAME: Final = re.compile(r"(time|stamp|pts).*\.(txt|csv)$", re.IGNORECASE)
_PATTERN: Final = re.compile(r"%0?\d*d|\*")  # as FFmpeg, OpenCV and shells write names of pictures
_MOST_BYTES: Final = 1 << 24
_NAMED: Final = 6


def open_source(
    path: Path | str,
    *,
    stream: int | TrackPicker = 0,
    threads: int | None = None,
    gpu: int | None = None,
    trusts_packets: bool = False,
    folder_rate: Fraction | None = None,
    beside_rate: Fraction | None = None,
    folder_start_s: Fraction = Fraction(0),
    is_beside: bool = False,
    events: EventOptions | None = None,
    like: FrameClock | None = None,
) -> FrameSource:
    """Open a video file, a ROS bag, an event file, an image folder, or one of these in a zip archive.

    `stream` is a video stream of a file, from 0, or how to pick it; `threads`, `gpu` and `trusts_packets` are
    as in `VideoReader`. A folder has no clock of its own: it is assumed to start at `folder_start_s` and to
    have `folder_rate`, else `beside_rate`, else 30 pictures a second; a video without times takes
    `folder_rate`. `is_beside`: the start is that of a stream with a clock, and times in picture names of
    another clock are shifted to it. `like` are the frames for which pictures of events are drawn; None draws
    them at the folder's rate. `VideoError`: nothing is there, or no video or folder of pictures;
    `FormatError`: it is an event file of unknown format; `DecodeError`: no frame of it can be decoded;
    `ConfigError`: it is an event file that needs a library which is not installed.
    """
    given = path = Path(path)
    rate = folder_rate or beside_rate or DEFAULT_FRAME_RATE
    picker = stream if isinstance(stream, TrackPicker) else TrackPicker(TrackChoice(number=stream))
    source: FrameSource
    with translated(VideoError, "cannot be opened", where=given):
        if is_archive(given):
            _require_video_file(given)
            path = inside(given)
    with translated(VideoError, "cannot be opened", where=path):
        if (topic := _event_topic(path, picker)) is not None:
            events = replace(events or EventOptions(), topic=topic)
            source = EventSource(path, events, like=like, frame_rate=rate)
        elif is_bag(path):
            source = BagReader(path, stream=picker)
        elif path.is_dir():
            source = FolderReader(path, frame_rate=rate, start_s=folder_start_s, is_beside=is_beside)
        else:
            _require_video_file(path)
            if path.suffix.lower() == RECORD3D_SUFFIX:
                source = Record3dReader(path, picker)
            elif path.suffix.lower() in IMAGE_SUFFIXES and page_count(path) > 1:
                source = FolderReader(path, frame_rate=rate, start_s=folder_start_s)
            elif is_event_file(path):
                source = EventSource(path, events, like=like, frame_rate=rate)
            else:
                source = VideoReader(
                    path,
                    stream=stream,
                    threads=threads,
                    gpu=gpu,
                    trusts_packets=trusts_packets,
                    rate=folder_rate,
                )
    if path != given:
        source.info = replace(source.info, path=given)
    return source


def _require_video_file(path: Path) -> None:
    if not path.exists():
        is_pattern = _PATTERN.search(path.name) is not None and path.parent.is_dir()
        hint = f"pictures are named by their folder, {path.parent}" if is_pattern else "check the path"
        raise VideoError("no such file or folder", where=path, hint=hint)
    if not path.is_file():
        raise VideoError("this is neither a file nor a folder", where=path)
    if path.stat().st_size == 0:
        raise VideoError("the file is empty", where=path)
    require_known(path)
    if path.suffix.lower() in IMAGE_SUFFIXES and (pages := picture_count(path)) < 2:
        if not pages:  # a TIFF may list its pictures at its end, which is then missing
            kind = "FLIR" if path.suffix.lower() in FLIR_SUFFIXES else "TIFF"
            raise VideoError(f"this is no whole {kind} recording", where=path)
        raise VideoError(
            "this is a single picture", where=path, hint="name a video, or the folder that holds the pictures"
        )


def open_streams(rgb: Path, aux: Path, options: PairingOptions) -> StreamPair:
    """Open both streams, which may lie in one file, and settle how they are matched.

    Pictures are matched by the times in their names, or by the numbers in them if either side lacks some.
    `VideoError`: a stream cannot be opened; `DecodeError`: a stream has no readable frame; `FormatError`: a
    file of time stamps is unusable, or is for another number of frames; `ConfigError`: one picture is to be
    split, and there are two streams.
    """
    if options.split is not None:
        return _open_split(rgb, aux, options, options.split)
    picker = TrackPicker(options.rgb_track, kept=options.aux_track if _is_one_file(rgb, aux) else None)
    aux_picker = TrackPicker(options.aux_track, is_aux=True)
    with ExitStack() as opened:
        if _is_pictures(rgb) and not _is_pictures(aux) and not _is_events(aux, aux_picker):
            second = opened.enter_context(_open(aux, options, aux_picker))
            first = opened.enter_context(_open(rgb, options, picker, second))
        else:
            first = opened.enter_context(_open(rgb, options, picker))
            aux_picker = replace(aux_picker, taken=_taken(rgb, aux, first.info))
            like, own = None, options
            if _is_events(aux, aux_picker) and not isinstance(first, EventSource):
                like = FrameClock(first.info, first.stamps(), options.shift_s, options.rate_ratio)
                if is_bag(rgb) and is_bag(aux):
                    own = replace(options, events=replace(options.events, is_shared_clock=True))
            second = opened.enter_context(_open(aux, own, aux_picker, first, like))
        notes = [] if options.sync else match_numbers(first, second, options.folder_rate)
        sync = options.sync or _automatic_sync(first, second, options)
        opened.pop_all()
    notes += [
        f"{source.times.path.name} counts in {source.times.unit}: {source.times.unit_reason}."
        for source in (first, second)
        if isinstance(source, StampedSource) and source.times.unit_is_guess
    ]
    return StreamPair(first, second, _settled(options, sync, first, second), tuple(notes))


def _open_split(rgb: Path, aux: Path, options: PairingOptions, split: Split) -> StreamPair:
    if rgb.absolute() != aux.absolute():
        raise ConfigError("--split is for one stream of pictures that hold both", hint="leave out AUX")
    with ExitStack() as opened:
        wholes = [opened.enter_context(_open(rgb, options, TrackPicker(options.rgb_track))) for _ in range(2)]
        first, second = SplitSource(wholes[0], split.other), SplitSource(wholes[1], split)
        opened.pop_all()
    return SplitStreams(first, second, _settled(options, options.sync or Sync.PTS, first, second))


def _settled(options: PairingOptions, sync: Sync, rgb: FrameSource, aux: FrameSource) -> PairingOptions:
    """Return the options with `sync` filled in and, unless it sets no limit, `max_skew_s`."""
    max_skew_s = options.max_skew_s
    if max_skew_s is None and sync is not Sync.NEAREST:
        max_skew_s = default_max_skew_s(rgb.info, aux.info, options.rate_ratio)
    return replace(options, sync=sync, max_skew_s=max_skew_s)


def _is_events(path: Path, picker: TrackPicker) -> bool:
    path = inside(path)
    return is_event_file(path) or _event_topic(path, picker) is not None


def _event_topic(path: Path, picker: TrackPicker) -> TrackInfo | None:
    """Return the picked topic of a bag if it holds events; None otherwise, and for any other path."""
    if not is_bag(path):
        return None
    if not path.is_dir():
        _require_video_file(path)
    return event_topic(path, picker)


def _is_pictures(path: Path) -> bool:
    path = inside(path)
    return (path.is_dir() and not is_bag(path)) or path.suffix.lower() in IMAGE_SUFFIXES


def open_stream(path: Path, options: PairingOptions) -> FrameSource:
    """Open the first stream of a pair, or a single one.

    `VideoError`: it cannot be opened; `DecodeError`: it has no readable frame; `FormatError`: its file of
    time stamps is unusable, or is for another number of frames.
    """
    source = _open(path, options, TrackPicker(options.rgb_track))
    if isinstance(source, FolderReader) and not source.has_clock:
        if options.folder_rate is None and (seconds := seconds_in_names(source.files)) is not None:
            source.number(seconds, seconds[0], Fraction(1))
        else:
            source.info = replace(source.info, notes=(*source.info.notes, *remarks_on_gaps(source)))
    return source


def _open(
    path: Path,
    options: PairingOptions,
    picker: TrackPicker,
    partner: FrameSource | None = None,
    like: FrameClock | None = None,
) -> FrameSource:
    """Open one stream; a folder takes rate and start from `partner`, events are drawn for `like`."""
    times = options.aux_times if picker.is_aux else options.rgb_times
    if times is not None and is_event_file(inside(path)):
        raise ConfigError("an event file has times of its own", where=path)
    beside, start_s = None, Fraction(0)
    if partner is not None:
        beside, start_s = partner.info.frame_rate, partner.info.start_s
    source = open_source(
        path,
        stream=picker,
        threads=options.threads,
        gpu=options.gpu,
        trusts_packets=options.trusts_packets,
        folder_rate=options.folder_rate,
        beside_rate=beside,
        folder_start_s=start_s,
        is_beside=partner is not None and not isinstance(partner, FolderReader),
        events=options.events,
        like=like,
    )
    if times is None:
        if not source.has_clock and (found := _times_beside(source)) is not None:
            option = "--aux-times" if picker.is_aux else "--rgb-times"
            note = f"{found.name} has a time for each picture of {path.name}: {option} takes them."
            source.info = replace(source.info, notes=(*source.info.notes, note))
        return source
    with closing_on_error(source.close):
        return StampedSource(source, read_times(times, options.times_unit))


def _times_beside(source: FrameSource) -> Path | None:
    """Return the only file of times in or beside a stream without times that has one for each picture.

    Files named after the stream come first, else those not named after anything else that lies there.
    """
    path = source.info.path
    for folder in (path, path.parent) if path.is_dir() else (path.parent,):
        with suppress(OSError):
            lists = {one for one in folder.iterdir() if _TIMES_NAME.search(one.name)}
            named = [one for one in lists if _is_called_as(one, path)]
            others = set() if named or not lists or folder == path else set(folder.iterdir()) - lists
            free = [one for one in lists if not any(_is_called_as(one, other) for other in others)]
            fitting = [one for one in (named or free)[: _NAMED + 1] if _has_a_time_for_each(one, source)]
            if len(fitting) == 1 and len(named or free) <= _NAMED:
                return fitting[0]
    return None


def _is_called_as(times: Path, stream: Path) -> bool:
    """Return whether the name of `times` has that of `stream` as a word: `rgb_times.txt`, `rgbTimes.txt`."""
    stem = stream.stem.lower()
    word = rf"(?<![0-9a-z])(?i:{re.escape(stem)})(?![0-9a-z])"
    return stem in times.stem.lower() and re.search(word, times.stem) is not None


def _has_a_time_for_each(times: Path, source: FrameSource) -> bool:
    with suppress(InputError):
        is_small = times.stat().st_size <= _MOST_BYTES
        return is_small and len(read_times(times).times_s) == source.measured().frame_count
    return False


def _automatic_sync(rgb: FrameSource, aux: FrameSource, options: PairingOptions) -> Sync:
    """Return `INDEX` if a stream has no clock, times are not shifted and frame counts agree; else `PTS`."""
    is_as_read = not options.shift_s and options.rate_ratio == 1
    if not is_as_read or (rgb.has_clock and aux.has_clock):
        return Sync.PTS
    return Sync.INDEX if rgb.measured().frame_count == aux.measured().frame_count else Sync.PTS


def _taken(rgb: Path, aux: Path, info: VideoInfo) -> int | None:
    """Return the number of the first stream's track if both lie in one file, else None."""
    if not _is_one_file(rgb, aux):
        return None
    if not (rgb.is_file() or is_bag(rgb)):
        raise VideoError(GIVEN_TWICE, where=aux, hint=ONE_STREAM)
    return 0 if info.track is None else info.track.number


def _is_one_file(rgb: Path, aux: Path) -> bool:
    with suppress(OSError):  # reported where it is opened
        return rgb.samefile(aux)
    return False
