"""start.py's virtual environment: left alone when it fits, repaired when it does not, frugal with torch."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from bootstrap import environment as module
from bootstrap.console import StartError
from bootstrap.environment import Environment, ensure_environment


def plan(*names: str) -> dict:
    """The part of pip's JSON report that is read."""
    return {"install": [{"metadata": {"name": name}} for name in names]}


CPU_PLAN = plan("torch", "sympy", "filelock")
CUDA_PLAN = plan("torch", "nvidia-cublas", "cuda-toolkit", "triton")


@pytest.fixture
def env(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Environment:
    """A checkout with requirement files, and an environment made in no time."""
    (tmp_path / "requirements.txt").write_text("# pins\ntorch==2.13.0\nnumpy>=2\n")
    (tmp_path / "requirements-test.txt").write_text("pytest\n")
    made = Environment(tmp_path)

    def create(env: Environment) -> None:
        env.python.parent.mkdir(parents=True)
        env.python.touch()
        (env.venv / "pyvenv.cfg").touch()

    monkeypatch.setattr(module, "_create", create)
    monkeypatch.setattr(module, "_usable", lambda env: True)
    return made


@pytest.fixture
def installs(env: Environment, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, ...]]:
    """The calls of the installer, which succeeds at once."""
    seen: list[tuple[str, ...]] = []
    monkeypatch.setattr(module, "_install", lambda env, files: seen.append(files))
    return seen


def test_a_second_start_installs_nothing(env: Environment, installs: list[tuple[str, ...]]) -> None:
    ensure_environment(env)
    ensure_environment(env)
    assert installs == [("requirements.txt",)]


def test_changed_requirements_are_installed(env: Environment, installs: list[tuple[str, ...]]) -> None:
    ensure_environment(env)
    (env.root / "requirements.txt").write_text("torch==2.13.0\nnumpy>=3\n")
    ensure_environment(env)
    assert len(installs) == 2


def test_the_test_packages_come_with_the_first_test_and_stay(
    env: Environment, installs: list[tuple[str, ...]]
) -> None:
    both = ("requirements.txt", "requirements-test.txt")
    ensure_environment(env)
    ensure_environment(env, testing=True)
    ensure_environment(env)
    (env.root / "requirements.txt").write_text("torch==2.13.0\n")
    ensure_environment(env)
    assert installs == [("requirements.txt",), both, both]


def test_text_recognition_stays_once_it_is_set_up(env: Environment, installs: list[tuple[str, ...]]) -> None:
    (env.root / "requirements-ocr.txt").write_text("rapidocr>=3.10\n")
    ensure_environment(env, ocr=True)
    ensure_environment(env)
    (env.root / "requirements.txt").write_text("torch==2.13.0\n")
    ensure_environment(env)
    both = ("requirements.txt", "requirements-ocr.txt")
    assert installs == [both, both]


def test_an_interrupted_installation_starts_afresh(
    env: Environment, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(env: Environment, files: tuple[str, ...]) -> None:
        (env.venv / "half").touch()
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "_install", interrupted)
    with pytest.raises(KeyboardInterrupt):
        ensure_environment(env)
    monkeypatch.setattr(module, "_install", lambda env, files: None)
    ensure_environment(env)
    assert not (env.venv / "half").exists()
    assert "interrupted" in capsys.readouterr().err
    assert module.is_current(env, ("requirements.txt",))


def test_a_failed_installation_is_tried_again_without_starting_afresh(
    env: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(env: Environment, files: tuple[str, ...]) -> None:
        (env.venv / "kept").touch()
        raise StartError("no network")

    monkeypatch.setattr(module, "_install", failing)
    with pytest.raises(StartError):
        ensure_environment(env)
    assert not module.is_current(env, ("requirements.txt",))
    monkeypatch.setattr(module, "_install", lambda env, files: None)
    ensure_environment(env)
    assert (env.venv / "kept").exists()


def test_an_environment_that_does_not_run_is_made_anew(
    env: Environment, installs: list[tuple[str, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    ensure_environment(env)
    (env.venv / "old").touch()
    env.stamp.write_text("{ not json")
    monkeypatch.setattr(module, "_usable", lambda env: False)
    ensure_environment(env)
    assert not (env.venv / "old").exists()
    assert len(installs) == 2


def test_a_folder_that_is_no_environment_is_not_deleted(
    env: Environment, installs: list[tuple[str, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    env.venv.mkdir()
    (env.venv / "thesis.txt").touch()
    monkeypatch.setattr(module, "_usable", lambda env: False)
    with pytest.raises(StartError, match="no virtual environment"):
        ensure_environment(env)
    assert (env.venv / "thesis.txt").exists()


def test_pip_without_a_working_venv_module_names_the_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    failed = subprocess.CompletedProcess([], 1, stdout="ensurepip is not available", stderr="")
    monkeypatch.setattr(module.subprocess, "run", lambda *args, **kwargs: failed)
    with pytest.raises(StartError, match="ensurepip") as caught:
        module._create(Environment(tmp_path))
    assert "python3-venv" in caught.value.hint


def test_the_torch_pin_is_read_from_the_requirements() -> None:
    assert module.torch_pin("a\ntorch==2.13.0  # why\ntorchx==1\n") == "torch==2.13.0"
    with pytest.raises(StartError):
        module.torch_pin("torch>=2\n")


def test_a_plan_with_cuda_libraries_is_told_from_one_without() -> None:
    assert module.cuda_packages(CPU_PLAN) == []
    assert module.cuda_packages(CUDA_PLAN) == ["cuda-toolkit", "nvidia-cublas"]


@pytest.fixture
def installer(env: Environment, monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """Linux without an NVIDIA GPU and without torch, where pip and uv only note their commands."""
    commands: list[list[str]] = []

    def pip(python: Path, arguments: Sequence[str | Path], log: Path, failed: str) -> None:
        commands.append(["pip", *map(str, arguments)])

    def uv(command: Sequence[str | Path], log: Path, failed: str) -> None:
        commands.append([Path(command[0]).stem, *map(str, command[1:])])

    monkeypatch.setattr(module.sys, "platform", "linux")
    monkeypatch.setattr(module, "has_nvidia", lambda: False)
    monkeypatch.setattr(module, "_has_package", lambda env, pin: False)
    monkeypatch.setattr(module, "run_pip", pip)
    monkeypatch.setattr(module, "run_installer", uv)
    monkeypatch.setattr(module, "pip_report", lambda python, pin, log: CUDA_PLAN)
    return commands


def test_pip_serves_where_its_torch_is_a_cpu_build(
    env: Environment, installer: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "pip_report", lambda python, pin, log: CPU_PLAN)
    ensure_environment(env)
    assert [command[0] for command in installer] == ["pip", "pip"]


def test_without_a_gpu_the_cpu_build_comes_by_uv(env: Environment, installer: list[list[str]]) -> None:
    ensure_environment(env)
    uv = next(command for command in installer if command[0] == "uv")
    assert uv[-3:] == ["--torch-backend", "cpu", "torch==2.13.0"]
    assert installer.index(uv) < len(installer) - 1


def test_with_a_gpu_pip_alone_serves(
    env: Environment, installer: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "has_nvidia", lambda: True)
    ensure_environment(env)
    assert "uv" not in [command[0] for command in installer]


def test_a_vendors_own_torch_of_the_right_version_is_kept(
    env: Environment, installer: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_has_package", lambda env, pin: True)
    ensure_environment(env)
    assert "uv" not in [command[0] for command in installer]


def test_where_uv_fails_pip_goes_on_and_says_how_large_it_is(
    env: Environment,
    installer: list[list[str]],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def unreachable(command: Sequence[str | Path], log: Path, failed: str) -> None:
        raise StartError(failed, "no answer")

    monkeypatch.setattr(module, "run_installer", unreachable)
    ensure_environment(env)
    assert installer[-1][1] == "install"
    assert str(env.root / "requirements.txt") in installer[-1]
    assert "3 GB" in capsys.readouterr().err


def test_the_stamp_records_the_hash_of_each_file(env: Environment, installs: list[tuple[str, ...]]) -> None:
    ensure_environment(env, testing=True)
    stamp = json.loads(env.stamp.read_text())
    assert stamp == {
        name: module.digest(env.root / name) for name in ("requirements.txt", "requirements-test.txt")
    }
    shutil.rmtree(env.venv)
    assert module.read_stamp(env) == {}
