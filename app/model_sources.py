"""Where models come from: a folder or GGUF file of this machine, Hugging Face, ModelScope."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Protocol
from urllib.parse import quote

import requests

from app.errors import AppError, UserError
from app.fetching import TIMEOUT_S, RemoteFile

MODELSCOPE = "https://www.modelscope.cn"
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*/[A-Za-z0-9][A-Za-z0-9._-]*")
_FILE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,200}")
_SMALL = re.compile(
    r"config\.json|generation_config\.json|.*\.safetensors\.index\.json|tokenizer.*\.json|vocab\.json"
    r"|merges\.txt|added_tokens\.json|special_tokens_map\.json|chat_template\.jinja|LICENSE.*|README\.md"
)
INDEX = "model.safetensors.index.json"


class Source(Protocol):
    """Something that lists a model's files."""

    @property
    def label(self) -> str:
        """How a person names it."""

    @property
    def name(self) -> str:
        """What to call the model where the person does not say."""

    @property
    def revision(self) -> str:
        """The branch, tag or commit; empty where there is none."""

    def files(self) -> list[RemoteFile]:
        """Every file at its top, with size and hash where they are known."""


def find_source(text: str, revision: str = "") -> Source:
    """What a person means: a path, `owner/name` or `hf:owner/name`, `modelscope:owner/name`."""
    path = Path(text).expanduser()
    kind, _, rest = text.partition(":")
    if kind == "modelscope" and _ID.fullmatch(rest):
        return ModelScope(rest, revision or "master")
    if kind == "hf" and _ID.fullmatch(rest):
        return HuggingFace(rest, revision or "main")
    if path.exists():
        return LocalFiles(path.resolve())
    if _ID.fullmatch(text):
        return HuggingFace(text, revision or "main")
    hint = "Give a folder, a GGUF file, owner/name or hf:owner/name (Hugging Face), or modelscope:owner/name."
    raise UserError("unknown_source", f"There is no model at {text[:200]!r}.", hint)


def choose_files(files: list[RemoteFile], wanted: str = "") -> list[RemoteFile]:
    """The files a model needs, the small ones first: safetensors, else the GGUF file that is `wanted`."""
    named = {file.name: file for file in files if _FILE.fullmatch(file.name)}
    ggufs = sorted(name for name in named if name.endswith(".gguf"))
    weights = sorted(name for name in named if name.endswith(".safetensors"))
    if wanted or (ggufs and not weights):
        return [named[_choose_gguf(ggufs, wanted)]]
    if not weights:
        pickles = any(name.endswith((".bin", ".pt", ".pth", ".ckpt")) for name in named)
        raise UserError(
            "no_weights",
            "There are only pickles, which can run any code when opened."
            if pickles
            else "There are no weights.",
            "Engram loads safetensors and GGUF files: choose a model that has them.",
        )
    if "model.safetensors" in named:
        weights = ["model.safetensors"]
    elif INDEX in named:  # the index says which; others repeat the same weights in another layout
        weights = [name for name in weights if name.startswith("model")] or weights
    small = sorted(name for name in named if _SMALL.fullmatch(name))
    return [named[name] for name in [*small, *weights]]


def _choose_gguf(names: list[str], wanted: str) -> str:
    if wanted in names or len(names) == 1:
        return wanted or names[0]
    listed = ", ".join(names[:12]) or "none"
    raise UserError("which_file", "Say which GGUF file of the model to add.", f"--file; there are: {listed}.")


@dataclass(frozen=True, slots=True)
class LocalFiles:
    """A checkpoint folder or GGUF file of this machine."""

    path: Path
    revision: str = ""

    @property
    def label(self) -> str:
        """The path."""
        return str(self.path)

    @property
    def name(self) -> str:
        """The last part of the path."""
        return self.path.name

    def files(self) -> list[RemoteFile]:
        """See `Source`."""
        found = [self.path] if self.path.is_file() else sorted(self.path.iterdir())
        return [RemoteFile(p.name, p.stat().st_size, path=p) for p in found if p.is_file()]


@dataclass(frozen=True, slots=True)
class _HubModel:
    """A model of a hub: `owner/name` at a branch, tag or commit."""

    id: str
    revision: str
    hub: ClassVar[str]

    @property
    def label(self) -> str:
        """As a person may write it."""
        return f"{self.hub}:{self.id}"

    @property
    def name(self) -> str:
        """The name without the owner."""
        return self.id.split("/")[1]


class HuggingFace(_HubModel):
    """A model of the Hugging Face hub, listed by its own client (address and token are that client's)."""

    __slots__ = ()
    hub = "hf"

    def files(self) -> list[RemoteFile]:
        """See `Source`."""
        os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
        from huggingface_hub import HfApi, hf_hub_url
        from huggingface_hub.utils import build_hf_headers

        try:
            info = HfApi().model_info(self.id, revision=self.revision, files_metadata=True)
        except Exception as error:  # the client's errors have no common base across its versions
            raise _unlisted("Hugging Face", self.id, error) from error
        commit = info.sha or self.revision
        headers = build_hf_headers()
        return [
            RemoteFile(
                found.rfilename,
                found.size,
                found.lfs.sha256 if found.lfs else None,
                hf_hub_url(self.id, found.rfilename, revision=commit),
                headers,
            )
            for found in info.siblings or ()
        ]


class ModelScope(_HubModel):
    """A model of ModelScope, by its HTTP interface: its client would bring five packages for two requests."""

    __slots__ = ()
    hub = "modelscope"

    def files(self) -> list[RemoteFile]:
        """See `Source`."""
        base = f"{os.environ.get('MODELSCOPE_ENDPOINT', MODELSCOPE).rstrip('/')}/api/v1/models/{self.id}/repo"
        token = os.environ.get("MODELSCOPE_API_TOKEN", "")
        headers = {"Authorization": f"Bearer {token}", "Cookie": f"m_session_id={token}"} if token else {}
        asked = {"Revision": self.revision, "Recursive": "false"}
        try:
            reply = requests.get(f"{base}/files", params=asked, headers=headers, timeout=TIMEOUT_S)
            reply.raise_for_status()
            listed = reply.json()["Data"]["Files"]
            blobs = [entry for entry in listed if entry.get("Type") != "tree"]
            return [_modelscope_file(base, self.revision, headers, entry) for entry in blobs]
        except (requests.RequestException, ValueError, KeyError, TypeError) as error:
            raise _unlisted("ModelScope", self.id, error) from error


def _modelscope_file(base: str, revision: str, headers: dict[str, str], entry: dict[str, Any]) -> RemoteFile:
    path, size = str(entry["Path"]), entry.get("Size")
    url = f"{base}?Revision={quote(revision, safe='')}&FilePath={quote(path, safe='')}"
    sha256 = str(entry.get("Sha256") or "").lower()
    hashed = sha256 if re.fullmatch(r"[0-9a-f]{64}", sha256) else None
    return RemoteFile(path, int(size) if size is not None else None, hashed, url, headers)


def _unlisted(hub: str, name: str, error: Exception) -> AppError:
    status = getattr(getattr(error, "response", None), "status_code", None)
    if status in (401, 403, 404):
        return UserError(
            "unknown_model",
            f"{hub} has no model {name!r} that you may see.",
            "Check the name; for a gated model accept its terms and set HF_TOKEN or MODELSCOPE_API_TOKEN.",
        )
    said = " ".join(str(error).split())[:200]
    hint = "Check the connection, or download the model elsewhere and add its folder."
    return AppError("hub_unreachable", f"{hub} could not be asked for {name}: {said}", hint)
