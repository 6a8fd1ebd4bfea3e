"""Event-driven product of one token: the weights of channels that fire no spike are not read."""

from kernels.event.reference import event_linear_reference

__all__ = ["event_linear_reference"]
