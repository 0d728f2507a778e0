"""Where a teacher's folder keeps what it says of an image: under the image's own path."""

import os
from pathlib import Path

from wsss_perception.errors import DatasetError


def path_below(image: Path, images_root: Path) -> Path:
    """The path of an image relative to the folder of the images.

    Links are not followed: folders of images are often links to another disk.

    Raises:
        DatasetError: the image lies elsewhere.
    """
    try:
        return Path(os.path.abspath(image)).relative_to(os.path.abspath(images_root))
    except ValueError:
        raise DatasetError(f"{image}: not below the teacher's images_root {images_root}") from None
