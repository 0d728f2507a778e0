"""Camera models of sensor_msgs/CameraInfo: plumb_bob, rational_polynomial and equidistant.

Points are in the camera's optical frame (x right, y down, z forward, metres). A pixel's centre
has integer coordinates, as in OpenCV: pixel (column, row) covers column +- 0.5, row +- 0.5.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wsss_perception.errors import GeometryError
from wsss_perception.geometry.transforms import Matrix

# Coefficients each model reads, in the order CameraInfo.d holds them; missing ones are zero.
_COEFFICIENTS = {
    "plumb_bob": ("k1", "k2", "p1", "p2", "k3"),
    "rational_polynomial": ("k1", "k2", "p1", "p2", "k3", "k4", "k5", "k6"),
    "equidistant": ("k1", "k2", "k3", "k4"),
}


@dataclass(frozen=True)
class Camera:
    """Intrinsics of one image.

    Attributes:
        width: image width in pixels.
        height: image height in pixels.
        matrix: camera matrix K [3, 3].
        model: distortion model, a name of sensor_msgs/CameraInfo.
        distortion: coefficients in CameraInfo's order; empty for a rectified image.

    Raises:
        GeometryError: unknown model, wrong number of coefficients or absurd ones, or no positive
            focal length.
    """

    width: int
    height: int
    matrix: Matrix
    model: str = "plumb_bob"
    distortion: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if self.model not in _COEFFICIENTS:
            known = ", ".join(_COEFFICIENTS)
            raise GeometryError(f"unknown distortion model '{self.model}'; known: {known}")
        if len(self.distortion) > len(_COEFFICIENTS[self.model]):
            raise GeometryError(
                f"{self.model} takes at most {len(_COEFFICIENTS[self.model])} coefficients, "
                f"got {len(self.distortion)}"
            )
        numbers = np.array([*np.ravel(self.matrix), *self.distortion])
        if np.shape(self.matrix) != (3, 3) or not np.isfinite(numbers).all():
            raise GeometryError(f"camera matrix must be finite and 3x3, got {self.matrix}")
        if self.matrix[0, 0] <= 0 or self.matrix[1, 1] <= 0:
            raise GeometryError(f"camera is not calibrated: focal lengths in {self.matrix}")
        if self.distortion:
            try:
                self.project(np.zeros((1, 3)))
            except np.linalg.LinAlgError as error:  # coefficients that overflow
                raise GeometryError(
                    f"{self.model} with coefficients {self.distortion} cannot be computed: {error}"
                ) from error

    def project(
        self, xyz: NDArray[np.floating], min_depth: float = 0.1
    ) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """Projects points [N, 3] of the optical frame to pixels.

        Args:
            xyz: points in metres; NaN and infinite points are never inside.
            min_depth: nearest z in metres (nearest distance for equidistant cameras).

        Returns:
            Pixel coordinates [N, 2] (column, row), meaningful where inside; and whether the
            point falls on the image [N], in the range where the distortion is invertible.
        """
        points = np.asarray(xyz, dtype=np.float64)
        with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
            distorted, valid = self._distort(points, min_depth)
            uv = (self.matrix[:2, :2] @ distorted + self.matrix[:2, 2:]).T
            inside = (uv >= -0.5) & (uv < np.array([self.width, self.height]) - 0.5)
        return uv, valid & inside[:, 0] & inside[:, 1] & np.isfinite(points[:, 2])

    def scaled(self, factor: float) -> "Camera":
        """Returns the camera of the same image resized by ``factor``."""
        matrix = self.matrix.copy()
        matrix[:2, :2] *= factor
        matrix[:2, 2] = (matrix[:2, 2] + 0.5) * factor - 0.5
        width, height = round(self.width * factor), round(self.height * factor)
        return Camera(width, height, matrix, self.model, self.distortion)

    def _distort(
        self, points: NDArray[np.float64], min_depth: float
    ) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """Returns distorted normalised coordinates [2, N] and which of them are valid [N]."""
        names = _COEFFICIENTS[self.model]
        padded = (*self.distortion, *(0.0,) * (len(names) - len(self.distortion)))
        k = dict(zip(names, padded, strict=True))
        x, y, z = points.T
        if self.model == "equidistant":
            radius = np.hypot(x, y)
            theta = np.arctan2(radius, z)
            polynomial = [1.0, k["k1"], k["k2"], k["k3"], k["k4"]]
            theta_d = theta * _polynomial(polynomial, theta * theta)
            scale = np.where(radius > 1e-12, theta_d / radius, 1.0 / z)
            in_range = theta < min(_turning_point(polynomial, [1.0]), np.pi)  # pi: no direction
            valid = in_range & (np.hypot(radius, z) >= min_depth)
            return np.stack([x * scale, y * scale]), valid
        x, y = x / z, y / z
        if not any(self.distortion):
            return np.stack([x, y]), z >= min_depth
        r2 = x * x + y * y
        numerator = [1.0, k["k1"], k["k2"], k["k3"]]
        denominator = [1.0, k.get("k4", 0.0), k.get("k5", 0.0), k.get("k6", 0.0)]
        radial = _polynomial(numerator, r2) / _polynomial(denominator, r2)
        p1, p2 = k["p1"], k["p2"]
        x_d = x * radial + 2 * p1 * x * y + p2 * (r2 + 2 * x * x)
        y_d = y * radial + p1 * (r2 + 2 * y * y) + 2 * p2 * x * y
        valid = (z >= min_depth) & (r2 < _turning_point(numerator, denominator) ** 2)
        return np.stack([x_d, y_d]), valid


def _polynomial(coefficients: list[float], r2: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.polynomial.polynomial.polyval(r2, np.array(coefficients))


def _turning_point(numerator: list[float], denominator: list[float]) -> float:
    """Radius at which ``r * numerator(r^2) / denominator(r^2)`` stops growing, or infinity.

    That is the first root of its slope or of its denominator.

    Beyond it the polynomial folds back and would place points far outside the field of view
    on the image.
    """
    n = np.zeros(2 * len(numerator))
    n[1::2] = numerator  # r * numerator(r^2), in ascending powers of r
    d = np.zeros(2 * len(denominator))
    d[::2] = denominator
    poly = np.polynomial.polynomial
    slope = poly.polysub(poly.polymul(poly.polyder(n), d), poly.polymul(n, poly.polyder(d)))
    slopes = poly.polyroots(np.trim_zeros(slope, "b"))
    roots = np.append(slopes, poly.polyroots(np.trim_zeros(d, "b")))
    real = roots[(np.abs(roots.imag) < 1e-9) & (roots.real > 1e-9)].real
    return float(real.min()) if real.size else float("inf")
