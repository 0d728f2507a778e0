import numpy as np
import pytest
import yaml

from wsss_perception.errors import ConfigError
from wsss_perception.ontology import load_ontology
from wsss_training.world.teacher_settings import load_teacher_settings

SMALL = {
    "confusions": {"sidewalk": {"road": 0.5}, "background": {"car": 0.25}},
    "gain": {"pole": 2},
    "vanishing_area": {"person": 100},
    "absent": ["train"],
    "whole_region": 0.5,
    "persistence": 0.9,
    "patch_size": 40,
    "softness": 1.0,
    "rival_limit": 0.8,
    "blur": 0.5,
    "spread": 0.02,
    "sharpness": 3.0,
    "border_noise": 0.5,
}
INDEX = load_ontology("cityscapes").index


def load(folder, **changes):
    path = folder / "teacher.yaml"
    path.write_text(yaml.safe_dump({**SMALL, **changes}))
    return load_teacher_settings(path)


def test_teacher_settings_become_arrays_of_cityscapes_classes(tmp_path):
    settings = load(tmp_path)
    assert settings.confusions[INDEX("sidewalk"), INDEX("road")] == 0.5
    assert settings.confusions[19, INDEX("car")] == 0.25
    assert settings.confusions.sum() == 0.75
    assert settings.gain[INDEX("pole")] == 2
    assert settings.gain.sum() == 21
    assert settings.vanishing_area[INDEX("person")] == settings.vanishing_area.sum() == 100
    assert settings.absent == (INDEX("train"),)
    assert settings.sharpness == 3.0


def test_teacher_settings_thresholds_are_exceeded_as_often_as_classes_are_confused(tmp_path):
    rows = {"sidewalk": {"road": 0.5, "terrain": 0.4}, "wall": {"fence": 1}}
    thresholds = load(tmp_path, confusions=rows).thresholds()
    draws = np.random.default_rng(0).standard_normal(100_000)
    assert (draws > thresholds[INDEX("sidewalk")]).mean() == pytest.approx(0.9, abs=0.01)
    assert (draws > thresholds[INDEX("wall")]).all()
    assert not (draws > thresholds[INDEX("road")]).any()


def test_teacher_settings_ship_with_the_package_and_confuse_sidewalk_most():
    settings = load_teacher_settings()
    assert settings.confusions.sum(axis=1).argmax() in (INDEX("sidewalk"), INDEX("train"))
    assert (settings.confusions.sum(axis=1) <= 1 + 1e-9).all()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"confusions": {"sidewlk": {"road": 0.5}}}, "confusions: no class 'sidewlk'.*'sidewalk'"),
        ({"confusions": {"road": {"rode": 0.5}}}, "confusions: road: no class 'rode'"),
        ({"confusions": {"road": {"car": 0.6, "bus": 0.5}}}, "road: shares sum to 1.100, over 1"),
        ({"confusions": {"road": {"road": 0.5}}}, "road: must be seen as another"),
        ({"confusions": {"road": {"background": 0.5}}}, "road: must be seen as another"),
        ({"confusions": {"road": {"car": 1.5}}}, "road: car: needs a number from 0 to 1, got 1.5"),
        ({"confusions": {"road": 0.5}}, "road: needs a mapping from class names, got 0.5"),
        ({"confusions": None}, "confusions: needs a mapping"),
        ({"gain": {"pole": 0}}, "gain: pole: needs a number from 0.01"),
        ({"vanishing_area": {"pole": "many"}}, "vanishing_area: pole: needs a number"),
        ({"absent": "train"}, "absent: needs a list of classes"),
        ({"absent": list(load_ontology("cityscapes").classes)}, "absent: no class is left"),
        ({"persistence": True}, "persistence: needs a number from 0 to 1, got True"),
        ({"sharpness": float("nan")}, "sharpness: needs a number"),
        ({"loudness": 1}, "unknown keys: loudness"),
    ],
)
def test_teacher_settings_say_what_is_wrong_and_where(tmp_path, changes, message):
    with pytest.raises(ConfigError, match=r"teacher\.yaml.*" + message):
        load(tmp_path, **changes)


def test_teacher_settings_name_missing_keys_and_unreadable_files(tmp_path):
    path = tmp_path / "teacher.yaml"
    with pytest.raises(ConfigError, match=r"teacher\.yaml: not readable"):
        load_teacher_settings(path)
    path.write_text("gain: {}")
    with pytest.raises(ConfigError, match="missing keys: absent, blur"):
        load_teacher_settings(path)
    path.write_text("- gain")
    with pytest.raises(ConfigError, match="needs a mapping"):
        load_teacher_settings(path)
