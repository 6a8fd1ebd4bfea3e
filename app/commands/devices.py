"""`devices`: what there is to compute on."""

from __future__ import annotations

from argparse import Namespace
from dataclasses import asdict, replace

from app.commands.output import print_json, print_table
from app.services import Services


def run(services: Services, chosen: Namespace) -> int:
    """List every device with its reason; the one that would be used is marked."""
    import devices

    found = devices.discover(ask_torch=True)
    if services.options.device != "auto":
        name = devices.select(services.options.device, found).name
        found = [replace(device, chosen=device.name == name) for device in found]
    if services.options.json:
        print_json([asdict(device) for device in found])
        return 0
    print_table(
        ("", "NAME", "VENDOR", "DEVICE", "MEMORY", "FEATURES", "WHY"),
        [
            (
                "*" if device.chosen else "",
                device.name,
                device.vendor,
                device.label,
                f"{device.memory_bytes / 1e9:.1f} GB" if device.memory_bytes else "unknown",
                ", ".join(device.features),
                device.reason,
            )
            for device in found
        ],
    )
    return 0
