"""The README and the pages of docs/ do not promise what is not there: commands run or parse, Python runs."""

from __future__ import annotations

import ast
import json
import os
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from program import times_of

import dmtrack
from dmtrack.boxes.reading import read_rows
from dmtrack.datasets.ground_truth import read_boxes
from dmtrack.evaluation.overlap import iou_per_frame
from dmtrack.output.record import read_run_json
from dmtrack_cli.app import COMMANDS, load_command, main
from dmtrack_cli.arguments import prepare_arguments

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
TEXT = "\n".join(page.read_text(encoding="utf-8") for page in PAGES)
MOST_README_BYTES = 8000
LEAST_MEAN_IOU = 0.6
RESULTS = (
    "annotated.mp4",
    "boxes.txt",
    "boxes.csv",
    "keyframes.csv",
    "run.json",
    "score.png",
    "trajectory.png",
)
_BLOCK = re.compile(
    r"(?:<!-- test: (?P<mark>[^>]+?) -->\s*\n)?```(?P<kind>\w+)\n(?P<text>.*?)^```", re.S | re.M
)
_SHELLS = ("sh", "bash", "console", "shell")


@dataclass(frozen=True)
class Block:
    """A fenced block; `mark` is what the comment above it says about testing it."""

    mark: str
    kind: str
    text: str

    @property
    def commands(self) -> list[str]:
        """The commands of a shell block: one a line, prompts, comments and `&&` at line ends removed."""
        joined = re.sub(r"\\\n\s*", " ", self.text)
        lines = (line.removeprefix("$ ").strip() for line in joined.splitlines())
        parts = (part.strip() for line in lines for part in line.split("&&"))
        return [part for part in parts if part and not part.startswith("#")]


BLOCKS = [Block(m["mark"] or "", m["kind"], m["text"]) for m in _BLOCK.finditer(TEXT)]
COMMAND_LINES = sorted(
    {c for b in BLOCKS if b.kind in _SHELLS for c in b.commands if c.startswith("dmtrack ")}
)
PYTHON = [
    pytest.param(block.text, marks=[pytest.mark.slow] if block.mark == "slow" else [])
    for block in BLOCKS
    if block.kind == "python"
]


def marked(mark: str) -> Block:
    found = [block for block in BLOCKS if block.mark == mark]
    assert len(found) == 1, f"{len(found)} blocks are marked <!-- test: {mark} -->"
    return found[0]


def parse(command_line: str) -> None:
    """Let Typer read a command line without running it."""
    name, *words = prepare_arguments(shlex.split(command_line, comments=True)[1:])
    if name.startswith("-"):
        return
    command = load_command(name)
    context: Any = command.make_context(name, words)
    while hasattr(context.command, "commands"):
        below = context.command.commands[words[0]]
        context = below.make_context(words[0], words[1:], parent=context)
        words = words[1:]


def option_names() -> Iterator[str]:
    yield from ("--version", "--verbose", "--help")
    for name in COMMANDS:
        command = load_command(name)
        for one in (command, *getattr(command, "commands", {}).values()):
            yield from (word for option in one.params for word in (*option.opts, *option.secondary_opts))


def test_commands_and_python_are_shown():
    assert len(COMMAND_LINES) >= 5
    assert PYTHON
    assert set(COMMANDS) <= set(re.findall(r"dmtrack ([\w-]+)", TEXT))


def test_the_readme_is_a_front_door():
    assert (ROOT / "README.md").stat().st_size <= MOST_README_BYTES


@pytest.mark.parametrize("command_line", COMMAND_LINES)
def test_commands_parse(command_line, tmp_path, monkeypatch):
    """In a folder with the files that are read while options are."""
    monkeypatch.chdir(tmp_path)
    size = {"aux_size": [32, 24], "rgb_size": [64, 48]}
    matrix = {"matrix": [[2, 0, 0], [0, 2, 0], [0, 0, 1]]}
    Path("align.json").write_text(json.dumps({**size, **matrix}))
    Path("camera.json").write_text(json.dumps({"fx": 50, "fy": 50, "cx": 32, "cy": 24}))
    for folder in ("path/to/lasher", "results"):
        Path(folder).mkdir(parents=True)
    parse(command_line.replace("$SLURM_ARRAY_TASK_ID", "3"))


def test_a_wrong_command_would_be_noticed():
    with pytest.raises(BaseException, match="no-such-option"):
        parse("dmtrack track a.mp4 --no-such-option 3")
    with pytest.raises(KeyError):
        parse("dmtrack weights remember")


def test_options_in_the_text_exist():
    mentioned = set(re.findall(r"`(--[a-z][a-z-]*)", TEXT))
    assert mentioned
    assert mentioned <= set(option_names())


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_to_files_lead_somewhere(page):
    for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), target


def test_every_page_is_found():
    """A page of docs/ stands in the navigation of the site, and there is no other in it."""
    elsewhere = {"benchmarks.md", "model-card.md", "contributing.md"}
    named = set(re.findall(r"^ *- ([\w-]+\.md)$", (ROOT / "mkdocs.yml").read_text(encoding="utf-8"), re.M))
    assert named - elsewhere == {page.name for page in (ROOT / "docs").glob("*.md")}


@pytest.mark.slow
@pytest.mark.usefixtures("usual_backend")
def test_the_main_job(tmp_path, monkeypatch):
    """The first command, word for word, on a fresh machine's empty folder."""
    (tmp_path / "sample_data").symlink_to(ROOT / "sample_data")
    monkeypatch.chdir(tmp_path)
    (line,) = (command for command in marked("main job").commands if command.startswith("dmtrack"))
    with pytest.raises(SystemExit) as leaving:
        main(shlex.split(line)[1:])
    assert leaving.value.code in (0, None)
    (folder,) = (tmp_path / "dmtrack-results").iterdir()
    assert f"dmtrack-results/{folder.name}" in README
    assert sorted(path.name for path in folder.iterdir()) == sorted(RESULTS)
    assert all(name in README for name in RESULTS)
    assert read_run_json(folder / "run.json")["backend"] == "openvino"
    rows = read_rows(folder / "boxes.csv")
    truth = read_boxes(ROOT / "sample_data" / folder.name / "groundtruth.txt").boxes
    assert [row.frame_index for row in rows] == list(range(len(truth)))
    ious = iou_per_frame(np.array([row.box.xywh for row in rows]), truth)
    assert np.nanmean(ious[1:]) >= LEAST_MEAN_IOU
    assert len(times_of(folder / "annotated.mp4")) == len(truth)


def test_ci_installs_and_tests_as_the_readme_says():
    commands = marked("tests").commands
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    (install,) = (command for command in commands if "pip install" in command)
    assert commands[-1] == "pytest"
    assert install.partition("pip install ")[2] in script


@pytest.mark.parametrize("code", PYTHON, ids=lambda code: code.splitlines()[-1].strip()[:40])
def test_python_uses_public_names_only(code):
    imports = [node for node in ast.walk(ast.parse(code)) if isinstance(node, ast.ImportFrom)]
    assert imports
    for node in imports:
        assert node.module == "dmtrack"
        assert {alias.name for alias in node.names} <= set(dmtrack.__all__)


@pytest.mark.parametrize("code", PYTHON, ids=lambda code: code.splitlines()[-1].strip()[:40])
def test_python_runs(code, tmp_path, monkeypatch):
    """With the weights in the box, on two small videos of the names that the README uses."""
    monkeypatch.chdir(tmp_path)
    for name in re.findall(r'"(\w+\.(?:mp4|mkv))"', code):
        write_video(Path(name))
    exec(compile(code, "README.md", "exec"), {})  # noqa: S102 - our own README


def write_video(path: Path) -> None:
    with av.open(os.fspath(path), "w") as container:
        stream = container.add_stream("libx264", rate=10, options={"preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
        for number in range(4):
            picture = np.full((64, 96), 60, np.uint8)
            picture[20:60, 10 + number : 40 + number] = 200
            frame = av.VideoFrame.from_ndarray(picture, format="gray")
            frame.pts = number
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def test_the_walk_of_a_frame_names_what_is_there():
    """Every file of the ten stops exists; what a stop names stands in its files or in those before."""
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    walk = page.partition("## The walk of one frame")[2].partition("\n## ")[0]
    stops = re.findall(r"^\d+\. .*?(?=^\d+\. |\Z)", walk, re.S | re.M)
    assert 5 <= len(stops) <= 10
    roots = (ROOT, ROOT / "models", ROOT / "models" / "dmtrack")
    code = ""
    for stop in stops:
        files = re.findall(r"`([\w/.]+\.py)`", stop)
        assert files, stop
        for name in files:
            home = next((root / name for root in roots if (root / name).is_file()), None)
            assert home is not None, f"{name} is not there"
            code += home.read_text(encoding="utf-8")
        for word in re.findall(r"`([A-Za-z]\w*(?:\.\w+)?)`", stop):
            assert word.rpartition(".")[2] in code, f"{word} is in none of the files named so far"
