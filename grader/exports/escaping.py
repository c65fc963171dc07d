"""Escaping: what a student wrote (names, messages, types) made harmless for each reader.

Reports hold such text as it came. Every export passes it through the function here that belongs to its
reader; nothing else in ``exports`` escapes by itself (but for HTML, where jinja2's autoescape does).
"""

from __future__ import annotations

import re
import unicodedata

# What colours a terminal, and other complete ANSI sequences: dropped. Anything left of an escape is made visible.
_ANSI = re.compile(
    r"\x1b\[[0-9;:?]*[ -/]*[@-~]"  # CSI: colours, cursor movements
    r"|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)"  # OSC: window titles, links
)
# Invisible characters that reorder or hide text around them.
_HIDDEN = frozenset(
    "\u061c\u200b\u200e\u200f\u2028\u2029\u202a\u202b\u202c\u202d\u202e\u2060\u2066\u2067\u2068\u2069\ufeff"
)
# Brackets begin links, a colon addresses and emoji, a dollar mathematics.
_MARKDOWN = re.compile(r"[\\`*_\[\]<>#!|~&@$]|:(?=\S)")
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


def visible(text: str) -> str:
    """Text without anything that a terminal, a log or a page would obey: colours are dropped, other control, formatting
    and undecodable characters are shown as ``\\x1b`` or ``\\u202e``. Line feeds and tabs stay."""
    text = _ANSI.sub("", text).replace("\r\n", "\n")
    return "".join(_visible(c) for c in text)


def _visible(character: str) -> str:
    if character in "\n\t":
        return character
    if character in _HIDDEN or unicodedata.category(character) in ("Cc", "Cs", "Co", "Cn"):
        code = ord(character)
        return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
    return character


def cut(text: str, limit: int) -> str:
    """At most ``limit`` characters, with a mark where something was left out."""
    return text if len(text) <= limit else text[: max(0, limit - 1)] + "…"


def one_line(text: str, limit: int = 500) -> str:
    """Harmless text in a single line: all white space becomes single blanks."""
    return cut(" ".join(visible(text[: 8 * limit]).split()), limit)


def log_safe(text: str) -> str:
    """Harmless text for a log that GitHub's runner reads: no line of it can be a workflow command.

    The runner obeys ``::command::`` after any leading white space (so indenting is not enough, and a later line break
    could bring a ``::`` to the front) and the old form ``##[command]`` anywhere in a line. Both are broken up.
    """
    text = visible(text)
    while "::" in text:
        text = text.replace("::", ": :")
    return text.replace("##[", "## [")


def markdown(text: str, limit: int = 500) -> str:
    """One line of harmless inline text for GitHub Markdown, table cells included.

    Every character that could be markup is written as a numeric entity: it is shown as it is and never parsed.
    """
    return _MARKDOWN.sub(lambda match: f"&#{ord(match.group())};", one_line(text, limit))


def fenced(text: str, limit: int = 5000) -> str:
    """A Markdown code block; its fence is longer than any run of backticks inside."""
    text = cut(visible(text[: 8 * limit]), limit)
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}text\n{text}\n{fence}"


def command_data(text: str) -> str:
    """The message of a workflow command (``::error ...::HERE``)."""
    return visible(text).replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def command_property(text: str) -> str:
    """A property of a workflow command (``::error file=HERE``)."""
    return command_data(text).replace(":", "%3A").replace(",", "%2C")


def csv_text(text: str) -> str:
    """A text for one CSV cell that no spreadsheet takes for a formula: such text gets an apostrophe in front."""
    text = one_line(text)
    return f"'{text}" if text.startswith(_FORMULA) else text
