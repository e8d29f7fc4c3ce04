# What the tests start containers from; built ahead, so that no test waits for another's build.
TEST_IMAGES := python node go rust java ruby php cpp python@trixie go@trixie postgres mysql redis

.PHONY: setup docker images demo test lint format bench lock clean

BIN := .venv/bin
# More than cores: most tests wait for containers, servers and git.
WORKERS ?= 3

setup:  ## the virtual environment, from requirements.lock
	@bash scripts/setup.sh

docker:  ## a Docker engine: the running one, or the distribution's
	@bash scripts/ensure-docker.sh

images: setup docker  ## the sandbox images of the tests
	@$(BIN)/coder images build $(TEST_IMAGES)

demo: setup docker  ## the main job on a sample repository, with a recorded model run (or MODEL=profile)
	@bash scripts/demo.sh

test: setup docker lint images  ## all tests, Docker tests included
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --cov --cov-report=term:skip-covered --cov-report=xml:build/coverage.xml

lint: setup  ## format, lint, layers, types
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/lint-imports
	$(BIN)/mypy

format: setup
	$(BIN)/ruff format
	$(BIN)/ruff check --fix

bench: setup docker  ## speed, as ratios in one run
	$(BIN)/python -m benchmarks.agent --quick
	$(BIN)/python -m benchmarks.sandbox --quick

lock:  ## requirements.lock from pyproject.toml (needs uv)
	uv pip compile pyproject.toml --group dev --universal --generate-hashes --no-header --no-annotate --python-version 3.11 -o requirements.lock

clean:
	rm -rf .venv build dist .mypy_cache .ruff_cache .pytest_cache
