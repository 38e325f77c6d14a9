# `make help` lists the targets. Everything they need is installed into $(VENV); nothing else on the machine is touched.
PYTHON ?= python3
VENV   ?= .venv
BIN     = $(VENV)/bin

.PHONY: help setup demo demo-down test pytest conformance drift kill-sweep bench bench-alarms lint docs lock
help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

setup: $(VENV)/.ready ## install the locked packages into .venv

# The link lets Python and Ansible find this checkout as ansible_collections.threetier.aws, edits included.
$(VENV)/.ready: requirements.txt
	@echo "installing the locked packages into $(VENV), about 20 s"
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.12 ...")'
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/pip install --quiet --no-compile --disable-pip-version-check --require-hashes -r requirements.txt
	@collections=$$($(BIN)/python -c 'import ansible_collections as c; print(list(c.__path__)[0])') && \
	  mkdir -p $$collections/threetier && ln -sfn $(CURDIR) $$collections/threetier/aws
	@touch $@

demo: setup ## start the emulator, deploy the stack on it, print the page's URL
	@$(BIN)/python -m emulator.demo up

demo-down: setup ## stop the demo's emulator and all that runs on it
	@$(BIN)/python -m emulator.demo down

test: lint pytest ## all checks and tests

pytest: setup ## the tests alone, or only TESTS="tests/unit ..."
	PATH=$(CURDIR)/$(BIN):$$PATH $(BIN)/python -m pytest --numprocesses 2 --dist loadfile $(TESTS)

conformance: setup ## the emulator against bare moto, rule by rule; writes docs/conformance.md
	PATH=$(CURDIR)/$(BIN):$$PATH $(BIN)/python tests/conformance/table.py

drift: setup ## every attribute and every variable changed, found, repaired; writes docs/drift-*.md; half an hour
	PATH=$(CURDIR)/$(BIN):$$PATH $(BIN)/python tests/drift/mutation_table.py
	PATH=$(CURDIR)/$(BIN):$$PATH $(BIN)/python tests/drift/variable_table.py

kill-sweep: setup ## a run killed after each of its writes, then run again; writes docs/killed.md; an hour and a half
	PATH=$(CURDIR)/$(BIN):$$PATH $(BIN)/python tests/drift/kill_sweep.py

bench: setup ## the stack against Terraform, ROUNDS=5, into docs/performance.md; SCALE=0.05 for AWS's waits; an hour
	$(BIN)/python -m tests.bench.stack --rounds $(or $(ROUNDS),5) --time-scale $(or $(SCALE),0)

bench-alarms: setup ## 1,000 alarms as a set, against a loop over them; about ten minutes
	$(BIN)/python -m tests.bench.alarm_set

lint: setup ## ansible-lint at profile production
	PATH=$(CURDIR)/$(BIN):$$PATH $(BIN)/ansible-lint

docs: setup ## draw the diagram and write the pages that are made from data
	$(BIN)/ansible-playbook playbooks/docs.yml -i inventories/production

lock: setup ## pin requirements.in anew, for every Python from 3.11 on
	$(BIN)/pip install --quiet uv
	(echo '# Made by `make lock` from requirements.in; one lock for every Python from 3.11 on.'; \
	  $(BIN)/uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header requirements.in) > requirements.new
	mv requirements.new requirements.txt
