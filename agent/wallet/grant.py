"""A grant: the data key of one parcel, wrapped again for one buyer."""

from collections.abc import Collection

from agent.errors import SealError
from agent.wallet.consent import Request, check_buyer
from agent.wallet.custody import unwrap, wrap
from agent.wallet.keys import Opener


def grant(
    custody_owner: bytes, opener: Opener, request: Request, *, own_publics: Collection[bytes]
) -> bytes:
    """The owner's custody of the requested parcel -> the buyer's custody.

    opener: the owner's key; own_publics: public keys of this wallet, which buy nothing from
    themselves. Raises SealError when the buyer's key is off the curve, is not the key of the
    buyer's address or is our own, and when the custody is of another parcel, level or owner.
    """
    check_buyer(request)
    if request.buyer_public in own_publics or request.buyer_public == opener.public:
        raise SealError(f"buyer {request.buyer_address} is this wallet itself")
    data_key = unwrap(custody_owner, opener, parcel_id=request.parcel_id, level=request.level)
    return wrap(data_key, request.buyer_public, parcel_id=request.parcel_id, level=request.level)
