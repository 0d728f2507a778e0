import numpy as np
import pytest
from PIL import Image

from wsss_perception.errors import DatasetError
from wsss_perception.ontology import load_ontology
from wsss_training.teachers.class_map_job import write_class_maps
from wsss_training.teachers.images import ImageFile


def test_values_that_are_not_finite_are_refused_before_anything_of_the_image_is_kept(tmp_path):
    path = tmp_path / "images" / "a.png"
    path.parent.mkdir()
    Image.new("RGB", (16, 8)).save(path)
    ontology = load_ontology("cityscapes")
    answer = np.full((len(ontology), 2, 4), 1 / len(ontology), np.float32)
    answer[3, 1, 2] = np.nan
    image = ImageFile(path, path.relative_to(path.parent), (16, 8))
    with pytest.raises(DatasetError, match=r"a\.png: the teacher gives values .* not finite"):
        write_class_maps(lambda _: iter([answer]), {}, ontology, [image], tmp_path / "maps")
    assert not list((tmp_path / "maps").glob("a.*"))
