"""What is installed with the agent besides its code: descriptions of cars, the J2735 module."""

from functools import cache
from importlib.resources import files

from agent.bsm.codec import Codec


def resource(package: str, name: str) -> str:
    """Path of a file that is installed with the agent."""
    return str(files(package).joinpath(name))


@cache
def codec() -> Codec:
    """The J2735 codec of our own module, compiled now so that no tick has to wait for it."""
    module = Codec(files("agent.asn1").joinpath("J2735.asn").read_text("utf-8"))
    _ = module.types
    return module
