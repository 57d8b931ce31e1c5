# Two commands for a start: make accommodate, make test. The rest is below; `make` alone lists it.
PYTHON ?= python3
ARGS ?=
VENV := .venv
RUN := $(VENV)/bin/python
INSTALLED := $(VENV)/.installed
FLOOR_PYTHON ?= python3.10
FLOORS := build/floors
ENGINE ?= docker

.DEFAULT_GOAL := help
.PHONY: help venv cluster desk accommodate test test-slow test-floors image check types format benchmark readme
.PHONY: docs docs-links tutorials gallery clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' Makefile
	@echo 'PYTHON=python3.12 chooses an interpreter; ARGS="..." is handed on to the program a target runs.'

venv: $(INSTALLED) ## make .venv and install Ciliary in it; again when pyproject.toml changes

$(INSTALLED): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 10) or sys.exit("Ciliary needs Python 3.10 or newer, %s is %s; try make PYTHON=python3.12" % (sys.executable, sys.version.split()[0]))'
	@echo "Installing into $(VENV); torch is large, the first time takes some minutes."
	$(PYTHON) -m venv $(VENV)
	$(RUN) -m pip install --disable-pip-version-check -e ".[dev]"
	@touch $@

cluster: $(INSTALLED) ## what the tests of clusters, databases and pages need besides; they are skipped without
	$(RUN) -m pip install --disable-pip-version-check -e ".[ray,postgres,browser,app,optuna]"

# Qt draws on a screen: apt-get install xvfb libegl1 libgl1 libxkbcommon-x11-0 libxcb-cursor0 libxcb-icccm4 libxcb-keysyms1
desk: $(INSTALLED) ## napari and Qt, and the tests of the panel there; the last of them needs a screen (xvfb)
	$(RUN) -m pip install --disable-pip-version-check -e ".[napari]"
	QT_QPA_PLATFORM=offscreen $(RUN) -m pytest -m "slow or not slow" tests/tuning/napari_plugin $(ARGS)

accommodate: $(INSTALLED) ## the main job on bundled photographs; ARGS="photo.jpg --trials 128" for your own
	$(RUN) scripts/accommodate.py $(ARGS)

test: $(INSTALLED) ## the tests
	$(RUN) -m pytest $(ARGS)

test-slow: $(INSTALLED) ## the tests that take minutes or need the development data
	$(RUN) -m pytest -m slow $(ARGS)

# uv knows how to choose the lowest versions that pyproject.toml allows; the newest are what .venv has.
test-floors: ## the tests on the oldest packages that are allowed, in build/floors; FLOOR_PYTHON=python3.10
	$(FLOOR_PYTHON) -m venv --clear $(FLOORS)
	$(FLOORS)/bin/python -m pip install --disable-pip-version-check uv
	$(FLOORS)/bin/uv pip install --python $(FLOORS)/bin/python --resolution lowest-direct -e ".[test]"
	$(FLOORS)/bin/python -m pytest $(ARGS)

image: ## the image of the Dockerfile, where there is an engine; ENGINE=podman
	$(ENGINE) build -t ciliary .

check: $(INSTALLED) ## lint, format and types, without changing anything
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .
	$(MAKE) --no-print-directory types

# mypy follows no import hooks, which is what an editable install of mapped folders is: it is shown links instead.
types: $(INSTALLED) ## mypy, strict, over all rooms
	@mkdir -p build/types/ciliary
	@for room in cortex envs agents tuning; do ln -sfn ../../../$$room build/types/ciliary/$$room; done
	@ln -sfn ../../../tests/contracts build/types/ciliary/testing
	@for file in __init__.py __init__.pyi py.typed; do ln -sfn ../../../tuning/front/$$file build/types/ciliary/$$file; done
	$(RUN) -m mypy

format: $(INSTALLED) ## mend what ruff can mend
	$(RUN) -m ruff check --fix .
	$(RUN) -m ruff format .

benchmark: $(INSTALLED) ## time per stage, in a population, and by image size
	$(RUN) scripts/benchmark.py $(ARGS)

readme: $(INSTALLED) ## write the parameter table of docs/stages.md anew
	$(RUN) scripts/write_readme_table.py

docs: $(INSTALLED) ## the site, warnings are errors: build/site/index.html
	@$(RUN) -c 'import furo, ipykernel, myst_nb' 2>/dev/null || $(RUN) -m pip install --disable-pip-version-check -e ".[docs]"
	$(RUN) -m sphinx -E -q -W --keep-going -b html docs build/site

docs-links: docs ## whether links to other sites still lead somewhere; needs the network
	$(RUN) -m sphinx -q -b linkcheck docs build/links

tutorials: docs ## run the tutorials anew and keep what they show; ARGS="eye" for one
	$(RUN) scripts/run_tutorials.py $(ARGS)

gallery: $(INSTALLED) ## draw the pictures of docs/gallery.md anew
	$(RUN) scripts/make_gallery.py

clean: ## remove caches and build products; runs/ and .venv stay
	rm -rf build dist *.egg-info .pytest_cache .ruff_cache .mypy_cache .hypothesis
	find . -path ./$(VENV) -prune -o -type d -name __pycache__ -exec rm -rf {} +
