"""`python -m app`: the command line."""

import os
import sys

# OpenMP reads these when torch is loaded. Its idle threads would otherwise spin, and two pools that spin
# against each other on the same few cores make both several times slower.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("GOMP_SPINCOUNT", "0")

from app.cli import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
