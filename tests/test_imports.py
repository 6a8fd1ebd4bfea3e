"""The directions of DESIGN 2: who may import whom, and which parts must stay free of torch."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
ALLOWED: dict[str, set[str]] = {
    "app": {"engine", "storage", "devices"},
    "engine": {"kernels"},
    "kernels": set(),
    "devices": set(),
    "storage": set(),
    "bootstrap": set(),
    "start.py": {"bootstrap"},
    "streamlit_app.py": {"app"},
}
OURS = {name for name in ALLOWED if not name.endswith(".py")}
# The page process must start fast and stay small: nothing it imports may bring torch along.
PAGE_ROOTS = ("streamlit_app.py", "app/pages", "app/view")
HEAVY = {"torch", "transformers", "triton"}


def modules(part: str) -> list[Path]:
    """The Python files of one part of the house."""
    path = ROOT / part
    return [path] if path.is_file() else sorted(path.rglob("*.py"))


def imports(path: Path, lazy: bool = True) -> Iterator[str]:
    """The full names a module imports; with lazy=False only those that happen when it is imported."""
    yield from _imports_in(ast.parse(path.read_text(encoding="utf-8")), path, lazy)


def _imports_in(node: ast.AST, path: Path, lazy: bool) -> Iterator[str]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import):
            yield from (alias.name for alias in child.names)
        elif isinstance(child, ast.ImportFrom):
            base = _absolute(child, path)
            yield base
            yield from (f"{base}.{alias.name}" for alias in child.names)
        elif isinstance(child, ast.Call):
            yield from _dynamic_import(child)
        function = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        if lazy or not (function or _is_type_checking(child)):
            yield from _imports_in(child, path, lazy)


def _absolute(node: ast.ImportFrom, path: Path) -> str:
    if node.level == 0:
        return node.module or ""
    package = path.relative_to(ROOT).parts[:-1]
    package = package[: len(package) - node.level + 1]
    return ".".join((*package, *filter(None, [node.module])))


def _dynamic_import(node: ast.Call) -> Iterator[str]:
    name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
    if name in ("import_module", "__import__") and node.args and isinstance(node.args[0], ast.Constant):
        yield str(node.args[0].value)


def _is_type_checking(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)


def file_of(name: str) -> list[Path]:
    """The files that importing a dotted name of ours runs: each package's __init__ and the module."""
    parts, found = name.split("."), []
    for length in range(1, len(parts) + 1):
        base = ROOT.joinpath(*parts[:length])
        found += [file for file in (base / "__init__.py", base.with_suffix(".py")) if file.is_file()]
    return found


def heavy_chain(start: Path) -> list[str] | None:
    """How importing a file brings torch along, as the chain of files, or None if it does not."""
    waiting, seen = [[start]], {start}
    while waiting:
        chain = waiting.pop()
        for name in imports(chain[-1], lazy=False):
            if name.split(".")[0] in HEAVY:
                return [str(file.relative_to(ROOT)) for file in chain] + [name]
            for file in file_of(name) if name.split(".")[0] in OURS else ():
                if file not in seen:
                    seen.add(file)
                    waiting.append([*chain, file])
    return None


@pytest.mark.parametrize("part", ALLOWED)
def test_a_part_imports_only_what_lies_below_it(part: str) -> None:
    assert modules(part), f"{part} is missing"
    allowed = ALLOWED[part] | {part}
    wrong = [
        f"{path.relative_to(ROOT)} imports {name}"
        for path in modules(part)
        for name in imports(path)
        if name.split(".")[0] in OURS - allowed
    ]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("part", ["storage", "bootstrap"])
def test_a_part_without_tensors_never_names_torch(part: str) -> None:
    wrong = [
        f"{path.relative_to(ROOT)} imports {name}"
        for path in modules(part)
        for name in imports(path)
        if name.split(".")[0] in HEAVY
    ]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("part", PAGE_ROOTS)
def test_the_page_process_never_imports_torch(part: str) -> None:
    chains = [chain for path in modules(part) if (chain := heavy_chain(path))]
    assert not chains, "\n".join(" -> ".join(chain) for chain in chains)


def test_no_third_package_brings_torch_into_the_page_process() -> None:
    names = sorted(
        {
            ".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
            for part in PAGE_ROOTS
            for path in modules(part)
            for name in imports(path, lazy=False)
            if name.split(".")[0] in OURS
            for file in file_of(name)
            if not file.is_relative_to(ROOT / "app" / "pages")
        }
    )
    code = f"import {', '.join(names)}, sys; print(sorted({HEAVY} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stdout.strip()) == (0, "[]"), done.stderr


def test_start_runs_on_the_standard_library_alone() -> None:
    known = sys.stdlib_module_names | {"bootstrap"}
    files = [*modules("start.py"), *modules("bootstrap")]
    assert {name.split(".")[0] for file in files for name in imports(file)} <= known


def test_every_python_file_has_its_place_in_the_house() -> None:
    strays = [
        path.name
        for path in ROOT.iterdir()
        if (path.suffix == ".py" and path.name not in ALLOWED)
        or (path.is_dir() and (path / "__init__.py").exists() and path.name not in ALLOWED)
    ]
    assert strays == []


def test_kernels_does_not_pretend_to_be_the_package_of_that_name() -> None:
    texts = [path.read_text(encoding="utf-8") for path in modules("kernels") if path.name == "__init__.py"]
    assert texts
    assert not any("__version__" in text for text in texts)
    assert not list((ROOT / "tests").glob("*/__init__.py"))


def test_a_lazy_and_a_relative_import_are_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = tmp_path / "engine" / "sub" / "module.py"
    module.parent.mkdir(parents=True)
    lazy = "def f():\n    import app.cli\n    import_module('storage')\n"
    module.write_text("from ..other import thing\n" + lazy)
    monkeypatch.setattr(sys.modules[__name__], "ROOT", tmp_path)
    assert set(imports(module)) == {"engine.other", "engine.other.thing", "app.cli", "storage"}
    assert set(imports(module, lazy=False)) == {"engine.other", "engine.other.thing"}
