"""Measurements of this machine: what `python -m app bench` runs and the scripts of tests/bench build on."""
