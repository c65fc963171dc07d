"""``solution.build``: what students get is what the solution gives, and a faulty source changes nothing."""

import ast
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from grader.contract import PARTS, Check, Function, Part
from solution import build
from solution.handouts import make_handout, points_table, training_loop
from solution.stubs import BEGIN, END, BuildError, find_regions, make_stub

ROOT = build.ROOT
TOY = Part(
    "toy", True, (Function("double", ("x",)), Function("negate", ("x",))), (Check("toy.double.works", 1),)
)
SOURCE = f'''"""A toy."""

import math

{BEGIN}
import secret_module


def secret_helper(x):
    return 2 * x
{END}


def double(x: float) -> float:
    """Twice x."""
    {BEGIN}
    return secret_helper(x)
    {END}


def provided(x: float) -> float:
    return math.fabs(x)


def negate(x: float) -> float:
    """Minus x."""
    {BEGIN}
    if x:
        return -x

    return x
    {END}
'''


def test_a_stub_keeps_the_docstring_and_names_its_todo():
    stub = make_stub(SOURCE, TOY)
    definitions = {d.name: d for d in ast.parse(stub).body if isinstance(d, ast.FunctionDef)}
    assert list(definitions) == ["double", "provided", "negate"]
    assert ast.get_docstring(definitions["double"]) == "Twice x."
    assert "    # TODO(negate)" in stub
    assert 'raise NotImplementedError("TODO(negate)' in stub
    assert "return math.fabs(x)" in stub


def test_nothing_of_a_region_reaches_the_stub():
    stub = make_stub(SOURCE, TOY)
    assert "secret" not in stub
    assert "SOLUTION" not in stub
    assert "return -x" not in stub


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("    return secret_helper(x)", f"    {BEGIN}\n    return secret_helper(x)", "toy.py:17: .*line 16"),
        (f"    return x\n    {END}", "    return x", "toy.py:27: .*never closed"),
        (f"    {BEGIN}\n    return secret", "    return secret", "toy.py:17: .*never begun"),
        (f"    {BEGIN}\n    if x:", f"    {BEGIN} # here\n    if x:", "toy.py:27: .*alone"),
        (f"    return x\n    {END}", f"    return x\n{END}", "toy.py:32: .*line 27"),
        ("    return math.fabs(x)", f"    {BEGIN}\n    return x\n    {END}", "toy.py:22: .*double, negate"),
        (f"    return x\n    {END}", f"    {END}\n    return x", "toy.py:27: .*whole body of negate"),
        ('    """Minus x."""\n', "", "toy.py:26: negate has no docstring"),
        ("def negate(x: float)", "def negate(y: float)", "toy.py:25: .*parameters"),
        ("def negate(x: float)", "def negation(x: float)", "toy.py:27: .*double, negate"),
        ("def provided(x: float) -> float:", "def provided(x", "toy.py:2[01]: "),
        (f"    {BEGIN}\n    return secret_helper(x)\n    {END}", "    return 2 * x", "double has no region"),
        (SOURCE[SOURCE.index("def negate") :], "", "negate is missing"),
    ],
)
def test_a_faulty_source_is_refused_with_file_and_line(old, new, complaint):
    assert SOURCE.count(old) == 1
    with pytest.raises(BuildError, match=complaint):
        make_stub(SOURCE.replace(old, new), TOY)


def test_two_regions_of_one_function_are_refused():
    twice = SOURCE.replace("    if x:\n        return -x\n\n", f"    x = x\n    {END}\n    {BEGIN}\n")
    with pytest.raises(BuildError, match="negate"):
        make_stub(twice, TOY)


def test_a_handout_takes_its_numbers_from_elsewhere():
    text = "{{spec.part.steps}} steps\n\n<!-- insert: loop -->\n"
    made = make_handout(text, "README.md", {"loop": "THE LOOP"}, {"spec": {"part": {"steps": 400}}})
    assert "400 steps\n\nTHE LOOP\n" in made
    assert made.startswith("<!-- Generated from solution/README.md")


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("<!-- insert: loop -->\n<!-- insert: pionts -->", "pionts"),
        ("nothing", "insert: loop"),
        ("<!-- insert: loop -->\n{{spec.step}}", "spec.step"),
        ("<!-- insert: loop -->\n{{spec}}", "spec"),
    ],
)
def test_a_faulty_handout_is_refused(text, complaint):
    with pytest.raises(BuildError, match=complaint):
        make_handout(text, "README.md", {"loop": ""}, {"spec": {"steps": 400}})


def test_the_loop_is_searched_where_it_is():
    with pytest.raises(BuildError, match="train_backdoor"):
        training_loop("def train_backdoor():\n    pass\n")


# What this repository holds.


def test_assignment_is_what_solution_gives():
    assert build.drift(build.generate(ROOT), ROOT / "assignment") == []


def test_no_three_lines_of_a_solution_reach_the_assignment():
    def normalised(lines):
        return [
            re.sub(r"\s+", " ", line.split("#")[0]).strip() for line in lines if line.split("#")[0].strip()
        ]

    released = " ".join(
        "\n".join(normalised(path.read_text(encoding="utf-8").splitlines()))
        for path in (ROOT / "assignment").iterdir()
        if path.is_file()
    )
    for part in PARTS:
        lines = (ROOT / "solution" / part.filename).read_text(encoding="utf-8").splitlines()
        for region in find_regions(lines, part.filename):
            inside = normalised(lines[region.begin : region.end - 1])
            for start in range(max(1, len(inside) - 2)):
                assert "\n".join(inside[start : start + 3]) not in released, f"{part.filename}:{region.begin}"


def test_every_stub_keeps_the_docstrings_of_its_solution():
    for part in PARTS:
        texts = [
            (ROOT / folder / part.filename).read_text(encoding="utf-8")
            for folder in ("solution", "assignment")
        ]
        solution, stub = (
            {d.name: ast.get_docstring(d) for d in ast.parse(text).body if isinstance(d, ast.FunctionDef)}
            for text in texts
        )
        assert stub == {function.name: solution[function.name] for function in part.functions}
        assert all(stub.values())


def test_the_handouts_print_the_loop_that_runs():
    source = (ROOT / build.LOOP_SOURCE).read_text(encoding="utf-8")
    loop = training_loop(source).splitlines()[1:-1]
    assert (
        sum(call in "\n".join(loop) for call in ("poison_step(", "model_optimizer.step(", "delta_step(")) == 3
    )
    for filename in build.HANDOUTS:
        text = (ROOT / "assignment" / filename).read_text(encoding="utf-8")
        assert "\n".join(loop) in text
    indented = [line.strip() for line in source.splitlines()]
    assert all(line.strip() in indented for line in loop)


def test_the_handouts_print_the_points_of_the_contract():
    for filename, language in build.HANDOUTS.items():
        rows = re.findall(
            r"^\| [^|]+ \| (\d+) \| .+\|$", points_table(PARTS[0], language), flags=re.MULTILINE
        )
        assert sum(map(int, rows)) == PARTS[0].points
        assert points_table(PARTS[0], language) in (ROOT / "assignment" / filename).read_text(
            encoding="utf-8"
        )


def test_the_two_handouts_say_the_same():
    english, chinese = (
        (ROOT / "solution" / filename).read_text(encoding="utf-8")
        for filename in ("README.md", "README.zh-CN.md")
    )
    for pattern in (
        r"^#+ ",  # sections
        r"^\|",  # rows of tables
        r"^- ",  # list items
        r"\{\{.*?\}\}",  # numbers
        r"<!-- insert: .*? -->",
        r"`(?:pytest|python|pip)[^`]*`",  # commands
        r"^(?:pytest|python3?|pip|\.) [^#\n]*",
    ):
        found = [re.findall(pattern, text, flags=re.MULTILINE) for text in (english, chinese)]
        assert sorted(found[0]) == sorted(found[1]), pattern


def test_generated_stubs_are_formatted():
    command = [sys.executable, "-m", "ruff", "format", "--check", "--quiet", "assignment"]
    assert subprocess.run(command, cwd=ROOT, check=False).returncode == 0


# The command.


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """A small copy of the repository in which the command works."""
    for name in ("solution", "assignment"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    for path in (build.LOOP_SOURCE, build.SPEC):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / path, tmp_path / path)
    monkeypatch.setattr(build, "ROOT", tmp_path)
    return tmp_path


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def test_check_passes_and_writes_nothing(checkout, capsys):
    before = contents(checkout / "assignment")
    assert build.main(["--check"]) == 0
    assert contents(checkout / "assignment") == before
    assert "invisible_trigger.py" in capsys.readouterr().out


def test_check_names_what_drifted(checkout, capsys):
    folder = checkout / "assignment"
    stub = folder / "invisible_trigger.py"
    stub.write_text(
        stub.read_text(encoding="utf-8").replace("Put the trigger", "Put a trigger"), encoding="utf-8"
    )
    (folder / "README.md").unlink()
    (folder / "notes.txt").write_text("mine")
    assert build.main(["--check"]) == 1
    complaint = capsys.readouterr().err
    assert "assignment/invisible_trigger.py: differs" in complaint
    assert '-    """Put a trigger' in complaint
    assert '+    """Put the trigger' in complaint
    assert "assignment/README.md: missing" in complaint
    assert "assignment/notes.txt: not generated from anything" in complaint
    assert "python -m solution.build" in complaint


def test_building_repairs_drift_and_leaves_other_files_alone(checkout, capsys):
    folder = checkout / "assignment"
    expected = contents(folder)
    (folder / "README.md").write_text("drifted")
    (folder / "invisible_trigger.py").unlink()
    assert build.main([]) == 0
    assert contents(folder) == expected
    (folder / "notes.txt").write_text("mine")
    assert build.main([]) == 1  # said, but not deleted
    assert contents(folder) == {**expected, "notes.txt": b"mine"}
    assert "notes.txt" in capsys.readouterr().err


def test_a_faulty_source_leaves_everything_as_it_was(checkout, capsys):
    before = contents(checkout / "assignment")
    (checkout / "solution" / "README.md").write_text("a new text that would be written first")
    source = checkout / "solution" / "invisible_trigger.py"
    source.write_text(source.read_text(encoding="utf-8").replace(END, "", 1), encoding="utf-8")
    assert build.main([]) == 1
    assert contents(checkout / "assignment") == before
    assert re.search(r"solution/invisible_trigger\.py:\d+: ", capsys.readouterr().err)
    assert not list(checkout.glob(".build-*"))


def test_a_missing_source_is_named(checkout, capsys):
    (checkout / "solution" / "README.zh-CN.md").unlink()
    assert build.main(["--check"]) == 1
    assert "solution/README.zh-CN.md: missing" in capsys.readouterr().err


def test_the_command_line_works():
    done = subprocess.run(
        [sys.executable, "-m", "solution.build", "--check"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
