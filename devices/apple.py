"""Apple: what the whole Mac draws, as its battery controller tells every user.

The processor's own sensors need an administrator (`powermetrics`), and a Mac without a battery has none.
"""

from __future__ import annotations

import plistlib
from xml.parsers.expat import ExpatError

from devices.commands import ask
from devices.integral import SlowIntegral

# The controller publishes a new value every 10 to 60 seconds: asking more often tells nothing new.
SAMPLE_S = 5.0


def apple_meter() -> tuple[SlowIntegral | None, str]:
    """The meter of a Mac, or None and the reason in words."""
    meter = SlowIntegral("battery controller, whole Mac, integrated", ask_ioreg, sample_s=SAMPLE_S)
    if meter.sample() is not None:
        return meter, ""
    return None, "this Mac has no battery controller that tells its power to users"


def ask_ioreg() -> float | None:
    """The Mac's watts from the IO registry."""
    reply = ask(["ioreg", "-rw0", "-c", "AppleSmartBattery", "-a"])
    try:
        batteries = plistlib.loads((reply or "").encode())
    except (plistlib.InvalidFileException, ExpatError, ValueError):
        return None
    for battery in batteries if isinstance(batteries, list) else []:
        load_mw = battery.get("PowerTelemetryData", {}).get("SystemLoad")
        if isinstance(load_mw, int) and load_mw > 0:
            return load_mw / 1000
    return None
