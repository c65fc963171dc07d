"""How many grades at a time a machine is good for."""

from pathlib import Path

import pytest

from grader.batch import machine

GIB = 2**30


@pytest.fixture
def files(tmp_path: Path):
    """``meminfo`` and a container's files, as Linux has them."""

    def write(available: int, limit: str = "max", used: int = 0, cached: int = 0) -> tuple[Path, Path]:
        (tmp_path / "meminfo").write_text(f"MemTotal: 1 kB\nMemAvailable: {available // 1024} kB\n")
        (tmp_path / "memory.max").write_text(f"{limit}\n")
        (tmp_path / "memory.current").write_text(f"{used}\n")
        (tmp_path / "memory.stat").write_text(f"anon 5\ninactive_file {cached}\n")
        return tmp_path / "meminfo", tmp_path

    return write


def test_a_containers_limit_counts_and_not_what_it_has_read_of_files(files):
    assert machine.usable_memory(*files(8 * GIB)) == 8 * GIB
    assert machine.usable_memory(*files(8 * GIB, str(4 * GIB), 3 * GIB, 2 * GIB)) == 3 * GIB
    assert machine.usable_memory(*files(GIB, str(4 * GIB))) == GIB


def test_where_the_system_does_not_say(tmp_path):
    assert machine.usable_memory(tmp_path / "nothing", tmp_path) is None


def test_this_machine():
    assert machine.usable_cores() >= 1
    assert 1 <= machine.usable_jobs() <= machine.usable_cores()


@pytest.mark.parametrize(
    ("memory", "jobs"), [(GIB, 1), (4 * GIB, 2), (12 * GIB, 8), (99 * GIB, 16), (None, 16)]
)
def test_as_many_as_cores_unless_memory_is_for_fewer(monkeypatch, memory, jobs):
    monkeypatch.setattr(machine, "usable_memory", lambda: memory)
    monkeypatch.setattr(machine, "usable_cores", lambda: 16)
    assert machine.usable_jobs() == jobs
