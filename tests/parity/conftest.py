"""The published network's weights, made up by the recipe of the recorded reference numbers.

The `.npz` files and `state_dict_keys.json` beside this file were recorded from the published network and
tracker with these weights; nobody needs a trained checkpoint to compare.
"""

from __future__ import annotations

import itertools
import json
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch

from dmtrack.network.model import DMTrack
from dmtrack.network.weights.checkpoint import Weights, build_model
from dmtrack.network.weights.published import convert
from dmtrack.video.frame import Modality

HERE = Path(__file__).parent

#: Scale of a weight by the first of these that its name holds.
_SCALES = {
    "adapter_down.weight": 0.05,
    "adapter_up.weight": 0.1,
    "adapter_mid.weight": 0.3,
    "cross_attn": 0.5,
    "relation_judger": 0.5,
    "noise": 1.0,
    "attn.qkv.weight": 0.05,
    "conv5_ctr.weight": 2.0,
    "conv5_size.weight": 0.3,
    "conv5_offset.weight": 0.5,
}
_CENTRES = {"box_head.conv5_size.bias": -1.3, "box_head.conv5_offset.bias": 0.45}


def _made_up(name: str, shape: tuple[int, ...]) -> np.ndarray:
    if name.endswith("num_batches_tracked"):
        return np.zeros(shape, np.int64)
    n = np.random.Generator(np.random.PCG64(zlib.crc32(name.encode()))).standard_normal(shape)
    if name.endswith("running_var"):
        value = 1 + 0.02 * np.abs(n)
    elif name.endswith("running_mean"):
        value = 0.02 * n
    elif name.endswith("bias"):
        value = 0.02 * n + _CENTRES.get(name, 0.0)
    elif name.endswith("weight") and len(shape) == 1:
        value = 1 + 0.02 * n
    else:
        value = next((scale for part, scale in _SCALES.items() if part in name), 0.02) * n
    return np.asarray(value).astype(np.float32)


@pytest.fixture(scope="session")
def published_shapes() -> dict[str, tuple[int, ...]]:
    """Name and shape of every tensor of the published network."""
    entries = json.loads((HERE / "state_dict_keys.json").read_text())["keys"]
    return {entry["key"]: tuple(entry["shape"]) for entry in entries}


@pytest.fixture(scope="session")
def published_state(published_shapes) -> dict[str, torch.Tensor]:
    """The made-up weights under the published names."""
    return {name: torch.from_numpy(_made_up(name, shape)) for name, shape in published_shapes.items()}


@pytest.fixture(scope="session")
def weights(published_state) -> Weights:
    """The same through the code that loads a published checkpoint."""
    return convert(published_state, modality=Modality.THERMAL, source_name="recipe")


@pytest.fixture(scope="session")
def model(weights) -> DMTrack:
    """The whole network in float32."""
    return build_model(weights)


@pytest.fixture(scope="session")
def model_f64(weights) -> DMTrack:
    """The whole network in float64."""
    return build_model(weights, dtype=torch.float64)


@pytest.fixture(scope="session")
def reference(script) -> ModuleType:
    """The module `reference.py`: the network in the plainest way."""
    return script(HERE / "reference.py")


@pytest.fixture(scope="session")
def recipe_frames() -> Callable[[int], Iterator[np.ndarray]]:
    """Make the frames `(240, 320, 6)` of the recorded sequence with a seed, without end."""

    def frames(seed: int) -> Iterator[np.ndarray]:
        rng = np.random.Generator(np.random.PCG64(seed))
        background = rng.integers(0, 256, (30, 40, 6), dtype=np.uint8).repeat(8, axis=0).repeat(8, axis=1)
        texture = rng.integers(0, 256, (6, 6, 6), dtype=np.uint8).repeat(8, axis=0).repeat(8, axis=1)
        for t in itertools.count():
            x, y = 60 + 4 * t, 70 + abs((3 * t) % 60 - 30)
            frame = background.copy()
            frame[y : y + 48, x : x + 48] = texture
            yield frame

    return frames
