# Two commands: `make run` and `make test`. Everything is installed into .venv with the pinned versions.
VENV ?= .venv
PYTHON ?= python3
BIN = $(VENV)/bin
# Two processes, a file of tests at a time: tests of one file share what its fixtures make. Threads that spin while they wait,
# as OpenMP's do by default, would take the cores from the other process.
PYTEST = OMP_WAIT_POLICY=passive $(BIN)/python -m pytest -q -n 2 --dist loadfile
STAMP = $(VENV)/.installed

.PHONY: run test test-kernels test-slow test-browser bench train-mini lint types clean

run: $(STAMP)  ## install, run the multi-stage system on the embedded set, print the table and the run folder
	$(BIN)/s5eval run --system multistage --limit 24

# Extras that only tests of exports, energy and containers need: without them those are skipped. About 170 MB to download.
.PHONY: extras
extras: $(VENV)/.extras-installed  ## what `make test` uses of the extras energy, export, hub and lint

test: $(STAMP) lint  ## style, types and the fast tests
	$(PYTEST) -m "not slow and not browser"

# numpy and scipy choose their linear algebra by the processor; the last bits of sums differ from one to the other.
test-kernels: $(STAMP) lint  ## the fast tests as three kinds of processors would run them
	for kernel in Haswell Zen $$(grep -qw avx512f /proc/cpuinfo && echo SkylakeX); do \
	  echo "OPENBLAS_CORETYPE=$$kernel"; \
	  OPENBLAS_CORETYPE=$$kernel $(PYTEST) -m "not slow and not browser" || exit $$?; \
	done

test-slow: $(STAMP)  ## the long tests
	$(PYTEST) -m "slow and not browser"

# Drives the system's own chromium (Debian: apt-get install chromium); nothing is downloaded for it.
test-browser: $(VENV)/.browser-installed  ## pages and sounds in a real browser; without one they fail
	S5EVAL_TEST_BROWSER=1 $(BIN)/python -m pytest -q -m browser

.PHONY: docs
docs: $(VENV)/.docs-installed types  ## the pages of docs/ in site/; broken links and missing docstrings are errors
	$(BIN)/python -m properdocs build --strict
	@echo "site/index.html; to search in it: $(BIN)/python -m http.server --directory site"

bench: $(STAMP)  ## every figure of BENCHMARKS.md, side by side in one run
	OPENBLAS_NUM_THREADS=1 $(BIN)/python tests/bench/run.py $(ONLY)

# Each recipe goes on from its last checkpoint; one that is done and on the card of the weights is left alone. The baseline
# comes last: its tagger starts from M2D as mini/names leaves it. Thresholds fit the weights they were tuned on alone: old ones
# go first, and new ones come when a part of `mini` was trained (whether they pay, `tune` says: cross-validated).
# MATERIAL gives recordings a share: make train-mini MATERIAL='{foley: 0.5, recordings: 0.5}' (folders; see docs/train.md).
# SHARE tries the chain in a part of its hours, and reads 96 scenes of valid: make train-mini SHARE=0.05. RECIPES takes some of
# the chain alone, DEVICES spreads it over GPUs or processes: two take little more than half the hours, to other last bits. SETTINGS are
# of every recipe, without spaces in them: make train-mini DEVICES=2 SETTINGS=precision=bf16.
RECIPES = mini/encoder mini/m2d mini/segmentation mini/uss mini/dpc mini/adapt mini/names mini/tse2 mini/names2 \
  baseline/tagger baseline/separator
TRAINED = training$(if $(SHARE),/share-$(SHARE))
TRAIN = $(BIN)/s5eval train --weights $(TRAINED)/weights $(if $(SHARE),--share $(SHARE)) $(if $(DEVICES),--devices $(DEVICES)) $(SETS)
SETS = $(foreach setting,$(SETTINGS),--set '$(setting)') $(if $(MATERIAL),--set 'data.material=$(MATERIAL)')
AS_TRAINED = --set system.weights=$(TRAINED)/weights $(foreach setting,$(filter system.%,$(SETTINGS)),--set '$(setting)')
train-mini: $(STAMP)  ## train the like of the weights that ship with the mini presets (two days of a core in bf16; may be interrupted and repeated)
	$(if $(filter mini/%,$(RECIPES)),rm -rf $(TRAINED)/valid $(TRAINED)/weights/thresholds.yaml)
	for recipe in $(RECIPES); do \
	  $(TRAIN) $$recipe --out $(TRAINED)/$$recipe || exit $$?; \
	done
ifneq (,$(filter mini/%,$(RECIPES)))
	$(BIN)/s5eval run --system multistage $(AS_TRAINED) --dataset mini --split valid --out $(TRAINED)/valid $(if $(SHARE),--limit 96)
	$(BIN)/s5eval tune $(TRAINED)/valid --rule expected_score --out $(TRAINED)/weights/thresholds.yaml
endif

lint: $(STAMP) types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

types: .types/s5eval  ## links that let mypy see the mapped packages under their import names

# The package `s5eval` itself is harness/api; what stands in it is linked file by file, since the other parts join it.
.types/s5eval: Makefile $(wildcard harness/api/*)
	rm -rf .types
	mkdir -p .types/s5eval
	for folder in data_manifests systems metrics submissions harness; do ln -sfn ../../$$folder .types/s5eval/$$folder; done
	for file in harness/api/*.*; do ln -sfn ../../$$file .types/s5eval/$${file##*/}; done
	touch .types/s5eval

# torch first and alone: nothing that depends on it may choose another build.
$(STAMP): pyproject.toml constraints.txt
	@echo "Installing the pinned packages into $(VENV), once, some minutes: 6 GB on disk, of which 4 are CUDA's; 2 where torch is a build for CPUs."
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt torch
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[dev,train,view,ray]"
	touch $(STAMP)

$(VENV)/.browser-installed: $(STAMP)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[browser]"
	touch $@

$(VENV)/.docs-installed: $(STAMP)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[docs]"
	touch $@

$(VENV)/.extras-installed: $(STAMP)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[energy,export,hub,lint]"
	touch $@

clean:
	rm -rf $(VENV) site .types .mypy_cache .ruff_cache .pytest_cache build dist *.egg-info
