# make demo     install, train the tour's network once, open the tour in JupyterLab
# make test     install what the tests need, run all of them, print the seconds each part took
# make bench    run the benchmarks; a quiet machine, please
# make torture  kill a thousand processes while they record, look at what they leave
# make field    run the tests of what people really have; with FIELD=folder run each script in it,
#               show its verdict and its last line, and fail if one of them fails
# make zoo      look into more than forty architectures of timm, layer by layer; two minutes

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
MAKEFLAGS += --no-print-directory

VENV ?= .venv
PYTHON := $(VENV)/bin/python
NODE := $(VENV)/bin/node
REQUIREMENTS := setup.cfg pyproject.toml constraints.txt
PARTS := install lint types unit notebooks browser
JUPYTER_OPTIONS ?=

.PHONY: demo test bench torture field zoo browser $(PARTS:%=test-%)

demo: $(VENV)/installed-demo
	@$(PYTHON) -m convviz_widgets.demo
	@root=$$([ "$$(id -u)" = 0 ] && echo --allow-root || true); \
	exec $(PYTHON) -m jupyterlab $$root --LabApp.default_url=/lab/tree/notebooks/00_tour.ipynb $(JUPYTER_OPTIONS)

test:
	@report=""; \
	for part in $(PARTS); do \
	    echo "== $$part"; \
	    begun=$$SECONDS; \
	    $(MAKE) test-$$part || { echo "make test: $$part failed"; exit 1; }; \
	    report+=$$(printf '%-10s %4d s' $$part $$((SECONDS - begun)))$$'\n'; \
	done; \
	printf '== seconds of each part\n%s%-10s %4d s\n' "$$report" all $$SECONDS

test-install: $(VENV)/installed-test node_modules/installed browser

test-lint: node_modules/installed
	@$(PYTHON) -m ruff check .
	@$(PYTHON) -m ruff format --check .
	@$(NODE) node_modules/eslint/bin/eslint.js --max-warnings 0 convviz_widgets eslint.config.js
	@$(NODE) node_modules/typescript/bin/tsc

test-types:
	@$(PYTHON) -m mypy

test-unit:
	@OMP_NUM_THREADS=1 $(PYTHON) -m pytest -n 2 --ignore=tests/notebooks --ignore=tests/browser

test-notebooks:
	@$(PYTHON) -m pytest tests/notebooks

# A machine that stands still for seconds makes a browser time out: once more, and it is reported.
# The networks that the notebooks show are trained before, two processes of one thread each.
test-browser:
	@export TQDM_MININTERVAL=10; \
	$(PYTHON) -m convviz_widgets.demo demo & \
	$(PYTHON) -m convviz_widgets.demo undertrained; \
	wait $$!
	@OMP_NUM_THREADS=1 $(PYTHON) -m pytest -n 2 --dist loadfile --reruns 1 -rR tests/browser

bench: $(VENV)/installed-test browser
	@for benchmark in benchmarks/*.py; do echo "== $$benchmark"; $(PYTHON) $$benchmark; done

torture: $(VENV)/installed-test
	@$(PYTHON) tests/record/torture.py 1000

field: $(VENV)/installed-test
ifeq ($(FIELD),)
	@OMP_NUM_THREADS=1 $(PYTHON) -m pytest tests/field
else
	@failed=0; \
	for script in $(FIELD)/*.py; do \
	    [ -f "$$script" ] || { echo "make field: no script $$script"; exit 2; }; \
	    code=0; printed=$$($(PYTHON) "$$script" 2>&1) || code=$$?; \
	    if [ $$code = 0 ]; then verdict=right; else verdict=WRONG; failed=1; fi; \
	    echo "$$verdict $$(basename "$$script"): $$(tail -n 1 <<< "$$printed")"; \
	done; \
	exit $$failed
endif

zoo: $(VENV)/installed-test
	@$(PYTHON) tests/field/zoo.py

# A Chromium for the browser tests: the system's, else Debian's package, else Playwright's own.
browser: $(VENV)/installed-test
	@VENV=$(VENV) bash .ci/browser

$(VENV)/installed-%: $(REQUIREMENTS) | $(VENV)/bin/pip
	@echo "installing convviz_widgets[$*] into $(VENV)"
	@$(PYTHON) .ci/pip -c constraints.txt -e '.[$*]'
	@touch $@

# What checks the scripts of the page; Node.js and npm come in a wheel, so every machine has them.
node_modules/installed: package.json package-lock.json | $(VENV)/installed-test
	@echo "installing what checks the scripts of the page"
	@PATH="$(abspath $(VENV))/bin:$$PATH" npm ci --ignore-scripts --no-audit --no-fund \
	    --loglevel=error >/dev/null
	@touch $@

$(VENV)/bin/pip:
	@VENV=$(VENV) bash .ci/venv
