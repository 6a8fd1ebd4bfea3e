"""Choosing a device and measuring what it draws. Imports no torch by itself."""

from devices.device import Device, DeviceError
from devices.discovery import discover, mark, select
from devices.opening import open_meters
from devices.power import Measurement, Meter, PowerMeter

__all__ = [
    "Device",
    "DeviceError",
    "Measurement",
    "Meter",
    "PowerMeter",
    "discover",
    "mark",
    "open_meters",
    "select",
]
