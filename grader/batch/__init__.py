"""A class of submissions, graded so that nothing is lost and nothing is graded twice.

``command.py`` is the command line; ``intake.py`` (folders and zips) and ``checkouts.py`` (git) read what was handed in,
``lists.py`` what the instructor wrote (roster, commits, overrides); ``unit.py`` grades one submission in a process of
its own, forked from ``warm.py``; ``engines.py`` runs many units here or on a Dask cluster; ``run.py`` keeps the
``ledger.py`` complete; ``results.py``, ``summary.py`` and ``changes.py`` write what people read.

Durability belongs to the ledger alone: whatever is killed, wherever, starting the same command again goes on.
"""
