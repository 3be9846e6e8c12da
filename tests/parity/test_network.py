"""The network's outputs against those recorded from the published one.

Tolerances (largest absolute difference): float32 arithmetic in another order moves the published network
itself by up to 9e-6; in float64 only rounding at 1e-14 is left, and a wrong formula shows at 1e-5 or more.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch

from dmtrack.network.head import HeadOutput
from dmtrack.network.model import DMTrack

HERE = Path(__file__).parent
FLOAT32 = {"score_map": 1e-5, "size_map": 1e-5, "offset_map": 2e-5, "pred_boxes": 1e-5, "feat_sample": 5e-5}
FLOAT64 = dict.fromkeys(FLOAT32, 1e-9)


def _image(rng: np.random.Generator, size: int) -> np.ndarray:
    coarse = rng.standard_normal((6, size // 16, size // 16))
    fine = rng.standard_normal((6, size // 4, size // 4))

    def enlarged(field: np.ndarray, times: int) -> np.ndarray:
        return field.repeat(times, axis=1).repeat(times, axis=2)

    return (1.0 * enlarged(coarse, 16) + 0.5 * enlarged(fine, 4)).astype(np.float32)


@dataclass(frozen=True)
class Case:
    """A recorded case with its inputs."""

    golden: dict[str, np.ndarray]
    images: list[np.ndarray]


@dataclass(frozen=True)
class Run:
    """What our network says to the inputs of a case."""

    output: HeadOutput
    features: torch.Tensor
    block_stats: np.ndarray


def _case(name: str) -> Case:
    with np.load(HERE / f"golden_{name}.npz") as file:
        golden = dict(file)
    rng = np.random.Generator(np.random.PCG64(int(golden["seed"])))
    images = [_image(rng, 128) for _ in range(int(golden["n_templates"]))] + [_image(rng, 256)]
    return Case(golden, images)


def _run(model: DMTrack, case: Case) -> Run:
    dtype = next(model.parameters()).dtype
    *templates, search = (torch.from_numpy(image).to(dtype)[None] for image in case.images)
    stats: list[list[float]] = []
    with torch.no_grad(), pytest.MonkeyPatch.context() as patch:
        for block in model.foundation.blocks:

            def recorded(*args: object, run=block.forward_pair) -> torch.Tensor:
                tokens = run(*args)
                stats.append([value for t in tokens for value in (t.mean().item(), t.std().item())])
                return tokens

            patch.setattr(block, "forward_pair", recorded)
        features: list[torch.Tensor] = []
        read_out = model.read_out
        patch.setattr(model, "read_out", lambda tokens: features.append(tokens) or read_out(tokens))
        output = model(torch.stack(templates, dim=1), search)
    return Run(output, features[0], np.array(stats))


@pytest.fixture(scope="module", params=["a", "b"])
def case(request) -> Case:
    return _case(request.param)


@pytest.fixture(scope="module")
def run_f32(case, model) -> Run:
    return _run(model, case)


@pytest.fixture(scope="module", params=[pytest.param("a", marks=pytest.mark.slow), "b"])
def case_f64(request) -> Case:
    return _case(request.param)


@pytest.fixture(scope="module")
def run_f64(case_f64, model_f64) -> Run:
    return _run(model_f64, case_f64)


def test_the_inputs_are_the_recorded_ones(case):
    assert [zlib.crc32(image.tobytes()) for image in case.images] == case.golden["input_crc32"].tolist()


def test_float32_outputs_are_the_published_ones(case, run_f32):
    _compare(run_f32, case.golden, "", FLOAT32, 1e-5)


def test_float64_outputs_are_the_published_ones(case_f64, run_f64):
    _compare(run_f64, case_f64.golden, "_f64", FLOAT64, 1e-9)


def _arrays(run: Run) -> dict[str, np.ndarray]:
    """Our outputs under the recorded names and shapes."""
    boxes, _ = run.output.peak_box()
    tensors = {
        "score_map": run.output.score_map,
        "size_map": run.output.size_map,
        "offset_map": run.output.offset_map,
        "pred_boxes": boxes[:, None],
        "feat_sample": run.features[0, ::16, ::32],
    }
    return {name: tensor.numpy() for name, tensor in tensors.items()}


def _compare(
    run: Run, golden: dict[str, np.ndarray], suffix: str, tolerances: dict[str, float], stats_tolerance: float
) -> None:
    assert list(run.features.shape) == golden["feat_shape"].tolist()
    # The blocks first: the first row that differs names the block that is wrong.
    np.testing.assert_allclose(
        run.block_stats, golden["block_stats" + suffix], rtol=0, atol=stats_tolerance, err_msg="blocks"
    )
    for name, array in _arrays(run).items():
        expected = golden[name + suffix]
        assert array.shape == expected.shape, name
        assert array.dtype == expected.dtype, name
        np.testing.assert_allclose(array, expected, rtol=0, atol=tolerances[name], err_msg=name)
    assert run.features.mean().item() == pytest.approx(
        float(golden["feat_mean" + suffix]), abs=stats_tolerance
    )
    assert run.features.std().item() == pytest.approx(float(golden["feat_std" + suffix]), abs=stats_tolerance)
