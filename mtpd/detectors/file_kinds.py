"""What a file is that was given as a checkpoint and is none, by its first bytes. No torch."""

from __future__ import annotations

import re
import zipfile
from pathlib import Path

START = 4096
"""Bytes of a file that are looked at."""
LONGEST_HEADER = 100_000_000
"""Bytes; the reader of safetensors refuses a longer one. Text reads as a much larger number."""

AGAIN = "fetch it again"
DIRECT = "open its address in a browser, and give the address of the file that it leads to"
UNPACK = "unpack it, and give the checkpoint inside"
OTHER = "give a PyTorch checkpoint or safetensors of MMDetection"

SIGNS = (
    (rb"version https://git-lfs", "is a Git LFS pointer, not the file that it stands for{size}",
     "run `git lfs pull` in the clone that it is from"),
    (rb"(/|\.git/)?annex/objects/", "is a git-annex pointer, not the file that it stands for",
     "run `git annex get` in the clone that it is from"),
    (rb"\s*(<!--.*?-->\s*)*(<!doctype html|<html|<head|<body)", "is a web page{title}", DIRECT),
    (rb"\s*<\?xml", "is an XML text, such as a host's message of an error", DIRECT),
    (rb"\s*\{\s*(\"|\})", "is a JSON text, such as a host's message of an error", DIRECT),
    (rb"\x1f\x8b", "is packed by gzip", UNPACK),
    (rb"BZh[1-9]", "is packed by bzip2", UNPACK),
    (rb"\xfd7zXZ\x00", "is packed by xz", UNPACK),
    (rb"7z\xbc\xaf\x27\x1c", "is a 7z archive", UNPACK),
    (rb"Rar!\x1a\x07", "is a RAR archive", UNPACK),
    (rb"\x89HDF\r\n", "is an HDF5 file, as Keras writes them", OTHER),
    (rb"\x08[\x01-\x0c]\x12.{1,80}(pytorch|onnx)", "is an ONNX model", OTHER),
    (rb"\x00{64}", "begins with zeros: it was never written to its end", AGAIN),
)  # fmt: skip
"""Pattern of the first bytes, what it says of the file, and the remedy."""


def kind_of(path: Path) -> tuple[str, str] | None:
    """What the file is instead of a checkpoint, and the remedy; None: it may be one.

    Args:
        path: Of a file that exists.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        start = file.read(START)
    if not start:
        return "is empty", AGAIN
    if start.startswith(b"PK\x03\x04"):
        return _zip(path, size)
    if (header := _header_of_safetensors(start)) is not None and header > size - 8:
        return f"is cut off: safetensors whose header alone has {header} bytes, in {size}", AGAIN
    if start[257:262] == b"ustar":
        return "is a tar archive", UNPACK
    for sign, problem, remedy in SIGNS:
        if re.match(sign, start, re.DOTALL | re.IGNORECASE):
            return problem.format(size=_pointed_size(start), title=_title(start)), remedy
    return None


def _zip(path: Path, size: int) -> tuple[str, str] | None:
    """PyTorch's checkpoints are zip archives with a pickle named ``data.pkl``."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except zipfile.BadZipFile:
        return f"is cut off or damaged: its {size} bytes have no end of a zip archive", AGAIN
    folders = {name.rpartition("/")[0] for name in names if name.endswith("/data.pkl")}
    if any(f"{folder}/constants.pkl" in names for folder in folders):
        return "is a TorchScript program, not a checkpoint", OTHER
    if folders or "data.pkl" in names:
        return None
    inside = [name for name in names if not name.endswith("/")]
    return f"is a zip archive of {len(inside)} files (first: {min(inside, default='')})", UNPACK


def _header_of_safetensors(start: bytes) -> int | None:
    """Bytes of the JSON object that safetensors begin with; None: no file begins like that."""
    length = int.from_bytes(start[:8], "little")
    return length if start[8:9] == b"{" and length < LONGEST_HEADER else None


def _pointed_size(start: bytes) -> str:
    found = re.search(rb"^size (\d+)$", start, re.MULTILINE)
    return f" ({int(found[1]) / 1e6:.1f} MB)" if found else ""


def _title(start: bytes) -> str:
    found = re.search(rb"<title[^>]*>\s*([^<]+)", start, re.IGNORECASE)
    text = " ".join(found[1].decode("utf-8", "replace").split()) if found else ""
    return f" ('{text[:60]}')" if text else ""
