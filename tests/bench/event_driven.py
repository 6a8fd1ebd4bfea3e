"""One token's INT8 product with the weights of silent channels unread: time against silent share.

    python tests/bench/event_driven.py --home HOME

HOME holds the prepared model; it takes about two minutes. The same figures come with the others of
`python -m app bench kernels`.
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from app.bench.kernels import event_driven
from app.bench.plan import Plan
from app.services import Services
from app.settings import Options
from tests.bench.record import record


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--home", type=Path, required=True, help="home folder with the prepared model")
    parser.add_argument("--runs", type=int, default=5, help="rounds at least")
    parser.add_argument("--out", type=Path, help="results file instead of the committed one")
    options = parser.parse_args()
    plan = Plan(Services(Options(home=options.home)), runs=options.runs)
    for found in event_driven(plan):
        record("event_driven", found.settings | {"backend": plan.engine.backend}, found.values, options.out)


if __name__ == "__main__":
    main()
