"""`python -m engine.convert STAGE`: the stages of the conversion, one command each."""

import argparse
import sys

from engine.convert import answer, attention, evaluate, package, rank, recall, spike, upcycle
from engine.errors import EngineError


def main(argv: list[str] | None = None) -> int:
    """Run one stage; exit code 1 with one line when its input cannot be used, 130 stopped."""
    parser = argparse.ArgumentParser(prog="python -m engine.convert", description=__doc__)
    stages = parser.add_subparsers(dest="stage", required=True)
    for module in (package, attention, answer, recall, rank, evaluate, upcycle, spike):
        module.add_arguments(stages)
    options = parser.parse_args(argv)
    try:
        options.run(options)
    except EngineError as error:
        print(f"{error.message} {error.hint}".strip(), file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Stopped. The same command goes on where it stopped.", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
