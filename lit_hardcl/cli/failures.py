"""What fails without anybody's mistake in code, in one sentence: disks, folders, W&B, other processes."""

import errno
import traceback
from collections.abc import Iterator
from pathlib import Path

MENDED = {
    errno.ENOSPC: "the disk is full: make room",
    errno.EDQUOT: "the disk quota is used up: make room",
    errno.EFBIG: "a file would be larger than it may be (ulimit -f, or the file system): allow larger files",
    errno.EROFS: "the file system is read-only: choose another folder",
    errno.EACCES: "it may not be written or read: choose another place, or ask for the right",
    errno.EPERM: "it may not be written or read: choose another place, or ask for the right",
    errno.ENOENT: "it is not there, or not any more: was its folder removed?",
    errno.ENOTDIR: "a folder is needed where a file lies: choose another place",
    errno.EEXIST: "a folder is needed where a file lies: choose another place",
    errno.EIO: "the disk or the network behind it does not answer: look after it",
    errno.ESTALE: "the disk or the network behind it does not answer: look after it",
}
GONE = "Connection closed by peer", "Connection reset by peer", "Broken pipe", "NCCL error", "Socket closed"


def failed(error: BaseException) -> str | None:
    """The sentence of such a failure, and how to go on if the error has a note of it; ``None``: it is none."""
    notes = [*getattr(error, "__notes__", []), "--debug shows where"]
    for each in _chain(error):
        if isinstance(each, OSError) and each.errno in MENDED:
            place = f"{each.filename2 or each.filename or _file(each) or 'a file'}: "
            return "; ".join([place + MENDED[each.errno], *notes])
        if type(each).__module__.partition(".")[0] == "wandb":
            fix = "log in, see to the network, or add --trainer.logger.init_args.offline=true"
            return "; ".join([f"W&B: {str(each).partition(chr(10))[0].rstrip('.')}: {fix}", *notes])
        if isinstance(each, RuntimeError) and "inline_container" in str(each):  # torch's word, without the reason
            return "; ".join([f"{_file(each) or 'a file'} could not be written whole: is the disk full?", *notes])
        if isinstance(each, RuntimeError) and str(each).startswith("DataLoader worker"):
            words = "a process that fetches images was killed, often for want of memory: lower data.num_workers"
            return "; ".join([words, *notes])
        if isinstance(each, RuntimeError) and any(word in str(each) for word in GONE):
            return "; ".join(["another process of this training has ended; what it said last is its reason", *notes])
    return None


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        of_torch = isinstance(error.__context__, OSError) and "inline_container" in str(error)
        if not of_torch:
            yield error
        error = error.__context__ if of_torch else error.__cause__


def _file(error: BaseException) -> str | None:
    """The file that was being written, which a failing write does not tell but the functions on its way know."""
    names = ("filepath", "path", "part", "fname", "file")
    known = [frame.f_locals.get(name) for frame, _ in traceback.walk_tb(error.__traceback__) for name in names]
    return next((str(value) for value in reversed(known) if isinstance(value, (str, Path))), None)
