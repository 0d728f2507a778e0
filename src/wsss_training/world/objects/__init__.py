"""Builders of the objects of the world, by kind.

Every call draws another individual from its generator. An object's frame has x forward, y left, z
up and its origin on the ground below its middle. ``fence`` and ``hedge`` are as long as they are
asked to be, ``building`` as wide, so these three stand outside ``BUILDERS``.
"""

from collections.abc import Callable

import numpy as np

from wsss_training.world.objects.bicycles import bicycle, cyclist
from wsss_training.world.objects.buildings import building
from wsss_training.world.objects.cars import car, van
from wsss_training.world.objects.fences import fence
from wsss_training.world.objects.large_vehicles import bus, trailer, truck
from wsss_training.world.objects.motorcycles import motorcycle, motorcyclist
from wsss_training.world.objects.people import person
from wsss_training.world.objects.street_furniture import (
    bench,
    bollard,
    electric_box,
    lamp_post,
    traffic_light,
    traffic_sign,
    trash_bin,
    utility_pole,
)
from wsss_training.world.objects.vegetation import bush, hedge, tree
from wsss_training.world.scene import Part

__all__ = ["BUILDERS", "building", "fence", "hedge"]

BUILDERS: dict[str, Callable[[np.random.Generator], tuple[Part, ...]]] = {
    "car": car,
    "van": van,
    "truck": truck,
    "bus": bus,
    "trailer": trailer,
    "bicycle": bicycle,
    "motorcycle": motorcycle,
    "cyclist": cyclist,
    "motorcyclist": motorcyclist,
    "person": person,
    "tree": tree,
    "bush": bush,
    "lamp_post": lamp_post,
    "traffic_light": traffic_light,
    "traffic_sign": traffic_sign,
    "bollard": bollard,
    "utility_pole": utility_pole,
    "trash_bin": trash_bin,
    "bench": bench,
    "electric_box": electric_box,
}
