"""What bicycles and motorcycles share: standing wheels, and how a rider sits."""

from dataclasses import dataclass

import numpy as np

from wsss_training.world.objects.meshes import Array, transform
from wsss_training.world.objects.people import Joints
from wsss_training.world.objects.shapes import circle, tube
from wsss_training.world.scene import Mesh

CRANK = 0.17
"""Length of a crank, metres."""


@dataclass(frozen=True)
class Frame:
    """Points of a two-wheeler where a rider touches it, and its wheels; metres.

    Attributes:
        radius: of the wheels.
        rear, front: x of the axles.
        saddle: top of the saddle [3].
        grip: end of the handlebar, left [3].
        pedal: centre of the cranks or the foot rest, left [3].
    """

    radius: float
    rear: float
    front: float
    saddle: Array
    grip: Array
    pedal: Array


def standing_ring(x: float, radius: float, thickness: float, sides: int, count: int) -> Mesh:
    """Returns a tyre that stands on the ground."""
    points = np.zeros((count, 3))
    points[:, ::2] = (radius - thickness) * circle(count)
    tyre = tube(points, thickness, sides, ring=True)
    return transform(tyre, (x, 0, -float(tyre.vertices[:, 2].min())))


def seated(frame: Frame, height: float, reach: float, knees: tuple[float, float]) -> Joints:
    """Returns the joints of a rider.

    Args:
        frame: what is ridden.
        height: of the rider standing, metres.
        reach: how far the trunk leans forwards, radians.
        knees: turn of the left and the right crank, radians; their feet are on the pedals.
    """
    pelvis = frame.saddle + [0.0, 0, 0.04]
    neck = pelvis + 0.315 * height * np.array([np.sin(reach), 0, np.cos(reach)])
    head = neck + [0.05, 0, 0.095 * height]
    joints: dict[str, Array] = {"pelvis": pelvis, "neck": neck, "head": head}
    for side, sign, turn in (("left", 1, knees[0]), ("right", -1, knees[1])):
        mirror = np.array([1, sign, 1])
        hip = pelvis + [0.02, 0.055 * height * sign, 0.0]
        pedal = frame.pedal * mirror + CRANK * np.array([np.cos(turn), 0, np.sin(turn)])
        ankle = pedal + [-0.04, 0.03 * sign, 0.045 * height + 0.03]
        shoulder = neck + [0.0, 0.105 * height * sign, -0.02 * height]
        hand = frame.grip * mirror + [0, 0, 0.02]
        joints |= {
            f"{side} hip": hip,
            f"{side} knee": _bend(hip, ankle, 0.25 * height, np.array([1.0, 0.25 * sign, 0.4])),
            f"{side} ankle": ankle,
            f"{side} shoulder": shoulder,
            f"{side} elbow": _bend(
                shoulder, hand, 0.175 * height, np.array([-0.3, 0.7 * sign, -0.6])
            ),
            f"{side} hand": hand,
        }
    return joints


def _bend(start: Array, end: Array, bone: float, towards: Array) -> Array:
    """Returns the joint between two bones of one length, bent towards a direction."""
    along = end - start
    distance = float(np.linalg.norm(along))
    along = along / distance
    side = towards - (towards @ along) * along
    rise = np.sqrt(max(bone**2 - (distance / 2) ** 2, 0.0))
    return (start + end) / 2 + rise * side / np.linalg.norm(side)
