# Two commands do everything on a fresh machine with Python >= 3.11: make demo, make test.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PEERS := .venv-peers
# Tests run in so many processes, a file in one piece.
JOBS ?= 2
# Many processes start here, and each would compile all that it imports where a shell or an image
# says that no bytecode is to be written.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: help demo test lint format proto bench risk risk-quick frontier fuzz audit audit-newest peers example-febrl4 lock clean

help: ## Show what can be made
	@grep -E '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 18

# The environment comes from the lock file alone, every file checked against its hash; it is made
# again only when the lock or the package's own metadata changes.
$(VENV)/.made: requirements/dev.txt requirements/bootstrap.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or later is needed; set PYTHON=...")'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/bootstrap.txt
	@$(BIN)/uv pip sync --quiet --python $(BIN)/python --require-hashes requirements/dev.txt
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@touch $@

demo: $(VENV)/.made ## Link a made-up county end to end; results in build/demo
	@$(BIN)/linkage demo --out build/demo

test: $(VENV)/.made ## Run every test
	@$(BIN)/python -m pytest -n $(JOBS) --dist loadfile --no-loadscope-reorder

lint: $(VENV)/.made ## Check style, types, import rules, weak spots, protos and generated code
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/bandit --quiet --configfile pyproject.toml --recursive linkage
	@cd protos && ../$(BIN)/buf lint
	@PYTHON=$(BIN)/python protos/generate.sh --check

format: $(VENV)/.made ## Format the code
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

proto: $(VENV)/.made ## Regenerate linkage/v1 from protos
	@PYTHON=$(BIN)/python protos/generate.sh

bench: $(VENV)/.made $(PEERS)/.made ## Measure; figures in build/bench.json
	@$(BIN)/python -m tests.bench --out build/bench.json

risk: $(VENV)/.made ## Attack our own encodings; figures in build/risk.json
	@$(BIN)/python -m tests.bench.risk --out build/risk.json

risk-quick: $(VENV)/.made ## The same on small files, in minutes; figures in build/risk-quick.json
	@$(BIN)/python -m tests.bench.risk --quick --out build/risk-quick.json

frontier: $(VENV)/.made ## Attack and link every scheme and parameter, for hours; figures in build/frontier.json
	@$(BIN)/python -m tests.bench.frontier --out build/frontier.json

# Needs the advisory service of PyPI; --strict: what could not be looked up fails, too.
audit: $(VENV)/.made ## Look for known weaknesses in our code and in every locked dependency
	@$(BIN)/bandit --quiet --configfile pyproject.toml --recursive linkage
	@for lock in agent hub cluster analysis dev; do \
		echo "requirements/$$lock.txt"; \
		$(BIN)/pip-audit --strict --disable-pip --require-hashes --progress-spinner off -r requirements/$$lock.txt || exit 1; \
	done

audit-newest: $(VENV)/.made ## The same of what PyPI's page per project tells: the newest versions alone
	@$(BIN)/python -m tests.audit_newest requirements/dev.txt

fuzz: $(VENV)/.made ## Try a million wrong inputs; counts in build/fuzz.json
	@$(BIN)/python -m tests.fuzz --out build/fuzz.json

$(PEERS)/.made: requirements/peers.txt requirements/bootstrap.txt
	@test -x $(PEERS)/bin/python || $(PYTHON) -m venv $(PEERS)
	@$(PEERS)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/bootstrap.txt
	@$(PEERS)/bin/uv pip sync --quiet --python $(PEERS)/bin/python --require-hashes requirements/peers.txt
	@touch $@

peers: $(PEERS)/.made ## Make a second environment with the peers to compare with
	@$(PEERS)/bin/python -c 'import anonlink, blocklib, clkhash, splink; print("peers: anonlink, blocklib, clkhash, splink")'

example-febrl4: $(VENV)/.made ## Rehearse on FEBRL 4; figures in build/febrl4.json
	@$(BIN)/python examples/febrl4/rehearse.py --out build/febrl4.json

# Versions younger than a week are left alone: a bad release is mostly found by then.
LOCK := --universal --python-version 3.11 --generate-hashes --no-header --no-emit-index-url --no-annotate --quiet --exclude-newer P7D
lock: $(VENV)/.made ## Pin all dependencies anew, with hashes
	@$(BIN)/uv pip compile pyproject.toml --extra hub --extra analysis --extra dev $(LOCK) -o requirements/dev.txt
	@$(BIN)/uv pip compile pyproject.toml $(LOCK) -c requirements/dev.txt -o requirements/agent.txt
	@$(BIN)/uv pip compile pyproject.toml --extra hub $(LOCK) -c requirements/dev.txt -o requirements/hub.txt
	@$(BIN)/uv pip compile pyproject.toml --extra hub --extra cluster $(LOCK) -c requirements/dev.txt -o requirements/cluster.txt
	@$(BIN)/uv pip compile pyproject.toml --extra analysis $(LOCK) -c requirements/dev.txt -o requirements/analysis.txt
	@$(BIN)/uv pip compile requirements/peers.in $(LOCK) -o requirements/peers.txt
	@grep -A 50 '^uv==' requirements/dev.txt | awk 'NR == 1 || /^    --hash/ {print; next} {exit}' > requirements/bootstrap.txt

clean: ## Remove everything that was made
	@rm -rf build $(VENV) $(PEERS)
