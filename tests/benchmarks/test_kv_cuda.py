"""The benchmark on a device: without one it says so; its report tells what was asked and got."""

import pytest
import torch

from memos.benchmarks import kv_cuda
from memos.benchmarks.activation import cuda_rendering
from memos.kvcache.cost import _convex


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is CUDA here")
def test_without_cuda_it_is_an_error_of_ours(tmp_path, capsys):
    assert kv_cuda.main(["--models", "tiny", "--out", str(tmp_path)]) == 1
    assert "CUDA" in capsys.readouterr().err
    assert (tmp_path / "report.json").exists()


def test_a_target_that_is_missed_says_so():
    cost = {"worst": 1.2, "lengths": [], "calibration": {}}
    data = {"models": {"x": {"lengths": [], "cost": cost}}, "not_run": []}
    (target,) = cuda_rendering.targets(data)
    assert target["got"] == 1.2
    assert not target["met"]


def test_a_slow_moment_in_calibration_promises_no_gain():
    points = [(1, 1.0), (64, 1.0), (256, 1.5), (1024, 1.5), (4096, 6.0)]
    assert _convex(points) == ((1, 1.0), (64, 1.0), (1024, 1.5), (4096, 6.0))
