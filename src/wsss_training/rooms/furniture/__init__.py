"""Builders of furniture by kind: every call draws another individual from its generator.

Things that stand have their origin on the floor below their middle and their front to +x; those
that hang on a wall (``hanging``) have their back at x = 0 and their middle at z = 0.
"""

from collections.abc import Callable

import numpy as np

from wsss_training.rooms.furniture import (
    bathroom,
    beds,
    clutter,
    hanging,
    kitchen,
    seats,
    storage,
    tables,
)
from wsss_training.rooms.scene import Thing

BUILDERS: dict[str, Callable[[np.random.Generator], Thing]] = {
    builder.__name__: builder
    for builder in (
        *(bathroom.toilet, bathroom.washbasin, bathroom.vanity, bathroom.bathtub, bathroom.shower),
        *(beds.bed, kitchen.kitchen_unit, kitchen.counter_bar, seats.chair, seats.office_chair),
        *(seats.armchair, seats.sofa, seats.stool, storage.sideboard, storage.wardrobe),
        *(storage.file_cabinet, storage.dresser, storage.night_stand, storage.bookshelf),
        *(storage.refrigerator, tables.dining_table, tables.meeting_table, tables.coffee_table),
        *(tables.side_table, tables.desk, hanging.picture, hanging.whiteboard, hanging.mirror),
        *(hanging.television, hanging.clock, hanging.towel, hanging.wall_cabinet),
        *(hanging.radiator, clutter.carton, clutter.bag, clutter.trash_can),
        *(clutter.floor_lamp, clutter.table_lamp, clutter.monitor, clutter.laptop),
        *(clutter.book_pile, clutter.papers, clutter.vessel, clutter.appliance, clutter.plant),
        *(clutter.coat_rack, clutter.ladder_rack, clutter.washing_machine, clutter.rug),
    )
}
