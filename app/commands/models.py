"""`models`: list, add, check, remove, make default."""

from __future__ import annotations

import json
from argparse import Namespace
from dataclasses import replace
from pathlib import Path
from typing import Any

from app import library
from app.chain import Plan
from app.commands.confirming import confirm
from app.commands.output import ProgressLine, clean, print_json, print_table
from app.commands.signals import stoppable
from app.fitting import Room, gigabytes, plan_sentence
from app.following import Follower
from app.installed import EMBEDDED, is_linked, is_model, make_default, model_names, model_path, unfinished
from app.installing import adopt_model, check_model, refuse_unusable
from app.model_list import ModelEntry, list_models, remove
from app.model_reports import Report
from app.services import Services
from storage import Job, jobs


def run(services: Services, chosen: Namespace) -> int:
    """Do what the action says; without one, list."""
    actions = {"add": _add, "check": _check, "remove": _remove, "default": _default}
    return actions.get(chosen.action or "list", _list)(services, chosen)


def _list(services: Services, chosen: Namespace) -> int:
    found = [_describe(services, entry) for entry in list_models(services)]
    if services.options.json:
        print_json(found)
        return 0
    print_table(("", "NAME", "SIZE", "FROM", "WHAT"), [_row(item) for item in found])
    for name in unfinished(services.home):
        print(f"Not complete: {clean(name)}. Add it again to go on, or: models remove {clean(name)}")
    return 0


def _row(item: dict[str, Any]) -> tuple[str, ...]:
    size = f"{item['bytes'] / 1e6:,.0f} MB" if item["bytes"] else ""
    return ("*" if item["chosen"] else "", item["name"], size, item["source"], item["note"])


def _describe(services: Services, entry: ModelEntry) -> dict[str, Any]:
    keys = ("name", "installed", "default", "linked", "source", "bytes")
    missing = "not prepared yet: python3 start.py setup" if entry.embedded else f"gone from {entry.path}"
    return {
        **{key: getattr(entry, key) for key in keys},
        "chosen": services.model_name == entry.name,
        "path": str(entry.path),
        "note": _note(entry.path) if entry.installed else missing,
    }


def _note(path: Path) -> str:
    if path.is_file():
        return "GGUF file"
    from engine.config import parse_config
    from engine.errors import EngineError

    try:
        return parse_config(json.loads((path / "config.json").read_text("utf-8"))).describe()
    except (OSError, ValueError, EngineError) as error:
        return f"cannot be used: {error}"


def _add(services: Services, chosen: Namespace) -> int:
    payload = {"do": "add", "source": chosen.source, "name": chosen.name or "", "copy": chosen.copy}
    payload |= {"revision": chosen.revision or "", "file": chosen.file or ""}
    if Path(chosen.source).expanduser().exists():
        payload["source"] = str(Path(chosen.source).expanduser().resolve())
    report = Report(**_do_job(services, payload))
    if services.options.json:
        print_json(_reported(report, _room(services, report)))
        return 0 if report.usable else 1
    print(f"Added {clean(report.name)}.")
    return _tell(report, _room(services, report))


def _do_job(services: Services, payload: dict[str, Any]) -> dict[str, Any]:
    line = ProgressLine()
    made: list[int] = []

    def show(job: Job) -> None:
        made.append(job.id)
        line.show(job)

    with stoppable() as stop:
        follower = Follower(services, stop=stop)
        follower.on_job = show
        try:
            return dict(
                follower.do(lambda s: jobs.enqueue(s, "model", None, payload, once=True)).result or {}
            )
        except KeyboardInterrupt:
            if made:  # whoever has it by now stops too; what has arrived stays for the next time
                library.cancel(services, made[-1])
            raise
        finally:
            line.end()


def _check(services: Services, chosen: Namespace) -> int:
    report = check_model(services, chosen.name or services.model_name)
    tokens = chosen.tokens or 0
    if chosen.archive:
        with services.database.session() as s:
            tokens = Plan.load(s, library.find_archive(s, chosen.archive).id).total
    if services.options.json:
        print_json(_reported(report, _room(services, report), tokens))
        return 0 if report.usable else 1
    return _tell(report, _room(services, report), tokens)


def _room(services: Services, report: Report) -> Room:
    """The memory that was free at the check, and the disk now."""
    return replace(Room.now(services.home), memory=report.memory_bytes)


def _reported(report: Report, room: Room, tokens: int = 0) -> dict[str, Any]:
    from engine.memory_plan import MemoryPlan

    values = {"name": report.name, "usable": report.usable, "memory_free_bytes": report.memory_bytes}
    if report.inspection is not None:
        plan = MemoryPlan(**report.inspection["plan"])
        needed = {"tokens": tokens, "memory_needed_bytes": plan.needed(tokens)}
        needed |= {"disk_needed_bytes": plan.on_disk(tokens), "disk_free_bytes": room.disk}
        values |= needed | {"fits": room.holds(plan, tokens, loaded=False), **report.inspection}
    return values | {"error": report.error}


def _tell(report: Report, room: Room, tokens: int = 0) -> int:
    from engine.memory_plan import MemoryPlan

    if report.inspection is None:
        refuse_unusable(report)
    found = report.inspection or {}
    plan = MemoryPlan(**found["plan"])
    print(f"{clean(report.name)}: {clean(found['description'])}")
    print(
        f"Files: {found['files']}, {gigabytes(found['file_bytes'])}. Fingerprint {found['fingerprint'][:16]}."
    )
    growth = gigabytes(plan.growth_per_million) if plan.growth_per_token else "nothing"
    print(
        f"Memory: {gigabytes(plan.weights)} weights, {gigabytes(plan.state)} state, "
        f"{gigabytes(plan.working)} to work in; each million tokens adds {growth}."
    )
    print(plan_sentence(plan, tokens, room))
    for note in found["notes"]:
        print(f"Note: {clean(note)}")
    for problem in found["problems"]:
        print(f"Problem: {clean(problem)}")
    if not room.holds(plan, tokens, loaded=False):
        where = "into memory" if plan.needed(tokens) > room.memory else "on the disk"
        print(f"It does not fit {where} now.")
        return 1
    print("It can be used." if report.usable else "It cannot be used.")
    return 0 if report.usable else 1


def _remove(services: Services, chosen: Namespace) -> int:
    linked = is_linked(services.home, chosen.name)
    if not chosen.yes and chosen.name in model_names(services.home):
        what = "Forget the model {} (its files stay)?" if linked else "Delete the model {} from the disk?"
        confirm(what.format(repr(chosen.name)))
    remove(services, chosen.name)
    if services.options.json:
        print_json({"removed": chosen.name})
    else:
        print(f"{'Forgot' if linked else 'Removed'} {clean(chosen.name)}.")
    return 0


def _default(services: Services, chosen: Namespace) -> int:
    if chosen.name == EMBEDDED and not is_model(model_path(services.home, EMBEDDED)):
        make_default(services.home, EMBEDDED)  # it will be prepared when it is first needed
        result: dict[str, Any] = {"default": EMBEDDED, "to_read": []}
    else:
        result = adopt_model(services, chosen.name)
    if chosen.read_again:
        _read_again(services, result["to_read"])
    if services.options.json:
        print_json(result | {"read_again": bool(chosen.read_again)})
        return 0
    print(f"{clean(chosen.name)} is now the default model.")
    for item in result["to_read"]:
        done = "was read again" if chosen.read_again else "must be read again before it can be asked"
        print(f"{clean(item['name'])}: {item['documents']:,} documents, {item['tokens']:,} tokens, {done}.")
    if result["to_read"] and not chosen.read_again:
        print("To have it done: models default NAME --read-again, or `ingest ARCHIVE` for one of them.")
    return 0


def _read_again(services: Services, stale: list[dict[str, Any]]) -> None:
    services.follow_default()
    line = ProgressLine()
    with stoppable() as stop:
        follower = Follower(services, stop=stop)
        follower.on_job = line.show
        try:
            for item in stale:
                archive_id = int(item["id"])
                follower.do(lambda s, archive_id=archive_id: library.request_reading(s, archive_id))  # type: ignore[misc]
        finally:
            line.end()
