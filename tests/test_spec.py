"""The spec file is read strictly: what is wrong with it is said by name."""

from pathlib import Path

import pytest

from grader.settings import PUBLIC_SPEC
from grader.spec import SpecError, load_spec

TEXT = PUBLIC_SPEC.read_text(encoding="utf-8")


def test_the_public_spec_is_readable() -> None:
    spec = load_spec()
    assert spec.name == "public"
    assert not spec.hidden
    assert spec.invisible_trigger.epsilon == 8 / 255
    assert len(spec.hash) == 16


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('epsilon = "8/255"', 'epsilon = "eight"', "epsilon must be a number or a fraction"),
        ('epsilon = "8/255"', 'epsilon = "8/0"', "epsilon must be a number or a fraction"),
        ('epsilon = "8/255"', "epsilon = -1", r"epsilon must be in \(0, 1\].*-1"),
        ('epsilon = "8/255"', "epsilon = nan", "finite"),
        ('epsilon = "8/255"', "epsilon = true", "must be float"),
        ('epsilon = "8/255"', "", "epsilon is missing"),
        ('epsilon = "8/255"', "epsilon = 0.1\nepsilom = 0.1", "epsilom is unknown"),
        ("hidden = false", 'hidden = "no"', "hidden must be bool"),
        ("schema =", "scheme =", "schema"),
        ("backdoor-lab/spec/v1", "backdoor-lab/spec/v2", "schema"),
        ("[threads]", "[threats]", "threads is missing|threats is unknown"),
        ("[threads]", "[threads", "not a TOML file"),
        ("child = 2", "child = 0", "threads.child must be positive"),
        ("audit_share", "audit_share = 1.5 #", "audit_share must be in"),
    ],
)
def test_a_fault_is_named(tmp_path: Path, old: str, new: str, said: str) -> None:
    assert old in TEXT
    path = tmp_path / "spec.toml"
    path.write_text(TEXT.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(SpecError, match=said) as caught:
        load_spec(path)
    assert "spec.toml" in str(caught.value)


def test_a_target_that_is_no_digit_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "spec.toml"
    target = load_spec().invisible_trigger.target
    path.write_text(TEXT.replace(f"target = {target}", "target = 10", 1), encoding="utf-8")
    with pytest.raises(SpecError, match="target must be a digit"):
        load_spec(path)


@pytest.mark.parametrize("content", [b"\xff\xfe\x00", b""])
def test_a_file_that_is_no_toml_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "spec.toml"
    path.write_bytes(content)
    with pytest.raises(SpecError):
        load_spec(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="cannot be read"):
        load_spec(tmp_path / "none.toml")
