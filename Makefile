# make help lists everything. The two that matter: make demo, make test.
# Other interpreters: make demo PYTHON=/path/to/python3.13

PYTHON ?= $(shell tools/pythons.sh best)
VENV   ?= .venv
BIN    := $(VENV)/bin
SOURCES := $(shell find src tools meson.build pyproject.toml -type f -not -name '*.pyc' -not -name '*.so' -not -name belljar-keeper -not -name belljar-tracer 2>/dev/null)

.DEFAULT_GOAL := help
.PHONY: help demo test lint fix bench fuzz docs prove clean

help: ## list the targets
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-6s %s\n", $$1, $$2}'

$(VENV)/.installed: $(SOURCES)
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade 'pip>=25.1'
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check .
	@touch $@

$(VENV)/.demo: $(VENV)/.installed
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check tzdata
	@touch $@

$(VENV)/.linted: pyproject.toml
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade 'pip>=25.1'
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --group lint
	@touch $@

demo: $(VENV)/.demo ## build, then run the main job on real data: an honest script and a hostile one
	@$(BIN)/python demo/demo.py

test: ## build and test on every CPython from 3.11 that is found
	@tools/test.sh

lint: $(VENV)/.linted ## ruff, mypy --strict, C warnings as errors
	@tools/lint.sh $(BIN)

fix: $(VENV)/.linted ## let ruff mend what it can
	@$(BIN)/ruff check --fix --quiet src tests bench demo tools
	@$(BIN)/ruff format --quiet src tests bench demo tools

bench: $(VENV)/.demo ## ratios against plain CPython (and bubblewrap, sandlock where installed)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --group bench
	@status=0; $(BIN)/python bench/run.py || status=1; $(BIN)/python bench/sandbox.py || status=1; $(BIN)/python bench/network.py || status=1; \
		$(BIN)/python bench/collector.py || status=1; \
		$(BIN)/python bench/ledger.py || status=1; $(BIN)/python bench/ledger_query.py || status=1; \
		$(BIN)/python bench/recorder || status=1; exit $$status

fuzz: $(VENV)/.demo ## the parsers of hostile bytes: C with sanitizers, the ledger's, the collector's and the bridge's
	@tools/fuzz.sh
	@$(BIN)/python fuzz/wire.py
	@$(BIN)/python fuzz/records.py
	@$(BIN)/python fuzz/bridge.py 1
	@! $(BIN)/python -c 'import atheris' 2>/dev/null || \
		$(BIN)/python fuzz/bridge_guided.py -max_total_time=60 -max_len=8000

docs: $(VENV)/.demo ## check the documents: every example runs, every generated part is current
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --group test
	@$(BIN)/python -m pytest -q tests/docs tests/shape

prove: $(VENV)/.demo ## the catalogue of events against CPython's own tests, on every CPython that is found: an hour
	@$(BIN)/python tools/prove --to out/prove --figures tools/prove/figures.json \
	    $$(tools/pythons.sh | sed 's/^[^ ]* /--python /')
	@$(BIN)/python tools/catalogue_page.py > docs/catalogue.md
	@$(BIN)/python fuzz/syscalls.py --minutes 10
	@$(BIN)/python bench/scale.py --alive 1000 --sequence 20000
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --group test --group honest
	@BELLJAR_HONEST=heavy $(BIN)/python -m pytest -q tests/honest
	@for tier in user landlock container; do BELLJAR_ESCAPE_TIER=$$tier $(BIN)/python -m pytest -q tests/escape || exit 1; done

clean: ## remove what was built
	@rm -rf $(VENV) .venvs build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
