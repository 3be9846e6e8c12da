"""`dmtrack export-model` and `--backend`: what is refused before anything is computed."""

from __future__ import annotations

import pytest


@pytest.mark.parametrize(
    ("there", "name", "says"),
    [
        pytest.param("net.onnx", "net.onnx", "net.onnx: this result exists", id="the-step-exists"),
        pytest.param(
            "net.template.onnx", "net.onnx", "net.template.onnx: this result exists", id="its-half-exists"
        ),
        pytest.param(None, "net.pt", "must end in .onnx", id="another-suffix"),
    ],
)
def test_export_model_refuses(run_cli, tmp_path, there, name, says):
    if there is not None:
        (tmp_path / there).write_bytes(b"mine")
    outcome = run_cli("export-model", "-o", tmp_path / name)
    assert outcome.code == (5 if there else 4)
    assert says in outcome.err
    assert there is None or (tmp_path / there).read_bytes() == b"mine"


def test_export_model_writes_nothing_for_weights_that_are_not_there(run_cli, tmp_path):
    outcome = run_cli("export-model", "-o", tmp_path / "net.onnx", "--weights", tmp_path / "none")
    outcome.refused(4, "no such weights")
    assert not (tmp_path / "net.onnx").exists()


def test_what_a_processor_does_not_compute_is_refused(track, monkeypatch):
    monkeypatch.setattr("dmtrack.network.backend.computed_precisions", lambda: frozenset({"fp32"}))
    outcome = track("--box", "20,16,16,16", "--backend", "openvino", "--precision", "bf16")
    outcome.refused(4, "does not compute in bf16")
