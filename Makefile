# `make quickstart` and `make test` each set up all they need: Python >= 3.11 and a network suffice.
PYTHON ?= python3
BIN := .venv/bin
# glibc gives every large tensor back to the system and asks for it again; keeping the memory makes a training step on
# a CPU take about four fifths of its time, for a resident size that stays at its peak: see docs/performance.md.
export MALLOC_MMAP_MAX_ ?= 0
export MALLOC_TRIM_THRESHOLD_ ?= 17179869184

.DEFAULT_GOAL := help
.PHONY: help install quickstart test test-slow peers reliability check format bench figures clean

help:  ## show this list
	@grep -E '^[a-z-]+:.*## ' Makefile | sed -E 's/:.*## /\t/' | expand -t 14

install: .venv/installed  ## set up .venv, with the package and all it needs to run

quickstart: .venv/installed  ## train on handwritten digits and print the summary: about two minutes on two cores
	$(BIN)/python train.py fit -c configs/quickstart.yaml

test: .venv/installed-dev  ## run the ordinary tests
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto -m "not slow"

test-slow: .venv/installed-dev  ## run the tests that take minutes
	$(BIN)/python -m pytest -m slow

peers: .venv/installed-dev .peers/installed  ## hold the losses against lightly's and pytorch-metric-learning's
	PYTHONPATH=.peers $(BIN)/python -m pytest -q tests/losses/test_peers.py

TRY := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n auto -o junit_family=xunit1
reliability: .venv/installed-dev  ## kill, signal, starve and mislead it, and write docs/reliability.md: 40 minutes
	-$(TRY) -m slow tests/reliability --junitxml=.reliability/trials.xml
	-$(TRY) -m refusal --junitxml=.reliability/refusals.xml
	-$(TRY) tests/test_distributed.py -k every_loss --junitxml=.reliability/losses.xml
	-FUZZ_EXAMPLES=2000 $(TRY) tests/test_fuzz.py --junitxml=.reliability/fuzz.xml
	$(BIN)/python tests/reliability/page.py .reliability/*.xml

check: .venv/installed-dev  ## lint, types, and that imports only go down the floors
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -q tests/test_floors.py

format: .venv/installed-dev  ## rewrite the code in the house's format
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# Programs without peers run in the ordinary environment.
bench: .venv/installed .venv-bench/installed  ## compare speed with the usual libraries, in an environment of its own: 30 minutes
	for program in start scaling spacl_selection gpu methods; do $(BIN)/python benchmarks/$$program.py || exit 1; done
	for program in losses steps; do .venv-bench/bin/python benchmarks/$$program.py || exit 1; done
	$(BIN)/python benchmarks/page.py
	$(BIN)/python docs/landscape.py

figures: .venv/installed  ## draw the README's pictures anew, from the newest quick starts of both methods
	$(BIN)/python docs/figures.py "$$(ls -t runs/SimCLRCombined-digits/*/checkpoints/best.ckpt | head -1)" \
		"$$(ls -t runs/SPACL-digits/*/checkpoints/best.ckpt | head -1)"

clean:  ## remove the environment and caches
	rm -rf .venv .venv-bench .peers .mypy_cache .pytest_cache .ruff_cache .hypothesis

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or newer is needed, $(PYTHON) is older: make PYTHON=python3.12 ..." >&2; exit 1; }
	$(PYTHON) -m venv .venv

.venv/installed: pyproject.toml | .venv/bin/python
	$(BIN)/python -m pip install --quiet --editable .
	@touch $@

.venv/installed-dev: pyproject.toml | .venv/bin/python
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	@touch $@ .venv/installed

.peers/installed: | .venv/bin/python
	$(BIN)/python -m pip install --quiet --no-deps --target .peers lightly pytorch-metric-learning
	@touch $@

.venv-bench/installed: pyproject.toml benchmarks/requirements.txt
	$(PYTHON) -m venv .venv-bench
	.venv-bench/bin/python -m pip install --quiet --editable . --requirement benchmarks/requirements.txt
	.venv-bench/bin/python -m pip install --quiet --no-deps solo-learn==1.0.2
	@touch $@
