"""Loaded by every Python that a test starts with the tests' own PYTHONPATH."""

import loopback

loopback.only()
