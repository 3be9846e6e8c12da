"""`--engine ray` on a real cluster of two nodes, started here."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from clips import copies
from program import csv_by_id

from dmtrack.batch.ray_engine import RayEngine

pytestmark = [
    pytest.mark.slow,
    pytest.mark.alone,
    pytest.mark.filterwarnings("ignore"),  # Ray's own warnings are not ours
]
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def cluster() -> Iterator[str]:
    """Two nodes with one core each; their workers find the packages of this checkout."""
    from ray.cluster_utils import Cluster

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(ROOT / "tests" / "unit"), prepend=os.pathsep)
        node = {"num_cpus": 1, "object_store_memory": 80 << 20}  # the smallest: recordings are read from disk
        nodes = Cluster(initialize_head=True, head_node_args={**node, "include_dashboard": False})
        nodes.add_node(**node)
        nodes.wait_for_nodes()
        yield nodes.address
        nodes.shutdown()


@pytest.mark.parametrize(
    ("address", "said"), [("127.0.0.1:1", "no Ray cluster answers at '127.0.0.1:1'"), ("auto", "at 'auto'")]
)
def test_no_cluster_is_one_line(run_cli, recording, weights, monkeypatch, address, said):
    # the first test of this file: `auto` would find the cluster of the others
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    words = ["--weights", weights, "--engine", "ray", "--ray-address", address, "-q"]
    outcome = run_cli("batch", recording.rgb.parent, "-o", "out", *words)
    assert outcome.code == 4
    assert said in outcome.error_lines[-1]  # Ray has lines of its own


def test_the_same_results_as_here(run_cli, recording, weights, cluster):
    folder = copies(recording, "a", "b", "c", "broken")
    (folder / "broken_thermal.mp4").write_bytes(b"no video")
    words = ["batch", folder, "--weights", weights, "--devices", "cpu", "--threads", "1"]
    ray = run_cli(*words, "-o", "ray", "--engine", "ray", "--ray-address", cluster, "--progress", "plain")
    assert ray.code == 6, ray.err
    assert "3 complete, 1 failed, 36 frames" in ray.out
    assert run_cli(*words, "-o", "here", "-q").code == 6
    for name in "abc":
        assert Path("ray", name, "boxes.txt").read_bytes() == Path("here", name, "boxes.txt").read_bytes()
    assert csv_by_id("ray/summary.csv").keys() == csv_by_id("here/summary.csv").keys()
    assert not [path for path in Path("ray").iterdir() if path.name.startswith(".")]
    again = run_cli(*words, "-o", "ray", "--engine", "ray", "--ray-address", cluster, "--resume")
    assert "3 complete (3 kept from before), 1 failed" in again.out


def test_both_nodes_work_and_a_task_that_dies_is_retried(tmp_path, cluster, monkeypatch):
    import importlib

    from dmtrack.batch import BatchItem, ItemFinished, Plan, PlannedItem, run_batch
    from dmtrack.geometry.box import Box

    monkeypatch.syspath_prepend(str(ROOT / "tests" / "unit"))
    fake = importlib.import_module("batch_runner")
    items = []
    for name in ("a", "b", "crashes", "dies"):
        (tmp_path / f"{name}.mp4").touch()
        item = BatchItem(name, tmp_path / f"{name}.mp4", boxes=(Box(1, 2, 3, 4),))
        items.append(PlannedItem(item, name, frames=6))
    engine = RayEngine(cluster)
    out = tmp_path / "out"
    events = list(run_batch(Plan(tuple(items)), out, fake.FakeRunner(frame_s=0.3), engine))
    said = {event.row.id: event.row for event in events if isinstance(event, ItemFinished)}
    assert {name: row.status.value for name, row in said.items()} == {
        "a": "complete",
        "b": "complete",
        "crashes": "complete",
        "dies": "failed",
    }
    assert "the cluster could not do it" in said["dies"].error
    nodes = {event.worker for event in events if isinstance(event, ItemFinished) and event.row.id in "ab"}
    assert len(nodes) == 2, "one task a node, for each has one core"
    assert not [path for path in out.iterdir() if path.name.startswith(".")]
