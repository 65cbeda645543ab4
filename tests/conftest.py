"""What every test gets: no network but loopback, one thread per model, its own data folder."""

import inspect
import os
import sys
from pathlib import Path

import httpx
import pytest
from hypothesis import HealthCheck, settings

TESTS = Path(__file__).parent

# Before any test imports a model library, which read these once.
os.environ.update(
    HF_HUB_OFFLINE="1",
    LITELLM_LOCAL_MODEL_COST_MAP="True",  # its import asks the network for prices otherwise
    MPLBACKEND="Agg",
    OMP_NUM_THREADS="1",
    OMP_WAIT_POLICY="passive",  # threads that spin starve the other test processes
    TOKENIZERS_PARALLELISM="false",
)

# Tests start hundreds of processes, each of which would compile all modules anew.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

# Python loads `sitecustomize` at its start, so servers and workers started by a test are
# kept off the network by the same guard as the test itself.
OFFLINE = str(TESTS / "offline")
os.environ["PYTHONPATH"] = os.pathsep.join([OFFLINE, *filter(None, [os.environ.get("PYTHONPATH")])])
sys.path.insert(0, OFFLINE)
import loopback  # noqa: E402

loopback.only()

from tests.sqlite import tables_made_once  # noqa: E402

__all__ = ["tables_made_once"]

# Two cores run the whole suite: a slow example says nothing about the code.
settings.register_profile(
    "memos", deadline=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("memos")

# For the same reason: httpx gives up after five seconds without a word, which a machine that stands
# still for a moment can take. This is the one object that is the default of all its functions.
patience = inspect.signature(httpx.get).parameters["timeout"].default
patience.connect = patience.read = patience.write = patience.pool = 60.0


@pytest.fixture(autouse=True)
def data_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that the default settings use in this test: empty, and the test's own."""
    for name in list(os.environ):
        if name.startswith("MEMOS_"):
            monkeypatch.delenv(name)
    folder = tmp_path / "memos"
    monkeypatch.setenv("MEMOS_DATA_DIR", str(folder))
    return folder
