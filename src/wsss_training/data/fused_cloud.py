"""A cloud of a room from posed RGB-D images: a signed distance volume and its surface."""

from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from wsss_perception.geometry import Camera, Matrix, invert
from wsss_training.data.array_cache import Arrays
from wsss_training.data.depth_registration import color_of_depth
from wsss_training.data.ply import unit_vectors
from wsss_training.data.sample import DepthSource, ImageSource

if TYPE_CHECKING:
    from open3d.pipelines.integration import ScalableTSDFVolume

VOXEL = 0.02
"""Edge of the volume's voxels, and the spacing of the points; metres."""

TRUNCATION = 0.06
"""How far around a surface distances are kept, for noise to average out; metres."""

MAX_DEPTH = 5.0
"""Farther measurements are left out: a room's depth camera is noisier there; metres."""

VERSION = f"fused cloud 1: {VOXEL} {TRUNCATION} {MAX_DEPTH}"
"""Of what ``fuse_images`` computes; to be changed with it."""


def fuse_images(images: Iterable[ImageSource]) -> Arrays:
    """Fuses posed colour and depth images to one cloud.

    Args:
        images: ``T_camera_lidar`` of each maps points of the cloud to be to its camera; images
            without depth are left out.

    Returns:
        ``xyz`` float32 [N, 3] in metres, ``rgb`` float32 [N, 3] 0..255, and ``normals`` float32
        [N, 3] of length 1, towards the cameras; sorted by z, y and x. N is 0 where the images
        show no surface.

    Raises:
        DatasetError: an image cannot be read.
    """
    volume = new_volume(VOXEL, TRUNCATION)
    for source in images:
        if source.depth is None:
            continue
        color, depth, T_depth_lidar = _read_registered(source, source.depth)
        integrate_frame(volume, color, depth, source.depth.camera, T_depth_lidar)
    cloud = volume.extract_point_cloud().voxel_down_sample(VOXEL)
    xyz = np.asarray(cloud.points).astype(np.float32)
    order = np.lexsort(xyz.T)
    return {
        "xyz": xyz[order],
        "rgb": np.rint(255 * np.asarray(cloud.colors))[order].astype(np.float32),
        "normals": unit_vectors(np.asarray(cloud.normals)[order]),
    }


def new_volume(voxel: float, truncation: float) -> "ScalableTSDFVolume":
    """Returns an empty volume: edge of its voxels, and how far around surfaces it reaches."""
    import open3d  # heavy, and not needed where the cloud is cached

    tsdf = open3d.pipelines.integration
    return tsdf.ScalableTSDFVolume(voxel, truncation, tsdf.TSDFVolumeColorType.RGB8)


def integrate_frame(
    volume: "ScalableTSDFVolume",
    color: NDArray[np.uint8],
    depth: NDArray[np.float32],
    camera: Camera,
    T_camera_world: Matrix,
) -> None:
    """Adds what one image saw to a volume.

    Args:
        volume: it changes.
        color: RGB [H, W, 3].
        depth: [H, W] in metres; 0 where unknown, and left out beyond MAX_DEPTH.
        camera: of both, without distortion.
        T_camera_world: [4, 4], maps points of the volume to the camera's optical frame.
    """
    import open3d

    rgbd = open3d.geometry.RGBDImage.create_from_color_and_depth(
        open3d.geometry.Image(color),
        open3d.geometry.Image(depth),
        depth_scale=1.0,
        depth_trunc=MAX_DEPTH,
        convert_rgb_to_intensity=False,
    )
    focal, center = camera.matrix[[0, 1], [0, 1]], camera.matrix[:2, 2]
    size = (camera.width, camera.height)
    intrinsics = open3d.camera.PinholeCameraIntrinsic(*size, *focal, *center)
    volume.integrate(rgbd, intrinsics, T_camera_world)


def _read_registered(
    source: ImageSource, depth_source: DepthSource
) -> tuple[NDArray[np.uint8], NDArray[np.float32], Matrix]:
    """Reads colour and depth at the pixels of the depth image, and the place of its camera."""
    camera = depth_source.camera
    known_place = depth_source.T_camera_depth
    T_camera_depth = np.eye(4) if known_place is None else known_place
    color = replace(source, depth=None).load().image
    depth = replace(depth_source, T_camera_depth=None).load(camera)
    color, has_color = color_of_depth(color, source.camera, depth, camera, T_camera_depth)
    depth = np.where(has_color, depth, np.float32(0))
    return color, depth, invert(T_camera_depth) @ source.T_camera_lidar
