"""What stands beside a street: lamps, signals, posts, bins, benches, cabinets."""

import numpy as np

from wsss_training.world.objects.materials import metal, varied
from wsss_training.world.objects.meshes import Array, both_sides, merge, mesh_of, transform
from wsss_training.world.objects.shapes import box, circle, cone, cylinder, ellipsoid, plate, tube
from wsss_training.world.scene import Color, Mesh, Part, Surface

GREY: Color = (0.25, 0.26, 0.27)


def pole_surface(color: Color = GREY, texture: str = "metal") -> Surface:
    """Returns the surface of a pole."""
    return Surface("pole", "pole", color, texture, 0.3)


def other(color: Color, texture: str = "plain", reflectance: float = 0.3) -> Surface:
    """Returns the surface of what no class is for."""
    return Surface("other-object", "background", color, texture, reflectance)


def lamp_post(generator: np.random.Generator) -> tuple[Part, ...]:
    """Draws a street lamp: a lantern on a post, or an arm that reaches out over +x."""
    color = varied(
        ((0.25, 0.26, 0.27), (0.03, 0.05, 0.04), (0.12, 0.12, 0.13))[generator.integers(3)],
        generator,
    )
    light = Surface("pole", "pole", (0.75, 0.74, 0.68), "plain", 0.3)
    if generator.random() < 0.45:
        height = generator.uniform(3.5, 5.0)
        post = cylinder((0, 0, 0), (0, 0, height), 0.07, 0.045)
        foot = cylinder((0, 0, 0), (0, 0, 0.7), 0.11, 0.09)
        glass = cylinder((0, 0, height), (0, 0, height + 0.4), 0.12, 0.22)
        hat = cone((0, 0, height + 0.4), (0, 0, height + 0.62), 0.27)
        return Part(merge([post, foot, hat]), pole_surface(color)), Part(glass, light)
    height, reach = generator.uniform(6.0, 9.5), generator.uniform(1.0, 2.2)
    bow = np.array(
        [[0, 0, 0], [0, 0, 0.6], [0, 0, 0.88], [0.15, 0, 0.97], [0.45, 0, 1], [1, 0, 1.01]]
    )
    path = bow * [reach, 1, height]
    post = tube(path, np.array([0.1, 0.085, 0.055, 0.045, 0.04, 0.035]), 8)
    end = path[-1]
    head = box((0.75, 0.26, 0.12), end + [0.25, 0, 0.01], top=(0.9, 0.6))
    lens = box((0.55, 0.2, 0.03), end + [0.28, 0, -0.06])
    return Part(merge([post, head]), pole_surface(color)), Part(lens, light)


def _signal_head(generator: np.random.Generator, lamps: int) -> tuple[Mesh, list[Mesh]]:
    """Returns the housing, its lower end at z = 0 and its face to +x, and its lamps from below."""
    step = 0.3
    height = lamps * step + 0.04
    housing = box((0.2, 0.32, height), (0, 0, height / 2))
    shades, discs = [], []
    for k in range(lamps):
        z = 0.17 + k * step
        shades.append(box((0.18, 0.26, 0.02), (0.19, 0, z + 0.125)))
        discs.append(plate(0.23, 0.23, (0.108, 0, z), 10))
    return merge([housing, *shades]), discs


def traffic_light(generator: np.random.Generator) -> tuple[Part, ...]:
    """Draws a traffic light that faces +x; some have a second head on an arm over +y."""
    color = varied(GREY, generator)
    arm = generator.random() < 0.35
    height = generator.uniform(5.6, 6.2) if arm else generator.uniform(3.1, 3.6)
    reach = generator.uniform(3.0, 5.0)
    posts = [cylinder((0, 0, 0), (0, 0, height), 0.09 if arm else 0.06)]
    places = [(0.16, 0.0, 2.2, 3), (0.0, 0.26, 2.1, 2)]
    if arm:
        posts.append(cylinder((0, 0, height - 0.15), (0, reach, height - 0.05), 0.07, 0.045))
        places[1] = (0.1, reach - 0.25, height - 0.6, 3)
    lit = int(generator.choice([0, 2], p=[0.45, 0.55]))
    housings: list[Mesh] = []
    lamps: dict[Color, list[Mesh]] = {}
    for x, y, z, count in places:
        housing, discs = _signal_head(generator, count)
        housings.append(transform(housing, (x, y, z)))
        bright: list[Color] = [(0.05, 0.75, 0.3), (0.9, 0.45, 0.03), (0.85, 0.04, 0.02)]
        for k, disc in enumerate(discs):
            kind = k if count == 3 else 2 * k
            shown: Color = bright[kind] if kind == lit else (0.03, 0.025, 0.02)
            lamps.setdefault(shown, []).append(transform(disc, (x, y, z)))
    body = Surface("other-object", "traffic light", varied((0.04, 0.05, 0.045), generator))
    return (
        Part(merge(posts), pole_surface(color)),
        Part(merge(housings), body),
        *(
            Part(merge(discs), Surface("other-object", "traffic light", shown, "plain", 0.3))
            for shown, discs in lamps.items()
        ),
    )


def bollard(generator: np.random.Generator) -> tuple[Part, ...]:
    """Draws a bollard with a bright band."""
    height, radius = generator.uniform(0.7, 1.1), generator.uniform(0.05, 0.11)
    color = varied(
        ((0.03, 0.03, 0.03), (0.28, 0.28, 0.28), (0.4, 0.03, 0.03))[generator.integers(3)],
        generator,
    )
    post = merge(
        [
            cylinder((0, 0, 0), (0, 0, height), radius),
            ellipsoid((0, 0, height), (radius, radius, 0.6 * radius), 8, 3),
        ]
    )
    band = cylinder((0, 0, 0.8 * height), (0, 0, 0.9 * height), radius + 0.006)
    shine = Surface("pole", "pole", (0.7, 0.7, 0.7), "plain", 0.9)
    return Part(post, pole_surface(color)), Part(band, shine)


def utility_pole(generator: np.random.Generator) -> tuple[Part, ...]:
    """Draws a wooden or concrete pole, 7 to 10 m high, with a cross-arm along y."""
    height, radius = generator.uniform(7.0, 10.0), generator.uniform(0.12, 0.17)
    wood = generator.random() < 0.7
    color = varied((0.13, 0.09, 0.06) if wood else (0.33, 0.32, 0.30), generator)
    meshes = [cylinder((0, 0, 0), (0, 0, height), radius, 0.7 * radius, 10)]
    for k in range(int(generator.integers(1, 3))):
        z, half = height - 0.4 - 0.9 * k, generator.uniform(0.6, 1.1)
        meshes.append(box((0.1, 2 * half, 0.12), (0.7 * radius, 0, z)))
        spots = np.linspace(-0.9, 0.9, 4) * half
        meshes += [cylinder((0.1, y, z + 0.06), (0.1, y, z + 0.22), 0.04, 0.025, 5) for y in spots]
    return (Part(merge(meshes), pole_surface(color, "wood" if wood else "plain")),)


def trash_bin(generator: np.random.Generator) -> tuple[Part, ...]:
    """Draws a wheeled bin of a household, a row of them, or a litter bin on a post."""
    dark = rubber_dark()
    if generator.random() < 0.3:
        color = varied(
            ((0.04, 0.13, 0.06), (0.5, 0.25, 0.03), (0.2, 0.2, 0.2))[generator.integers(3)],
            generator,
        )
        drum = cylinder((0, 0, 0.45), (0, 0, 1.05), 0.19, 0.22, 10)
        post = cylinder((-0.24, 0, 0), (-0.24, 0, 1.15), 0.035, sides=6)
        return Part(drum, other(color)), Part(post, metal("other-object", "background"))
    parts = []
    lids = ((0.02, 0.06, 0.22), (0.45, 0.32, 0.02), (0.10, 0.06, 0.03), (0.05, 0.05, 0.05))
    count = int(generator.choice([1, 2, 3]))
    for k in range(count):
        y, turn = 0.68 * (k - (count - 1) / 2), generator.normal(0, 0.05)
        body = box((0.52, 0.46, 0.92), (turn, y, 0.53), top=(1.2, 1.2))
        wheels = cylinder((-0.22 + turn, y - 0.25, 0.1), (-0.22 + turn, y + 0.25, 0.1), 0.1)
        lid = box((0.70, 0.60, 0.07), (turn, y, 1.03), top=(0.9, 0.9))
        low = -float(wheels.vertices[:, 2].min())
        parts += [
            Part(body, other(varied((0.07, 0.075, 0.08), generator))),
            Part(lid, other(varied(lids[generator.integers(4)], generator))),
            Part(transform(wheels, (0, 0, low)), dark),
        ]
    return tuple(parts)


def rubber_dark() -> Surface:
    """Returns the black of small wheels and feet."""
    return other((0.02, 0.02, 0.02), reflectance=0.05)


def bench(generator: np.random.Generator) -> tuple[Part, ...]:
    """Draws a park bench that faces +x."""
    half, wood = generator.uniform(0.75, 1.0), varied((0.26, 0.15, 0.07), generator, 0.25)
    slats = [box((0.11, 2 * half, 0.035), (x, 0, 0.45)) for x in (-0.14, 0.0, 0.14)]
    if generator.random() < 0.75:
        slats += [
            box((0.03, 2 * half, 0.11), (-0.24 - 0.12 * k, 0, 0.62 + 0.16 * k)) for k in (0, 1)
        ]
    leg = [
        box((0.06, 0.05, 0.45), (0.15, half - 0.2, 0.225)),
        box((0.06, 0.05, 0.45), (-0.2, half - 0.2, 0.225)),
        box((0.42, 0.05, 0.04), (-0.02, half - 0.2, 0.42)),
    ]
    return (
        Part(merge(slats), other(wood, "wood", 0.4)),
        Part(both_sides(merge(leg)), metal("other-object", "background", (0.06, 0.06, 0.065))),
    )


def electric_box(generator: np.random.Generator) -> tuple[Part, ...]:
    """Draws a cabinet of the power or telephone company, its doors towards +x."""
    width, height = generator.uniform(0.6, 1.6), generator.uniform(0.8, 1.4)
    depth = generator.uniform(0.3, 0.5)
    color = varied(((0.35, 0.36, 0.34), (0.22, 0.25, 0.22))[generator.integers(2)], generator)
    body = box((depth, width, height - 0.1), (0, 0, 0.1 + (height - 0.1) / 2))
    foot = box((0.9 * depth, 0.94 * width, 0.1), (0, 0, 0.05))
    roof = box((1.1 * depth, 1.05 * width, 0.05), (0, 0, height), top=(0.9, 0.95))
    dark = other((0.05, 0.05, 0.05))
    gap = box((0.01, 0.015, height - 0.25), (depth / 2, 0, height / 2 + 0.05))
    return Part(merge([body, roof]), other(color, "plain", 0.4)), Part(merge([foot, gap]), dark)


def _polygon(points: Array, height: float) -> Mesh:
    """Returns a sheet of (y, z) points [n, 2] around z = ``height``, facing +x."""
    sheet = np.zeros((len(points), 3))
    sheet[:, 1:] = points
    k = np.arange(1, len(points) - 1)
    return mesh_of(sheet + [0.06, 0, height], np.stack([0 * k, k, k + 1], 1))


WHITE: Color = (0.75, 0.75, 0.75)
RED: Color = (0.5, 0.01, 0.01)
BLUE: Color = (0.01, 0.07, 0.4)
YELLOW: Color = (0.6, 0.42, 0.02)
RECTANGLE = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) / 2


def _draw_sign(generator: np.random.Generator) -> tuple[Array, Color, Color]:
    """Draws a sign's outline [n, 2] in (y, z) around its middle, and colours of rim and field."""
    kind = generator.choice(
        ["disc", "triangle", "give way", "rectangle", "octagon", "board"],
        p=[0.3, 0.16, 0.12, 0.22, 0.05, 0.15],
    )
    size, coin = generator.uniform(0.55, 0.8), generator.random()
    up = np.array([[0, 1], [-1, 0]])  # turns a polygon's first corner from +y to +z
    if kind == "disc":
        rim, field = (RED, WHITE) if coin < 0.6 else (BLUE, BLUE)
        return size / 2 * circle(16), rim, field
    if kind in ("triangle", "give way"):
        corners = 0.62 * size * circle(3, 0.0) @ up
        return (corners if kind == "triangle" else -corners), RED, WHITE
    if kind == "octagon":
        return size / 2 * circle(8), WHITE, RED
    if kind == "rectangle":
        tall = generator.uniform(0.8, 1.4)
        return RECTANGLE * [size, tall * size], WHITE, (BLUE if coin < 0.7 else YELLOW)
    color = (YELLOW, BLUE, (0.01, 0.2, 0.08))[generator.integers(3)]
    return RECTANGLE * [generator.uniform(1.5, 3.2), generator.uniform(0.7, 1.6)], color, color


def traffic_sign(generator: np.random.Generator) -> tuple[Part, ...]:
    """Draws a sign that faces +x: a disc, triangle, rectangle, octagon, or a board on two posts."""
    outline, rim, field = _draw_sign(generator)
    low, high = outline.min(axis=0), outline.max(axis=0)
    middle = generator.uniform(1.9, 2.4) - low[1]
    front, inner = _polygon(outline, middle), _polygon(0.82 * outline, middle)
    places = (0.7 * low[0], 0.7 * high[0]) if high[0] > 0.7 else (0.0,)
    top = middle + 0.8 * high[1]
    poles = merge(cylinder((0, y, 0), (0, y, top), 0.035, sides=7) for y in places)

    def painted(color: Color) -> Surface:
        return Surface("traffic-sign", "traffic sign", varied(color, generator, 0.08), "plain", 0.9)

    grey = Surface("traffic-sign", "traffic sign", (0.3, 0.31, 0.32), "metal", 0.3)
    return (
        Part(front, painted(rim)),
        Part(transform(inner, (0.005, 0, 0)), painted(field)),
        Part(transform(front, (-0.015, 0, 0)), grey),
        Part(poles, pole_surface(varied(GREY, generator))),
    )
