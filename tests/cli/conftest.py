"""A small recording, a network with random weights, and the program run inside the test's process."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import torch
from program import exit_code

from dmtrack.config import ModelConfig
from dmtrack.network.backend import network_for
from dmtrack.network.inference import Network
from dmtrack.network.model import DMTrack
from dmtrack.network.weights.checkpoint import save_weights
from dmtrack.network.weights.file import WeightsMeta
from dmtrack.network.weights.store import ResolvedWeights
from dmtrack.video.frame import Modality

WIDTH, HEIGHT, FRAMES, RATE = 96, 64, 12, 10


@dataclass(frozen=True)
class Outcome:
    """What the program did."""

    code: int
    out: str
    err: str

    @property
    def error_lines(self) -> list[str]:
        return self.err.splitlines()

    def refused(self, code: int, *words: str) -> None:
        """Check that it was, and that one line alone says why; what Typer says (2) has more lines."""
        assert self.code == code, self.err
        if code != 2:
            assert self.out == ""
            assert len(self.error_lines) == 1, self.err
            assert self.err.startswith("error: ")
        for word in words:
            assert word in " ".join(self.err.split())


@dataclass(frozen=True)
class Recording:
    """An RGB video, a thermal one and ground truth in one folder."""

    rgb: Path
    thermal: Path
    truth: Path
    box: str = "20,16,16,16"


RunCli = Callable[..., Outcome]


def picture(number: int, *, grey: bool) -> np.ndarray:
    """A textured square that moves one pixel a frame over a soft background."""
    rows, columns = np.mgrid[0:HEIGHT, 0:WIDTH]
    image = (40 + rows // 2 + columns // 3).astype(np.uint8)
    left, top = 20 + number % 40, 16
    image[top : top + 16, left : left + 16] = 200
    image[top + 4 : top + 12, left + 4 : left + 12] = 120
    return image if grey else np.stack([image, image // 2 + 30, 255 - image], axis=2)


def write_video(path: Path, frames: int = FRAMES, *, grey: bool = False, first_pts: int = 0) -> Path:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=RATE, options={"crf": "12", "preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for number in range(frames):
            frame = av.VideoFrame.from_ndarray(picture(number, grey=grey), format="gray" if grey else "rgb24")
            frame.pts = first_pts + number
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


@pytest.fixture(scope="session")
def make_video() -> Callable[..., Path]:
    return write_video


@pytest.fixture(scope="session")
def recording(tmp_path_factory) -> Recording:
    folder = tmp_path_factory.mktemp("night_street")
    truth = folder / "groundtruth.txt"
    truth.write_text("".join(f"{20 + n},16,16,16\n" for n in range(FRAMES)))
    rgb = write_video(folder / "rgb.mp4")
    return Recording(rgb, write_video(folder / "thermal.mp4", grey=True), truth)


@pytest.fixture(scope="session")
def weights(tmp_path_factory) -> Path:
    """A folder with a random foundation and adapters for each modality."""
    torch.manual_seed(0)
    config = ModelConfig(
        name="random",
        width=32,
        depth=2,
        heads=2,
        mlp_ratio=2.0,
        stem="conv",
        template_size=32,
        search_size=64,
        memory_frames=2,
        head_width=16,
        stream_merge="mean",
        drop_path_rate=0.0,
    )
    tensors = DMTrack(config, with_adapters=True).state_dict()
    folder = tmp_path_factory.mktemp("weights")
    meta = WeightsMeta(config=config, kind="foundation", source_name="random numbers")
    sha256 = save_weights(folder / "foundation.safetensors", tensors, meta)
    for modality in Modality:
        meta = WeightsMeta(config=config, kind="adapters", modality=modality, foundation_sha256=sha256)
        save_weights(folder / f"{modality}.safetensors", tensors, meta)
    return folder


@pytest.fixture(autouse=True)
def _quiet_surroundings(tmp_path, monkeypatch) -> None:
    """Work in an empty folder without a display."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DMTRACK_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("COLUMNS", "80")
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def rendered() -> None:
    """Let `score.png` be the picture, for tests that look at it."""


@pytest.fixture(autouse=True)
def _score_plot_without_pixels(request, monkeypatch) -> None:
    """Leave `score.png` undrawn: to draw it takes longer than all the rest of a run here."""
    if "rendered" not in request.fixturenames:
        monkeypatch.setattr("dmtrack.drawing.score_plot.draw_spans", lambda *_: b"PNG")


@pytest.fixture(scope="session")
def networks() -> dict[object, Network]:
    """The networks that runs of this process had."""
    return {}


@pytest.fixture(autouse=True)
def _networks_made_once(monkeypatch, networks) -> None:
    """Make a network of PyTorch only once of the same weights: it takes longer than to track with it."""

    def made(weights: ResolvedWeights, precision: Any, device: Any, backend: Any, threads: Any) -> Network:
        if backend == "openvino":
            return network_for(weights, precision, device, backend, threads)
        if threads is not None:
            torch.set_num_threads(threads)
        what = (*weights.sha256.values(), weights.streams, precision, str(device), backend)
        if what not in networks:
            networks[what] = network_for(weights, precision, device, backend)
        return networks[what]

    monkeypatch.setattr("dmtrack.run.pipeline.network_for", made)


@pytest.fixture
def run_cli(capsys) -> RunCli:
    """Run the program as `main` does, and return exit code and output."""

    def run(*words: Any) -> Outcome:
        capsys.readouterr()
        code = exit_code(*words)
        return Outcome(code, *capsys.readouterr())

    return run


@pytest.fixture
def track(run_cli, recording, weights) -> RunCli:
    """Run `track` on the RGB and thermal videos with random weights, into the folder `out`."""

    def run(*options: Any, rgb: Path = recording.rgb, aux: Path | None = recording.thermal) -> Outcome:
        inputs = [rgb] if aux is None else [rgb, aux]
        return run_cli("track", *inputs, "--weights", weights, "-o", "out", *options)

    return run


CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
DRIVER = shutil.which("chromedriver")
SWITCHES = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--window-size=1200,1600",
)


@pytest.fixture
def browser(tmp_path) -> Iterator[Any]:
    """A headless Chromium that keeps what pages say to its console; mark its tests slow."""
    from selenium import webdriver

    assert CHROMIUM, "needs Chromium"
    assert DRIVER, "needs chromedriver"
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for switch in (*SWITCHES, f"--user-data-dir={tmp_path / 'profile'}"):
        options.add_argument(switch)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))
    yield driver
    driver.quit()
