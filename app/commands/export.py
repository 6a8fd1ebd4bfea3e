"""`export`: findings into a file."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

from app import library
from app.commands.output import print_json
from app.errors import UserError
from app.services import Services
from storage import findings
from storage.export import export_findings, load_records

ALL = 1_000_000


def run(services: Services, chosen: Namespace) -> int:
    """Write the archive's findings, oldest first, or those chosen."""
    with services.database.session() as s:
        archive = library.find_archive(s, chosen.archive)
        found = findings.list_findings(s, archive.id, limit=ALL)[::-1]
    wanted = set(chosen.finding)
    missing = wanted - {finding.id for finding in found}
    if missing:
        raise UserError("unknown_finding", f"There is no finding {min(missing)} in {archive.name!r}.")
    kept = [finding for finding in found if not wanted or finding.id in wanted]
    with services.database.session() as s:
        records = load_records(s, kept, archive.name)
    path = export_findings(records, Path(chosen.out).expanduser())
    if services.options.json:
        print_json({"file": str(path), "findings": len(kept)})
    else:
        print(f"Wrote {len(kept)} {'finding' if len(kept) == 1 else 'findings'} to {path}")
    return 0
