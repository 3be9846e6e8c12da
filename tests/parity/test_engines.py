"""What computes the network against the plainest evaluation of it, on fresh random crops.

Tolerances: in float64 only rounding is left, and a wrong formula shows at 1e-5 or more; in float32 another
order of the same sums moves a map by a few 1e-6; bfloat16 and int8 are bounded by what their rounding costs,
far below what leaving out any adapter would (which `test_the_inputs_reach_every_adapter` makes sure of).
"""

from __future__ import annotations

import functools
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from dmtrack.config import BASE, TINY, ModelConfig
from dmtrack.errors import ConfigError, OutputError
from dmtrack.network import openvino_network
from dmtrack.network.backend import forget_unused, inference_network
from dmtrack.network.head import HeadOutput
from dmtrack.network.inference import Network, arrays_of
from dmtrack.network.model import DMTrack
from dmtrack.network.openvino_network import OpenVinoNetwork
from dmtrack.network.torch_network import TorchNetwork

#: The presets with fewer blocks and smaller pictures: more would only take longer.
SMALL_TINY = replace(TINY, depth=3, template_size=32, search_size=64)
CONFIGS = {
    "base": replace(BASE, depth=2, width=256, heads=4, template_size=32, search_size=64, head_width=64),
    "tiny": SMALL_TINY,
    "tiny-larger": replace(SMALL_TINY, template_size=48, search_size=96),
    "tiny-mean-patch": replace(SMALL_TINY, stem="patch", template_prompt=False, quality_head=False),
    "odd-widths": replace(SMALL_TINY, depth=2, temporal_width=5, shallow_width=7, deep_width=3),
}
FLOAT32 = 2e-5


@dataclass(frozen=True)
class Case:
    """Random crops for a network, and how to run one on them."""

    search: Any
    templates: Any
    boxes: Any

    def run(self, network: Network, share: Any = None) -> HeadOutput:
        """Embed all templates `(T, B, …)` and make one step, with such a share of the second stream."""
        search, templates, boxes = self.search, self.templates, self.boxes
        if isinstance(network, OpenVinoNetwork):
            search, templates, boxes = search.numpy(), templates.numpy(), boxes.numpy()
            share = None if share is None else share.numpy()
        tokens = [network.embed_template(t, b) for t, b in zip(templates, boxes, strict=True)]
        given = () if share is None else (share,)
        maps = network.step(arrays_of(tokens[0]).concat(tokens, 2), search, *given)
        return HeadOutput(*(None if one is None else torch.as_tensor(one) for one in maps))


def made_up(config: ModelConfig, *, with_adapters: bool = True) -> DMTrack:
    """Build a network of which every weight matters: published scale, adapters as strong as the rest."""
    torch.manual_seed(0)
    model = DMTrack(config, with_adapters=with_adapters)
    with torch.no_grad():
        for name, tensor in model.state_dict().items():
            if name.endswith("running_var") or (name.endswith("weight") and tensor.ndim == 1):
                tensor.normal_(1, 0.1).abs_()
            elif tensor.ndim > 1 and "noise" not in name and "pos_" not in name:
                tensor.normal_(0, tensor[0].numel() ** -0.5)
            elif tensor.is_floating_point():
                tensor.normal_(0, 0.3 if "noise" in name else 0.1)
    return model.eval()


def case(config: ModelConfig, *, templates: int, batch: int, streams: int = 2) -> Case:
    generator = torch.Generator().manual_seed(100 * templates + batch)

    def crops(count: int, side: int) -> Tensor:
        coarse = torch.randint(0, 256, (count, side // 8, side // 8, 3 * streams), generator=generator)
        return coarse.to(torch.uint8).repeat_interleave(8, 1).repeat_interleave(8, 2)

    boxes = 0.3 + 0.3 * torch.rand((templates, batch, 4), generator=generator)
    cut = torch.stack([crops(batch, config.template_size) for _ in range(templates)])
    return Case(crops(batch, config.search_size), cut, boxes)


@pytest.fixture(scope="module")
def networks() -> Callable[[str], DMTrack]:
    made = {name: made_up(config) for name, config in CONFIGS.items()}
    return made.__getitem__


def difference(found: HeadOutput, expected: HeadOutput) -> float:
    """Return the largest difference of any map."""
    assert [m is None for m in found] == [m is None for m in expected]
    pairs = [(a, b) for a, b in zip(found, expected, strict=True) if a is not None]
    assert all(a.shape == b.shape for a, b in pairs)
    return max((a.double() - b.double()).abs().max().item() for a, b in pairs)


def read(model: DMTrack) -> Any:
    """Return a network that was read as weights that are."""
    return SimpleNamespace(model=model, config=model.config, streams=1 if model.adapters is None else 2)


@pytest.fixture(scope="module", params=["torch", "openvino"])
def engine(request, tmp_path_factory) -> Callable[[DMTrack], Network]:
    """What makes a network of a model, once: to convert one takes seconds."""

    def by_openvino(model: DMTrack) -> Network:
        return OpenVinoNetwork(read(model), tmp_path_factory.mktemp("openvino"))

    return functools.cache(inference_network if request.param == "torch" else by_openvino)


@pytest.mark.parametrize("name", CONFIGS)
@pytest.mark.parametrize("templates", [1, 2, 3])
def test_the_network_is_the_reference(reference, networks, name, templates):
    model = networks(name).double()
    inputs = case(model.config, templates=templates, batch=2)
    found = inputs.run(TorchNetwork(model))
    assert difference(found, inputs.run(reference.Reference(model))) < 1e-10


@pytest.mark.parametrize(
    ("name", "templates", "batch"), [("base", 3, 1), ("base", 1, 2), ("tiny", 2, 1), ("tiny", 3, 4)]
)
def test_float32_is_the_reference(reference, networks, engine, name, templates, batch):
    model = networks(name).float()
    inputs = case(model.config, templates=templates, batch=batch)
    assert difference(inputs.run(engine(model)), inputs.run(reference.Reference(model))) < FLOAT32


@pytest.mark.slow
def test_float32_is_the_reference_on_the_whole_published_network(reference, engine, model):
    inputs = case(model.config, templates=3, batch=1)
    assert difference(inputs.run(engine(model)), inputs.run(reference.Reference(model))) < FLOAT32


@pytest.mark.parametrize("with_adapters", [True, False])
def test_one_stream_runs_through_the_foundation(reference, engine, with_adapters):
    model = made_up(CONFIGS["tiny"], with_adapters=with_adapters)
    inputs = case(model.config, templates=2, batch=2, streams=1)
    assert difference(inputs.run(engine(model)), inputs.run(reference.Reference(model))) < FLOAT32


def test_one_network_runs_one_stream_and_two_in_turn(reference, networks, engine):
    """As where frames of the second stream are missing, and targets come and go."""
    model = networks("tiny").float()
    network, plain = engine(model), reference.Reference(model)
    for streams, batch, templates in ((2, 1, 1), (1, 1, 1), (2, 3, 2), (2, 1, 2), (1, 2, 1), (2, 1, 1)):
        inputs = case(model.config, templates=templates, batch=batch, streams=streams)
        assert difference(inputs.run(network), inputs.run(plain)) < FLOAT32


def test_a_target_may_be_read_with_another_share_of_the_second_stream(networks, engine):
    model = networks("tiny").float()
    inputs = case(model.config, templates=2, batch=2)
    found = inputs.run(engine(model), torch.tensor((0.1, 0.9)))
    for row, share in enumerate((0.1, 0.9)):
        fixed = made_up(replace(model.config, aux_share=share)).float()
        expected = inputs.run(TorchNetwork(fixed))
        apart = [(a[row] - b[row]).abs().max() for a, b in zip(found, expected, strict=True)]
        assert max(apart) < FLOAT32
    assert difference(inputs.run(engine(model)), found) > 0.01


def test_two_streams_need_adapters(engine):
    model = made_up(CONFIGS["tiny"], with_adapters=False)
    with pytest.raises(ValueError, match="adapters"):
        case(model.config, templates=1, batch=1).run(engine(model))


@pytest.mark.parametrize("name", ["base", "tiny"])
@pytest.mark.parametrize(
    ("precision", "tolerance"), [("bf16", 0.05), ("fp16", 0.01), ("int8", 0.2)], ids=lambda value: str(value)
)
def test_a_fast_precision_stays_near_float32(reference, networks, tmp_path, name, precision, tolerance):
    model = networks(name).float()
    inputs = case(model.config, templates=2, batch=1)
    network = (
        OpenVinoNetwork(read(model), tmp_path, "int8")
        if precision == "int8"
        else inference_network(model, precision)
    )
    assert 0 < difference(inputs.run(network), inputs.run(reference.Reference(model))) < tolerance


@pytest.mark.parametrize("part", ["temporal", "shallow", "deep"])
def test_the_inputs_reach_every_adapter(networks, part):
    model = networks("tiny-larger").float()
    inputs = case(model.config, templates=2, batch=1)
    expected = inputs.run(inference_network(model))
    without = made_up(model.config)
    with torch.no_grad():
        for name, tensor in without.state_dict().items():
            if f".{part}." in name and ".up." in name:
                tensor.zero_()
    assert difference(inputs.run(inference_network(without)), expected) > 0.2


def test_the_trained_network_stays_as_it_is(networks, engine):
    model = networks("tiny").float().train()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    case(model.config, templates=1, batch=1).run(engine(model))
    assert model.training
    assert all(p.requires_grad for p in model.parameters())
    assert all(torch.equal(t, before[name]) for name, t in model.state_dict().items())
    model.eval()


@pytest.mark.parametrize("precision", ["fp64", "int8"])
def test_what_pytorch_does_not_compute_is_refused(networks, precision):
    with pytest.raises(ConfigError, match=precision):
        inference_network(networks("tiny"), precision)


def test_a_batch_is_its_targets_one_by_one(networks, engine):
    model = networks("tiny").float()
    network = engine(model)
    inputs = case(model.config, templates=2, batch=3)
    together = inputs.run(network)
    for index in range(3):
        one = slice(index, index + 1)
        alone = Case(inputs.search[one], inputs.templates[:, one], inputs.boxes[:, one]).run(network)
        assert difference(alone, HeadOutput(*(m[one] for m in together))) < FLOAT32


@pytest.mark.slow
def test_openvino_gives_the_same_bits_with_any_number_of_threads(networks, tmp_path):
    """Boxes must not depend on the machine's size, on `--threads`, or on what else is followed."""
    model = networks("tiny").float()
    inputs = case(model.config, templates=2, batch=5)
    alone = [
        Case(inputs.search[one], inputs.templates[:, one], inputs.boxes[:, one])
        for one in (slice(index, index + 1) for index in range(5))
    ]
    before = torch.get_num_threads()
    try:
        maps = []
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            network = OpenVinoNetwork(read(model), tmp_path / "kept")
            apart = [one.run(network) for one in alone]
            maps.append(HeadOutput(*map(torch.cat, zip(*apart, strict=True))))
            maps.append(inputs.run(network))
            for pending in [*network._pending.values()]:
                pending.result()
            maps.append(inputs.run(network))  # by the program for several at once
            used = {key.at_once for key in network._requests if key.shape.part == "step"}
            assert used == {1, threads}
    finally:
        torch.set_num_threads(before)
    for one in maps[1:]:
        assert all(torch.equal(a, b) for a, b in zip(one, maps[0], strict=True))


@pytest.mark.slow
def test_what_was_converted_and_compiled_is_kept_and_made_anew_where_it_is_damaged(
    networks, tmp_path, monkeypatch
):
    model = networks("tiny").float()
    inputs = case(model.config, templates=1, batch=1)
    made: list[str] = []
    for name in ("converted", "openvino_core"):
        whole = getattr(openvino_network, name)
        monkeypatch.setattr(openvino_network, name, lambda *a, n=name, w=whole: made.append(n) or w(*a))

    def run() -> HeadOutput:
        openvino_network._programs.clear()  # as in another process
        made.clear()
        network = OpenVinoNetwork(read(model), tmp_path / "kept")
        network.prepare(2)
        maps = inputs.run(network)
        made.extend({"exact"} & vars(network).keys())
        return maps

    expected = run()
    assert "converted" in made
    kept = ["step-2", "step-2-4-fp32.program", "template-2", "template-2-0-fp32.program"]
    assert sorted(path.name for path in (tmp_path / "kept").iterdir()) == kept
    folder, program = (tmp_path / "kept" / name for name in kept[:2])
    assert sorted(path.name for path in folder.iterdir()) == ["network.bin", "network.xml"]
    assert difference(run(), expected) == 0
    assert set(made) == {"openvino_core"}
    assert len(made) == len(kept) // 2  # the programs alone were read
    data = bytearray(program.read_bytes())
    data[len(data) // 2] ^= 1
    program.write_bytes(data)
    assert difference(run(), expected) == 0
    assert "converted" not in made
    program.unlink()
    (folder / "network.xml").write_text("<net")
    assert difference(run(), expected) == 0
    assert "converted" in made
    assert sorted(path.name for path in (tmp_path / "kept").iterdir()) == kept


def test_what_no_run_uses_is_kept_for_a_month(tmp_path):
    days = {"0" * 16: 45, "1" * 16: 31, "2" * 16: 29, "somebody's own": 400}
    for name, age in days.items():
        (tmp_path / name / "step-1").mkdir(parents=True)
        os.utime(tmp_path / name, (time.time() - age * 86_400,) * 2)
    forget_unused(tmp_path / ("0" * 16))
    forget_unused(tmp_path / ("f" * 16))  # it could not be written
    assert sorted(path.name for path in tmp_path.iterdir()) == ["0" * 16, "2" * 16, "somebody's own"]


def test_a_folder_that_cannot_be_written_costs_time_once(networks, tmp_path, monkeypatch, caplog):
    model = networks("tiny").float()
    (tmp_path / "file").write_text("in the way")
    made: list[str] = []
    whole = openvino_network.converted
    monkeypatch.setattr(
        openvino_network,
        "converted",
        lambda one, part, streams: made.append(part) or whole(one, part, streams),
    )
    network = OpenVinoNetwork(read(model), tmp_path / "file" / "kept")
    network.prepare(2)
    for templates in (1, 2):
        inputs = case(model.config, templates=templates, batch=1)
        assert difference(inputs.run(network), inputs.run(inference_network(model))) < FLOAT32
    assert made == ["template", "step"]
    assert caplog.text.count("kept: cannot be written: every run will prepare the network") == 1


def test_a_full_disk_while_it_is_converted_is_said(networks, tmp_path, monkeypatch):
    def save(*_: object, **__: object) -> None:
        raise RuntimeError("basic_ios::clear: iostream error")

    monkeypatch.setattr(openvino_network.openvino_module(), "save_model", save)
    model = networks("tiny").float()
    with pytest.raises(OutputError, match="free some space for temporary files"):
        OpenVinoNetwork(read(model), tmp_path / "kept").prepare(1)


def test_a_processor_that_openvino_does_not_serve_is_said(networks, tmp_path, monkeypatch):
    model = networks("tiny").float()
    network, inputs = (
        OpenVinoNetwork(read(model), tmp_path / "kept"),
        case(model.config, templates=1, batch=1),
    )
    core = openvino_network.openvino_core()

    def compiled(*_: object) -> None:
        raise RuntimeError("no kernel for this")

    here = SimpleNamespace(read_model=core.read_model, compile_model=compiled)
    monkeypatch.setattr(openvino_network, "openvino_core", lambda: here)
    with pytest.raises(
        ConfigError, match=r"compile this network here \(no kernel for this\); --backend torch"
    ):
        inputs.run(network)


def test_a_program_that_gives_something_else_is_not_used(networks, tmp_path, monkeypatch, caplog):
    model = networks("tiny").float()
    other = made_up(replace(model.config), with_adapters=True)
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.mul_(1.5)
    whole = openvino_network.converted
    monkeypatch.setattr(openvino_network, "converted", lambda _, *part: whole(TorchNetwork(other), *part))
    inputs = case(model.config, templates=1, batch=1)
    network = OpenVinoNetwork(read(model), tmp_path / "kept")
    for _ in range(2):
        assert difference(inputs.run(network), inputs.run(inference_network(model))) == 0
    assert sum("PyTorch" in line for line in caplog.messages) == 2  # templates, steps


def test_nothing_of_it_is_trained(networks):
    network = inference_network(networks("tiny").float())
    assert isinstance(network, nn.Module)
    assert not any(p.requires_grad for p in network.parameters())
