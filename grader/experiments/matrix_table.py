"""The attack x defence matrix as a table: what each defence says of each attack, and what it leaves of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from grader.experiments import alarms
from grader.experiments.attack import NAMES as ATTACKS
from grader.experiments.tables import Row, counted, markdown, spread

COLUMNS = (
    "attack", "seed", "target", "defence", "variant", "says", "alarm", "right", "score", "before_acc", "before_asr",
    "acc", "asr", "linf", "psnr", "ssim", "cpu_seconds",
)  # fmt: skip
NO_DEFENCE = "none"
SHOWN: dict[tuple[str, str], str] = {
    (NO_DEFENCE, ""): "no defence",
    ("fine_pruning", "largest-weight"): "Fine-Pruning, largest weights",
    ("fine_pruning", "dormant"): "Fine-Pruning, dormant",
    ("activation_clustering", ""): "Activation Clustering",
    ("neural_cleanse", ""): "Neural Cleanse",
    ("strip", ""): "STRIP",
}
"""The columns: (defence, variant) and how it is called."""


@dataclass(frozen=True)
class Cell:
    """One attack under one defence, over the seeds.

    Attributes:
        acc, asr: a value a seed; empty where the cell is not applicable or was not run.
        verdict: what the defence said, in a few words; why there are no rates.
    """

    acc: tuple[float, ...] = ()
    asr: tuple[float, ...] = ()
    verdict: str = "not run"


@dataclass(frozen=True)
class Grid:
    """The matrix: a row an attack, a column a defence, and under each column its false alarms on clean models."""

    attacks: list[str]
    defences: list[str]
    cells: list[list[Cell]]
    alarms: list[str]


def grid(rows: Sequence[Row], false_alarms: Sequence[Row]) -> Grid:
    """All that was measured."""
    attacks = [a for a in ATTACKS if any(r["attack"] == a for r in rows)]
    columns = [key for key in SHOWN if any((r["defence"], r["variant"]) == key for r in rows)]
    # an n/a row has no variant, but its column is there through the other attacks
    cells = [[_cell([r for r in rows if _key(r) == (a, *key)]) for key in columns] for a in attacks]
    return Grid(
        attacks, [SHOWN[key] for key in columns], cells, [_alarms(false_alarms, key[0]) for key in columns]
    )


def _key(row: Row) -> tuple[str, str, str]:
    return row["attack"], row["defence"], row["variant"]


def _cell(rows: Sequence[Row]) -> Cell:
    if not rows:
        return Cell()
    measured = [r for r in rows if r["asr"]]
    if not measured:
        return Cell(verdict="n/a: poisoning does not plant it")
    return Cell(
        tuple(float(r["acc"]) for r in measured), tuple(float(r["asr"]) for r in measured), _verdict(measured)
    )


def _verdict(rows: Sequence[Row]) -> str:
    """What a defence said over the seeds."""
    defence = rows[0]["defence"]
    scores = [float(r["score"]) for r in rows if r["score"]]
    right = sum(r["right"] == "1" for r in rows)
    if defence == "fine_pruning":
        return f"{spread(scores, '.0%')} pruned"
    if defence == "activation_clustering":
        return f"F1 {spread(scores, '.3f')}"
    if defence == "neural_cleanse":
        return f"names the target: {right} of {len(rows)}"
    if defence == "strip":
        return f"FAR {spread(scores)}"
    return ""


def _alarms(rows: Sequence[Row], defence: str) -> str:
    own = [row for row in rows if row["defence"] == defence]
    if defence in (NO_DEFENCE, "fine_pruning"):
        return "n/a: accuses nobody" if defence == "fine_pruning" else ""
    if not own:
        return "not run"
    if defence == "strip":
        return f"rejects {spread([int(r['flagged']) / int(r['total']) for r in own])}\nof clean inputs"
    return f"accuses {sum(r['alarm'] == '1' for r in own)} of {len(own)}"


def table(rows: Sequence[Row], false_alarms: Sequence[Row]) -> str:
    """Markdown: the attacks, what each defence leaves of them, what it says of them and of clean models."""
    found = grid(rows, false_alarms)
    if not rows:
        return "Nothing was run."
    text = [
        "Means over seeds, with the lowest and the highest in brackets; a cell without brackets is one seed, or "
        "several that agree. `not run` is what the command has not come to yet.",
        "", _attacks(rows, found.attacks, false_alarms), "", _left(found), "", _said(rows, found, false_alarms),
    ]  # fmt: skip
    return "\n".join(text).strip()


def _attacks(rows: Sequence[Row], attacks: Sequence[str], false_alarms: Sequence[Row]) -> str:
    lines = []
    for attack in attacks:
        own = [r for r in rows if r["attack"] == attack and r["defence"] == NO_DEFENCE]
        if not own:
            continue
        values = {c: [float(r[c]) for r in own] for c in ("acc", "asr", "linf", "psnr", "ssim")}
        cross = [float(r["score"]) for r in own if r["score"]]  # of dynamic_visible alone
        lines.append(
            [attack, str(len(own)), spread(values["acc"], ".2%"), spread(values["asr"], ".2%"),
             spread(cross, ".2%") if cross else "", spread(values["linf"], ".0f"), spread(values["psnr"], ".1f"),
             spread(values["ssim"], ".3f")]
        )  # fmt: skip
    clean = {r["seed"]: float(r["acc"]) for r in false_alarms}
    if clean:
        lines.append(["clean models", str(len(clean)), spread(list(clean.values()), ".2%"), *[""] * 5])
    head = [
        "attack",
        "seeds",
        "ACC",
        "ASR",
        "ACC under another image's trigger",
        "largest change, of 255",
        "PSNR, dB",
        "SSIM",
    ]
    return markdown(head, lines)


def _left(found: Grid) -> str:
    lines = [
        [attack, *(f"{spread(c.asr)} / {spread(c.acc)}" if c.asr else c.verdict for c in cells)]
        for attack, cells in zip(found.attacks, found.cells, strict=True)
    ]
    return markdown(["ASR / ACC that are left", *found.defences], lines)


def _said(rows: Sequence[Row], found: Grid, false_alarms: Sequence[Row]) -> str:
    """Verdicts alone; Neural Cleanse's with an interval, since it is a count."""
    lines = []
    for attack, cells in zip(found.attacks, found.cells, strict=True):
        line = [attack]
        for name, cell in list(zip(found.defences, cells, strict=True))[1:]:
            own = [r for r in rows if r["attack"] == attack and r["defence"] == "neural_cleanse"]
            if name == SHOWN["neural_cleanse", ""] and own:
                hits = sum(r["right"] == "1" for r in own)
                line.append(f"names the target in {counted(hits, len(own))}")
            elif name == SHOWN["activation_clustering", ""] and cell.asr:
                before = [
                    float(r["before_asr"])
                    for r in rows
                    if r["attack"] == attack and r["defence"] == "activation_clustering"
                ]
                line.append(f"{cell.verdict}; its victim's ASR was {spread(before)}")
            else:
                line.append(cell.verdict)
        lines.append(line)
    names = {called: key[0] for key, called in SHOWN.items()}
    last = [alarms.summary(false_alarms, names[d]) for d in found.defences[1:]]
    if any(last):
        lines.append(
            ["clean models", *(said or ("n/a: accuses nobody" if "Pruning" in d else "not run")
                               for d, said in zip(found.defences[1:], last, strict=True))]
        )  # fmt: skip
    return markdown(["verdict", *found.defences[1:]], lines)
