"""The experiments' command line: ``python -m grader lab COMMAND``, one file a command.

A command's module has ``add(commands)``, which describes its options and is quick to import; whatever needs torch is
imported when the command runs.
"""

from __future__ import annotations

import argparse

from grader.experiments import alarms, attack, clean_label, clean_label_curve, defend, frontier, matrix, train

COMMANDS = (attack, defend, matrix, alarms, frontier, train, clean_label, clean_label_curve)


def add_lab(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``lab`` and its commands to the parser of ``python -m grader``."""
    lab = commands.add_parser(
        "lab", help="run experiments: attacks and defences", description="Experiments on backdoors."
    )
    experiments = lab.add_subparsers(title="experiments", required=True, metavar="EXPERIMENT")
    for module in COMMANDS:
        module.add(experiments)
