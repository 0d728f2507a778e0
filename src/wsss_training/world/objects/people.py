"""People on foot, and the figures that riders are."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from wsss_training.world.objects.materials import varied
from wsss_training.world.objects.meshes import Array, merge, rotation, transform
from wsss_training.world.objects.shapes import box, circle, cylinder, ellipsoid, loft
from wsss_training.world.scene import Color, Mesh, Part, Surface

Joints = Mapping[str, Array]
SKIN = ((0.55, 0.34, 0.24), (0.48, 0.28, 0.18), (0.30, 0.17, 0.10), (0.12, 0.065, 0.04))
HAIR = ((0.03, 0.02, 0.012), (0.09, 0.05, 0.025), (0.25, 0.17, 0.07), (0.3, 0.3, 0.3))
CLOTHES = (
    (0.02, 0.02, 0.025),
    (0.03, 0.05, 0.11),
    (0.06, 0.11, 0.22),
    (0.18, 0.18, 0.19),
    (0.55, 0.55, 0.53),
    (0.36, 0.03, 0.03),
    (0.05, 0.16, 0.09),
    (0.35, 0.27, 0.16),
    (0.60, 0.40, 0.04),
    (0.20, 0.06, 0.16),
)


@dataclass(frozen=True)
class Look:
    """What a person wears.

    Attributes:
        skin, hair, top, trousers, shoes: colours.
        hem: how far the top reaches down the thighs, 0..1: a jacket 0, a coat or skirt more.
        helmet: whether the head wears one, of the colour of ``hair``.
        stout: breadth, about 1.
    """

    skin: Color
    hair: Color
    top: Color
    trousers: Color
    shoes: Color
    hem: float
    helmet: bool
    stout: float


def draw_look(generator: np.random.Generator, coats: float = 0.25, helmet: bool = False) -> Look:
    """Draws clothes, skin and hair; a share ``coats`` of people wears a coat or skirt."""
    top, trousers = generator.integers(len(CLOTHES)), generator.integers(5)
    skin = varied(SKIN[generator.choice(4, p=[0.5, 0.25, 0.15, 0.1])], generator, 0.08)
    hair = varied(HAIR[generator.integers(4)], generator)
    coat = generator.random() < coats
    return Look(
        skin,
        varied(CLOTHES[generator.integers(len(CLOTHES))], generator) if helmet else hair,
        varied(CLOTHES[top], generator),
        varied(CLOTHES[trousers], generator),
        varied((0.05, 0.04, 0.035), generator, 0.4),
        hem=generator.uniform(0.4, 0.95) if coat else 0.0,
        helmet=helmet,
        stout=float(np.clip(generator.normal(1.0, 0.1), 0.85, 1.3)),
    )


def walking(height: float, stride: float, swing: float) -> Joints:
    """Returns the joints of an upright person facing +x; the lower foot on the ground.

    Args:
        height: metres.
        stride: angle between vertical and the front thigh, radians; 0 stands.
        swing: angle of the arms, radians.
    """
    leg, foot = 0.245 * height, 0.045 * height
    joints: dict[str, Array] = {}
    for side, sign in (("left", 1), ("right", -1)):
        y, thigh = 0.055 * height * sign, sign * stride
        bend = 0.15 * abs(stride) if sign * stride >= 0 else 0.9 * abs(stride)
        hip = np.array([0, y, 0.53 * height])
        knee = hip + leg * np.array([np.sin(thigh), 0, -np.cos(thigh)])
        ankle = knee + leg * np.array([np.sin(thigh - bend), 0, -np.cos(thigh - bend)])
        shoulder = np.array([0.01 * height, 0.108 * height * sign, 0.80 * height])
        arm = -sign * swing
        elbow = shoulder + 0.175 * height * np.array([np.sin(arm), 0.12 * sign, -np.cos(arm)])
        fore = arm + 0.25 + 0.3 * abs(swing)
        hand = elbow + 0.165 * height * np.array([np.sin(fore), -0.05 * sign, -np.cos(fore)])
        joints |= {f"{side} hip": hip, f"{side} knee": knee, f"{side} ankle": ankle}
        joints |= {f"{side} shoulder": shoulder, f"{side} elbow": elbow, f"{side} hand": hand}
    drop = min(joints[f"{side} ankle"][2] for side in ("left", "right")) - foot
    lean = 0.06 * abs(stride) * height
    joints["pelvis"] = np.array([0, 0, 0.52 * height])
    joints["neck"] = np.array([lean, 0, 0.835 * height])
    joints["head"] = np.array([lean + 0.015 * height, 0, 0.932 * height])
    return {name: point - [0, 0, drop] for name, point in joints.items()}


def _torso(joints: Joints, height: float, look: Look) -> Mesh:
    low, high = joints["pelvis"], joints["neck"]
    spine = (high - low) / np.linalg.norm(high - low)
    across = (joints["left shoulder"] - joints["right shoulder"]) / (0.216 * height)
    forwards = np.cross(across, spine)
    rings = [  # share of the spine, half breadth, half depth
        (-0.10, 0.095, 0.070),
        (0.12, 0.100, 0.075),
        (0.40, 0.088, 0.062),
        (0.75, 0.118, 0.075),
        (0.93, 0.105, 0.055),
        (1.02, 0.040, 0.038),
    ]
    if look.hem:
        rings.insert(0, (-0.10 - 0.8 * look.hem, 0.115 + 0.03 * look.hem, 0.115))
    share, breadth, depth = np.array(rings).T[:, :, None, None] * [
        [[[1]]],
        [[[height]]],
        [[[height]]],
    ]
    x, y = circle(8).T[:, None, :, None]
    outline = depth * look.stout * x * forwards + breadth * look.stout * y * across
    return loft(low + share * (high - low) + outline)


def _limb(points: list[Array], radii: list[float], sides: int = 6) -> Mesh:
    pairs = zip(points[:-1], points[1:], radii[:-1], radii[1:], strict=True)
    return merge(cylinder(a, b, r, q, sides) for a, b, r, q in pairs)


def _legs(joints: Joints, height: float, look: Look) -> tuple[Mesh, Mesh]:
    """Returns trousers and shoes."""
    legs, shoes = [], []
    for side in ("left", "right"):
        hip, knee, ankle = (joints[f"{side} {name}"] for name in ("hip", "knee", "ankle"))
        radii = [0.056 * look.stout * height, 0.037 * height, 0.028 * height]
        legs.append(_limb([hip, knee, ankle], radii))
        shin = (ankle - knee) / np.linalg.norm(ankle - knee)
        pitch = -np.arctan2(-shin[0], -shin[2]) * 0.5
        foot = box(
            (0.15 * height, 0.055 * height, 0.045 * height), (0.035 * height, 0, 0), (0.8, 0.8)
        )
        shoes.append(transform(foot, ankle - [0, 0, 0.0225 * height], rotation(0, -pitch, 0)))
    return merge(legs), merge(shoes)


def _arms(joints: Joints, height: float, look: Look) -> tuple[Mesh, Mesh]:
    """Returns sleeves and hands."""
    arms, hands = [], []
    for side in ("left", "right"):
        points = [joints[f"{side} {name}"] for name in ("shoulder", "elbow", "hand")]
        inner = points[0] * 0.85 + joints["neck"] * 0.15 + [0, 0, 0.004 * height]
        radii = [0.022, 0.034 * look.stout, 0.028, 0.022]
        arms.append(_limb([inner, *points], [height * radius for radius in radii], 5))
        hands.append(ellipsoid(points[2], np.full(3, 0.024 * height), 5, 2))
    return merge(arms), merge(hands)


def _head(joints: Joints, height: float, look: Look) -> tuple[Mesh, Mesh]:
    """Returns face and neck, and hair or helmet."""
    neck, head = joints["neck"], joints["head"]
    face = ellipsoid(head, np.array([0.056, 0.045, 0.068]) * height, 8, 4)
    column = cylinder(neck - [0, 0, 0.02 * height], head, 0.034 * height, sides=6)
    if look.helmet:
        cover = ellipsoid(
            head + np.array([-0.006, 0, 0.018]) * height, 0.07 * height * np.ones(3), 8, 3
        )
    else:
        cover = ellipsoid(
            head + np.array([-0.016, 0, 0.018]) * height,
            np.array([0.052, 0.050, 0.056]) * height,
            rings=3,
        )
    return merge([face, column]), cover


def figure(
    joints: Joints, height: float, look: Look, label: str, teacher_class: str
) -> tuple[Part, ...]:
    """Returns the parts of a person whose joints are placed already.

    Args:
        joints: pelvis, neck, head, and left and right hip, knee, ankle, shoulder, elbow, hand.
        height: of the person standing, metres.
        look: clothes and colours.
        label: SemanticKITTI class of all parts.
        teacher_class: Cityscapes class of all parts.
    """
    trousers, shoes = _legs(joints, height, look)
    sleeves, hands = _arms(joints, height, look)
    face, cover = _head(joints, height, look)
    top = merge([_torso(joints, height, look), sleeves])

    def cloth(color: Color) -> Surface:
        return Surface(
            label, teacher_class, color, "plain", 0.1 + 0.6 * float(np.mean(color)) ** 0.5
        )

    return (
        Part(top, cloth(look.top)),
        Part(trousers, cloth(look.trousers)),
        Part(shoes, cloth(look.shoes)),
        Part(merge([face, hands]), Surface(label, teacher_class, look.skin, "plain", 0.4)),
        Part(cover, Surface(label, teacher_class, look.hair, "plain", 0.3)),
    )


def person(generator: np.random.Generator) -> tuple[Part, ...]:
    """Draws an adult or child, standing or walking towards +x; some carry a bag."""
    child = generator.random() < 0.15
    height = (
        generator.uniform(1.05, 1.45) if child else np.clip(generator.normal(1.72, 0.09), 1.5, 2)
    )
    walks = generator.random() < 0.7
    stride = generator.uniform(0.25, 0.5) * generator.choice([-1, 1]) if walks else 0.0
    joints = walking(float(height), stride, 0.9 * stride + generator.normal(0, 0.05))
    look = draw_look(generator)
    parts = figure(joints, float(height), look, "person", "person")
    sole = min(float(part.mesh.vertices[:, 2].min()) for part in parts)
    parts = tuple(Part(transform(p.mesh, (0, 0, -sole)), p.surface) for p in parts)
    load = generator.random()
    bag = Surface(
        "person", "person", varied(CLOTHES[generator.integers(10)], generator), "plain", 0.3
    )
    if load < 0.25:
        size = np.array([0.10, 0.17, 0.26]) * height
        at = (joints["pelvis"] + 2 * joints["neck"]) / 3 - [0.105 * height, 0, 0.03 * height]
        return (*parts, Part(box(size, at, (0.7, 0.8)), bag))
    if load < 0.4:
        at = joints["left hand"] - [0, 0, 0.13 * height]
        return (*parts, Part(box(np.array([0.18, 0.05, 0.2]) * height, at, (0.8, 0.9)), bag))
    return parts
