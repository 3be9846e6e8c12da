"""Our weights files: what is written is read back, anything else is refused."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from dmtrack.config import PUBLISHED_TRACKER, TINY, TINY_TRACKER, TrackerConfig
from dmtrack.errors import CheckpointError, ConfigError, OutputError
from dmtrack.geometry.box import Box
from dmtrack.network.model import DMTrack
from dmtrack.network.weights.checkpoint import Weights, build_model, load_weights, save_weights
from dmtrack.network.weights.file import WeightsMeta, read_meta, sha256_of
from dmtrack.network.weights.store import resolve_weights
from dmtrack.tracking.tracker import Tracker
from dmtrack.video.frame import FramePair, Modality

CONFIG = dataclasses.replace(
    TINY, width=32, depth=2, heads=2, template_size=32, search_size=64, head_width=16, temporal_width=4
)
FOUNDATION = WeightsMeta(config=CONFIG, kind="foundation", trained_on="made-up squares", source_name="run-1")
ADAPTERS = WeightsMeta(
    config=CONFIG,
    kind="adapters",
    modality=Modality.DEPTH,
    tracker=TrackerConfig(window="add", window_weight=0.3),
    trained_on="made-up squares",
    foundation_sha256="0" * 64,
)


@pytest.fixture
def network() -> DMTrack:
    torch.manual_seed(0)
    network = DMTrack(CONFIG).eval()
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    return network


@pytest.fixture
def saved(tmp_path, network) -> tuple[Path, Path]:
    """A foundation and adapters in files of their own."""
    paths = tmp_path / "tiny-foundation.safetensors", tmp_path / "tiny-depth.safetensors"
    save_weights(paths[0], network.state_dict(), FOUNDATION)
    save_weights(paths[1], network.state_dict(), ADAPTERS)
    return paths


def images(streams: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Templates, search region and the box in each template."""
    generator = torch.Generator().manual_seed(1)
    templates = torch.randn(1, 2, 3 * streams, 32, 32, generator=generator)
    search = torch.randn(1, 3 * streams, 64, 64, generator=generator)
    return templates, search, torch.tensor([[[0.5, 0.5, 0.6, 0.4], [0.5, 0.5, 0.4, 0.6]]])


@pytest.mark.parametrize("meta", [FOUNDATION, ADAPTERS, dataclasses.replace(ADAPTERS, kind="full")])
def test_a_file_gives_back_what_was_saved(tmp_path, network, meta):
    path = tmp_path / "deeper" / "x.safetensors"
    digest = save_weights(path, network.state_dict(), meta)
    assert digest == sha256_of(path) == hashlib.sha256(path.read_bytes()).hexdigest()
    weights = load_weights(path)
    assert weights.meta == meta == read_meta(path)
    prefixes = {"foundation": ("foundation.",), "adapters": ("adapters.",)}
    expected = {k: v for k, v in network.state_dict().items() if k.startswith(prefixes.get(meta.kind, ("",)))}
    assert set(weights.tensors) == set(expected)
    assert all(torch.equal(weights.tensors[name], tensor) for name, tensor in expected.items())
    assert [entry.name for entry in path.parent.iterdir()] == ["x.safetensors"]


def test_the_same_weights_give_the_same_bytes(tmp_path, network):
    state = network.state_dict()
    backwards = dict(reversed(state.items()))
    first = save_weights(tmp_path / "a", state, ADAPTERS)
    assert first == save_weights(tmp_path / "b", backwards, ADAPTERS)


def test_foundation_and_adapters_together_are_the_network(network, saved):
    foundation, adapters = map(load_weights, saved)
    model = build_model(foundation, adapters)
    assert not model.training
    with torch.no_grad():
        for ours, theirs in zip(model(*images(2)), network(*images(2)), strict=True):
            assert torch.equal(ours, theirs)


def test_the_foundation_alone_runs_one_stream(network, saved):
    model = build_model(load_weights(saved[0]))
    with torch.no_grad():
        assert torch.equal(model(*images(1)).score_map, network(*images(1)).score_map)
        with pytest.raises(ValueError, match="two streams"):
            model(*images(2))


def test_training_the_network_leaves_the_weights_alone(saved):
    weights = load_weights(saved[0])
    before = {name: tensor.clone() for name, tensor in weights.tensors.items()}
    with torch.no_grad():
        for parameter in build_model(weights).parameters():
            parameter.add_(1)
    assert all(torch.equal(weights.tensors[name], tensor) for name, tensor in before.items())


def test_full_weights_come_apart(tmp_path, network, saved):
    full = Weights(dataclasses.replace(ADAPTERS, kind="full"), network.state_dict())
    part = full.part("foundation")
    assert part.meta.kind == "foundation"
    assert part.meta.modality is None
    assert set(part.tensors) == set(load_weights(saved[0]).tensors)
    assert build_model(part).adapters is None
    assert build_model(part, full.part("adapters")).adapters is not None


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_on_disk_is_float32_in_memory(tmp_path, network, dtype):
    whole, half = tmp_path / "whole", tmp_path / "half"
    save_weights(whole, network.state_dict(), FOUNDATION)
    save_weights(half, network.state_dict(), FOUNDATION, dtype=dtype)
    assert half.stat().st_size < 0.6 * whole.stat().st_size
    tensors = load_weights(half).tensors
    for name, tensor in load_weights(whole).tensors.items():
        assert tensors[name].dtype == tensor.dtype
        torch.testing.assert_close(tensors[name], tensor, rtol=1e-2, atol=1e-3)


def test_the_network_takes_the_asked_precision(saved):
    model = build_model(*map(load_weights, saved), dtype=torch.float64)
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float64}


def test_parts_that_do_not_belong_together_are_refused(network, saved):
    foundation, adapters = map(load_weights, saved)
    full = Weights(dataclasses.replace(ADAPTERS, kind="full"), network.state_dict())
    with pytest.raises(CheckpointError, match="needs a foundation"):
        build_model(adapters)
    with pytest.raises(CheckpointError, match="needs a foundation"):
        build_model(foundation, foundation)
    with pytest.raises(CheckpointError, match="have adapters already"):
        build_model(full, adapters)
    other = dataclasses.replace(CONFIG, heads=4)
    with pytest.raises(CheckpointError, match="do not fit this"):
        build_model(foundation, Weights(dataclasses.replace(ADAPTERS, config=other), adapters.tensors))


def test_adapters_may_have_widths_of_their_own(saved):
    config = dataclasses.replace(CONFIG, temporal_width=6, memory_frames=3)
    adapters = {f"adapters.{name}": t for name, t in DMTrack(config).adapters.state_dict().items()}
    weights = Weights(dataclasses.replace(ADAPTERS, config=config), adapters)
    assert build_model(load_weights(saved[0]), weights).config == config


def test_tensors_that_do_not_fit_are_not_saved(tmp_path, network):
    state = network.state_dict()
    del state["foundation.norm.bias"]
    with pytest.raises(CheckpointError, match=r"1 missing: foundation\.norm\.bias"):
        save_weights(tmp_path / "x", state, FOUNDATION)
    assert not list(tmp_path.iterdir())


def test_an_unwritable_place_is_an_output_error(tmp_path, network):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OutputError, match="a file stands where a folder is needed"):
        save_weights(tmp_path / "file" / "x", network.state_dict(), FOUNDATION)


def _header(**changes: object) -> str:
    return json.dumps(json.loads(FOUNDATION.to_json()) | changes)


@pytest.mark.parametrize(
    ("header", "message"),
    [
        pytest.param(None, "not one of dmtrack's", id="foreign"),
        pytest.param("{", "cannot be read", id="no-json"),
        pytest.param("[]", "cannot be read", id="a-list"),
        pytest.param(_header(format=99), "has format 99, this program reads 1", id="from-the-future"),
        pytest.param(_header(kind="half"), "unknown kind", id="kind"),
        pytest.param(_header(modality="sonar"), "sonar", id="modality"),
        pytest.param(_header(modality="depth"), "has no modality", id="foundation-with-modality"),
        pytest.param(_header(surprise=1), "surprise", id="unknown-entry"),
        pytest.param(_header(config={"widht": 3}), "did you mean 'width'", id="unknown-config"),
        pytest.param(_header(config=3), "cannot be read", id="config-no-dictionary"),
        pytest.param(_header(config=CONFIG.to_dict() | {"depth": 10**9}), "holds fewer", id="absurd-depth"),
        pytest.param(
            _header(config=CONFIG.to_dict() | {"width": "a"}), "cannot be read", id="width-no-number"
        ),
        pytest.param(
            _header(config=CONFIG.to_dict() | {"depth": 3}), "missing: foundation.blocks.2", id="depth"
        ),
    ],
)
def test_headers_that_do_not_suit_are_refused(tmp_path, network, header, message):
    path = tmp_path / "x.safetensors"
    tensors = {k: v for k, v in network.state_dict().items() if k.startswith("foundation.")}
    save_file(tensors, path, metadata=None if header is None else {"dmtrack": header})
    with pytest.raises(CheckpointError, match=message.replace(".", r"\.")):
        load_weights(path)


@pytest.mark.parametrize(("name", "suits"), [("tiny", TINY_TRACKER), ("base", PUBLISHED_TRACKER)])
@pytest.mark.parametrize("field", [field.name for field in dataclasses.fields(TrackerConfig)])
def test_what_a_header_is_too_old_to_name_is_as_in_the_protocol_of_its_network(name, suits, field):
    header = dataclasses.replace(FOUNDATION, config=dataclasses.replace(CONFIG, name=name), tracker=suits)
    entries = json.loads(header.to_json())
    del entries["tracker"][field]
    assert WeightsMeta.from_json(json.dumps(entries)).tracker == suits


@pytest.mark.parametrize("modality", [None, *Modality])
@pytest.mark.parametrize("name", ["tiny", "tiny-open"])
def test_weights_in_the_box_are_tracked_with_our_protocol(name, modality):
    assert resolve_weights(name, modality).tracker_config == TINY_TRACKER


HOSTILE: tuple[object, ...] = (-1, 0, 1e-300, 10**6, 2**31, 10**400, 1e308, math.nan, "x", None, [], True)
"""What an entry of a header may be instead of what it should be."""


@pytest.mark.slow
@pytest.mark.parametrize("part", ["config", "tracker"])
def test_any_value_of_a_header_is_refused_or_tracked_with(tmp_path, network, monkeypatch, part):
    """Where none is refused for what it asks of memory, a crop of 16,000,000 x 16,000,000 px is cut."""
    path = tmp_path / "x.safetensors"
    tensors = {k: v for k, v in network.state_dict().items() if k.startswith("foundation.")}
    picture = np.random.default_rng(0).integers(0, 255, (48, 64, 3), dtype=np.uint8)
    pair = FramePair.of(picture)
    entries = json.loads(dataclasses.replace(FOUNDATION, tracker=TrackerConfig()).to_json())
    said, tracked = [], 0
    for key in entries[part]:
        for value in HOSTILE:
            header = json.dumps(entries | {part: entries[part] | {key: value}})
            save_file(tensors, path, metadata={"dmtrack": header})
            try:
                weights = load_weights(path)
            except CheckpointError as error:
                said.append(str(error))
                continue
            tracker = Tracker(build_model(weights), weights.meta.tracker or TrackerConfig())
            tracker.initialize(pair, [Box(10, 10, 12, 12)])
            (target,) = tracker.update(pair)
            assert all(map(math.isfinite, dataclasses.astuple(target.box))), (key, value)
            tracked += 1
    assert len(said) > 2 * len(entries[part])
    assert all(line.isprintable() and len(line) <= 1000 for line in said)
    assert tracked > 3


@pytest.mark.parametrize("kept", [0, 4, 200, 0.5, 0.9999])
def test_truncated_files_are_refused(saved, kept):
    data = saved[0].read_bytes()
    saved[0].write_bytes(data[: kept if isinstance(kept, int) else int(kept * len(data))])
    with pytest.raises(CheckpointError, match="damaged or not a weights file"):
        load_weights(saved[0])


def test_a_published_checkpoint_names_the_command_that_converts_it(tmp_path):
    path = tmp_path / "x.pth.tar"
    torch.save({"net": {"w": torch.zeros(3)}}, path)
    with pytest.raises(CheckpointError, match="dmtrack weights add"):
        load_weights(path)


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(CheckpointError, match="no such weights file"):
        load_weights(tmp_path / "x.safetensors")
    with pytest.raises(CheckpointError, match="no such weights file"):
        read_meta(tmp_path)


def test_numbers_that_are_not_finite_are_refused(tmp_path, network):
    state = network.state_dict()
    state["foundation.norm.bias"][0] = float("inf")
    save_weights(tmp_path / "x", state, FOUNDATION)
    with pytest.raises(CheckpointError, match="not finite"):
        load_weights(tmp_path / "x")


def test_a_kind_that_does_not_exist_is_a_config_error():
    with pytest.raises(ConfigError, match="unknown kind"):
        WeightsMeta(config=CONFIG, kind="half")  # type: ignore[arg-type]
