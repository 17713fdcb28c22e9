"""The ASN.1 module of the messages, as data: `importlib.resources.files("agent.asn1")`."""
