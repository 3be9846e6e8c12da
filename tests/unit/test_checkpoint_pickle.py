"""A published file gives its tensors; a hostile one gives an error and runs nothing."""

from __future__ import annotations

import builtins
import io
import os
import pickle
import sys
import types
import zipfile
from collections import OrderedDict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from clips import archive

from dmtrack.errors import CheckpointError
from dmtrack.network.weights.pickle_reader import read_state_dict

RECORDS = {
    "lib.train.admin.stats": ("AverageMeter", "StatValue"),
    "lib.train.admin.settings": ("Settings",),
    "lib.train.admin.local": ("EnvironmentSettings",),
}


@pytest.fixture
def records() -> Iterator[dict[str, type]]:
    """Importable research classes by the names the official trainer pickles, gone again afterwards."""
    made: dict[str, type] = {}
    packages = ["lib", "lib.train", "lib.train.admin", *RECORDS]
    for name in packages:
        sys.modules[name] = types.ModuleType(name)
    for module, names in RECORDS.items():
        for name in names:
            made[name] = type(name, (), {"__module__": module})
            setattr(sys.modules[module], name, made[name])
    yield made
    for name in packages:
        del sys.modules[name]


@pytest.fixture
def state() -> OrderedDict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(3)
    tensors = OrderedDict(
        {
            "layer.weight": torch.randn(4, 6, generator=generator),
            "layer.bias": torch.randn(4, generator=generator),
            "half": torch.randn(3, generator=generator).half(),
            "transposed": torch.randn(5, 2, generator=generator).t(),
            "num_batches_tracked": torch.tensor(7),
        }
    )
    tensors._metadata = OrderedDict({"": {"version": 1}})  # type: ignore[attr-defined]
    return tensors


def official(state: dict[str, torch.Tensor], made: dict[str, type]) -> dict[str, Any]:
    """What the official trainer writes: the network beside its optimiser and its own objects."""
    meter, value, settings = made["AverageMeter"](), made["StatValue"](), made["Settings"]()
    meter.history, meter.avg, meter.count = [0.5, 0.25], np.float64(0.375), 2
    value.val = 1e-4
    settings.env, settings.device = made["EnvironmentSettings"](), torch.device("cuda", 0)
    settings.env.workspace_dir = "/somewhere"
    moments = {"step": torch.tensor(5.0), "exp_avg": torch.ones(3), "exp_avg_sq": torch.ones(3)}
    group = {"lr": 4e-4, "betas": (0.9, 0.999), "eps": 1e-8, "amsgrad": False, "fused": None, "params": [0]}
    return {
        "epoch": 60,
        "actor_type": "DMTrackActor",
        "net_type": "DMTrack",
        "net": state,
        "net_info": None,
        "constructor": None,
        "optimizer": {"state": {0: moments}, "param_groups": [group]},
        "stats": OrderedDict(train=OrderedDict({"Loss/total": meter, "lr": value}), val=None),
        "settings": settings,
    }


def assert_equal(found: dict[str, torch.Tensor], expected: dict[str, torch.Tensor]) -> None:
    assert list(found) == list(expected)
    for name, tensor in expected.items():
        assert found[name].dtype == tensor.dtype
        assert found[name].is_contiguous()
        assert torch.equal(found[name], tensor)


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_a_file_as_the_official_trainer_writes_it(tmp_path, records, state, protocol):
    path = tmp_path / "DMTrack_ep0060.pth.tar"
    torch.save(official(state, records), path, pickle_protocol=protocol)
    assert_equal(read_state_dict(path), state)


def test_the_research_classes_need_not_exist(tmp_path, records, state):
    path = tmp_path / "DMTrack_ep0060.pth.tar"
    torch.save(official(state, records), path)
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in sys.modules if name.split(".")[0] == "lib"]:
            patch.setitem(sys.modules, name, None)
        assert_equal(read_state_dict(path), state)


@pytest.mark.parametrize(
    "wrap",
    [
        *(lambda s: {"net": s}, lambda s: {"state_dict": s, "epoch": 3}, lambda s: {"model": s}, dict),
        lambda s: {"epoch": 3, "optimizer": {"state": {0: {"m": s}}}, "model_state_dict": s},
        lambda s: {"model": {"state_dict": s, "step": 3}, "ema": {"w": torch.zeros(2)}},
        lambda s: {"meta": {"by": "a trainer"}, "anything": s},
    ],
)
def test_files_stripped_to_the_network(tmp_path, state, wrap):
    path = tmp_path / "stripped.pth"
    torch.save(wrap(state), path)
    assert_equal(read_state_dict(path), state)


def test_parameters_are_read_as_their_data(tmp_path):
    path = tmp_path / "module.pth"
    torch.save({"net": {"weight": torch.nn.Parameter(torch.arange(4.0))}}, path)
    assert torch.equal(read_state_dict(path)["weight"], torch.arange(4.0))


# --- hostile files -------------------------------------------------------------------------------


class Calls:
    """Pickles as a call of `function(*arguments)`."""

    def __init__(self, function: object, *arguments: object) -> None:
        self.function, self.arguments = function, arguments

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return self.function, self.arguments


def gadgets(marker: Path) -> dict[str, Calls]:
    command = f"touch {marker}"
    return {
        "os.system": Calls(os.system, command),
        "builtins.eval": Calls(builtins.eval, f"open({str(marker)!r}, 'w').close()"),
        "builtins.exec": Calls(builtins.exec, f"open({str(marker)!r}, 'w').close()"),
        "builtins.getattr": Calls(getattr, "text", "upper"),
        "torch.load": Calls(torch.load, io.BytesIO(b"")),
        "torch.storage._load_from_bytes": Calls(torch.storage._load_from_bytes, b""),
        "pickle.loads": Calls(pickle.loads, pickle.dumps(Calls(os.system, command))),
        "torch.hub.load": Calls(torch.hub.load, "owner/name", "model"),
        "numpy.load": Calls(np.load, "x.npy"),
    }


GADGETS = list(gadgets(Path("x")))


@pytest.mark.parametrize("place", ["top", "net", "settings", "optimizer"])
@pytest.mark.parametrize("gadget", GADGETS)
def test_a_call_anywhere_is_refused_and_not_made(tmp_path, records, state, gadget, place):
    marker, path = tmp_path / "marker", tmp_path / "hostile.pth.tar"
    content = official(state, records)
    hostile = gadgets(marker)[gadget]
    if place == "top":
        content["zz"] = hostile
    elif place == "net":
        content["net"]["layer.weight"] = hostile
    elif place == "settings":
        content["settings"].env.hook = hostile
    else:
        content["optimizer"]["state"][0]["step"] = hostile
    torch.save(content, path)
    with pytest.raises(CheckpointError, match="which no weights need; nothing of the file was run"):
        read_state_dict(path)
    assert not marker.exists()


def test_the_refused_name_is_said(tmp_path):
    path = tmp_path / "hostile.pth"
    torch.save({"net": Calls(os.system, f"touch {tmp_path / 'marker'}")}, path)
    with pytest.raises(CheckpointError, match=r"hostile\.pth: names (posix|nt)\.system, ") as caught:
        read_state_dict(path)
    assert caught.value.exit_code == 4
    assert not (tmp_path / "marker").exists()


def checkpoint(path: Path, opcodes: bytes, records: dict[str, bytes] | None = None) -> Path:
    """Write a checkpoint with a hand-made pickle."""
    members = {"data.pkl": opcodes, **(records or {})}
    return archive(path, {f"archive/{name}": data for name, data in members.items()}, zipfile.ZIP_STORED)


METER = b"clib.train.admin.stats\nAverageMeter\n"


@pytest.mark.parametrize(
    "opcodes",
    [
        pytest.param(b"\x80\x02cos\nsystem\n(S'touch MARKER'\ntR.", id="global-reduce"),
        pytest.param(b"\x80\x02(S'touch MARKER'\nios\nsystem\n.", id="inst"),
        pytest.param(b"\x80\x02(cos\nsystem\nS'touch MARKER'\no.", id="obj"),
        pytest.param(b"\x80\x04\x8c\x02os\x8c\x06system\x93\x8c\x0ctouch MARKER\x85R.", id="stack-global"),
        pytest.param(b"\x80\x02clib.train.admin.stats\nAverageMeter.__init__\n)R.", id="dotted-placeholder"),
        pytest.param(b"\x80\x02clib.train.admin.stats\n__reduce__\n)R.", id="dunder-of-the-package"),
        pytest.param(b"\x80\x02clib.train.admin.stats\nos\n)R.", id="module-in-the-package"),
        pytest.param(
            b"\x80\x02clib.train.admin\nstats.os.system\n(S'touch MARKER'\ntR.", id="path-through-it"
        ),
        pytest.param(b"\x80\x02ccollections\nOrderedDict.fromkeys\n)R.", id="method-of-an-allowed-class"),
        pytest.param(b"\x80\x02ctorch._utils\n_rebuild_tensor\n)R.", id="another-rebuilder"),
        pytest.param(
            b"\x80\x02}X\x03\x00\x00\x00net" + METER + b")\x81}X\n\x00\x00\x00__reduce__cos\nsystem\nsbs.",
            id="attribute-of-a-placeholder",
        ),
        pytest.param(METER + b"}X\t\x00\x00\x00__class__K\x01sb.", id="attributes-on-the-class-itself"),
        pytest.param(METER + b"}(N}X\x08\x00\x00\x00__call__K\x01stb.", id="slot-state-on-the-class-itself"),
        pytest.param(METER + b"]K\x01ab.", id="list-as-state-on-a-name"),
        pytest.param(METER + b")R)R.", id="call-of-a-placeholder"),
        pytest.param(METER + b")\x81K\x01a.", id="append-to-a-placeholder"),
        pytest.param(METER + b")\x81K\x01K\x02s.", id="item-of-a-placeholder"),
        pytest.param(b"\x82\x01.", id="extension-registry"),
        pytest.param(b"Pos.system\n.", id="text-persistent-id"),
        pytest.param(b"K\x01Q.", id="persistent-id-of-a-number"),
        pytest.param(b"ctorch\nFloatStorage\n(K\x01tR.", id="call-of-a-storage"),
        pytest.param(b"ccollections\nOrderedDict\n(](K\x01K\x02etR.", id="dictionary-with-arguments"),
        pytest.param(b"(" * 50 + b"t" * 50 + b"}" + b"K\x01K\x02s.", id="no-state-dict"),
        pytest.param(b"})))K\x01s.", id="tuple-as-key"),
        pytest.param(b"})" + b"\x85" * 200_000 + b"K\x01s.", id="deeply-nested-key"),
        pytest.param(b"cbuiltins\nbytearray\n\x8a\x06\x00\x00\x00\x00\x00\x10\x85R.", id="a-lot-of-memory"),
        pytest.param(b"Nr\xff\xff\xff\x7f.", id="memo-of-an-absurd-number"),
        pytest.param(b"ctorch._utils\n_rebuild_tensor_v2\n}U\x01ab.", id="attributes-of-a-rebuilder"),
        pytest.param(b"\x80\x02}", id="no-end"),
        pytest.param(b"", id="empty"),
        pytest.param(b"garbage \xff\xfe", id="garbage"),
        pytest.param(b"R.", id="empty-stack"),
        pytest.param(b"h\x05.", id="empty-memo"),
        pytest.param(b"\x8e\xff\xff\xff\xff\xff\xff\xff\x7f.", id="bytes-of-an-absurd-length"),
    ],
)
def test_hand_made_opcodes_run_nothing(tmp_path, opcodes):
    marker = tmp_path / "marker"
    path = checkpoint(tmp_path / "hostile.pth", opcodes.replace(b"MARKER", str(marker).encode()))
    with pytest.raises(CheckpointError):
        read_state_dict(path)
    assert not marker.exists()


def tensor_opcodes(count: int, offset: int, shape: tuple[int, ...], stride: tuple[int, ...]) -> bytes:
    """Pickle `{"w": tensor}` with the given claims about storage `data/0`."""

    def integer(value: int) -> bytes:
        return f"I{value}\n".encode()

    def integers(values: tuple[int, ...]) -> bytes:
        return b"(" + b"".join(map(integer, values)) + b"t"

    storage = b"(S'storage'\nctorch\nFloatStorage\nS'0'\nS'cpu'\n" + integer(count) + b"tQ"
    call = b"(" + storage + integer(offset) + integers(shape) + integers(stride) + b"I00\nNt"
    return b"}S'w'\nctorch._utils\n_rebuild_tensor_v2\n" + call + b"Rs."


def test_the_hand_made_tensor_is_readable_when_its_claims_are_true(tmp_path):
    data = np.arange(4, dtype="<f4").tobytes()
    path = checkpoint(tmp_path / "x.pth", tensor_opcodes(4, 0, (2, 2), (2, 1)), {"data/0": data})
    assert read_state_dict(path)["w"].tolist() == [[0, 1], [2, 3]]


@pytest.mark.parametrize(
    ("count", "offset", "shape", "stride"),
    [
        pytest.param(4, 1, (2, 2), (2, 1), id="offset-beyond-the-end"),
        pytest.param(4, 0, (3, 2), (2, 1), id="shape-larger-than-the-storage"),
        pytest.param(4, 0, (2, 2), (9, 1), id="stride-beyond-the-end"),
        pytest.param(4, 0, (10**6, 10**6), (0, 0), id="one-number-repeated-without-end"),
        pytest.param(4, 3, (2, 2), (-2, 1), id="negative-stride"),
        pytest.param(4, -1, (2, 2), (2, 1), id="negative-offset"),
        pytest.param(4, 0, (2,), (2, 1), id="more-strides-than-sizes"),
        pytest.param(4, 0, (0, 10**30), (1, 1), id="empty-and-huge"),
        pytest.param(4, 0, (1,) * 1000, (1,) * 1000, id="a-thousand-dimensions"),
        pytest.param(10**15, 0, (2, 2), (2, 1), id="storage-larger-than-the-file"),
        pytest.param(3, 0, (3,), (1,), id="storage-shorter-than-the-record"),
        pytest.param(-4, 0, (2, 2), (2, 1), id="negative-storage"),
    ],
)
def test_impossible_tensors_are_refused(tmp_path, count, offset, shape, stride):
    data = np.arange(4, dtype="<f4").tobytes()
    path = checkpoint(tmp_path / "x.pth", tensor_opcodes(count, offset, shape, stride), {"data/0": data})
    with pytest.raises(CheckpointError, match="damaged"):
        read_state_dict(path)


@pytest.mark.parametrize(
    "state", ["(S'0'\nctorch\nFloatStorage\nI4\nl", "}S'length'\nI4\ns", "(N}S'length'\nI4\nst"]
)
def test_what_was_checked_takes_no_attributes(tmp_path, state):
    """As a list, which dataclasses with slots take, as a dictionary, or for slots."""
    opcodes = tensor_opcodes(4, 0, (2, 2), (2, 1)).replace(b"tQ", b"tQ" + state.encode() + b"b")
    with pytest.raises(CheckpointError, match="damaged"):
        read_state_dict(checkpoint(tmp_path / "x.pth", opcodes, {"data/0": bytes(16)}))


def test_many_names_for_one_storage_cannot_fill_the_memory(tmp_path):
    path = tmp_path / "x.pth"
    shared = torch.zeros(100_000)
    torch.save({"net": {str(index): shared for index in range(1000)}}, path)
    with pytest.raises(CheckpointError, match="more data than the file has"):
        read_state_dict(path)


def test_a_number_cannot_be_written_beyond_a_storage(tmp_path):
    """A tensor of a large storage that is not there, and an item of it: what torch 2.6 does while loading."""
    claimed = tensor_opcodes(10**9, 0, (10**9,), (1,))
    opcodes = claimed.removeprefix(b"}S'w'\n").removesuffix(b"s.") + b"I50000000\nF1.0\ns."
    with pytest.raises(CheckpointError, match="damaged"):
        read_state_dict(checkpoint(tmp_path / "x.pth", opcodes, {"data/0": bytes(16)}))


def test_a_storage_that_many_names_share_is_read_once(tmp_path, monkeypatch):
    path, shared = tmp_path / "x.pth", torch.arange(1000.0)
    torch.save({"net": {str(index): shared[index] for index in range(50)}}, path)
    read: list[str] = []
    plain = zipfile.ZipFile.read
    monkeypatch.setattr(
        zipfile.ZipFile, "read", lambda *given: read.append(given[1].filename) or plain(*given)
    )
    assert read_state_dict(path)["7"].tolist() == 7.0
    assert sum("/data/" in name for name in read) == 1


def test_a_compressed_record_is_refused(tmp_path):
    path = tmp_path / "bomb.pth"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("archive/data.pkl", tensor_opcodes(1000, 0, (1000,), (1,)), zipfile.ZIP_STORED)
        file.writestr("archive/data/0", np.random.default_rng(0).bytes(4000))
    with pytest.raises(CheckpointError, match="compressed, encrypted or larger"):
        read_state_dict(path)


@pytest.mark.parametrize("kept", [0.3, 0.9, 0.999])
def test_a_truncated_download_is_an_error(tmp_path, state, kept):
    path = tmp_path / "cut.pth.tar"
    torch.save({"net": state}, path)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * kept)])
    with pytest.raises(CheckpointError, match=r"cut\.pth\.tar: is damaged .* download it again"):
        read_state_dict(path)


def test_a_flipped_bit_is_an_error(tmp_path):
    path = tmp_path / "flipped.pth"
    torch.save({"net": {"w": torch.full((1000,), 1.5)}}, path)
    data = bytearray(path.read_bytes())
    data[data.index(np.float32(1.5).tobytes() * 4) + 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(CheckpointError, match="damaged"):
        read_state_dict(path)


def test_the_format_before_torch_1_6_is_refused_without_running_it(tmp_path):
    marker, path = tmp_path / "marker", tmp_path / "old.pth"
    torch.save({"net": Calls(os.system, f"touch {marker}")}, path, _use_new_zipfile_serialization=False)
    with pytest.raises(CheckpointError, match=r"before torch 1\.6"):
        read_state_dict(path)
    assert not marker.exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        pytest.param(b"a text file", "is not a checkpoint", id="text"),
        pytest.param(b"", "is not a checkpoint", id="empty"),
        pytest.param(pickle.dumps({"net": 1}), "is not a checkpoint", id="plain-pickle"),
        pytest.param(None, "cannot be read", id="missing"),
    ],
)
def test_other_files_are_refused(tmp_path, content, message):
    path = tmp_path / "x.pth"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(CheckpointError, match=message):
        read_state_dict(path)


def test_a_folder_is_refused(tmp_path):
    with pytest.raises(CheckpointError, match="cannot be read"):
        read_state_dict(tmp_path)


@pytest.mark.parametrize("content", [{"net": {"a": 1}}, {"net": {}}, {}, [1, 2], "text", {"net": {3: 4}}])
def test_a_file_without_a_state_dict_is_an_error(tmp_path, content):
    path = tmp_path / "x.pth"
    torch.save(content, path)
    with pytest.raises(CheckpointError, match="state dict"):
        read_state_dict(path)


def test_a_plain_zip_is_an_error(tmp_path):
    path = archive(tmp_path / "x.zip", {"readme.txt": "hello"})
    with pytest.raises(CheckpointError, match=r"0 data\.pkl"):
        read_state_dict(path)
