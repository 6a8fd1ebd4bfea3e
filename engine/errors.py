"""What can go wrong in the engine, each with a code for machines, a message and a hint for people."""


class EngineError(Exception):
    """Base of all errors the engine raises on purpose."""

    code = "engine_error"

    def __init__(self, message: str, hint: str = "", code: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        if code is not None:
            self.code = code


class ModelError(EngineError):
    """A checkpoint that cannot be used: missing, incomplete, of an unknown kind, or not what its config
    says.
    """

    code = "model_error"


class StateError(EngineError):
    """A saved state that cannot be used: damaged, or written by another model, tokenizer or setting."""

    code = "state_error"


class DeviceError(EngineError):
    """A device that is not there or gave up."""

    code = "device_error"
