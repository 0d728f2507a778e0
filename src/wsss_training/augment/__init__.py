"""Augmentations of training sweeps, one idea a file."""

from wsss_training.augment.base import Augmentation, Compose
from wsss_training.augment.cameras import DropCameras, JitterCameras
from wsss_training.augment.color import jitter_colors
from wsss_training.augment.density import CropRange, DropBeams, DropPoints, JitterPoints
from wsss_training.augment.intensity import JitterIntensity
from wsss_training.augment.pose import Flip, Mount, Rotate, Scale
from wsss_training.augment.sector import random_sector, sector_around, supervised_sector

__all__ = [
    "Augmentation",
    "Compose",
    "CropRange",
    "DropBeams",
    "DropCameras",
    "DropPoints",
    "Flip",
    "JitterCameras",
    "JitterIntensity",
    "JitterPoints",
    "Mount",
    "Rotate",
    "Scale",
    "jitter_colors",
    "random_sector",
    "sector_around",
    "supervised_sector",
]
