"""A target that vanishes for good, followed with the bundled weights: given up, said so, stopped for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest

from dmtrack.boxes.reading import read_rows
from dmtrack.output.record import read_run_json

WIDTH, HEIGHT, FRAMES, GONE_AT = 160, 120, 34, 6


@pytest.fixture(scope="session")
def vanishing(tmp_path_factory) -> Path:
    """A coloured square moves over a coarse pattern for a while, and is gone."""
    rng = np.random.default_rng(0)
    ground = np.kron(rng.integers(60, 140, (HEIGHT // 8, WIDTH // 8, 3)), np.ones((8, 8, 1))).astype(np.uint8)
    square = np.kron(rng.integers(0, 255, (4, 4, 3)), np.ones((6, 6, 1))).astype(np.uint8)
    path = tmp_path_factory.mktemp("vanishing") / "rgb.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=10, options={"crf": "12"})
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for number in range(FRAMES):
            picture = ground.copy()
            if number < GONE_AT:
                picture[40:64, 40 + number : 64 + number] = square
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))
    return path


def follow(run_cli: Callable[..., Any], rgb: Path, *words: str) -> Any:
    return run_cli("track", rgb, "--box", "40,40,24,24", "-o", "out", "--threads", "1", "--no-video", *words)


def states() -> list[str]:
    return [str(row.state) for row in read_rows(Path("out/boxes.csv"))]


def test_the_run_ends_when_the_target_has_been_lost_for_long_enough(run_cli, vanishing, rendered):
    """What is said of times counts from the first frame, as `--from` does, though stamps are unix time."""
    Path("times.txt").write_text("\n".join(f"{1_700_000_000 + number / 10:.1f}" for number in range(FRAMES)))
    words = ("--lost-after", "3", "--stop-when-lost", "0.5", "--rgb-times", "times.txt")
    outcome = follow(run_cli, vanishing, "--recovery", "on", *words)
    assert outcome.code == 0
    seen = ["init"] + ["tracked"] * (GONE_AT - 1) + ["uncertain"] * 3 + ["lost"] * 6
    assert states() == seen
    record = read_run_json(Path("out/run.json"))
    assert (record["status"], record["counts"]["lost"]) == ("complete", 6)
    assert record["reason"] == "every target had been lost for 0.5 s"
    assert "every target had been lost for 0.5 s" in outcome.out.replace("\n", " ")
    assert "target 1 lost from 0.9 s to the end" in " ".join(outcome.out.split())
    uncertain, lost = record["doubted"]
    assert (uncertain["first_frame"], uncertain["last_frame"], uncertain["to_the_end"]) == (6, 8, False)
    assert (lost["first_frame"], lost["last_s"], lost["to_the_end"]) == (9, 1.4, True)
    held = {row.box.xywh for row in read_rows(Path("out/boxes.csv")) if row.state == "lost"}
    assert len(held) == 1, "the box is held while the target is lost"
    assert cv2.imread("out/score.png") is not None


def test_a_run_that_ended_is_gone_on_with_where_the_target_is_seen_again(run_cli, vanishing):
    words = ("--recovery", "on", "--lost-after", "3", "--stop-when-lost", "0.5")
    assert follow(run_cli, vanishing, *words).code == 0
    back_at = GONE_AT + 15
    assert run_cli("track", "--continue", "out", "--box", "60,60,24,24", "--from", back_at).code == 0
    rows = {row.frame_index: str(row.state) for row in read_rows(Path("out/boxes.csv"))}
    assert (rows[back_at], list(rows)[:15]) == ("init", list(range(15)))
    assert max(rows) > back_at


def test_the_published_behaviour_never_gives_up(run_cli, vanishing):
    assert follow(run_cli, vanishing, "--recovery", "off", "--end", "20").code == 0
    assert states() == ["init"] + ["tracked"] * 19
    assert read_run_json(Path("out/run.json"))["configuration"]["tracker"]["recovery"] is False


@pytest.mark.parametrize("words", [("--lost-after", "3"), ("--stop-when-lost", "2")], ids=" ".join)
def test_what_needs_recovery_says_so(run_cli, vanishing, words):
    follow(run_cli, vanishing, "--recovery", "off", *words).refused(4, f"{words[0]} needs recovery")
    assert not Path("out").exists()


def test_the_anchor_can_be_left_out(run_cli, vanishing):
    assert follow(run_cli, vanishing, "--no-anchor", "--end", "2").code == 0
    assert read_run_json(Path("out/run.json"))["configuration"]["tracker"]["anchor"] is False
