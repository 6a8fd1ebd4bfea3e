"""Everything a command, page or worker needs, made when first used. Importing this imports no torch."""

from __future__ import annotations

import threading
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from app.choices import Choices
from app.errors import UserError
from app.settings import Options
from engine.tokenizer import Tokenizer
from storage import Database, FileStore, Home

if TYPE_CHECKING:
    from app.recalling import Contexts
    from devices import Meter
    from engine import Engine

DEFAULT_MODEL = "default"


class Services:
    """The home folder, database, originals, model and power meter behind one set of options."""

    def __init__(self, options: Options, *, engine: Any = None, meter: Any = None) -> None:
        self.options = options
        self._engine = engine
        self._meter = meter
        self._loading = threading.RLock()
        self._choices = Choices()  # those that the model in memory was loaded with
        self.device_note = ""  # what befell the device that was to be used

    @cached_property
    def home(self) -> Home:
        """The home folder, made if missing."""
        return Home(self.options.home).ensure()

    @cached_property
    def database(self) -> Database:
        """The database, its schema up to date."""
        database = Database(self.options.database_url or self.home.database_url)
        database.migrate()
        return database

    @cached_property
    def files(self) -> FileStore:
        """The originals."""
        return FileStore(self.home.files)

    @property
    def model_dir(self) -> Path:
        """The chosen model's folder or GGUF file: a name under HOME/models or a path."""
        named = self.home.models / self.options.model
        if self.options.model == DEFAULT_MODEL or _is_model(named):
            return named
        return Path(self.options.model).expanduser().resolve()

    @property
    def engine_loaded(self) -> bool:
        """Whether the model is in memory."""
        return self._engine is not None

    @property
    def engine_in_use(self) -> Engine | None:
        """The model if it is in memory."""
        return self._engine

    @property
    def engine(self) -> Engine:
        """The model, loaded on the chosen device when first asked for."""
        with self._loading:
            if self._engine is None:
                from engine import Engine

                self._check_model()
                k = self._choices.spike_k
                self._engine = Engine.load(self.model_dir, device=self._device(), spike_k=k)
            return self._engine

    def take_choices(self) -> bool:
        """Go by what the person has chosen since: called between jobs, never within one. True if the model
        was let go of, to be loaded anew.
        """
        with self.database.session() as s:
            now = Choices.load(s)
        with self._loading:
            before, self._choices = self._choices, now
            if now.device_at != before.device_at:
                self.device_note = ""
            loaded_by = ("device", "device_at", "spike_k")
            dropped = any(getattr(now, name) != getattr(before, name) for name in loaded_by)
            if dropped:
                self._drop_engine()
            if now != before:
                self._meter = None
            return dropped

    def fall_back(self, why: str) -> None:
        """Go on with the processor, until another device is chosen."""
        with self._loading:
            self.device_note = f"{why}. The work goes on with the processor."
            if self._engine is None or self._engine.device != "cpu":
                self._drop_engine()

    @property
    def wanted_device(self) -> str:
        """What is asked for on the command line, else in the page: "auto" or a name."""
        return self._choices.device if self.options.device == "auto" else self.options.device

    @property
    def device_is_fixed(self) -> bool:
        """Whether the command line decides."""
        return self.options.device != "auto"

    def _drop_engine(self) -> None:
        self._engine = self._meter = None
        self.__dict__.pop("contexts", None)

    @cached_property
    def tokenizer(self) -> Tokenizer:
        """The model's tokenizer, without loading the model."""
        if self._engine is not None:
            return self._engine.tokenizer
        self._check_model()
        folder = self.model_dir
        return Tokenizer.from_gguf(folder) if folder.is_file() else Tokenizer.load(folder)

    @cached_property
    def contexts(self) -> Contexts:
        """States and recall codes kept in memory between questions."""
        from app.recalling import Contexts

        return Contexts()

    @property
    def meter(self) -> Meter:
        """The power meter of the device in use."""
        with self._loading:
            if self._meter is None:
                import devices

                name = self._engine.device if self._engine is not None else self.wanted_device
                tdp_w = self._choices.tdp_w
                self._meter = devices.open_meters(devices.select(name), tdp_w=tdp_w)
            return self._meter

    def _device(self) -> str:
        """The device's name as torch spells it; an unknown one is an error that names those there are."""
        if self.device_note:
            return "cpu"
        if self.wanted_device == "auto":
            return "auto"
        import devices

        return devices.select(self.wanted_device).name

    def close(self) -> None:
        """Give back the database connections."""
        if "database" in self.__dict__:
            self.database.close()

    def _check_model(self) -> None:
        if _is_model(self.model_dir):
            return
        if self.options.model == DEFAULT_MODEL:
            raise UserError(
                "model_missing", "The default model has not been prepared yet.", "Run: python3 start.py setup"
            )
        known = ", ".join(model_names(self.home)) or "none yet"
        raise UserError(
            "unknown_model",
            f"There is no model {self.options.model!r}.",
            f"Installed: {known}. A path to a checkpoint folder or GGUF file works too.",
        )


def _is_model(path: Path) -> bool:
    return (path / "config.json").is_file() or (path.suffix == ".gguf" and path.is_file())


def model_names(home: Home) -> list[str]:
    """Names under HOME/models that hold a model."""
    if not home.models.is_dir():
        return []
    return sorted(path.name for path in home.models.iterdir() if _is_model(path))
