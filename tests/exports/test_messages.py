"""The texts: complete, equal in both languages, and safe against what a student puts into them."""

from __future__ import annotations

import ast
import re
import string
import tomllib
import unicodedata
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F

from grader import messages
from grader.contract import PARTS
from grader.grading import CHECKS
from grader.messages import LANGUAGES, MessageError, placeholders

GRADER = Path(messages.__file__).parents[1]
CHECK_IDS = [check.id for part in PARTS for check in part.checks]
TABLES = {
    language: tomllib.loads((GRADER / "messages" / f"{language}.toml").read_text(encoding="utf-8"))
    for language in LANGUAGES
}


def leaves(table: dict[str, Any], path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], str]]:
    """Every text of a table with the keys that lead to it."""
    for key, value in table.items():
        if isinstance(value, dict):
            yield from leaves(value, (*path, key))
        else:
            yield (*path, key), value


def values_for(template: str) -> dict[str, float | str]:
    """A fitting value for each placeholder: a number where the format asks for one."""
    fields = string.Formatter().parse(template)
    return {name: 0.25 if spec else "something" for _, name, spec, _ in fields if name is not None}


def findings(language: str) -> Iterator[tuple[str, str, dict[str, str]]]:
    """(check id, finding, its texts), the common ones for every check."""
    table = TABLES[language]
    for check_id in CHECK_IDS:
        own = table["checks"][check_id].get("findings", {})
        for key, texts in {**table["skips"], **table["findings"], **own}.items():
            yield check_id, key, texts


def test_both_languages_have_the_same_keys_and_placeholders():
    english, chinese = (dict(leaves(TABLES[language])) for language in LANGUAGES)
    assert english.keys() == chinese.keys()
    for path, text in english.items():
        assert placeholders(text) == placeholders(chinese[path]), path


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_check_has_its_texts_and_there_are_no_others(language: str):
    assert sorted(TABLES[language]["checks"]) == sorted(CHECK_IDS)


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_finding_of_every_check_renders(language: str):
    for check_id, finding, texts in findings(language):
        entry = TABLES[language]["checks"][check_id]
        values = values_for(texts["got"] + texts.get("hint", entry["hint"]))
        rendered = messages.render(check_id, finding, values, language)
        assert all((rendered.title, rendered.ran, rendered.expected, rendered.got, rendered.hint)), check_id
        assert "{" not in rendered.got + rendered.hint


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("check_id", CHECK_IDS)
def test_a_passed_check_renders_without_a_hint(check_id: str, language: str):
    values = values_for(TABLES[language]["checks"][check_id].get("passed", ""))
    rendered = messages.render(check_id, None, values, language)
    assert rendered.got
    assert rendered.hint == ""


@pytest.mark.parametrize("language", LANGUAGES)
def test_what_ran_and_what_was_expected_need_no_values(language: str):
    for check_id, entry in TABLES[language]["checks"].items():
        for key in ("title", "ran", "expected", "hint"):
            assert not placeholders(entry[key]), (check_id, key)


@pytest.mark.parametrize("language", LANGUAGES)
def test_titles_fit_the_scoreboard(language: str):
    for check_id, entry in TABLES[language]["checks"].items():
        width = sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in entry["title"])
        assert width <= 44, check_id


def test_every_finding_that_the_grader_names_has_a_text():
    """Literal keys of Finding(...) and of review entries in the grader's own source."""
    table = TABLES["en"]
    known = {*table["findings"], *table["skips"], *table["challenge"]}
    for entry in table["checks"].values():
        known.update(entry.get("findings", {}))
    named = set()
    for path in GRADER.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            named |= literal_key(node)
    assert named <= known


def literal_key(node: ast.AST) -> set[str]:
    """The key of a Finding(...) or ChildFailure(...) that is written out; nothing for any other node."""
    match node:
        case ast.Call(func=ast.Name(id="Finding" | "ChildFailure"), args=[ast.Constant(value=key), *_]):
            return {str(key)}
    return set()


def functions_of_parts() -> dict[tuple[str, str], ast.FunctionDef]:
    """(module, name) -> every function and method below ``grader/parts``."""
    return {
        (path.stem, node.name): node
        for path in (GRADER / "parts").glob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef)
    }


def raised_by(start: tuple[str, str], defined: dict[tuple[str, str], ast.FunctionDef]) -> set[str]:
    """Literal keys of the findings of a function and of all that it names, in its own module or elsewhere."""
    seen: set[tuple[str, str]] = set()
    found: set[str] = set()
    to_read = [start]
    while to_read:
        place = to_read.pop()
        if place in seen:
            continue
        seen.add(place)
        for node in ast.walk(defined[place]):
            if isinstance(node, ast.Name):
                own = (place[0], node.id)
                to_read += [own] if own in defined else [other for other in defined if other[1] == node.id]
            found |= literal_key(node)
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Name)
                and node.func.id == "require_close"
            ):
                mistakes = [key for a in node.args if isinstance(a, ast.Dict) for key in a.keys]
                found |= {"differs", *(str(key.value) for key in mistakes if isinstance(key, ast.Constant))}
    return found


def test_every_finding_that_a_check_can_reach_has_a_text_there():
    """A helper that two checks share raises its findings in both, or the grader itself would fail in one of them."""
    defined, table = functions_of_parts(), TABLES["en"]
    shared = {*table["findings"], *table["skips"]}
    reached = 0
    for check_id, function in CHECKS.items():
        found = raised_by((function.__module__.rpartition(".")[2], function.__name__), defined)
        assert found <= shared | table["checks"][check_id].get("findings", {}).keys(), check_id
        reached += len(found)
    assert reached > 100


def test_no_text_prints_the_solution():
    """The texts name ideas; calls with the arguments of the assignment would be the answer."""
    answers = re.compile(
        r"\.backward\(\)|clamp_?\(|zero_grad\(|\.step\(\)|cross_entropy\(|full_like\(|copy_\(|\.item\(\) "
    )
    for language in LANGUAGES:
        for path, text in leaves(TABLES[language]):
            assert not answers.search(text), path


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_student_cannot_reach_through_a_template(language: str):
    nasty = "{0.__class__.__mro__} {message} {type!r} %s {"
    rendered = messages.render(CHECK_IDS[0], "exception", {"type": "Error", "message": nasty}, language)
    assert nasty in rendered.got


def test_long_values_are_cut():
    rendered = messages.render(CHECK_IDS[0], "exception", {"type": "E", "message": "x" * 10**6}, "en")
    assert len(rendered.got) < 2 * messages.MAX_VALUE_LENGTH


def test_objects_do_not_format_themselves():
    class Odd(float):
        def __format__(self, spec: str) -> str:
            return "<script>"

        def __str__(self) -> str:
            return "0.5"

    with pytest.raises(MessageError, match="number format"):
        messages.render("invisible_trigger.outcome.acc", None, {"acc": Odd(0.5)}, "en")


def test_shapes_keep_their_brackets_and_lists_do_not():
    rendered = messages.render(CHECK_IDS[0], "wrong_shape", {"found": (1, 2), "expected": (3,)}, "en")
    assert "(1, 2)" in rendered.got
    assert "(3,)" in rendered.got
    step = "invisible_trigger.poison_step.steps_nothing"
    assert "a, b" in messages.render(step, "parameters_changed", {"names": ["a", "b"]}, "en").got


def test_a_skip_names_the_check_by_its_title():
    values = {"checks": ["invisible_trigger.apply_trigger.adds_delta"]}
    rendered = messages.render("invisible_trigger.outcome.acc", "dependency_failed", values, "en")
    assert "apply_trigger: adds delta to every image" in rendered.got


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: messages.render("no.such.check", None, {}, "en"), "no.such.check"),
        (lambda: messages.render(CHECK_IDS[0], "no_such_finding", {}, "en"), "no_such_finding"),
        (lambda: messages.render(CHECK_IDS[0], "scaled", {}, "en"), "needs the value factor"),
        (lambda: messages.render(CHECK_IDS[0], "scaled", {"factor": "two"}, "en"), "number format"),
        (lambda: messages.render(CHECK_IDS[0], None, {}, "fr"), "there are: en, zh"),
        (lambda: messages.ui("no_such_word", "zh"), "no_such_word"),
        (lambda: messages.review("no_such_reason", {}, "en"), "no_such_reason"),
        (lambda: messages.title("no.such.check", "en"), "no.such.check"),
        (lambda: placeholders("{x.y}"), "only"),
        (lambda: placeholders("{x!r}"), "only"),
        (lambda: placeholders("{x:{y}}"), "only"),
        (lambda: placeholders("{"), "broken template"),
    ],
)
def test_what_is_missing_is_said_clearly(call: Any, message: str):
    with pytest.raises(MessageError, match=re.escape(message)):
        call()


def test_part_titles_and_isolation_notices_exist():
    for language in LANGUAGES:
        for part in PARTS:
            assert messages.ui(f"part.{part.name}", language)
        for key in ("isolation.process", "isolation.none", "status.passed", "reason.not_attempted"):
            assert messages.ui(key, language)


LEAF = torch.zeros(3, requires_grad=True)
LOGITS = torch.zeros(2, 10)


def twice() -> None:
    loss = (LEAF**2).sum()
    loss.backward()
    loss.backward()


@pytest.mark.parametrize(
    ("name", "mistake"),
    [
        ("none_used", lambda: torch.zeros(3, requires_grad=True).grad.zero_()),  # type: ignore[union-attr]
        ("leaf_in_place", lambda: LEAF.clamp_(0, 1)),
        ("leaf_in_place", lambda: LEAF[:1].clamp_(0, 1)),
        ("nothing_to_differentiate", lambda: LEAF.detach().sum().backward()),
        ("graph_gone", twice),
        ("label_is_number", lambda: F.cross_entropy(LOGITS, 7)),  # type: ignore[arg-type]
        ("sizes_differ", lambda: LEAF + torch.zeros(2)),
        ("sizes_differ", lambda: LEAF.view(28, 28)),
        ("sizes_differ", lambda: LOGITS @ LOGITS),
        ("sizes_differ", lambda: LEAF.expand(2, 4)),
        ("labels_too_few", lambda: F.cross_entropy(LOGITS, torch.zeros(3, dtype=torch.int64))),
        ("numpy_of_gradient", LEAF.numpy),
    ],
)
def test_what_pytorch_raises_for_a_usual_mistake_gets_its_likely_cause(
    name: str, mistake: Callable[[], object]
):
    with pytest.raises(Exception) as caught:  # noqa: PT011 whatever this release of PyTorch raises
        mistake()
    values = {"type": type(caught.value).__name__, "message": str(caught.value)}
    for language in LANGUAGES:
        found = messages.render("invisible_trigger.poison_step.returns_loss", "exception", values, language)
        assert found.hint == TABLES[language]["exceptions"][name]["hint"]
    other = messages.render(
        "invisible_trigger.poison_step.returns_loss", "exception", {**values, "type": "KeyError"}, "en"
    )
    assert other.hint == TABLES["en"]["findings"]["exception"]["hint"]


def test_both_languages_know_the_same_exceptions():
    known = [
        {k: (v["type"], v["pattern"]) for k, v in TABLES[lang]["exceptions"].items()} for lang in LANGUAGES
    ]
    assert known[0] == known[1]
