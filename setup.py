"""Installs both ROS packages: ``wsss_perception`` and ``wsss_training``."""

from pathlib import Path

from setuptools import find_packages, setup

ROOT = Path(__file__).resolve().parent  # colcon links this file into its build folder


def tree(source: str, target: str) -> list[tuple[str, list[str]]]:
    """All files under a folder of the repository: (folder in the install tree, [file])."""
    files = sorted(p for p in (ROOT / source).rglob("*") if p.is_file() and p.suffix != ".pyc")
    return [
        (str(Path(target) / file.parent.relative_to(ROOT / source)), [str(file.relative_to(ROOT))])
        for file in files
    ]


setup(
    name="wsss_perception",
    version="0.1.0",
    description="Weakly supervised semantic segmentation of LiDAR point clouds for ROS 2",
    license="Apache-2.0",
    maintainer="WSSS Perception",
    python_requires=">=3.10",
    package_dir={"": "src"},
    packages=find_packages("src"),
    package_data={
        "wsss_perception": ["ontologies/*.yaml", "mappings/*.yaml", "models/*/*"],
        "wsss_training": ["data/*.yaml", "rooms/*.yaml", "teachers/*.yaml", "world/*.yaml"],
    },
    data_files=[
        (
            "share/ament_index/resource_index/packages",
            ["resource/wsss_perception", "resource/wsss_training"],
        ),
        ("share/wsss_perception", ["package.xml"]),
        *tree("resource/lib", "lib"),
        *tree("resource/share", "share"),
        *tree("launch", "share/wsss_perception/launch"),
        *tree("config", "share/wsss_perception/config"),
        *tree("config/train", "share/wsss_training/config/train"),
    ],
    zip_safe=False,
    install_requires=["numpy>=1.24", "pillow>=10.1", "pyyaml", "rosbags", "safetensors"],
    extras_require={
        "onnx": ["onnx", "onnxruntime>=1.18"],
        "ros": [
            "ros-jazzy-diagnostic-msgs",
            "ros-jazzy-rclpy[fastrtps]",
            "ros-jazzy-sensor-msgs",
            "ros-jazzy-std-msgs",
            "ros-jazzy-std-srvs",
        ],
        "training": [
            "lightning>=2.6",
            "matplotlib",
            "omegaconf",
            "open_clip_torch>=3.0",
            "open3d<0.20",  # 0.20 needs libusb, which bare machines lack
            "scipy",
            "spconv-cu118; platform_system != 'Darwin'",
            "tensorboard",
            "torch",
            "torchvision",
        ],
        "test": [
            "colcon-common-extensions",
            "hypothesis",
            "mypy",
            "opencv-python-headless",
            "pytest",
            "pytest-xdist",
            "ruff",
            "setuptools<80",  # colcon calls setup.py install and develop, gone in 80
            "types-PyYAML",
        ],
    },
)
