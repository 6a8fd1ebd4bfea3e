"""`devices`: what there is to compute on."""

from __future__ import annotations

from argparse import Namespace
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from app.choices import Choices
from app.commands.output import print_json, print_table
from app.services import Services

if TYPE_CHECKING:
    from devices import Device

HEAD = ("", "NAME", "VENDOR", "DEVICE", "MEMORY", "FEATURES", "FORMATS", "TRITON", "POWER", "WHY")


def run(services: Services, chosen: Namespace) -> int:
    """List every device with its power meter and the reason; the one that would be used is marked."""
    with services.database.session() as s:
        kept = Choices.load(s)
    found = [_entry(device, kept.tdp_w) for device in _find(services, kept.device)]
    if services.options.json:
        print_json(found)
        return 0
    print_table(HEAD, [_row(entry) for entry in found])
    return 0


def _find(services: Services, kept: str) -> list[Device]:
    """All devices; marked is the one asked for here, else in the page, else the best."""
    import devices

    found = devices.discover(ask_torch=True)
    if services.options.device != "auto":
        return devices.mark(found, services.options.device)
    names = {name for device in found if device.usable for name in (device.name, device.kind)}
    return devices.mark(found, kept) if kept in names else found


def _entry(device: Device, tdp_w: float | None) -> dict[str, Any]:
    import devices

    if not device.usable:
        power = {"source": "not available", "kind": "not available", "reason": device.reason}
    else:
        meter = devices.open_meters(device, tdp_w=tdp_w)
        power = {"source": meter.source, "kind": meter.kind, "reason": meter.reason}
    return asdict(device) | {"power": power}


def _row(entry: dict[str, Any]) -> tuple[object, ...]:
    memory, power = entry["memory_bytes"], entry["power"]
    return (
        "*" if entry["chosen"] else "",
        entry["name"],
        entry["vendor"],
        entry["label"],
        f"{memory / 1e9:.1f} GB" if memory else "unknown",
        ", ".join(entry["features"]),
        ", ".join(entry["dtypes"]),
        "yes" if entry["triton"] else "no",
        power["source"],
        entry["reason"],
    )
