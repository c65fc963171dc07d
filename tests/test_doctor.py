"""The preflight: what this machine has, what is missing and how to get it, and the promises tried from inside."""

import importlib.metadata
from pathlib import Path

import pytest

from grader import doctor, messages
from grader.__main__ import main
from grader.isolation import available_isolation

ISOLATION, WHY_NOT = available_isolation()
needs_bubblewrap = pytest.mark.skipif(ISOLATION != "bubblewrap", reason=WHY_NOT)


@pytest.fixture(scope="module")
def rows() -> dict[str, doctor.Row]:
    return {row.name: row for row in doctor.examine(batch=True)}


@needs_bubblewrap
def test_every_promise_holds_in_the_sandbox(rows) -> None:
    assert rows["isolation"].status == "ok"
    assert {name: rows[f"promise.{name}"].status for name in doctor.PROMISES} == dict.fromkeys(
        doctor.PROMISES, "ok"
    )


def test_a_subprocess_keeps_less_and_it_is_said() -> None:
    kept = doctor.promises("process")
    assert set(kept) == set(doctor.PROMISES)
    assert not kept["reads_nothing_else"]
    assert kept["is_stopped"]
    assert not list(Path("/tmp").glob("backdoor-lab-probe"))


def test_everything_here_is_there(rows) -> None:
    assert {name for name, row in rows.items() if row.status == "missing"} <= {"isolation", "disk", "memory"}
    assert "70000" in rows["mnist"].text("en")


@pytest.mark.parametrize("language", messages.LANGUAGES)
def test_there_is_a_text_for_everything_that_may_be_found(language: str) -> None:
    fixed: dict[str, tuple[doctor.Status, ...]] = {
        "python": ("ok",), "packages": ("ok", "missing"), "mnist": ("ok", "missing"), "cifar10": ("ok", "note"),
        "isolation": ("ok", "note", "missing"), "sandbox": ("missing",), "gpu": ("ok", "note"),
        "disk": ("ok", "missing"), "memory": ("ok", "note", "missing"),
    }  # fmt: skip
    promises: dict[str, tuple[doctor.Status, ...]] = {
        f"promise.{name}": ("ok", "note", "missing") for name in doctor.PROMISES
    }
    values: dict[str, messages.Value] = {
        "version": "3", "path": "p", "packages": ["a", "b"], "torch": "2", "why": "w", "count": 1, "folder": "f",
        "variable": "v", "name": "n", "free": 1.0, "least": 2, "cores": 2,
    }  # fmt: skip
    for name, statuses in {**fixed, **promises}.items():
        for status in statuses:
            assert doctor.Row(name, status, values).text(language)


@needs_bubblewrap
@pytest.mark.parametrize("language", messages.LANGUAGES)
def test_the_command(language: str, capsys) -> None:
    status = main(["doctor", "--batch", "--lang", language])
    out = capsys.readouterr().out
    assert (status == 0) == ("✗" not in out)
    assert "bubblewrap" in out
    assert messages.ui("doctor.promise.has_no_network.ok", language) in out


def test_without_bubblewrap_it_is_enough_for_oneself_and_not_for_others(monkeypatch, capsys) -> None:
    monkeypatch.setattr(doctor, "available_isolation", lambda: ("process", "bubblewrap is not installed"))
    for words, status in ([], 0), (["--batch"], 1):
        assert main(["doctor", *words]) == status
        out = capsys.readouterr().out
        assert "bubblewrap is not installed" in out
        assert ("no claim of security" in out) == (status == 0)
        assert "not kept: it reads whatever you can read" in out


def test_what_is_missing_comes_with_how_to_get_it(monkeypatch, tmp_path, capsys) -> None:
    known = importlib.metadata.version

    def version(name: str) -> str:
        if name == "safetensors":
            raise importlib.metadata.PackageNotFoundError(name)
        return "1.0" if name == "torch" else known(name)

    monkeypatch.setattr(importlib.metadata, "version", version)
    assert main(["doctor"]) == 1
    out = capsys.readouterr().out
    assert "safetensors>=0.4.3" in out
    assert "torch>=2.4 (here: 1.0)" in out
    assert "pip install -e ." in out


def test_damaged_data_is_named(monkeypatch, tmp_path) -> None:
    monkeypatch.setenv("BACKDOOR_LAB_DATA", str(tmp_path))
    row = doctor._mnist()
    assert row.status == "missing"
    assert "train-images-idx3-ubyte.gz" in row.text("en")
