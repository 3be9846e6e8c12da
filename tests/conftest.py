"""What holds for every test, and a writer of small videos."""

from __future__ import annotations

import importlib.util
import logging
import os
import resource
import sys
from collections.abc import Callable, Generator, Iterable, Iterator
from fractions import Fraction
from pathlib import Path
from types import ModuleType
from typing import Any

import av
import numpy as np
import pytest
from windows import refusals

# Before torch is loaded, here and in every program that a test starts: the networks of tests are small, and
# threads that wait for each other are many times slower than one where something else runs.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# To convert a network takes seconds, which every test with weights of its own would wait for. What OpenVINO
# gives is compared with PyTorch in `parity/test_engines.py`, and runs in the commands of the README.
os.environ.setdefault("DMTRACK_BACKEND", "torch")

# What a test starts runs the packages of this tree.
_ROOT = Path(__file__).parents[1]
os.environ["PYTHONPATH"] = os.pathsep.join((str(_ROOT), str(_ROOT / "models")))


@pytest.fixture
def usual_backend(monkeypatch, tmp_path) -> None:
    """Compute as a person's first run does, with nothing converted yet."""
    monkeypatch.delenv("DMTRACK_BACKEND")
    monkeypatch.setenv("DMTRACK_DATA_DIR", str(tmp_path / "data"))


def _loaded(path: Path) -> ModuleType:
    """Return a program as a module."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # its dataclasses look themselves up
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def live_sender() -> ModuleType:
    """The sender of live video, which is a program as well."""
    return _loaded(Path(__file__).with_name("live_sender.py"))


@pytest.fixture(scope="session")
def script() -> Callable[[Path], ModuleType]:
    """Return what loads a program as a module."""
    return _loaded


@pytest.fixture(scope="session")
def benchmark_script() -> Callable[[str], ModuleType]:
    """Return what loads a script of `benchmarks/`."""
    return lambda name: _loaded(_ROOT / "benchmarks" / f"{name}.py")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add how many damaged files a reader gets in `tests/fuzz`."""
    parser.addoption("--fuzz-count", type=int, default=4, help="damaged files a reader (tests/fuzz)")


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip what needs a GPU where there is none; with `DMTRACK_REQUIRE_GPU=1` it fails instead."""
    if item.get_closest_marker("gpu") is None:
        return
    import torch

    if torch.cuda.is_available():
        return
    if os.environ.get("DMTRACK_REQUIRE_GPU") == "1":
        pytest.fail("DMTRACK_REQUIRE_GPU=1, and there is no CUDA device", pytrace=False)
    pytest.skip("no CUDA device")


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call() -> Generator[None, object, object]:
    """Lift a limit on file sizes (`limit_file_size`) as soon as the test that set it is over.

    pytest writes the test's dot before it tears fixtures down; where its output is a file, that dot
    would meet the limit.
    """
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        return (yield)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


@pytest.fixture
def limit_file_size() -> Callable[[int], None]:
    """Let files grow to so many bytes only: what a full disk does, without a disk."""
    hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
    return lambda size: resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))


@pytest.fixture
def windows(monkeypatch) -> Iterator[None]:
    """Refuse what Windows does, where there are no locks either."""
    monkeypatch.setattr("dmtrack.atomic.CAN_LOCK", False)
    with refusals():
        yield


@pytest.fixture(scope="session", autouse=True)
def _no_waiting_for_the_disk() -> Iterator[None]:
    """Leave out what guards files against a power cut: it is a seventh of the time of a run here."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("os.fsync", lambda handle: None)
        yield


@pytest.fixture(autouse=True)
def untouched_loggers() -> Iterator[None]:
    """Undo what the program does to the library's loggers: other tests listen to them.

    They are reset, not restored: a fixture of wider scope may have run the program before this one began.
    """
    yield
    for name in ("dmtrack", "dmtrack.output.sink"):
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.setLevel(logging.NOTSET)
        logger.propagate = True


@pytest.fixture
def video_of_pictures(tmp_path) -> Callable[..., Path]:
    """Return a writer of videos: one picture a stamp, H.264 near lossless if nothing is said."""

    def write(
        name: str,
        pictures: Iterable[np.ndarray],
        *,
        rate: int = 30,
        codec: str = "libx264",
        pix_fmt: str = "yuv420p",
        pts: Iterable[int] | None = None,
        time_base: Fraction | None = None,
        rotation: int = 0,
        options: dict[str, Any] | None = None,
        container_options: dict[str, Any] | None = None,
        tags: dict[str, str] | None = None,
    ) -> Path:
        path = tmp_path / name
        pictures = list(pictures)
        height, width = pictures[0].shape[:2]
        with av.open(str(path), "w", options=container_options or {}) as container:
            container.metadata.update(tags or {})
            quality = {"crf": "4"} if codec == "libx264" else {}
            stream = container.add_stream(codec, rate=rate, options={**quality, **(options or {})})
            assert isinstance(stream, av.VideoStream)
            stream.width, stream.height, stream.pix_fmt = width, height, pix_fmt
            if time_base is not None:
                stream.codec_context.time_base = time_base
            if rotation:
                stream.set_display_rotation(rotation)
            stamps = range(len(pictures)) if pts is None else pts
            for stamp, picture in zip(stamps, pictures, strict=True):
                frame = av.VideoFrame.from_ndarray(picture, format=_source_format(picture, pix_fmt))
                frame.pts = stamp
                frame.time_base = time_base or Fraction(1, rate)
                container.mux(stream.encode(frame))
            container.mux(stream.encode())
        return path

    return write


def _source_format(picture: np.ndarray, pix_fmt: str) -> str:
    if picture.dtype == np.uint16:
        return pix_fmt
    return "gray" if picture.ndim == 2 else "rgb24"
