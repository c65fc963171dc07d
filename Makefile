# `make grade` and `make test` each work alone on a fresh clone: they make .venv first, once.
# Needs: make, Python 3.11 or newer with venv. Another interpreter: make grade PYTHON=python3.12

PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready
READY_DEV := .venv/.ready-dev
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check
OUT ?= out

.DEFAULT_GOAL := help
.PHONY: help grade test lint equality bench validity ablation release clean

help:  ## list the commands
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "make %-9s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

grade: $(READY)  ## grade the reference solution on MNIST, print the scoreboard, write report and pictures to out/
	$(BIN)/python -m grader grade --submission solution --report $(OUT)

# Most tests wait for a child half the time, so they run in as many processes as there are processors, a file each at a
# time; those that look at the clock follow, alone. Both halves run whatever the first one finds.
test: $(READY_DEV)  ## run every test of the project
	@failed=0; \
	$(BIN)/python -m pytest tests -ra -m "not alone" -n auto --maxprocesses 4 --dist loadfile || failed=1; \
	$(BIN)/python -m pytest tests -ra -m alone || failed=1; \
	exit $$failed

lint: $(READY_DEV)  ## ruff (lint and format), types, workflows
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/actionlint

equality: $(READY_DEV)  ## ten submissions: the same score on every way to a grade (minutes)
	$(PIP) --editable '.[nbgrader]'
	BACKDOOR_LAB_ALL_SUBMISSIONS=1 $(BIN)/python -m pytest -q tests/release/test_same_score.py

bench: $(READY_DEV)  ## benchmarks, side by side
	$(PIP) --editable '.[bench]'
	$(BIN)/python -m tests.bench --save

validity: $(READY_DEV)  ## the whole corpus of submissions at the full spec (long; resumable)
	$(BIN)/python -m tests.validity

ablation: $(READY_DEV)  ## each check removed in turn: does the corpus notice? (long; resumable)
	$(BIN)/python -m tests.ablation

release: $(READY_DEV)  ## everything that goes to students, in dist/
	$(BIN)/python -m solution.release --out dist

clean:  ## remove everything that these commands made
	rm -rf .venv out build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache
	find assignment grader solution tests -name __pycache__ -type d -prune -exec rm -rf {} +

# A stamp is written last, so that a set-up which stopped half-way is done again.
$(READY): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Backdoor Lab needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) --version). Try: make PYTHON=python3.12" >&2; exit 1; }
	$(PYTHON) -m venv .venv
	$(PIP) --editable .
	@$(MAKE) --no-print-directory bubblewrap
	@touch $@

$(READY_DEV): $(READY)
	$(PIP) --editable '.[dev]'
	@touch $@

# The sandbox is worth having but never a condition: without it grading says that it makes no security claim.
.PHONY: bubblewrap
bubblewrap:
	@if [ "$$(uname -s)" != Linux ]; then \
	  echo "bubblewrap exists for Linux only: student code will run in a limited subprocess, which makes no security claim."; \
	elif command -v bwrap >/dev/null; then :; \
	elif [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null \
	  && { apt-get install -y -qq bubblewrap || { apt-get update -qq && apt-get install -y -qq bubblewrap; }; } >/dev/null 2>&1; then \
	  echo "installed bubblewrap: student code will run in its sandbox."; \
	else \
	  echo "bubblewrap is not installed, so student code will run without a sandbox; to get it: sudo apt-get install bubblewrap (dnf, pacman, zypper: the same name)."; \
	fi
