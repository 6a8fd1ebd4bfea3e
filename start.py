"""Engram's front door: sets up what is missing, then runs the page, the tests or any Engram command.

Standard library only, and written so that even an old Python parses it and can be refused in words.
"""

import os
import sys

OLDEST, NEWEST = (3, 11), (3, 13)


def refusal(version):
    """One sentence for a Python that Engram does not run on, or None for one it does."""
    if OLDEST <= tuple(version[:2]) <= NEWEST:
        return None
    return (
        "Engram needs Python %d.%d to %d.%d, and this is Python %d.%d (%s). "
        "Start it with one of those, for example: python3.12 start.py"
        % (OLDEST + NEWEST + tuple(version[:2]) + (sys.executable,))
    )


if __name__ == "__main__":
    problem = refusal(sys.version_info)
    if problem:
        sys.stderr.write("start.py: " + problem + "\n")
        sys.exit(2)

    sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
    from bootstrap.main import main

    sys.exit(main(sys.argv[1:]))
