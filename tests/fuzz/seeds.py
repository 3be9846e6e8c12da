"""What is damaged: whole inputs for each reader, small ones, and how the program reads them."""

from __future__ import annotations

import io
import json
import shutil
import struct
import tempfile
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import Any, Final

import av
import cv2
import numpy as np
from event_files import (
    columns,
    evt2_words,
    evt3_words,
    evt21_words,
    packed,
    raw_header,
    some_events,
    write_aedat3,
    write_aedat4,
    write_dat,
    write_ecf,
    write_es,
)
from flir_files import fff, radiometric_jpeg

from dmtrack.alignment.points import fit_points, read_point_pairs
from dmtrack.batch.manifest import read_manifest
from dmtrack.boxes.export import export
from dmtrack.boxes.formats import ResultFormat
from dmtrack.boxes.results import PictureSize
from dmtrack.boxes.starts import read_targets
from dmtrack.datasets.annotations import read_annotations
from dmtrack.datasets.opening import find_sequences
from dmtrack.evaluation.tracker_files import find_trackers, read_track, unpacked
from dmtrack.geometry.alignment_file import read_alignment
from dmtrack.geometry.intrinsics import read_intrinsics
from dmtrack.output.record import read_run_json
from dmtrack.training.train_config import train_numbers
from dmtrack.video.container_clock import read_container
from dmtrack.video.pictures.picture_file import read_picture
from dmtrack.video.position import Position
from dmtrack.video.stream_files import open_source
from dmtrack.video.streams import PairingOptions
from dmtrack.video.time_file import read_times

SIZE: Final = (32, 24)
FRAMES: Final = 6
MOST_FRAMES: Final = 200
_ROOT: Final = Path(__file__).parents[2]

Tree = dict[str, bytes]


@dataclass(frozen=True)
class Reader:
    """A reader: `make` writes whole inputs into folders of their own below one, `read` reads one of them."""

    make: Callable[[Path], None]
    read: Callable[[Path], object]

    def trees(self, folder: Path) -> list[Tree]:
        """Return the whole inputs, by the names of their files."""
        folder.mkdir(parents=True, exist_ok=True)
        self.make(folder)
        found = []
        for one in sorted(path for path in folder.iterdir() if path.is_dir()):
            files = sorted(path for path in one.rglob("*") if path.is_file())
            found.append({str(path.relative_to(one)): path.read_bytes() for path in files})
        for path in sorted(folder.rglob("*"), reverse=True):
            path.rmdir() if path.is_dir() else path.unlink()
        return found


READERS: dict[str, Reader] = {}


def reads(name: str, make: Callable[[Path], None]) -> Callable[[Callable[[Path], object]], Any]:
    """Enter a function that reads a tree as the reader `name`."""

    def entered(read: Callable[[Path], object]) -> Callable[[Path], object]:
        READERS[name] = Reader(make, read)
        return read

    return entered


def texts(*trees: Mapping[str, str | bytes]) -> Callable[[Path], None]:
    """Return what writes trees of short files."""

    def make(folder: Path) -> None:
        for number, tree in enumerate(trees):
            for name, content in tree.items():
                path = folder / str(number) / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content if isinstance(content, bytes) else content.encode())

    return make


# --- streams --------------------------------------------------------------------------------------------


def _pictures() -> list[np.ndarray]:
    draw = np.random.default_rng(3)
    return [draw.integers(0, 255, (SIZE[1], SIZE[0], 3)).astype(np.uint8) for _ in range(FRAMES)]


def _video(path: Path, codec: str, pix_fmt: str, streams: int = 1) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        added = [container.add_stream(codec, rate=30) for _ in range(streams)]
        for stream in added:
            assert isinstance(stream, av.VideoStream)
            stream.width, stream.height, stream.pix_fmt = *SIZE, pix_fmt
        for number, picture in enumerate(_pictures()):
            for stream in added:
                assert isinstance(stream, av.VideoStream)
                frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
                frame.pts, frame.time_base = number, Fraction(1, 30)
                container.mux(stream.encode(frame))
        for stream in added:
            assert isinstance(stream, av.VideoStream)
            container.mux(stream.encode())


def _videos(*kinds: tuple[str, str, str, int]) -> Callable[[Path], None]:
    def make(folder: Path) -> None:
        for number, (suffix, codec, pix_fmt, streams) in enumerate(kinds):
            _video(folder / str(number) / f"v.{suffix}", codec, pix_fmt, streams)

    return make


def _read_stream(path: Path) -> None:
    """Read a stream as `inspect` and `track` do, from the front and from a place within."""
    with open_source(path) as source:
        source.stamps()
        for frame in islice(source, MOST_FRAMES):
            assert frame.pixels.ndim in (2, 3)
    with open_source(path) as source:
        list(islice(source.read(Position(index=3), Position(time_s=Fraction(1))), 3))


def _read_video(folder: Path) -> None:
    for path in folder.iterdir():
        read_container(path)
        _read_stream(path)


for _name, _kinds in {
    "mp4": (("mp4", "libx264", "yuv420p", 1), ("mov", "libx265", "yuv420p", 1)),
    "mkv": (("mkv", "ffv1", "gray16le", 2), ("webm", "libvpx-vp9", "yuv420p", 1)),
    "avi": (("avi", "mpeg4", "yuv420p", 1), ("avi", "mjpeg", "yuvj420p", 1)),
    "ts": (("ts", "libx264", "yuv420p", 1), ("mpg", "mpeg2video", "yuv420p", 1)),
}.items():
    reads(_name, _videos(*_kinds))(_read_video)


def _picture_folders(folder: Path) -> None:
    kinds = {"png": np.uint8, "jpg": np.uint8, "tif": np.uint16, "bmp": np.uint8, "16.png": np.uint16}
    for suffix, kind in kinds.items():
        place = folder / suffix
        place.mkdir(parents=True)
        for number, picture in enumerate(_pictures()[:3]):
            grey = picture[..., 0].astype(kind) * (257 if kind is np.uint16 else 1)
            cv2.imwrite(str(place / f"{number:04d}.{suffix}"), grey if kind is np.uint16 else picture)


def _exr_folders(folder: Path) -> None:
    import OpenEXR

    for number, packing in enumerate(
        (OpenEXR.NO_COMPRESSION, OpenEXR.ZIP_COMPRESSION, OpenEXR.PIZ_COMPRESSION)
    ):
        (folder / str(number)).mkdir()
        metres = (_pictures()[number][..., 0] / 40).astype(np.float32)
        head = {"compression": packing, "type": OpenEXR.scanlineimage}
        OpenEXR.File(head, {"Z": metres}).write(str(folder / str(number) / "1.exr"))


reads("exr", _exr_folders)(_read_stream)


@reads("pictures", _picture_folders)
def _read_pictures(folder: Path) -> None:
    _read_stream(folder)


def _flir_files(folder: Path) -> None:
    raw = (15_000 + np.arange(SIZE[0] * SIZE[1]).reshape(SIZE[1], SIZE[0]) * 7).astype(np.uint16)
    for suffix, kind in (("seq", "plain"), ("csq", "jpegls")):
        (folder / suffix).mkdir()
        pictures = [fff(raw, kind, time_ms=1000 + 33 * number) for number in range(3)]
        (folder / suffix / f"a.{suffix}").write_bytes(b"".join(pictures))
    (folder / "jpg").mkdir()
    for number in range(2):
        picture = radiometric_jpeg(_pictures()[0], fff(raw, "png"), 500)
        (folder / "jpg" / f"{number}.jpg").write_bytes(picture)


@reads("flir", _flir_files)
def _read_flir(folder: Path) -> None:
    is_recording = any(path.suffix in (".seq", ".csq") for path in folder.iterdir())
    _read_stream(next(folder.iterdir()) if is_recording else folder)


def _archives(folder: Path) -> None:
    import lzfse

    pictures = [bytes(cv2.imencode(".png", one)[1].tobytes()) for one in _pictures()[:3]]
    metadata = json.dumps({"dw": SIZE[0], "dh": SIZE[1], "fps": 30, "frameTimestamps": [1.0, 1.1, 1.2]})
    depth = [(one[..., 0] / 60).astype("<f4") for one in _pictures()]
    (folder / "0").mkdir()
    with zipfile.ZipFile(folder / "0" / "a.r3d", "w") as file:
        file.writestr("metadata", metadata)
        for number, picture in enumerate(pictures):
            file.writestr(f"rgbd/{number}.jpg", picture)
            file.writestr(f"rgbd/{number}.depth", lzfse.compress(depth[number].tobytes()))
    (folder / "1").mkdir()
    with zipfile.ZipFile(folder / "1" / "a.zip", "w", zipfile.ZIP_DEFLATED) as file:
        for number, picture in enumerate(pictures):
            file.writestr(f"rgb/{number}.png", picture)


@reads("archive", _archives)
def _read_archive(folder: Path) -> None:
    (path,) = folder.iterdir()
    _read_stream(path)
    if path.suffix == ".r3d":
        with open_source(path, stream=1) as source:
            list(islice(source, MOST_FRAMES))


def _event_file(name: str, write: Callable[[Path], object]) -> Callable[[Path], None]:
    def make(folder: Path) -> None:
        (folder / "0").mkdir()
        write(folder / "0" / name)

    return make


def _hdf5(path: Path) -> None:
    import h5py

    values = columns(some_events(2000))
    with h5py.File(path, "w") as file:
        for name in "txyp":
            file.create_dataset(f"events/{name}", data=values[name], chunks=(500,), compression="gzip")


def _text_events(path: Path) -> None:
    events = some_events(1500)
    path.write_text("".join(f"{e.t},{e.x},{e.y},{int(e.p)}\n" for e in events))


_EVENTS: Final = some_events(2000)
_EVENT_FILES: Final[dict[str, tuple[str, Callable[[Path], object]]]] = {
    "evt2": ("e.raw", lambda p: p.write_bytes(raw_header("EVT2") + packed(evt2_words(_EVENTS), 4))),
    "evt21": ("e.raw", lambda p: p.write_bytes(raw_header("EVT21") + packed(evt21_words(_EVENTS), 8))),
    "evt3": ("e.raw", lambda p: p.write_bytes(raw_header("EVT3") + packed(evt3_words(_EVENTS), 2))),
    "dat": ("e.dat", lambda p: write_dat(p, _EVENTS)),
    "es": ("e.es", lambda p: write_es(p, _EVENTS)),
    "aedat3": ("e.aedat", lambda p: write_aedat3(p, _EVENTS)),
    "aedat4": ("e.aedat4", lambda p: write_aedat4(p, _EVENTS)),
    "events_text": ("e.csv", _text_events),
    "events_npy": ("e.npy", lambda p: np.save(p, np.stack([columns(_EVENTS)[n] for n in "txyp"], axis=1))),
    "events_npz": ("e.npz", lambda p: np.savez_compressed(p, **columns(_EVENTS))),
    "hdf5": ("e.h5", _hdf5),
    "hdf5_ecf": ("e.h5", lambda p: write_ecf(p, _EVENTS, ["masked", "xp", "yxp"], 512)),
}


def _read_events(folder: Path) -> None:
    for path in folder.iterdir():
        _read_stream(path)


for _name, (_file, _write) in _EVENT_FILES.items():
    reads(_name, _event_file(_file, _write))(_read_events)


def _bags(*names: str) -> Callable[[Path], None]:
    return texts(*[{name: (_ROOT / "tests/unit/files" / name).read_bytes()} for name in names])


def _event_bags(folder: Path) -> None:
    """Write a bag of ROS 1 and a file of ROS 2 with a list of events, and one with packed ones."""
    from rosbags.rosbag1 import Writer as FirstWriter
    from rosbags.rosbag2 import StoragePlugin
    from rosbags.rosbag2 import Writer as SecondWriter

    events, words = some_events(600), packed(evt3_words(some_events(600)), 2)
    head = struct.pack("<IIII", 1, 5, 7, 0) + struct.pack("<II", 480, 640)  # number, time, no name, size
    rows = b"".join(struct.pack("<HHIIB", e.x, e.y, 5, e.t * 1000, e.p) for e in events)
    (folder / "0").mkdir()
    with FirstWriter(folder / "0" / "e.bag") as bag:
        kind = "dvs_msgs/msg/EventArray"
        topic = bag.add_connection("/e", kind, msgdef="Header header", md5sum="0" * 32)
        bag.write(topic, 1, head + struct.pack("<I", len(events)) + rows)
    (folder / "1").mkdir()
    with SecondWriter(folder / "b", version=9, storage_plugin=StoragePlugin.MCAP) as bag:
        kind = "event_camera_msgs/msg/EventPacket"
        second = bag.add_connection("/e", kind, msgdef="uint8 x", rihs01="0")
        start = struct.pack("<IIIxxxxIIQQI", 5, 7, 1, 480, 640, 1, 0, 5) + b"evt3\0\0\0\0"
        bag.write(second, 1, b"\0\1\0\0" + start + struct.pack("<I", len(words)) + words)
    shutil.move(str(next((folder / "b").glob("*.mcap"))), folder / "1" / "e.mcap")
    shutil.rmtree(folder / "b")


reads("event_bag", _event_bags)(_read_events)
reads("ros_bag", _bags("realsense_2_56.bag"))(_read_events)
reads("ros2_bag", _bags("realsense_2_59.db3"))(_read_events)


# --- boxes ----------------------------------------------------------------------------------------------

_TABLE: Final = (
    "frame,time_s,aux_time_s,skew_ms,id,x,y,w,h,score,state,aux_present,infer_ms,"
    "aux_median,aux_min,aux_max,aux_unit,x_m,y_m,z_m\n"
    "0,0.0,0.0,0.0,1,10.5,20.0,30.0,40.0,1.0,init,1,,2.41,2.3,2.6,m,0.2,-0.1,2.41\n"
    "1,0.0333,0.0333,0.0,1,11.5,20.5,30.0,40.0,0.91,tracked,1,12.5,36.2,15,37.5,C,,,\n"
    "2,0.0667,,,1,12.5,21.0,30.0,40.0,0.3,lost,0,11.0,,,,,,,\n"
    "2,0.0667,,,2,50,60,7,8,0.8,tracked,0,11.0,,,,,,,\n"
)
_RECORD: Final = {
    "record_version": 1,
    "status": "complete",
    "batch": {"item": "car"},
    "inputs": {"rgb": {"width": 640, "height": 480}},
}


def _results(folder: Path) -> None:
    """Write the same results in every format."""
    source = folder / "boxes.csv"
    source.write_text(_TABLE)
    for kind in ResultFormat:
        target = folder / str(kind)
        target.mkdir()
        size = PictureSize(640, 480)
        several = kind in (ResultFormat.VOT, ResultFormat.LASHER)
        export(
            [source],
            f"{target}/" if several else target / f"boxes{kind.ending}",
            kind,
            label="car",
            size=size,
        )
    source.unlink()
    (folder / "run").mkdir()
    (folder / "run" / "boxes.csv").write_text(_TABLE)
    (folder / "run" / "run.json").write_text(json.dumps(_RECORD))


@reads("results", _results)
def _read_results(folder: Path) -> None:
    """Read as `export` does, and write what was read in formats that have a row a frame."""
    named = [path for path in sorted(folder.iterdir()) if path.suffix != ".value"]
    is_run = any(path.name == "run.json" for path in named)
    with tempfile.TemporaryDirectory() as scratch:
        for kind in (ResultFormat.LASHER, ResultFormat.CVAT):
            export([folder] if is_run else named, f"{scratch}/{kind}/", kind)


_MOT: Final = "1,1,10,20,30,40,0.9,-1,-1,-1\n2,1,11,20.5,30,40,0.8,-1,-1,-1\n"
_DETECTIONS: Final = "1,-1,5,5,9,9,1,-1,-1,-1\n1,-1,7,7,9,9,1,-1,-1,-1\n2,-1,5,5,9,9,1,-1,-1,-1\n"
_YOLO: Final = "0 0.5 0.5 0.2 0.3\n0 0.51 0.5 0.2 0.3\n"
_TRUTH: Final = "10,20,30,40\n11.5,20,30,40\nnan,nan,nan,nan\n13,2e1,30,40\n"
_POLYGON: Final = "10,20,40,20,40,60,10,60\n" * 3


@reads(
    "start_boxes",
    texts(*({"b.txt": one} for one in (_MOT, _DETECTIONS, _YOLO, _TRUTH, _POLYGON)), {"b.csv": _TABLE}),
)
def _read_starts(folder: Path) -> None:
    for path in folder.iterdir():
        read_targets(path, 0, (640, 480))


_FLAGS: Final = "1\n1\n0\n1\n"


@reads(
    "ground_truth",
    texts(
        {"a/groundtruth.txt": _TRUTH, "a/absent_label.txt": _FLAGS, "a/attrs.txt": "LI, OCC"},
        {
            "a/groundtruth.txt": _POLYGON,
            "a/sequence": "width=640\nheight=480\n",
            "a/anchor.value": "1\n0\n-1\n",
        },
        {
            "a/visible.txt": _TRUTH,
            "a/infrared.txt": _TRUTH,
            "b/visible.txt": _TRUTH,
            "b/infrared.txt": _TRUTH,
        },
        {"gt/a.txt": _TRUTH, "absent/a.txt": _FLAGS, "gt/b.txt": _TRUTH, "absent/b.txt": _FLAGS},
        {
            "a/groundtruth.txt": _TRUTH,
            "attr_txt/SequencesName.txt": "a\nb\n",
            "attr_txt/LI.txt": "1\n0\n",
            "AttriSeqsTxt/a.txt": ",".join("10" * 9 + "1"),
        },
    ),
)
def _read_truth(folder: Path) -> None:
    for sequence in read_annotations(folder).sequences:
        sequence.picture_size()


def _png(colour: int) -> bytes:
    return bytes(cv2.imencode(".png", np.full((24, 32, 3), colour, np.uint8))[1])


def _clip(rgb: str, aux: str, **more: str) -> dict[str, str | bytes]:
    pictures = {f"{name}/{number:04d}.png": _png(number) for name in (rgb, aux) for number in range(1, 5)}
    return {**pictures, **{name.replace("_txt", ".txt"): text for name, text in more.items()}}


@reads(
    "data_sets",
    texts(
        _clip("visible", "infrared", visible_txt=_TRUTH, infrared_txt=_TRUTH, absent_txt=_FLAGS),
        _clip("color", "depth", groundtruth_txt=_TRUTH),
        _clip("vis_imgs", "event_imgs", groundtruth_txt=_TRUTH, absent_label_txt=_FLAGS),
    ),
)
def _read_data_set(folder: Path) -> None:
    for sequence in find_sequences(folder):
        sequence.box(sequence.start_frame)
        first = sequence.rgb_paths[0]
        first.is_dir() or read_picture(first)


def _zipped(**members: str) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in members.items():
            archive.writestr(f"tracker/{name}.txt", text)
    return packed.getvalue()


@reads("tracker_zip", texts({"r.zip": _zipped(a=_TRUTH, b=_POLYGON, c=_MOT)}))
def _read_tracker_zip(folder: Path) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        root = unpacked(folder / "r.zip", Path(scratch))
        for tracker in find_trackers(root, frozenset("abc")):
            for files in tracker.files.values():
                for path in files:
                    len(read_track(path))


# --- side files -----------------------------------------------------------------------------------------


@reads(
    "times",
    texts(
        {"t.csv": "frame,time_ms\n" + "".join(f"{n},{n * 33.4}\n" for n in range(20))},
        {"t.txt": "".join(f"{1.7e9 + n / 30:.6f}\n" for n in range(20))},
        {"t_us.txt": "".join(f"{n * 33333}\n" for n in range(20))},
    ),
)
def _read_times(folder: Path) -> None:
    for path in folder.iterdir():
        read_times(path)


_ALIGNMENT: Final = {
    "format": "dmtrack-alignment",
    "version": 1,
    "matrix": [[1.1, 0.0, 5], [0.01, 1.1, -4], [0, 0, 1]],
    "aux_size": [320, 240],
    "rgb_size": [640, 480],
    "method": "points",
    "residual_px": 0.5,
    "confidence": 0.9,
    "offset_ms": 12.5,
}


_CAMERA: Final = {"width": 640, "height": 480, "ppx": 319.5, "ppy": 239.75, "fx": 525.5, "fy": 526.25}
_CAMERA_YAML: Final = (
    "image_width: 640\nimage_height: 480\ncamera_matrix:\n  rows: 3\n  cols: 3\n"
    "  data: [525.5, 0, 319.5, 0, 526.25, 239.75, 0, 0, 1]\n"
)
_AZURE: Final = {
    "Purpose": "CALIBRATION_CameraPurposePhotoVideo",
    "Intrinsics": {"ModelParameters": [0.5, 0.51, 0.45, 0.6, 0.1]},
    "SensorWidth": 4096,
}


@reads(
    "intrinsics",
    texts(
        {"a.json": json.dumps({"color": _CAMERA, "depth": {}})},
        {"metadata": json.dumps({"w": 640, "h": 480, "K": [525.5, 0, 0, 0, 526.25, 0, 319.5, 239.75, 1]})},
        {"a.yaml": _CAMERA_YAML},
        {"a.txt": "525.5 526.25 319.5 239.75\n"},
        {"calibration.json": json.dumps({"Cameras": [_AZURE]})},
    ),
)
def _read_intrinsics(folder: Path) -> None:
    for path in sorted(folder.iterdir()):
        read_intrinsics(path).for_size((640, 480)).position_m(1.0, 2.0, 3.0)


@reads("alignment", texts({"a.json": json.dumps(_ALIGNMENT)}))
def _read_alignment(folder: Path) -> None:
    for path in folder.iterdir():
        alignment = read_alignment(path)
        alignment.to_json()
        PairingOptions(align=alignment).portable  # noqa: B018 - its offset is worked out


_POINTS: Final = [[x, y, 2 * x + 5, 2 * y - 3] for x in (20, 150, 290) for y in (30, 120, 190)]


@reads(
    "points",
    texts(
        {"p.csv": "x_aux,y_aux,x_rgb,y_rgb\n" + "".join(",".join(map(str, row)) + "\n" for row in _POINTS)},
        {"p.json": json.dumps({"points": _POINTS})},
    ),
)
def _read_points(folder: Path) -> None:
    for path in folder.iterdir():
        fit_points(read_point_pairs(path), (320, 240), (640, 480))


_ROWS: Final = (
    "id,rgb,aux,modality,box,box_file,start,end,offset_ms,align\n"
    'a,a.mp4,a_t.mp4,thermal,"1,2,30,40",,0,12.5s,-3.5,\n'
    "b,b.mp4,,,,b.txt,250,1:02.5,,\n"
)


@reads(
    "batch_list",
    texts({"m.csv": _ROWS}, {"m.csv": _ROWS.replace(",", ";").replace('"1;2;30;40"', "1,2,30,40")}),
)
def _read_batch_list(folder: Path) -> None:
    for entry in read_manifest(folder / "m.csv").entries:
        str(entry)


_TOML: Final = 'steps = 300\nlearning_rate = 1e-3\noptimizer = "adamw"\nwarmup_steps = 20\ntemplates = 2\n'


@reads("train_config", texts({"t.toml": _TOML}))
def _read_train_config(folder: Path) -> None:
    train_numbers("adapters", "tiny", file=folder / "t.toml").rate(7)


@reads("run_record", texts({"run.json": json.dumps(_RECORD)}))
def _read_record(folder: Path) -> None:
    read_run_json(folder / "run.json")


@reads(
    "curves",
    texts(
        {"curve.csv": "step,total,iou\n1,0.5,0.1\n20,0.4,0.2\n", "validation.csv": "step,mean_iou\n1,0.2\n"}
    ),
)
def _read_curves(folder: Path) -> None:
    from dmtrack.training.run_folder import RunFolder, read_columns

    for name in ("curve.csv", "validation.csv"):
        read_columns(folder / name)
        RunFolder(folder).cut_rows(name, 5)


# --- weights --------------------------------------------------------------------------------------------


def _weights(folder: Path) -> None:
    from dataclasses import replace

    import torch

    from dmtrack.config import TINY, TINY_TRACKER
    from dmtrack.network.weights.checkpoint import expected_shapes, save_weights
    from dmtrack.network.weights.file import WeightsMeta

    config = replace(TINY, width=16, depth=1, heads=2, head_width=16, template_size=32, search_size=64)
    tensors = {name: torch.zeros(shape) for name, shape in expected_shapes(config, "foundation").items()}
    meta = WeightsMeta(config, "foundation", tracker=TINY_TRACKER, trained_on="nothing", source_name="x")
    (folder / "0").mkdir()
    save_weights(folder / "0" / "w.safetensors", tensors, meta)


@reads("weights", _weights)
def _read_weights(folder: Path) -> None:
    from dmtrack.network.weights.checkpoint import build_model, load_weights

    build_model(load_weights(folder / "w.safetensors"))


def _checkpoint(folder: Path) -> None:
    import torch

    (folder / "0").mkdir()
    state = {f"backbone.blocks.{n}.mlp.fc1.weight": torch.ones(4, 3) for n in range(3)}
    torch.save({"net": state, "epoch": 7, "optimizer": {"lr": 0.1}}, folder / "0" / "c.pth")


@reads("checkpoint", _checkpoint)
def _read_checkpoint(folder: Path) -> None:
    from dmtrack.network.weights.pickle_reader import read_state_dict

    read_state_dict(folder / "c.pth")


def _training(folder: Path) -> None:
    import torch

    (folder / "0").mkdir()
    torch.save({"step": 3, "model": {"a": torch.ones(3)}}, folder / "0" / "checkpoint.pt")


@reads("training_run", _training)
def _read_training(folder: Path) -> None:
    from dmtrack.training.run_folder import RunFolder

    RunFolder(folder, read_only=True).load_checkpoint()
