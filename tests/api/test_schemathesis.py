"""schemathesis sends what the document allows, and what it doesn't, to the real server."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.local_model import tiny_model
from tests.server import running_server

HOOKS = Path(__file__).with_name("schemathesis_hooks.py")

# What can't be written in a schema is checked by the service and answered with 422: NUL characters,
# a text of blanks only, cursors, filters as JSON within a query, times before the year 1 in UTC.
EXCLUDED = "positive_data_acceptance"


# A stream of events has no end: each of its cases would last as long as a request may. It is tested
# in test_events.py.
ENDLESS = "follow"


# Each with the operations it leaves out: a key that is revoked could ask for nothing more, so this
# comes last and alone.
@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("only", "least"), [("--exclude-operation-id", 1000), ("--include-operation-id", 20)]
)
def test_the_service_keeps_to_its_document(only, least, tmp_path):
    # A short context keeps every answer of the local model short.
    with running_server(job_attempts=1, local_model=tiny_model(context=128)) as server:
        # Its first use loads torch, for which no request should be blamed.
        server.service.tenant().generate("x", max_new_tokens=1)
        ran = subprocess.run(
            [
                *(sys.executable, "-m", "schemathesis.cli", "run", f"{server.url}/openapi.json"),
                *("--header", f"Authorization: {server.headers['Authorization']}"),
                *(only, "revoke_key", "--exclude-operation-id", ENDLESS),
                *("--checks", "all", "--exclude-checks", EXCLUDED),
                *("--mode", "all", "--phases", "examples,coverage,fuzzing"),
                *("--max-examples", "3", "--generation-deterministic", "--no-shrink"),
                *("--continue-on-failure", "--request-timeout", "70", "--no-color"),
            ],
            capture_output=True,
            text=True,
            cwd=tmp_path,
            env={**os.environ, "SCHEMATHESIS_HOOKS": str(HOOKS), "PYTHONWARNINGS": "default"},
            timeout=560,
            check=False,
        )
        assert ran.returncode == 0, ran.stdout[-20_000:] + ran.stderr[-2000:]
        counted = re.search(r"(\d+) generated", ran.stdout)
        assert counted is not None
        assert int(counted[1]) >= least
