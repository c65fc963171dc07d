"""Every text that a student sees, by check id and finding, in English and Chinese; no such text lives in code.

The texts are ``en.toml`` and ``zh.toml`` beside this file. A check raises only a *finding* (a short key) with values;
``render`` turns the two into the one form of feedback: what ran, what was expected, what came, the likely cause.

Values may come from the student (a type name, an exception's message). They are inserted by ``str.format`` on *our*
template and never parsed themselves, and a template may only name a value and give a number format: no attribute,
index, conversion or nested field. What is shown is escaped later, by the exports, each for its own reader.
"""

from __future__ import annotations

import re
import string
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

LANGUAGES = ("en", "zh")
# A student's exception message may be megabytes long; nobody reads more than this, and reports must stay small.
MAX_VALUE_LENGTH = 2000

Value = str | int | float | bool | None | Sequence[str] | Sequence[int]


class MessageError(KeyError):
    """A text, a language or a value that the texts need is missing: a fault of the grader, never of a student."""

    def __str__(self) -> str:
        return str(self.args[0]) if self.args else ""


@dataclass(frozen=True)
class Texts:
    """The feedback on one check, ready to be read.

    Attributes:
        title: a few words for the scoreboard.
        ran: what was run.
        expected: what a right solution gives.
        got: what came.
        hint: the likely cause and what to do; empty where the check passed.
    """

    title: str
    ran: str
    expected: str
    got: str
    hint: str


def render(
    check_id: str, finding: str | None, values: Mapping[str, Value], language: str, *, plain: bool = False
) -> Texts:
    """The texts of one check.

    Args:
        check_id: an id of the contract.
        finding: what was found wrong, or the reason of a skip; None where the check passed.
        values: what the texts name; more than they name is allowed, less is an error.
        language: ``"en"`` or ``"zh"``.
        plain: say of a passed check no more than that it passed.

    Looked up in this order: the check's own findings, the common findings, the skips. Ids in the value ``checks``
    are shown as function and title.

    Raises:
        MessageError: no such language, check or finding, or a value that the text names is missing or does not fit
            its number format.
    """
    table = _load(language)
    entry = _entry(check_id, language)
    where = f"{language}.toml, {check_id}"
    as_expected = table["ui"]["as_expected"]
    got, hint = as_expected if plain else entry.get("passed", as_expected), ""
    if finding is not None:
        cause = _cause(check_id, finding, language)
        where = f"{where}, {finding}"
        if "checks" in values:
            values = {**values, "checks": _check_names(values["checks"], table)}
        got, hint = cause["got"], cause.get("hint", entry["hint"])
        if finding == "exception":
            hint = _hint_for_exception(values, table) or hint
    return Texts(
        title=_fill(entry["title"], values, where),
        ran=_fill(entry["ran"], values, where),
        expected=_fill(entry["expected"], values, where),
        got=_fill(got, values, where),
        hint=_fill(hint, values, where),
    )


def _hint_for_exception(values: Mapping[str, Value], table: Mapping[str, Any]) -> str | None:
    """The likely cause of what PyTorch raises for a usual mistake: the first of ``[exceptions]`` that fits."""
    kind, message = values.get("type"), str(values.get("message"))
    for usual in table["exceptions"].values():
        if kind == usual["type"] and re.search(usual["pattern"], message):
            return str(usual["hint"])
    return None


def values_named(check_id: str, finding: str) -> frozenset[str]:
    """The names of the values that a finding's texts tell (in every language: they are the same).

    Raises:
        MessageError: no such check or finding.
    """
    cause = _cause(check_id, finding, LANGUAGES[0])
    return placeholders(cause["got"]) | placeholders(cause.get("hint", ""))


def common(finding: str, values: Mapping[str, Value], language: str) -> str:
    """What came and the likely cause, of a finding that any check may have.

    Raises:
        MessageError: no such finding, or a value that its texts name is missing.
    """
    cause = _load(language)["findings"].get(finding)
    if cause is None:
        raise MessageError(f"{language}.toml has no text for the finding {finding!r} in common")
    where = f"{language}.toml, {finding}"
    return " ".join(_fill(cause[key], values, where) for key in ("got", "hint"))


def is_finding(key: str) -> bool:
    """Whether any check may have this finding."""
    return key in _load(LANGUAGES[0])["findings"]


def title(check_id: str, language: str) -> str:
    """The few words that stand for a check on the scoreboard.

    Raises:
        MessageError: no such language or check.
    """
    return str(_entry(check_id, language)["title"])


def ui(key: str, language: str, **values: Value) -> str:
    """A word or sentence of the surroundings (scoreboard, report page), by its key in ``[ui]``.

    Raises:
        MessageError: no such language or key, or a value that the text names is missing.
    """
    return _plain("ui", key, values, language)


def challenge(key: str, values: Mapping[str, Value], language: str) -> str:
    """What came of a leaderboard entry: a text of ``[challenge]``, or what a common finding says.

    Raises:
        MessageError: no such language or key, or a value that the text names is missing.
    """
    table = _load(language)
    if "checks" in values:
        values = {**values, "checks": _check_names(values["checks"], table)}
    if key not in table["challenge"] and key in table["findings"]:
        return _fill(table["findings"][key]["got"], values, f"{language}.toml, {key}")
    return _plain("challenge", key, values, language)


def built(part: str, language: str) -> Mapping[str, Any]:
    """How to show what a student built in this part: ``[built.PART]``; empty where there are no such texts."""
    found: Mapping[str, Any] = _load(language)["built"].get(part, {})
    return found


def fill(template: str, values: Mapping[str, Value]) -> str:
    """A text of ``built`` with its values.

    Raises:
        MessageError: a value that it names is missing or does not fit its number format.
    """
    return _fill(template, values, repr(template))


def template(key: str, language: str) -> str:
    """A text of ``[ui]`` with its placeholders unfilled, for the page's own script.

    Raises:
        MessageError: no such language or key.
    """
    names = {name: f"{{{name}}}" for name in placeholders(_load(language)["ui"].get(key, ""))}
    return _plain("ui", key, names, language)


def review(key: str, values: Mapping[str, Value], language: str, *, withheld: bool = False) -> str:
    """Why a person should look at a submission, by its key in ``[review]``; ``withheld``: without any value.

    Raises:
        MessageError: no such language or key, or a value that the text names is missing.
    """
    if withheld and placeholders(_load(language)["review"].get(key, "")):
        return _plain("review", f"{key}_withheld", {}, language)
    return _plain("review", key, values, language)


def _plain(section: str, key: str, values: Mapping[str, Value], language: str) -> str:
    template = _load(language)[section].get(key)
    if template is None:
        raise MessageError(f"{language}.toml has no text {key!r} in [{section}]")
    return _fill(template, values, f"{language}.toml, [{section}] {key}")


def _cause(check_id: str, finding: str, language: str) -> dict[str, str]:
    table = _load(language)
    own = _entry(check_id, language).get("findings", {})
    cause: dict[str, str] | None = (
        own.get(finding) or table["findings"].get(finding) or table["skips"].get(finding)
    )
    if cause is None:
        raise MessageError(
            f"{language}.toml, {check_id}: there is no text for the finding {finding!r}, neither here nor in common"
        )
    return cause


def _entry(check_id: str, language: str) -> dict[str, Any]:
    entry: dict[str, Any] | None = _load(language)["checks"].get(check_id)
    if entry is None:
        raise MessageError(f"{language}.toml has no texts for the check {check_id!r}")
    return entry


def placeholders(template: str) -> frozenset[str]:
    """The names of the values that a template asks for.

    Raises:
        MessageError: the template does more than name a value and give it a plain format.
    """
    names: set[str] = set()
    try:
        fields = list(string.Formatter().parse(template))
    except ValueError as error:
        raise MessageError(f"broken template {template!r}: {error}") from error
    for _, name, format_spec, conversion in fields:
        if name is None:
            continue
        if not name.isidentifier() or conversion is not None or "{" in (format_spec or ""):
            raise MessageError(f"template {template!r}: only {{name}} and {{name:format}} are allowed")
        names.add(name)
    return frozenset(names)


def function_title(part: str, function: str, language: str) -> str:
    """A function as tables show it: its name, or for ``outcome`` what the whole of this part is called."""
    return _function_title(part, function, _load(language))


def _function_title(part: str, function: str, table: dict[str, Any]) -> str:
    words = table["ui"]
    return str(words.get(f"outcome.{part}", words["outcome"])) if function == "outcome" else function


def _fill(template: str, values: Mapping[str, Value], where: str) -> str:
    names = placeholders(template)
    missing = sorted(names - set(values))
    if missing:
        raise MessageError(f"{where}: the text needs the value {', '.join(missing)}")
    try:
        return template.format(**{name: _shown(values[name]) for name in names})
    except (ValueError, TypeError) as error:
        raise MessageError(f"{where}: a value does not fit its number format: {error}") from error


def _shown(value: Value) -> str | int | float:
    """A value as it goes into a template: numbers stay numbers, everything else becomes bounded text."""
    # type() and not isinstance: a subclass of str or float could bring its own __format__.
    if type(value) is int or type(value) is float:
        return value
    if isinstance(value, tuple) and all(type(item) is int for item in value):
        return str(value)  # a shape
    if isinstance(value, (list, tuple)):
        value = ", ".join(str(item) for item in value)
    text = str(value).encode("utf-8", "replace").decode()  # lone surrogates fit into no file
    return text if len(text) <= MAX_VALUE_LENGTH else text[:MAX_VALUE_LENGTH] + " …"


def _check_names(ids: Value, table: dict[str, Any]) -> list[str]:
    """Check ids as a student knows them: ``apply_trigger: clamps to [0, 1]``."""
    names = []
    for name in [str(item) for item in ids] if isinstance(ids, (list, tuple)) else [str(ids)]:
        if name in table["checks"]:
            part, function, _ = name.split(".", 2)
            function = _function_title(part, function, table)
            name = table["ui"]["check_line"].format(function=function, title=table["checks"][name]["title"])
        names.append(name)
    return names


def preload() -> None:
    """Read the texts of every language, for a process whose forks are all going to need some."""
    for language in LANGUAGES:
        _load(language)


@cache
def _load(language: str) -> dict[str, Any]:
    if language not in LANGUAGES:
        raise MessageError(f"no texts in the language {language!r}; there are: {', '.join(LANGUAGES)}")
    text = resources.files(__package__).joinpath(f"{language}.toml").read_text(encoding="utf-8")
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise MessageError(f"{language}.toml is not valid TOML: {error}") from error
