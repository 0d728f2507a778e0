# make install: .venv with everything for training, the node and the tests.
# make demo:    synthetic logs -> train -> score -> export -> bag -> live node -> bag and pictures.
# make test:    what must hold before a change goes in.

SUPPORTED := import sys; sys.exit(not (3, 10) <= sys.version_info < (3, 13))
PYTHON ?= $(shell for python in python3 python3.12 python3.11 python3.10; do \
	$$python -c '$(SUPPORTED)' 2>/dev/null && echo $$python && break; done)
BIN := .venv/bin
STAMP := .venv/.installed

DEMO := out/demo
TRAINING := $(BIN)/python -m wsss_training
PERCEPTION := $(BIN)/python -m wsss_perception
DEMO_STEPS := 600

.PHONY: install demo test

install: $(STAMP)

$(STAMP): setup.py pyproject.toml
	@test -n "$(PYTHON)" && $(PYTHON) -c '$(SUPPORTED)' || { \
		echo "error: needs Python 3.10 to 3.12; make install PYTHON=<path of one>"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install -qq --no-compile --disable-pip-version-check -e '.[ros,training,onnx,test]'
	@touch $@

demo: install
	@rm -rf out/demo
	@echo "1/7 Synthetic logs: scenes to learn from, unseen scenes to score on, and a drive."
	$(TRAINING) make-world $(DEMO)/logs --scenes 24 --sweeps 3 --interval 1.5 --jobs 2
	$(TRAINING) make-world $(DEMO)/unseen --family validation --scenes 6 --sweeps 2 --interval 3 --jobs 2
	$(TRAINING) make-world $(DEMO)/drive --family validation --first 14 --scenes 1 --sweeps 20
	@echo "2/7 Learning from the 2D teacher's maps; no 3D label is used."
	$(TRAINING) train config/train/world.yaml data_root=$(DEMO)/logs output=$(DEMO)/run \
		optimization.steps=$(DEMO_STEPS)
	@echo "3/7 Exporting the model bundle."
	$(TRAINING) export $(DEMO)/run $(DEMO)/model
	@echo "4/7 Scoring the 3D network alone against the ground truth of the unseen scenes."
	$(TRAINING) evaluate --bundle $(DEMO)/model --dataset semantic_kitti --root $(DEMO)/unseen \
		--json $(DEMO)/scores.json
	@echo "5/7 Writing the drive as a bag."
	$(TRAINING) make-bag $(DEMO)/bag --dataset semantic_kitti --root $(DEMO)/drive
	@echo "6/7 Playing the bag to the live node over DDS, recording what it publishes."
	$(PERCEPTION) segment-live $(DEMO)/bag $(DEMO)/semantic_bag --bundle $(DEMO)/model --rate 0.2 \
		--pictures $(DEMO)/pictures --every 5
	@echo "7/7 Done."
	@echo "pictures:     $(DEMO)/pictures  $(DEMO)/scores_iou.png"
	@echo "semantic bag: $(DEMO)/semantic_bag   model: $(DEMO)/model"
	@echo "try next:     . .venv/bin/activate"
	@echo "  your own bag:    python -m wsss_perception segment-bag BAG OUT --pictures OUT_pictures"
	@echo "  the live node:   python -m wsss_perception segment --ros-args -r points:=/your/cloud"
	@echo "  your own logs:   docs/training.md"

test: install
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/python -m pytest -n 2
