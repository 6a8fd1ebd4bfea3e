"""Measurements of this machine: what `python -m app bench` runs and the scripts of tests/bench build on."""

import os

# As in app/__main__.py: read when torch is loaded, so scripts import this before they import the engine.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("GOMP_SPINCOUNT", "0")
