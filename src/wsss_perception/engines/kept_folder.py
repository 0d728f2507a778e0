"""Keeps what a library writes into a folder of its own, whole and sealed by SHA-256."""

import hashlib
import json
import logging
import shutil
from contextlib import suppress
from pathlib import Path

_MANIFEST = "manifest.json"
_log = logging.getLogger(__name__)


def is_whole(folder: Path) -> bool:
    """Tells whether a folder holds the files that were kept there, unchanged, and no others.

    What is damaged should reach no library: it may crash on it. It is logged.
    """
    try:
        manifest = json.loads((folder / _MANIFEST).read_text())
        whole = bool(manifest == _hashes(folder))
    except FileNotFoundError:
        whole = False
        if not folder.exists():
            return False
    except (OSError, ValueError) as error:
        _log.warning("%s: cannot be read: %s", folder, error)
        return False
    if not whole:
        _log.warning("%s: damaged, and is made anew", folder)
    return whole


def make_empty(scratch: Path) -> bool:
    """Makes an empty folder, in the place of one that a kill has left, for a library to write in.

    Returns:
        Whether that worked; what fails costs a warning.
    """
    try:
        shutil.rmtree(scratch, ignore_errors=True)
        scratch.mkdir(parents=True)
    except OSError as error:
        _log.warning("%s: no engine can be kept, so each start builds one: %s", scratch, error)
        return False
    return True


def keep_folder(scratch: Path, folder: Path) -> bool:
    """Puts a scratch folder in the place of ``folder``; returns whether that worked.

    What was there before is lost only then; what fails costs a warning.
    """
    old = folder.with_suffix(".old")
    try:
        (scratch / _MANIFEST).write_text(json.dumps(_hashes(scratch)))
        shutil.rmtree(old, ignore_errors=True)
        if folder.exists():
            folder.rename(old)
        scratch.rename(folder)
    except OSError as error:
        _log.warning("%s: cannot be kept, so the next start makes it again: %s", folder, error)
        if old.exists() and not folder.exists():
            with suppress(OSError):
                old.rename(folder)
        return False
    shutil.rmtree(old, ignore_errors=True)
    return True


def _hashes(folder: Path) -> dict[str, str]:
    files = sorted(p for p in folder.iterdir() if p.is_file() and p.name != _MANIFEST)
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
