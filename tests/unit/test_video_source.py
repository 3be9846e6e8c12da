import os
import struct
from pathlib import Path
from unittest.mock import Mock

import av
import cv2
import numpy as np
import pytest

from dmtrack.errors import DmtrackError, VideoError
from dmtrack.video.container.reader import VideoReader
from dmtrack.video.pictures.folder import FolderReader
from dmtrack.video.pictures.picture_file import encoded_picture
from dmtrack.video.stream_files import open_source


def pictures(count=5):
    rng = np.random.default_rng(1)
    return [rng.integers(0, 256, (64, 96, 3)).astype(np.uint8) for _ in range(count)]


def audio_only(path):
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=16_000)
        frame = av.AudioFrame(format="fltp", layout="mono", samples=1024)
        frame.sample_rate = 16_000
        for plane in frame.planes:
            plane.update(bytes(plane.buffer_size))
        container.mux(stream.encode(frame))
        container.mux(stream.encode())


def test_file_and_folder_are_told_apart(make_video, tmp_path):
    path = make_video("a.mp4", pictures())
    with open_source(path) as source:
        assert isinstance(source, VideoReader)
    folder = tmp_path / "pictures.mp4"  # the name does not matter
    folder.mkdir()
    (folder / "1.bmp").write_bytes(cv2.imencode(".bmp", pictures(1)[0])[1].tobytes())
    with open_source(str(folder)) as source:
        assert isinstance(source, FolderReader)


def test_a_name_with_a_colon_is_a_file(make_video):
    assert len(list(open_source(make_video("12:30:05.mp4", pictures())))) == 5


def bad_input(kind, make_video, tmp_path):
    path = tmp_path / "bad.mp4"
    if kind == "text":
        path.write_text("frame,x,y\n" * 200)
    elif kind == "text with an honest name":
        path = tmp_path / "notes.txt"
        path.write_text("frame,x,y\n" * 200)
    elif kind == "empty":
        path.touch()
    elif kind == "audio":
        audio_only(path)
    elif kind == "no index":
        content = make_video("whole.mp4", pictures()).read_bytes()
        path.write_bytes(content[: len(content) // 2])
    elif kind == "folder without pictures":
        path = tmp_path / "folder"
        path.mkdir()
    elif kind == "picture":
        path = tmp_path / "one.png"
        path.write_bytes(encoded_picture(np.zeros((4, 4), np.uint8)))
    elif kind == "stack that was cut off":  # where its pictures lie stands at the end
        path = tmp_path / "rec.tiff"
        path.write_bytes(b"II*\0" + struct.pack("<I", 40_000) + bytes(20_000))
    elif kind == "network play list":
        path = tmp_path / "list.m3u8"
        path.write_text("#EXTM3U\n#EXTINF:1,\nhttp://127.0.0.1:9/a.ts\n#EXT-X-ENDLIST\n")
    elif kind == "device":
        path = Path(os.devnull)
    return path


@pytest.mark.parametrize("name", ["%06d.png", "frame_%d.png", "*.jpg"])
def test_a_pattern_of_names_is_told_the_folder(name, tmp_path):
    with pytest.raises(VideoError, match=f"pictures are named by their folder, {tmp_path}"):
        open_source(tmp_path / name)
    with pytest.raises(VideoError, match="check the path"):
        open_source(tmp_path / "100%.mp4")


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("missing", "no such file or folder"),
        ("text", "not a video"),
        ("text with an honest name", "not a video"),
        ("empty", "the file is empty"),
        ("audio", r"no video stream \(streams: audio\)"),
        ("no index", "cut short"),
        ("folder without pictures", "holds no pictures"),
        ("picture", "single picture"),
        ("stack that was cut off", "this is no whole TIFF recording"),
        ("network play list", "list.m3u8"),
        ("device", "neither a file nor a folder"),
    ],
)
def test_bad_input_is_one_line_that_names_it(kind, message, make_video, tmp_path, capfd):
    path = bad_input(kind, make_video, tmp_path)
    with pytest.raises(DmtrackError, match=message) as caught:
        open_source(path)
    assert caught.value.exit_code == 3
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)
    assert capfd.readouterr() == ("", "")  # libav says nothing of its own


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (av.error.PermissionError(13, "Permission denied", "a.mp4"), "no permission"),
        (av.error.FFmpegError(5, "Input/output error", "a"), "Input/output error"),
    ],
)
def test_why_a_file_cannot_be_opened_is_said(make_video, monkeypatch, error, words):
    path = make_video("a.mp4", pictures())
    monkeypatch.setattr(av, "open", Mock(side_effect=error))
    with pytest.raises(VideoError, match=words):
        open_source(path)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read everything")
def test_no_permission_for_real(make_video):
    path = make_video("a.mp4", pictures())
    path.chmod(0)
    with pytest.raises(VideoError, match="no permission"):
        open_source(path)


def test_reading_says_nothing_on_stderr(make_video, capfd):
    path = make_video("a.mp4", pictures(20), options={"g": "5"}, container_options={"movflags": "faststart"})
    content = path.read_bytes()
    path.write_bytes(content[: len(content) * 2 // 3])
    with open_source(path) as source:
        list(source)
    assert capfd.readouterr() == ("", "")
