"""What `--weights` may say, and which files it means."""

from __future__ import annotations

import dataclasses
import functools
import json
import logging
from pathlib import Path

import pytest
import torch

from dmtrack.config import BASE, PUBLISHED_TRACKER, TINY, ModelConfig, TrackerConfig, tracker_preset
from dmtrack.errors import CheckpointError, ConfigError, OutputError
from dmtrack.network.model import DMTrack
from dmtrack.network.weights import data_folder, store
from dmtrack.network.weights.checkpoint import expected_shapes, save_weights
from dmtrack.network.weights.data_folder import add_published, stored, stored_names, verify, weights_folder
from dmtrack.network.weights.file import Kind, WeightsMeta, sha256_of
from dmtrack.network.weights.published import key_table
from dmtrack.network.weights.store import resolve_weights
from dmtrack.video.frame import Modality

CONFIG = dataclasses.replace(
    TINY, width=32, depth=1, heads=2, template_size=32, search_size=64, head_width=16
)
PUBLISHED = dataclasses.replace(
    BASE, width=64, depth=1, heads=1, template_size=32, search_size=64, head_width=16
)
ADDED = TrackerConfig(window="add", window_weight=0.25)


@pytest.fixture(autouse=True)
def own_folders(tmp_path, monkeypatch) -> None:
    """Neither the user's data folder nor the weights in the box."""
    monkeypatch.setenv(data_folder.DATA_DIR_VARIABLE, str(tmp_path / "data"))
    (tmp_path / "box").mkdir()
    monkeypatch.setattr(store, "bundled_folder", lambda: tmp_path / "box")


def write(
    path: Path, kind: Kind, modality: str | None = None, *, foundation: str | None = None,
    config: ModelConfig = CONFIG, seed: int = 0,
) -> str:  # fmt: skip
    """Write weights with numbers of their own and return the digest."""
    meta = WeightsMeta(
        config=config,
        kind=kind,
        modality=None if modality is None else Modality(modality),
        tracker=ADDED if kind == "adapters" else None,
        foundation_sha256=foundation,
    )
    return save_weights(path, numbers(config, seed), meta)


@functools.cache
def numbers(config: ModelConfig, seed: int) -> dict[str, torch.Tensor]:
    """Return the parameters of a network that was not trained."""
    torch.manual_seed(seed)
    return DMTrack(config).state_dict()


@pytest.fixture
def box(tmp_path) -> Path:
    """Weights in the box."""
    folder = tmp_path / "box"
    digest = write(folder / "tiny-foundation.safetensors", "foundation")
    for modality in Modality:
        write(folder / f"tiny-{modality}.safetensors", "adapters", modality, foundation=digest)
    return folder


def published_file(path: Path, *, with_adapters: bool) -> Path:
    shapes = expected_shapes(PUBLISHED, "full" if with_adapters else "foundation")
    table = key_table(PUBLISHED.depth, with_adapters=with_adapters)
    torch.save({"net": {theirs: torch.zeros(shapes[ours]) for theirs, ours in table.items()}}, path)
    return path


@pytest.fixture
def dmtrack_file(tmp_path) -> Path:
    return published_file(tmp_path / "DMTrack_ep0060.pth.tar", with_adapters=True)


@pytest.fixture
def ostrack_file(tmp_path) -> Path:
    return published_file(tmp_path / "OSTrack_ep0300.pth.tar", with_adapters=False)


def names(asked: str | Path, modality: str | None) -> list[str]:
    resolved = resolve_weights(asked, None if modality is None else Modality(modality))
    assert resolved.name == str(asked)
    assert resolved.sha256 == {file.path.name: sha256_of(file.path) for file in resolved.files}
    assert (resolved.model.adapters is None) == (modality is None)
    assert not resolved.model.training
    return [file.name for file in resolved.files]


# --- the box -------------------------------------------------------------------------------------


@pytest.mark.parametrize("modality", Modality)
def test_tiny_is_the_foundation_and_the_adapters_of_the_modality(box, modality):
    assert names("tiny", modality) == ["tiny-foundation", f"tiny-{modality}"]


def test_tiny_for_one_stream_is_the_foundation(box):
    assert names("tiny", None) == ["tiny-foundation"]


@pytest.mark.parametrize("modality", [None, *Modality])
def test_the_box_tracks_by_this_versions_protocol_a_folder_by_what_its_files_say(box, modality):
    assert resolve_weights("tiny", modality).tracker_config == tracker_preset("tiny") != ADDED
    written = PUBLISHED_TRACKER if modality is None else ADDED
    assert resolve_weights(box, modality).tracker_config == written != tracker_preset("tiny")


def test_a_box_without_the_modality_says_so(box):
    (box / "tiny-depth.safetensors").unlink()
    with pytest.raises(CheckpointError, match=r"the weights in the box: there are no depth weights"):
        resolve_weights("tiny", Modality.DEPTH)


def test_adapters_of_another_foundation_are_refused(box):
    write(box / "tiny-foundation.safetensors", "foundation", seed=1)
    with pytest.raises(CheckpointError, match="the foundation these adapters were trained on"):
        resolve_weights("tiny", Modality.EVENT)


# --- the published weights -----------------------------------------------------------------------


@pytest.mark.parametrize("modality", Modality)
def test_base_that_is_not_there_says_where_it_is_and_how_to_add_it(modality):
    with pytest.raises(CheckpointError) as caught:
        resolve_weights("base", modality)
    message = str(caught.value)
    assert caught.value.exit_code == 4
    assert "DMTrack authors' GitHub page" in message
    assert "arXiv 2508.01592" in message
    assert f"dmtrack weights add DMTrack_ep0060.pth.tar --modality {modality}" in message


def test_base_for_one_stream_that_is_not_there_names_ostrack():
    with pytest.raises(CheckpointError, match=r"dmtrack weights add OSTrack_ep0300\.pth\.tar"):
        resolve_weights("base", None)


def test_an_added_checkpoint_is_recorded_and_found(dmtrack_file):
    added = add_published(dmtrack_file, modality=Modality.DEPTH)
    assert added == stored("base-depth")
    verify(added)
    assert stored_names() == ("base-depth",)
    assert added.path.parent == weights_folder()
    assert added.meta.source_name == "DMTrack_ep0060.pth.tar"
    assert added.meta.source_sha256 == sha256_of(dmtrack_file)
    assert added.meta.config == dataclasses.replace(PUBLISHED, memory_frames=2)
    assert added.sha256 == sha256_of(added.path)
    assert names("base", "depth") == ["base-depth"]
    with pytest.raises(CheckpointError, match="for thermal are not here"):
        resolve_weights("base", Modality.THERMAL)
    with pytest.raises(CheckpointError, match="for one stream are not here"):
        resolve_weights("base", None)


def test_an_added_ostrack_checkpoint_is_the_base_for_one_stream(ostrack_file):
    assert add_published(ostrack_file).name == "base-foundation"
    assert names("base", None) == ["base-foundation"]


def test_a_name_that_is_taken_is_kept_unless_overwrite(dmtrack_file, ostrack_file):
    first = add_published(dmtrack_file, modality=Modality.EVENT, name="mine")
    with pytest.raises(OutputError, match="'mine' already"):
        add_published(ostrack_file, name="mine")
    assert stored("mine") == first
    assert add_published(ostrack_file, name="mine", overwrite=True).meta.kind == "foundation"


def test_base_is_the_usual_name_first_then_the_only_one(dmtrack_file):
    for name in ("one", "two"):
        add_published(dmtrack_file, modality=Modality.THERMAL, name=name)
        if name == "one":
            assert names("base", "thermal") == ["one"]
    with pytest.raises(CheckpointError, match=r"several .*: one, two"):
        resolve_weights("base", Modality.THERMAL)
    add_published(dmtrack_file, modality=Modality.THERMAL)
    assert names("base", "thermal") == ["base-thermal"]
    assert names("two", "thermal") == ["two"]


@pytest.mark.parametrize("name", ["tiny", "base", "../up", "a/b", "", ".hidden", "a b", "x" * 200])
def test_names_that_cannot_be_files_are_refused(dmtrack_file, name):
    with pytest.raises((ConfigError, CheckpointError)):
        stored(name)
    if name:
        with pytest.raises(ConfigError, match="cannot be called"):
            add_published(dmtrack_file, modality=Modality.EVENT, name=name)


def test_a_checkpoint_that_cannot_be_added_leaves_nothing(tmp_path, dmtrack_file):
    with pytest.raises(ConfigError, match="--modality"):
        add_published(dmtrack_file)
    bad = tmp_path / "bad.pth"
    torch.save({"net": {"w": torch.zeros(2)}}, bad)
    with pytest.raises(CheckpointError, match=r"bad\.pth: is not a DMTrack or OSTrack checkpoint"):
        add_published(bad)
    with pytest.raises(CheckpointError, match="cannot be read"):
        add_published(tmp_path / "missing.pth")
    assert not weights_folder().exists()


@pytest.mark.parametrize("record", [None, "{", "[]", "{}"])
def test_a_damaged_record_is_an_error(dmtrack_file, record):
    path = add_published(dmtrack_file, modality=Modality.EVENT).path.with_suffix(".json")
    path.unlink() if record is None else path.write_text(record)
    with pytest.raises(CheckpointError, match="record is missing or damaged"):
        stored("base-event")


def test_a_damaged_neighbour_is_passed_over(dmtrack_file, caplog):
    add_published(dmtrack_file, modality=Modality.EVENT, name="good")
    (weights_folder() / "bad.safetensors").write_bytes(b"bad")
    (weights_folder() / "bad.json").write_text(json.dumps({"sha256": "", "added": ""}))
    with caplog.at_level(logging.WARNING):
        assert names("base", "event") == ["good"]
    assert "bad.safetensors" in caplog.text


def test_the_data_folder_is_the_systems_unless_said(monkeypatch, tmp_path):
    assert weights_folder() == tmp_path / "data" / "weights"
    monkeypatch.delenv(data_folder.DATA_DIR_VARIABLE)
    monkeypatch.setattr("platformdirs.user_data_path", lambda name, appauthor: Path("/u") / name)
    assert weights_folder() == Path("/u/dmtrack/weights")


# --- paths ---------------------------------------------------------------------------------------


def test_a_full_file_runs_two_streams_or_its_foundation(tmp_path):
    path = tmp_path / "run" / "full.safetensors"
    write(path, "full", "thermal")
    assert names(path, "thermal") == names(str(path), None) == ["full"]
    with pytest.raises(CheckpointError, match="is for thermal, but the second stream is event"):
        resolve_weights(path, Modality.EVENT)


def test_adapters_find_their_foundation_beside_them(tmp_path):
    digest = write(tmp_path / "run" / "f.safetensors", "foundation")
    write(tmp_path / "run" / "another.safetensors", "foundation", seed=1)
    write(tmp_path / "run" / "a.safetensors", "adapters", "event", foundation=digest)
    assert names(tmp_path / "run" / "a.safetensors", "event") == ["f", "a"]
    assert names(tmp_path / "run" / "a.safetensors", None) == ["f"]


def test_adapters_find_their_foundation_in_the_box(tmp_path, box):
    digest = sha256_of(box / "tiny-foundation.safetensors")
    write(tmp_path / "run" / "a.safetensors", "adapters", "event", foundation=digest)
    assert names(tmp_path / "run" / "a.safetensors", "event") == ["tiny-foundation", "a"]


def test_adapters_that_record_no_foundation_take_the_only_one_beside_them(tmp_path):
    path = tmp_path / "run" / "a.safetensors"
    write(path, "adapters", "event")
    with pytest.raises(CheckpointError, match="there are no foundation"):
        resolve_weights(path, Modality.EVENT)
    write(tmp_path / "run" / "f.safetensors", "foundation")
    assert names(path, "event") == ["f", "a"]
    write(tmp_path / "run" / "g.safetensors", "foundation", seed=1)
    with pytest.raises(CheckpointError, match="several foundation"):
        resolve_weights(path, Modality.EVENT)


def test_a_folder_holds_a_foundation_and_adapters(box):
    assert names(box, "depth") == ["tiny-foundation", "tiny-depth"]
    assert names(box, None) == ["tiny-foundation"]


def test_a_foundation_cannot_take_two_streams(box):
    with pytest.raises(CheckpointError, match=r"takes one stream.*leave the second stream out"):
        resolve_weights(box / "tiny-foundation.safetensors", Modality.DEPTH)


def test_a_path_that_is_not_there_lists_what_is(dmtrack_file):
    add_published(dmtrack_file, modality=Modality.EVENT, name="mine")
    with pytest.raises(CheckpointError, match="tiny, tiny-open, base, mine"):
        resolve_weights("nowhere.safetensors", Modality.EVENT)


def test_an_unconverted_checkpoint_names_the_command(dmtrack_file):
    with pytest.raises(CheckpointError, match="dmtrack weights add"):
        resolve_weights(dmtrack_file, Modality.EVENT)


def test_both_networks_in_the_box_are_found_and_kept_apart(tmp_path, box):
    folder = tmp_path / "box" / "open"
    folder.mkdir()
    digest = write(folder / "tiny-open-foundation.safetensors", "foundation", seed=5)
    write(folder / "tiny-open-depth.safetensors", "adapters", "depth", foundation=digest, seed=5)
    (alone,) = store.find_weights("tiny-open", None)
    assert alone.sha256 == digest
    assert [file.name for file in store.find_weights("tiny-open", Modality.DEPTH)] == [
        "tiny-open-foundation",
        "tiny-open-depth",
    ]
    assert store.find_weights("tiny", None)[0].sha256 != digest
