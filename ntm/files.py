"""The only writer of files: a file is there whole or not at all, a checkpoint carries a checksum, and the one before it is kept.

A checkpoint is torch's own zip file; the zip's comment, at its end, is the sha256 of all that stands before it, the configuration
included. Any tool that reads torch's files reads ours.
"""

import hashlib
import io
import os
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

BEGIN = b"PK\x03\x04"  # of a zip, as torch writes them
END = b"PK\x05\x06"  # a zip's last record: 22 bytes, of which the last two are the length of the comment after it
RECORD, SEAL = 22, 71  # bytes: that record, and "sha256 " with 64 digits


class DamagedError(Exception):
    """A file is no whole checkpoint; the message says what is wrong with it."""


class NotFiniteError(Exception):
    """A checkpoint was to hold a number that is not finite; the message names the tensor."""


def write(path: Path, content: bytes, keep: Path | None = None) -> None:
    """Put a file in place: written beside it, flushed to the disk, then renamed; what was there before becomes `keep`.

    Raises OSError, and then what was there is still there.
    """
    beside = path.with_name(f".{path.name}.part")
    try:
        with beside.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        if keep is not None:
            path.replace(keep)
        beside.replace(path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
    if os.name == "posix":  # elsewhere a folder cannot be flushed
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def before(path: Path) -> Path:
    """Where the checkpoint before the one at `path` is kept."""
    return path.with_name(f"{path.stem}.before{path.suffix}")


def save(path: Path, checkpoint: dict[str, Any]) -> None:
    """Write a checkpoint with its checksum, and keep the one before it if that is whole.

    Raises NotFiniteError, and OSError; the checkpoint that was there is still there then.
    """
    offender = not_finite(checkpoint)
    if offender is not None:
        raise NotFiniteError(offender)
    written = io.BytesIO()
    torch.save(checkpoint, written)
    write(path, sealed(written.getvalue()), before(path) if is_whole(path) else None)


def load(path: Path) -> Any:
    """What a checkpoint holds, on the CPU, read without running any code from it.

    A file without a checksum, of somebody's own `torch.save`, is taken as it is. Raises DamagedError, and OSError.
    """
    content = read(path)
    try:
        check_packed(content)
        checkpoint = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
        check_expanded(checkpoint)
        offender = not_finite(checkpoint)
    except Exception:  # torch raises whatever the bytes make it trip over
        raise DamagedError("not a checkpoint") from None
    if offender is not None:
        raise DamagedError(f"a number in it is not finite: {offender}")
    return checkpoint


def read(path: Path) -> bytes:
    """The bytes of a checkpoint, compared with their checksum; raises DamagedError, and OSError.

    The ends are looked at first: a file that is none of torch's is not read as a whole, however long it is.
    """
    if not path.is_file():
        raise DamagedError("no file")
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(0)
        first = file.read(4)
        file.seek(max(0, size - SEAL))
        last = file.read()
        if not first:
            raise DamagedError("empty")
        unsealed = last[-RECORD:].startswith(END) and last.endswith(b"\0\0")
        if first != BEGIN and not last.startswith(b"sha256 "):
            raise DamagedError("not a checkpoint")
        if not unsealed and not last.startswith(b"sha256 "):
            raise DamagedError("cut short or changed: its end is missing")
        file.seek(0)
        try:
            content = file.read()
        except MemoryError:
            raise DamagedError("larger than the memory that is free") from None
    if not unsealed and seal_of(content[:-SEAL]) != content[-SEAL:]:
        raise DamagedError("changed: its content has another checksum")
    return content


def is_torchs(path: Path) -> bool:
    """Whether a file begins as torch's do: weights, not to be written over by a table or a picture."""
    with path.open("rb") as file:
        return file.read(len(BEGIN)) == BEGIN


def is_whole(path: Path) -> bool:
    """Whether a checkpoint is there and as it was written."""
    try:
        read(path)
    except (DamagedError, OSError):
        return False
    return True


def sealed(archive: bytes) -> bytes:
    """A zip file without a comment, with the checksum of all before it as its comment."""
    assert archive[-RECORD:].startswith(END), "torch writes a zip without a comment"
    archive = archive[:-2] + SEAL.to_bytes(2, "little")
    return archive + seal_of(archive)


def seal_of(archive: bytes) -> bytes:
    """The comment of a zip file: its checksum."""
    return b"sha256 " + hashlib.sha256(archive).hexdigest().encode()


def check_packed(archive: bytes) -> None:
    """Raise ValueError where a zip file would unpack to more than it is: torch packs nothing."""
    with zipfile.ZipFile(io.BytesIO(archive)) as file:
        if any(item.compress_type != zipfile.ZIP_STORED for item in file.infolist()):
            raise ValueError("packed")


def check_expanded(checkpoint: Any) -> None:
    """Raise ValueError where a tensor claims more numbers than the file holds for it: looking at them would make them."""
    for name, tensor in tensors(checkpoint):
        if tensor.numel() * tensor.element_size() > tensor.untyped_storage().nbytes():
            raise ValueError(f"{name} is expanded")


def not_finite(value: Any) -> str | None:
    """The name of the first tensor, in nested dicts and lists, with a number that is not finite."""
    return next((name for name, tensor in tensors(value) if not bool(torch.isfinite(tensor).all())), None)


def tensors(value: Any, name: str = "") -> Iterator[tuple[str, Tensor]]:
    """Every tensor in nested dicts and lists, with its place."""
    if isinstance(value, Tensor):
        yield name, value
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list | tuple) else ()
    for key, part in inside:
        yield from tensors(part, f"{name}.{key}" if name else str(key))
