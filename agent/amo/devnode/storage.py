"""The storage service of the development node: bodies of parcels, over HTTP.

`strict`, the default, has the API of the released service and checks what that one leaves
out: whose key signs, what the token is for, whose parcel is stored. Forms R and N behave
as the services that are out there, faults included, so that a client meets them early.
"""

from pathlib import Path
from typing import Final, Literal

from aiohttp import web

from agent.amo.devnode import storage_form_n, storage_form_r
from agent.amo.devnode.storage_desk import Desk, Usage
from agent.amo.devnode.storage_shelf import DirectoryShelf, MemoryShelf
from agent.amo.devnode.storage_token import Tokens
from agent.clock import Clock, SystemClock
from agent.errors import UsageError

MAX_REQUEST_BYTES: Final = 128 * 1024 * 1024
"""A body of 64 MB in hex; our choice."""

StorageForm = Literal["R", "N", "strict"]

_MAX_STORAGE_ID: Final = 2**32 - 1
_CLOCK: Final = SystemClock()


def storage_app(
    *,
    storage_id: int,
    usage: Usage,
    directory: Path | None = None,
    form: StorageForm = "strict",
    clock: Clock = _CLOCK,
) -> web.Application:
    """A storage service to run on any site.

    storage_id: the number set up on the chain, first part of every parcel id.
    usage: whether the chain holds a usage of (recipient address, parcel id).
    directory: where bodies stay; None keeps them in memory. Raises UsageError.
    """
    if not 0 <= storage_id <= _MAX_STORAGE_ID:
        raise UsageError(f"storage number {storage_id} is outside 0..2^32-1")
    header = storage_form_n.TOKEN_HEADER if form == "N" else storage_form_r.TOKEN_HEADER
    desk = Desk(
        storage_id=storage_id,
        usage=usage,
        shelf=MemoryShelf() if directory is None else DirectoryShelf(directory),
        tokens=Tokens(header),
        clock=clock,
    )
    app = web.Application(client_max_size=MAX_REQUEST_BYTES)
    if form == "N":
        storage_form_n.FormN(desk).add_to(app)
    else:
        storage_form_r.FormR(desk, strict=form == "strict").add_to(app)
    return app
