"""Everything a command, page or worker needs, made when first used. Importing this imports no torch."""

from __future__ import annotations

import threading
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

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
        self._loading = threading.Lock()

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
    def engine(self) -> Engine:
        """The model, loaded on the chosen device when first asked for."""
        with self._loading:
            if self._engine is None:
                from engine import Engine

                self._check_model()
                self._check_memory()
                self._engine = Engine.load(self.model_dir, device=self._device())
                self._loaded_from = self.model_dir
            return self._engine

    def follow_default(self) -> bool:
        """Let go of a model that is no longer the default one; the next use loads the new one."""
        with self._loading:
            if self._loaded_from is None or self._loaded_from == self.model_dir:
                return False
            self._engine = self._loaded_from = None
            for held in ("tokenizer", "contexts"):
                self.__dict__.pop(held, None)
            return True

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

                name = self._engine.device if self._engine is not None else self.options.device
                self._meter = devices.open_meters(devices.select(name))
            return self._meter

    def _device(self) -> str:
        """The device's name as torch spells it; an unknown one is an error that names those there are."""
        if self.options.device == "auto":
            return "auto"
        import devices

        return devices.select(self.options.device).name

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
