"""Which folders lie on a network: there a write-ahead log, which needs memory that all processes share, does not work."""

from __future__ import annotations

import ctypes
import os
import sys
from contextlib import suppress
from pathlib import Path

# Numbers of statfs(2), and what the kernel calls file systems that have only a common number, such as those in user space.
_NUMBERS = {
    0x6969: "NFS",
    0x517B: "SMB",
    0xFF534D42: "SMB",
    0xFE534D42: "SMB",
    0x0BD00BD0: "Lustre",
    0x19830326: "BeeGFS",
    0x47504653: "GPFS",
    0x00C36400: "Ceph",
    0x5346414F: "AFS",
    0x6B414653: "AFS",
    0x01021997: "9P",
    0xAAD7AAEA: "PanFS",
    0x7461636F: "OCFS2",
    0x01161970: "GFS2",
}
_NAMES = {
    "nfs": "NFS",
    "nfs4": "NFS",
    "cifs": "SMB",
    "smb3": "SMB",
    "lustre": "Lustre",
    "beegfs": "BeeGFS",
    "gpfs": "GPFS",
    "ceph": "Ceph",
    "wekafs": "WekaFS",
    "virtiofs": "virtiofs",
    "fuse.sshfs": "SSHFS",
    "fuse.glusterfs": "GlusterFS",
    "fuse.ceph-fuse": "Ceph",
    "fuse.ceph": "Ceph",
    "fuse.s3fs": "S3",
    "fuse.gcsfuse": "Cloud Storage",
    "fuse.rclone": "rclone",
    "fuse.juicefs": "JuiceFS",
    "fuse.beegfs": "BeeGFS",
}
_MOUNTS = Path("/proc/self/mounts")


def network_file_system(folder: Path) -> str | None:
    """The name of the network file system that a folder lies on; None for a local one, or where the system does not say."""
    return _NUMBERS.get(file_system_number(folder)) or _NAMES.get(_mounted_as(folder))


def file_system_number(folder: Path) -> int:
    """The number of a folder's file system, as statfs(2) gives it on Linux; 0 elsewhere, and where it cannot be had."""
    if not sys.platform.startswith("linux"):
        return 0
    room = ctypes.create_string_buffer(512)
    with suppress(OSError, AttributeError):
        if ctypes.CDLL(None, use_errno=True).statfs(os.fsencode(folder), room) == 0:
            return ctypes.c_long.from_buffer(room).value & 0xFFFFFFFF
    return 0


def _mounted_as(folder: Path) -> str:
    """What the kernel calls the file system of a folder; nothing where it does not say."""
    with suppress(OSError, ValueError):
        place, best, kind = str(folder.resolve()), "", ""
        for line in _MOUNTS.read_text(encoding="utf-8", errors="surrogateescape").splitlines():
            point, name = line.split(" ")[1:3]
            point = point.replace("\\040", " ")
            if len(point) >= len(best) and (place == point or place.startswith(point.rstrip("/") + "/")):
                best, kind = point, name
        return kind
    return ""
