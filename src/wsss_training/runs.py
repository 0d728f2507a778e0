"""What training and exporting mean for each method."""

from pathlib import Path

from wsss_perception.bundle import Bundle
from wsss_training.config import TrainConfig, load_config
from wsss_training.export import export_bundle
from wsss_training.export_vlg import export_vlg
from wsss_training.run_folder import CONFIG_FILE
from wsss_training.stages import exported_run, train_wsegpc
from wsss_training.stages_vlg import train_vlg
from wsss_training.training import train
from wsss_training.training_msdkt import train_msdkt

_TRAIN = {
    "projected_prior": train,
    "wsegpc": train_wsegpc,
    "vlg": train_vlg,
    "msdkt": train_msdkt,
}


def train_run(config: TrainConfig) -> bool:
    """Trains by the configuration's method, or goes on where a killed run was.

    Returns:
        Whether this is the first of the processes that trained together.

    Raises:
        WsssError: the data or the configuration is at fault.
    """
    return _TRAIN[config.method](config)


def export_run(run: Path, folder: Path) -> Bundle:
    """Writes the bundle of a run of any method.

    Args:
        run: the training run's output folder.
        folder: where the bundle goes.

    Raises:
        ConfigError: the run has no checkpoint.
        BundleError: the bundle cannot be written.
    """
    path = run / CONFIG_FILE
    if path.exists() and load_config(path).method == "vlg":
        return export_vlg(run, folder)
    return export_bundle(exported_run(run), folder)
