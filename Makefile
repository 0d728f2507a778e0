# make install: .venv with everything for training, the node and the tests.
# make demo:    KITTI logs and teacher maps in DATA -> train briefly -> bag -> pictures, in out/demo.
# make test:    what must hold before a change goes in.

SUPPORTED := import sys; sys.exit(not (3, 10) <= sys.version_info < (3, 13))
PYTHON ?= $(shell for python in python3 python3.12 python3.11 python3.10; do \
	$$python -c '$(SUPPORTED)' 2>/dev/null && echo $$python && break; done)
BIN := .venv/bin
STAMP := .venv/.installed

DATA ?= ../shared/data
DEMO := out/demo

.PHONY: install demo test

install: $(STAMP)

$(STAMP): setup.py pyproject.toml
	@test -n "$(PYTHON)" && $(PYTHON) -c '$(SUPPORTED)' || { \
		echo "error: needs Python 3.10 to 3.12; make install PYTHON=<path of one>"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install -qq --disable-pip-version-check -e '.[ros,training,test]'
	@touch $@

demo: install
	@test -d "$(DATA)/teacher" || { echo "error: no KITTI logs and teacher maps in $(DATA):" \
		"make demo DATA=<folder>; docs/training.md describes its layout"; exit 1; }
	@rm -rf $(DEMO)
	@echo "1/3 learning from the teacher's maps, no 3D label (300 steps; a real run takes 3000)"
	@$(BIN)/python -m wsss_training train config/train/kitti.yaml data_root="$(DATA)" \
		output=$(DEMO)/run optimization.steps=300
	@echo "2/3 writing a drive as a bag"
	@$(BIN)/python -m wsss_training make-bag $(DEMO)/bag --dataset kitti_raw --root "$(DATA)/kitti_raw"
	@echo "3/3 segmenting the bag"
	@$(BIN)/python -m wsss_perception segment-bag $(DEMO)/bag $(DEMO)/semantic_bag \
		--bundle $(DEMO)/run/bundle --pictures $(DEMO)/pictures --every 4
	@echo "pictures: $(DEMO)/pictures   bag: $(DEMO)/semantic_bag   model: $(DEMO)/run/bundle"
	@echo "next: $(BIN)/python -m wsss_perception segment --ros-args -p model:=$(DEMO)/run/bundle"

test: install
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/python -m pytest
