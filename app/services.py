"""Everything a command, page or worker needs, made when first used. Importing this imports no torch."""

from __future__ import annotations

import threading
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from app.choices import Choices
from app.errors import UserError
from app.fitting import memory_there, refuse_loading
from app.installed import EMBEDDED, default_name, is_model, model_path, unknown_model
from app.settings import Options
from engine.tokenizer import Tokenizer
from storage import Database, FileStore, Home

if TYPE_CHECKING:
    from app.recalling import Contexts
    from devices import Meter
    from engine import Engine

CHECKED_ABOVE_BYTES = 500_000_000


class Services:
    """The home folder, database, originals, model and power meter behind one set of options."""

    def __init__(self, options: Options, *, engine: Any = None, meter: Any = None) -> None:
        self.options = options
        self._engine = engine
        self._loaded_from: Path | None = None
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
    def model_name(self) -> str:
        """The chosen model: as named in the options, else the one made default."""
        return self.options.model or default_name(self.home)

    @property
    def model_dir(self) -> Path:
        """The chosen model's folder or GGUF file: a name under HOME/models or a path."""
        return model_path(self.home, self.model_name)

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
                from engine.spill import SpillSettings

                self._check_model()
                self._check_memory()
                k = self._choices.spike_k
                self._engine = Engine.load(self.model_dir, device=self._device(), spike_k=k)
                self._engine.decoder.spill = SpillSettings.default(self.home.states)
                self._loaded_from = self.model_dir
            return self._engine

    def follow_default(self) -> bool:
        """Let go of a model that is no longer the default one; the next use loads the new one."""
        with self._loading:
            if self._loaded_from is None or self._loaded_from == self.model_dir:
                return False
            self._drop_engine()
            self.__dict__.pop("tokenizer", None)
            return True

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
        self._engine = self._loaded_from = self._meter = None
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
        if is_model(self.model_dir):
            return
        if self.model_name == EMBEDDED:
            raise UserError(
                "model_missing", "The default model has not been prepared yet.", "Run: python3 start.py setup"
            )
        raise unknown_model(self.home, self.model_name)

    def _check_memory(self) -> None:
        """Refuse a model that does not fit, with numbers; a small one is simply loaded."""
        if self._device() not in ("auto", "cpu"):  # its memory is not the one measured here
            return
        path = self.model_dir
        files = [path] if path.is_file() else path.glob("*.safetensors")
        if sum(file.stat().st_size for file in files) > CHECKED_ABOVE_BYTES:
            from engine.inspecting import inspect_checkpoint

            plan = inspect_checkpoint(path, identify=False).plan
            refuse_loading(plan, self.model_name, memory_there())
