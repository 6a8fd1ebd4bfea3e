"""`python -m engine.convert STAGE`: the stages of the conversion, one command each."""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

from engine.convert import recall, spike, upcycle
from engine.engine import Engine
from engine.errors import EngineError


def main(argv: list[str] | None = None) -> int:
    """Run one stage; exit code 1 with one line when its input cannot be used."""
    parser = argparse.ArgumentParser(prog="python -m engine.convert", description=__doc__)
    stages = parser.add_subparsers(dest="stage", required=True)
    stage = stages.add_parser("recall", help="train the recall head on cached hidden states")
    stage.add_argument("--model", type=Path, required=True, help="prepared model folder")
    stage.add_argument(
        "--data", type=Path, required=True, help="folder of the training and development files"
    )
    stage.add_argument("--work", type=Path, required=True, help="folder for caches and logs (not committed)")
    stage.add_argument("--out", type=Path, required=True, help="adapter file to update")
    for name, default in (("layer", 2), ("passages", 16_000), ("epochs", 20), ("seed", 0)):
        stage.add_argument(f"--{name}", type=int, default=default)
    for module in (spike, upcycle):
        module.add_arguments(stages)
    options = parser.parse_args(argv)
    if "run" in options:
        return _report(lambda: options.run(options))
    settings = recall.RecallSettings(
        layer=options.layer, passages=options.passages, epochs=options.epochs, seed=options.seed
    )
    return _report(
        lambda: recall.run(Engine.load(options.model), options.data, options.work, options.out, settings)
    )


def _report(stage: Callable[[], None]) -> int:
    try:
        stage()
    except EngineError as error:
        print(f"{error.message} {error.hint}".strip(), file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
