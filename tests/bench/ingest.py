"""PDF pages parsed a second, by one child process and by as many as the product uses, and what reading needs.

    python tests/bench/ingest.py [--pages 1000] [--a-file 20] [--no-record]

The PDFs are written here: prose, a heading and a table on every page. `app.parsing.measure_parsing` does the
work; compare its pages a second with tokens read a second over tokens a page.
"""

import argparse
import json
import os
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from pdf_files import make_pdf, page_content

from app.parsing import measure_parsing, parsers
from tests.bench.record import record

WORDS = "river stone lamp window paper garden market letter bridge winter copper signal lease trial".split()
RUNS = 3


def page(number: int) -> bytes:
    """About 500 words, and a table of four rows."""
    lines = [
        " ".join(WORDS[(number * 7 + line * 3 + k * k) % len(WORDS)] for k in range(14)) + "."
        for line in range(32)
    ]
    content = page_content([f"4.{number} Findings of week {number}"], size=14) + b" "
    content += page_content(lines, top=740, leading=13, size=10)
    for row in range(5):
        cells = (
            ("Week", "Dose", "Pressure")
            if row == 0
            else (f"week {row}", f"{row * 5}", f"{120 + row}.{number % 10}")
        )
        for x, cell in zip((60, 200, 300), cells, strict=True):
            content += f" BT /F1 10 Tf 1 0 0 1 {x} {280 - 15 * row} Tm ({cell}) Tj ET".encode()
    return content


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--pages", type=int, default=1000)
    parser.add_argument("--a-file", type=int, default=20)
    parser.add_argument("--no-record", action="store_true")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        paths = []
        for first in range(0, chosen.pages, chosen.a_file):
            path = Path(folder) / f"{first:06d}.pdf"
            path.write_bytes(
                make_pdf([page(n) for n in range(first, min(chosen.pages, first + chosen.a_file))])
            )
            paths.append(path)
        measure_parsing(paths[:2], 1)
        values = {}
        for processes in sorted({1, 2, parsers()}):
            rates = sorted(measure_parsing(paths, processes).pages_per_s for _ in range(RUNS))
            values[f"pages_per_s_{processes}_processes"] = [round(rate, 1) for rate in rates]
    settings = {
        "pages": chosen.pages,
        "pages_a_file": chosen.a_file,
        "runs": RUNS,
        "processes_used": parsers(),
        "load_average": os.getloadavg()[0],
    }
    if chosen.no_record:
        print(json.dumps({**settings, **values}))
    else:
        record("ingest", settings, values)


if __name__ == "__main__":
    main()
