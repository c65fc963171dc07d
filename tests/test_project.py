"""The rules of the house that a reader cannot see at a glance: who imports whom, what may lie where, who is in step."""

import ast
import importlib.util
import inspect
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from grader.contract import PARTS, max_score

ROOT = Path(__file__).resolve().parent.parent
SUBMISSIONS = ("tests/mutants/", "tests/styles/", "tests/hostile/")
FOLDERS = {"assignment", "solution", "grader", "tests"}
FILES = {"README.md", "CHANGELOG.md", "CONTRIBUTING.md", "LICENSE", "Makefile", "pyproject.toml"}
# Modules that make objects of bytes: what they read runs as code.
PICKLES = {"pickle", "_pickle", "cPickle", "cloudpickle", "dill", "joblib", "marshal", "shelve"}
# Ways to turn a text or a file into running code. Only the child of the step server needs one.
LOADERS = {
    "exec",
    "eval",
    "compile",
    "__import__",
    "exec_module",
    "spec_from_file_location",
    "run_path",
    "run_module",
}


def tracked_files() -> list[str]:
    """Paths of the files in the checkout that belong to the project: tracked, or new and not ignored."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    try:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, check=True, text=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("this is not a git checkout, or git is not installed")
    return sorted(path for path in done.stdout.split("\0") if path and (ROOT / path).is_file())


def python_files(folder: str) -> list[Path]:
    paths = (path for path in (ROOT / folder).rglob("*.py") if "__pycache__" not in path.parts)
    return sorted(p for p in paths if not p.relative_to(ROOT).as_posix().startswith(SUBMISSIONS))


def parse(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def imports(path: Path) -> Iterator[tuple[str, int]]:
    """Every module that a file imports, wherever in it, with its line; ``from a import b`` counts as a and a.b."""
    for node in ast.walk(parse(path)):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: relative import"
            yield str(node.module), node.lineno
            yield from ((f"{node.module}.{alias.name}", node.lineno) for alias in node.names)
        elif isinstance(node, ast.Call) and called(node) == "import_module":
            argument = node.args[0] if node.args else None
            assert isinstance(argument, ast.Constant), f"{path}:{node.lineno}: import of a computed name"
            yield str(argument.value), node.lineno


def called(node: ast.Call) -> str:
    """The last name of what is called: ``load`` for ``torch.load(...)``."""
    function = node.func
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")


def offenders(folder: str, forbidden: tuple[str, ...], *, but: tuple[str, ...] = ()) -> list[str]:
    """Lines in ``folder`` that import one of the modules, or something inside one of them."""
    found = []
    for path in python_files(folder):
        name = path.relative_to(ROOT).as_posix()
        for module, line in imports(path):
            if name not in but and any(f"{module}.".startswith(f"{f}.") for f in forbidden):
                found.append(f"{name}:{line} imports {module}")
    return found


# Who imports whom.


def test_the_grader_imports_no_student_code():
    assert offenders("grader", ("assignment", "solution", "tests")) == []


def test_only_the_worker_turns_text_into_running_code():
    found = [
        f"{path.relative_to(ROOT).as_posix()}:{node.lineno} calls {called(node)}"
        for path in python_files("grader")
        if path.name != "worker.py"
        for node in ast.walk(parse(path))
        if isinstance(node, ast.Call)
        and called(node) in LOADERS
        # re.compile and model.eval() are other things
        and not (isinstance(node.func, ast.Attribute) and node.func.attr in ("compile", "eval", "exec"))
    ]
    assert found == []


def test_the_lab_knows_nothing_of_grading():
    grading = ("parts", "contract", "grading", "messages", "exports", "outcome", "audit")
    assert offenders("grader/lab", tuple(f"grader.{name}" for name in grading)) == []


def test_the_model_file_stands_alone():
    modules = {module.split(".")[0] for module, _ in imports(ROOT / "grader/lab/models.py")}
    assert modules <= {"__future__", "torch", *sys.stdlib_module_names}


def test_exports_and_messages_work_without_torch():
    for folder in ("grader/exports", "grader/messages"):
        assert (
            offenders(folder, ("torch", "torchvision", "grader.lab", "grader.parts", "grader.sandbox")) == []
        )
    script = "import sys, pkgutil, importlib, grader.exports as e, grader.messages\n" + (
        "for m in pkgutil.iter_modules(e.__path__): importlib.import_module(f'grader.exports.{m.name}')\n"
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", script], cwd=ROOT, check=False).returncode == 0


def test_nothing_is_unpickled():
    found = []
    for folder in ("grader", "solution", "tests"):
        for path in python_files(folder):
            name = path.relative_to(ROOT).as_posix()
            found += [f"{name}:{line} imports {m}" for m, line in imports(path) if m.split(".")[0] in PICKLES]
            for node in ast.walk(parse(path)):
                if not isinstance(node, ast.Call):
                    continue
                if ast.unparse(node.func) in ("torch.load", "torch.hub.load", "torch.save"):
                    found.append(f"{name}:{node.lineno} calls {ast.unparse(node.func)}")
                found += [
                    f"{name}:{node.lineno} {k.arg}"
                    for k in node.keywords
                    if k.arg == "allow_pickle"
                    and not (isinstance(k.value, ast.Constant) and k.value.value is False)
                ]
    assert found == []


@pytest.mark.parametrize("folder", ["grader", "solution", "tests"])
def test_randomness_comes_from_explicit_generators(folder):
    found = [
        f"{path.relative_to(ROOT).as_posix()}:{node.lineno} calls {ast.unparse(node.func)}"
        for path in python_files(folder)
        for node in ast.walk(parse(path))
        if isinstance(node, ast.Call)
        and ast.unparse(node.func) in ("torch.manual_seed", "torch.seed", "np.random.seed", "random.seed")
    ]
    assert found == []


# What lies where.


def test_nothing_else_lies_at_the_top():
    names = {path.split("/")[0] for path in tracked_files() if not path.startswith(".")}
    assert names <= FOLDERS | FILES, sorted(names - FOLDERS - FILES)


def test_no_pickle_and_no_archive_is_committed():
    refused = {
        ".pkl",
        ".pickle",
        ".pt",
        ".pth",
        ".ckpt",
        ".joblib",
        ".npy",
        ".npz",
        ".zip",
        ".tar",
        ".so",
        ".pyc",
    }
    outside = [path for path in tracked_files() if not path.startswith(SUBMISSIONS)]
    assert [p for p in outside if Path(p).suffix in refused] == []


def test_files_are_short_enough_to_read():
    long = {
        path: lines
        for path in tracked_files()
        if path.endswith(".py")
        and not path.startswith(SUBMISSIONS)
        and (lines := len((ROOT / path).read_text(encoding="utf-8").splitlines())) > 400
    }
    assert long == {}


def test_what_ci_runs_can_be_run():
    assert os.access(ROOT / ".ci/run", os.X_OK)


def test_the_licence_names_the_terms_of_the_data():
    text = (ROOT / "LICENSE").read_text(encoding="utf-8")
    assert text.startswith("MIT License")
    assert "MNIST" in text


DOCUMENTS = (
    "README.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "assignment/README.md",
    "assignment/README.zh-CN.md",
)


@pytest.mark.parametrize("document", DOCUMENTS)
def test_links_lead_somewhere(document):
    path = ROOT / document
    targets = re.findall(r"\]\((?!https?:|#)([^)#]+)", path.read_text(encoding="utf-8"))
    assert [target for target in targets if not (path.parent / target).exists()] == []


@pytest.mark.parametrize("document", DOCUMENTS)
def test_documented_commands_exist(document):
    text = (ROOT / document).read_text(encoding="utf-8")
    targets = re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert set(re.findall(r"\bmake ([a-z]+)\b(?=`|\s+#)", text)) <= set(targets)
    for module in re.findall(r"python -m ((?:grader|solution)[\w.]*)", text):
        assert importlib.util.find_spec(module) is not None, module
    options = (ROOT / "grader/conftest.py").read_text(encoding="utf-8")
    for command in re.findall(r"pytest grader/[^`\n]*", text):
        for option in re.findall(r"--[a-z-]+", command):
            assert f'"{option}"' in options, command


def test_dependencies_exclude_no_newer_release():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    groups = [project["dependencies"], *project["optional-dependencies"].values()]
    for requirement in (r for group in groups for r in group if not r.startswith("backdoor-lab")):
        assert re.fullmatch(r"[a-z0-9-]+>=[\d.]+", requirement), requirement


# Contract, solution and stubs are in step.


def load(folder: str, filename: str):
    """Import a file of ours by its path; both folders hold files of the same names."""
    spec = importlib.util.spec_from_file_location(f"{folder}_{Path(filename).stem}", ROOT / folder / filename)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


FUNCTIONS = [pytest.param(part, function, id=function.name) for part in PARTS for function in part.functions]


@pytest.mark.parametrize(("part", "function"), FUNCTIONS)
def test_stub_and_solution_have_the_contracts_parameters(part, function):
    for folder in ("solution", "assignment"):
        signature = inspect.signature(getattr(load(folder, part.filename), function.name))
        assert tuple(signature.parameters) == function.parameters, folder
        assert all(p.annotation is not p.empty for p in signature.parameters.values()), folder
        assert signature.return_annotation is not signature.empty, folder


@pytest.mark.parametrize(("part", "function"), FUNCTIONS)
def test_stubs_name_their_todo(part, function):
    stub = getattr(load("assignment", part.filename), function.name)
    with pytest.raises(NotImplementedError, match=rf"^TODO\({function.name}\)"):
        stub(*[None] * len(function.parameters))
    assert f"# TODO({function.name})" in inspect.getsource(stub)


@pytest.mark.parametrize(("part", "function"), FUNCTIONS)
def test_docstrings_say_everything(part, function):
    text = inspect.getdoc(getattr(load("solution", part.filename), function.name)) or ""
    for needed in ("Args:", "Returns:", "Changes", "Source:", "Hint:"):
        assert needed in text, needed
    assert "Raises nothing" in text or "\nRaises:\n    " in text
    arguments = text[text.index("Args:") : text.index("Returns:")]
    described = re.findall(r"^    (\w+): ", arguments, flags=re.MULTILINE)
    assert tuple(described) == function.parameters


def test_the_contract_adds_up():
    assert max_score() == 100
    ids = [check.id for part in PARTS for check in part.checks]
    assert len(ids) == len(set(ids))
    for part in PARTS:
        assert {check.function for check in part.checks} <= {f.name for f in part.functions} | {"outcome"}
        for number, check in enumerate(part.checks):
            assert isinstance(check.points, int)
            assert set(check.requires) <= {earlier.id for earlier in part.checks[:number]}, check.id
