"""Few bytes cost little: what a small file or a name may claim is bounded before it is believed."""

from __future__ import annotations

import io
import zipfile

import pytest
import torch

from dmtrack.boxes.reading import read_results
from dmtrack.config import TINY, TINY_TRACKER, ModelConfig, TrackerConfig
from dmtrack.datasets.image_files import gaps
from dmtrack.errors import ConfigError, FormatError
from dmtrack.evaluation.tracker_files import unpacked
from dmtrack.network import backend


def bomb(name: str) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, b"0" * (200 << 20))
    return packed.getvalue()


def test_archives_that_unpack_to_much_more_than_they_are_stay_packed(tmp_path):
    (tmp_path / "r.zip").write_bytes(bomb("t/a.txt"))
    with pytest.raises(FormatError, match=r"r\.zip: unpacks to an implausible amount"):
        unpacked(tmp_path / "r.zip", tmp_path / "out")
    assert not (tmp_path / "out").exists()
    (tmp_path / "c.zip").write_bytes(bomb("gt/gt.txt"))
    with pytest.raises(FormatError, match=r"gt/gt\.txt is implausibly large"):
        read_results(tmp_path / "c.zip")


def test_numbers_in_names_that_are_times_are_not_counted():
    assert gaps([1, 2, 4]) == (3,)
    assert gaps([1, 2, 10**17]) == ()


@pytest.mark.parametrize("value", [-1, 0, 2**70, 1e308, float("nan"), "x", None, [], {}, True])
@pytest.mark.parametrize("config", [ModelConfig, TrackerConfig])
def test_a_value_of_a_configuration_is_of_its_kind_or_refused(config, value):
    whole = values_of(config)
    for name in whole:
        try:
            made = config.from_dict(whole | {name: value})
        except ConfigError:
            continue
        assert type(getattr(made, name)) in (type(value), float), name


def values_of(config: type) -> dict[str, object]:
    return (TINY if config is ModelConfig else TINY_TRACKER).to_dict()


def test_int8_is_refused_without_openvino():
    with pytest.raises(ConfigError, match="int8 is computed by OpenVINO"):
        backend.choose_precision("int8", torch.device("cpu"))
    assert backend.choose_precision("int8", torch.device("cpu"), "openvino") == "int8"
