"""`amo-agent key`: what a person who puts the device key into a token gets to see."""

import json

from tests.cli.conftest import Cli
from tests.tokens import PIN, SoftHsm, SwTpm


def test_a_key_is_made_and_shown_with_its_counter(cli: Cli, swtpm: SwTpm) -> None:
    uri = swtpm.uri(swtpm.handle(), counter="0x01520001")
    made = cli("key", "create", uri, "--json")
    assert made.code == 0
    told = json.loads(made.out)
    assert told["custody"] == "tpm"
    assert told["counter"] >= 1
    assert len(told["public"]) == 130
    shown = cli("key", "show", uri)
    assert told["public"] in shown.out
    assert PIN not in shown.out


def test_a_key_of_a_token_has_no_counter(cli: Cli, softhsm: SoftHsm) -> None:
    made = json.loads(cli("key", "create", softhsm.uri("by-command"), "--json").out)
    assert made["counter"] is None
    assert json.loads(cli("key", "show", softhsm.uri("by-command"), "--json").out) == made


def test_a_uri_that_is_none_is_wrong_input(cli: Cli) -> None:
    for uri in ("tpm:4711", "nothing", "pkcs11:object=a?pin-value=4711"):
        result = cli("key", "show", uri)
        assert result.code == 2
        assert "4711" not in result.complaint


def test_a_key_that_is_there_is_kept(cli: Cli, swtpm: SwTpm) -> None:
    uri = swtpm.uri(swtpm.handle())
    cli("key", "create", uri)
    again = cli("key", "create", uri)
    assert again.code == 1
    assert "already defined" in again.complaint
