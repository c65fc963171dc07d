"""The README's part on the clean-label attack, from the table of ``python -m grader lab clean-label-curve``."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from pathlib import Path

from grader.experiments.clean_label_curve import CRAFTED, GOAL, Row, table
from grader.lab.metrics import Rate


def section(path: Path) -> str:
    """The benchmark's protocol, the whole curve, and what single poisons do."""
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    targets, pool = (max(int(row[name]) for row in rows) for name in ("targets", "pool"))
    shown = _some(rows, targets=str(targets))  # a run over fewer targets is named where it is told of
    legend = (
        f"Of {targets} targets so many are turned, with Wilson's 95 % interval, by the number of fine-tuning images; "
        "the last layer is solved to its optimum (weight decay 1e-4). Bases are the nearest in feature space of "
        f"{pool // 10:,} images of their class; the feature distance is the mean of bases → poisons."
    )
    return "\n\n".join([*benchmark(rows), legend, table(shown), *one_poison(shown)])


def network(card: Path) -> str:
    """What the model card says of the attacked network."""
    about = json.loads(card.read_text(encoding="utf-8"))
    rate = Rate(**about["test_accuracy"])
    return f"A ResNet-18 with {rate.value:.2%} test accuracy on CIFAR-10 ({rate.hits:,} of {rate.total:,})."


def benchmark(rows: Sequence[Row]) -> list[str]:
    """The poisoning benchmark's transfer protocol: 25 poisons, 2,500 images, 8/255, SGD; and the same, converged."""
    found = []
    for method, how in (("sgd", "by 40 epochs of SGD, as there"), ("converged", "solved to its optimum")):
        for row in _some(
            rows, attack=CRAFTED, budget="8/255", poisons="25", images="2500", fine_tuning=method
        ):
            drop = 100 * (float(row["acc_before"]) - float(row["acc_after"]))
            found.append(
                f"- last layer {how}: **{_rate(row)}** targets turned, ACC {float(row['acc_before']):.2%} "
                f"without poisons and {drop:.2f} points less with them, PSNR {row['psnr']} dB, SSIM {row['ssim']}; "
                f"of the other test images of the targets' classes {int(row['others_flipped']):,} of "
                f"{int(row['others']):,} flip too."
            )
    if not found:
        return []
    head = (
        "At the poisoning benchmark's transfer protocol (25 poisons of one base class among 2,500 fine-tuning images, "
        "every pixel of the 8-bit poisons within 8/255 of its base, the last layer re-initialised):"
    )
    tail = (
        "Published there (Schwarzschild et al. 2021): feature collision 22 %, convex polytope 33 %, bullseye polytope "
        "85 %. Their extractor was trained on CIFAR-100; ours was trained on CIFAR-10, on images that the victim "
        "fine-tunes on as well, so the two are not the same experiment."
    )
    return [head, "\n".join(found), tail]


def one_poison(rows: Sequence[Row]) -> list[str]:
    """The largest set in which a single poison reaches the goal, and the lecture's setting."""
    single = _some(rows, attack=CRAFTED, poisons="1", fine_tuning="converged")
    found = []
    for bound in dict.fromkeys(row["budget"] for row in single):
        reached = [r for r in single if r["budget"] == bound and int(r["turned"]) >= GOAL * int(r["targets"])]
        best = max((int(r["images"]) for r in reached), default=0)
        found.append(f"{_bound({'budget': bound})}: {f'{best:,} images' if best else 'none of these'}")
    parts = []
    if found:
        parts.append(
            f"The largest fine-tuning set in which a single poison still turns {100 * GOAL:.0f} % of the targets: "
            f"{'; '.join(found)}."
        )
    whole = [row for row in single if row["images"] == "50000"]
    if whole:
        rates = ", ".join(f"{r['turned']} of {r['targets']} ({_bound(r)})" for r in whole)
        for row in _some(rows, attack="none", images="50000", fine_tuning="converged"):
            rates += f", and without any poison {row['turned']} of {row['targets']}"
        parts.append(
            f"The lecture's setting, one base for a target and the whole training set, turns {rates}. A poison that "
            "collides with the target is one sample in 50,000 there, against 5,000 of the target's own class around "
            "it: the optimum of the mean loss leaves it misfitted. Fine-tuning on few images, as in the paper, has no "
            "such majority."
        )
    return parts


def _some(rows: Sequence[Row], **values: str) -> list[Row]:
    return [row for row in rows if all(row[name] == value for name, value in values.items())]


def _bound(row: Row) -> str:
    return "no bound" if row["budget"] == "beta" else row["budget"]


def _rate(row: Row) -> str:
    rate = Rate(int(row["turned"]), int(row["targets"]))
    low, high = rate.interval
    return f"{rate.hits} of {rate.total} (95 % interval {100 * low:.0f} to {100 * high:.0f})"
