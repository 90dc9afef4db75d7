# The verbs of the project. `make` lists them.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.ONESHELL:

PYTHON ?= python3
UV := .tools/bin/uv
ENGINE := .venv/engine
PLUGIN := .venv/plugin
GEOMM := $(ENGINE)/bin/geomm
SYSTEM_PYTHON := /usr/bin/python3
QGIS_PACKAGES := qgis python3-qgis python3-venv xvfb xauth xdotool openbox x11-utils imagemagick fonts-open-sans
export UV_FIND_LINKS ?= $(wildcard $(PIP_FIND_LINKS))
export UV_PYTHON_PREFERENCE ?= only-system
export UV_COMPILE_BYTECODE ?= 1
export OMP_WAIT_POLICY ?= PASSIVE
unexport PYTHONDONTWRITEBYTECODE PYTHONPATH PYTHONHOME

.PHONY: help setup demo test check run zip lock train students phrases clean qgis

help:  ## list the verbs
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 14

setup: $(ENGINE)/.done $(ENGINE)/.dev  ## make the engine's environment (and the development tools)

$(UV):
	@echo "— getting uv"
	if ! $(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
	  echo "GeoMM needs Python 3.11 or newer. Install it, or say which: make $(MAKECMDGOALS) PYTHON=/path/to/python3" >&2; exit 1
	fi
	if ! $(PYTHON) -c 'import ensurepip' 2>/dev/null; then
	  $(MAKE) --no-print-directory _packages PACKAGES="python3-venv python3-pip"
	fi
	$(PYTHON) -m venv .tools
	.tools/bin/python -m pip install --quiet uv

$(ENGINE)/.done: $(UV) engine/locks/engine.txt engine/pyproject.toml
	@echo "— making the engine's environment (about 600 MB)"
	[ -x $(ENGINE)/bin/python ] || $(UV) venv --quiet --python "$$(command -v $(PYTHON))" $(ENGINE)
	$(UV) pip install --quiet --python $(ENGINE)/bin/python --require-hashes -r engine/locks/engine.txt
	$(UV) pip install --quiet --python $(ENGINE)/bin/python --no-deps -e engine
	touch $@

$(ENGINE)/.dev: $(ENGINE)/.done engine/locks/dev.txt engine/locks/torch.txt
	@echo "— adding the development tools and torch"
	$(UV) pip install --quiet --python $(ENGINE)/bin/python -r engine/locks/dev.txt -r engine/locks/torch.txt
	touch $@

demo: $(ENGINE)/.done  ## draw a landscape, classify it, show areas and a picture (no QGIS needed)
	@mkdir -p build/demo
	$(GEOMM) sample build/demo
	$(GEOMM) classify build/demo/sample.tif --classes build/demo/classes.json --output build/demo/map
	echo; $(GEOMM) evaluate map build/demo/map --truth build/demo/truth.tif
	echo; echo "The picture: build/demo/map/map.png"

qgis:
	@if ! $(SYSTEM_PYTHON) -c 'import qgis.core' 2>/dev/null || ! which xvfb-run xdotool openbox import >/dev/null; then
	  $(MAKE) --no-print-directory _packages PACKAGES="$(QGIS_PACKAGES)"
	fi

_packages:
	@if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
	  echo "— installing $(PACKAGES)"
	  export DEBIAN_FRONTEND=noninteractive
	  apt-get update -qq && apt-get install -y -qq --no-install-recommends $(PACKAGES) >/dev/null
	else
	  echo "This needs some packages. Run:" >&2
	  echo "  sudo apt-get update && sudo apt-get install -y --no-install-recommends $(PACKAGES)" >&2; exit 1
	fi

$(PLUGIN)/.done: $(UV) engine/locks/plugin.txt
	@$(MAKE) --no-print-directory qgis
	echo "— making the plugin's test environment"
	[ -x $(PLUGIN)/bin/python ] || $(UV) venv --quiet --python $(SYSTEM_PYTHON) --system-site-packages $(PLUGIN)
	$(UV) pip install --quiet --python $(PLUGIN)/bin/python -r engine/locks/plugin.txt
	touch $@

test: setup $(PLUGIN)/.done  ## every test: engine, plugin in a real QGIS, end to end on a real desktop
	@$(ENGINE)/bin/python -m pytest tests/contract tests/engine -n 2
	QT_QPA_PLATFORM=offscreen $(PLUGIN)/bin/python -m pytest tests/plugin
	QT_QPA_PLATFORM=offscreen $(PLUGIN)/bin/python -m pytest tests/e2e

check: setup  ## format, lint, types, import floors, fast tests
	@$(ENGINE)/bin/ruff format --check --quiet . || { echo "run: $(ENGINE)/bin/ruff format ."; exit 1; }
	$(ENGINE)/bin/ruff check --quiet .
	$(ENGINE)/bin/mypy
	PYTHONPATH=engine $(ENGINE)/bin/lint-imports --no-cache
	$(ENGINE)/bin/python -m pytest tests/contract tests/engine -m "not slow" -n 2

run: setup $(PLUGIN)/.done  ## a real QGIS with the plugin loaded and the sample open
	@[ -f build/demo/sample.tif ] || $(GEOMM) sample build/demo
	profiles=build/profiles; mkdir -p $$profiles/default/python/plugins $$profiles/default/QGIS
	ln -sfn "$$PWD/geomm_plugin" $$profiles/default/python/plugins/geomm_plugin
	[ -f $$profiles/default/QGIS/QGIS3.ini ] || printf '[PythonPlugins]\ngeomm_plugin=true\n[qgis]\ncheckVersion=false\n' > $$profiles/default/QGIS/QGIS3.ini
	GEOMM_ENGINE="$$PWD/$(GEOMM)" qgis --profiles-path $$profiles --nologo --noversioncheck build/demo/sample.tif

zip: $(UV)  ## the installable plugin: build/geomm.zip
	@rm -rf build/zip && mkdir -p build/zip/geomm/engine
	$(UV) build --quiet --wheel --out-dir build/zip/geomm/engine engine
	rm -f build/zip/geomm/engine/.gitignore
	cp engine/locks/engine.txt build/zip/geomm/engine/requirements.txt
	git ls-files geomm_plugin | while read -r file; do
	  if [ -d "$$file" ]; then continue; fi
	  mkdir -p "build/zip/geomm/$$(dirname "$${file#geomm_plugin/}")"; cp -L "$$file" "build/zip/geomm/$${file#geomm_plugin/}"
	done
	for part in icons styles help i18n prompts geography; do
	  if [ -d resources/$$part ]; then mkdir -p build/zip/geomm/resources && cp -rL resources/$$part build/zip/geomm/resources/; fi
	done
	rm -f build/geomm.zip && cd build/zip && $(PYTHON) -m zipfile -c ../geomm.zip geomm
	cd ../.. && ls -l build/geomm.zip

lock: $(UV)  ## pin every dependency anew
	@compile() { $(UV) pip compile --quiet --universal --python-version 3.11 --no-header --no-emit-index-url --no-emit-find-links --no-annotate "$$@"; }
	UV_FIND_LINKS= compile --generate-hashes engine/pyproject.toml -o engine/locks/engine.txt
	UV_FIND_LINKS= compile engine/locks/dev.in -c engine/locks/engine.txt -o engine/locks/dev.txt
	UV_FIND_LINKS= compile engine/locks/plugin.in -o engine/locks/plugin.txt

train: setup  ## train the built-in model anew (needs the training data; see README)
	@for recipe in geomm_nano geomm_nano_words; do  # a run that was interrupted goes on
	  run=build/runs/$$recipe
	  resume=; [ ! -f $$run/checkpoint.pt ] || resume=--resume
	  $(GEOMM) train contrastive $$recipe --output $$run $$resume --export resources/models/geomm-nano
	done

students: setup  ## teach the students that ship anew, after the built-in model (needs the training data)
	@$(GEOMM) train chain sentinel2_ten --output build/runs/sentinel2_ten --export resources/models/geomm-s2-ten
	$(GEOMM) train chain sentinel1 --output build/runs/sentinel1 --export resources/models/geomm-s1

phrases: setup  ## place the words that the text tower learns from anew (needs npm, WordNet and the training data)
	@cd resources/phrases && npm install --no-audit --no-fund --no-package-lock && cd ../..
	$(UV) venv --quiet --allow-existing --python "$$(command -v $(PYTHON))" .venv/phrases
	$(UV) pip install --quiet --python .venv/phrases/bin/python -r resources/phrases/requirements.txt
	PYTHONPATH=engine $(ENGINE)/bin/python resources/phrases/make_phrases.py

clean:  ## remove what was built; environments stay
	@rm -rf build .pytest_cache .mypy_cache .ruff_cache
