"""A recovery phrase gives the same keys everywhere, and a wrong one gives none."""

import hmac
import traceback

import pytest

from agent.errors import UsageError
from agent.wallet import curve
from agent.wallet import phrase as phrase_module
from agent.wallet.phrase import PATHS, PURPOSE, derive, new_phrase, scalars

ART = "abandon " * 23 + "art"
"""The words of 256 zero bits, from the vectors of BIP-39."""
GOLDEN = {
    "": {
        "account": "4f49033bae675bf2618ab65da55711a1cfd290c1afcbccd3cbb01c82a4e02372",
        "owner": "ccfe8b34f8a459876341b90a5bb726050baad242dfa393f925a49589d59b069f",
    },
    "TREZOR": {
        "account": "5dadd5872c4c84a58aaf32a90d748aef6d5a40db8b276d531ff5194a7c0d4b1f",
        "owner": "92564e56b365789bf774e824aa25369d83eba69c8fea7b6385f4e5d7e575f313",
    },
}
"""Also in docs/formats/recovery.md."""
SEED = "000102030405060708090a0b0c0d0e0f"
RETRIED = "a7305bc8df8d0951f0cb224c0e95d7707cbdf2c6ce7e8d481fec69c7ff5e9446"
"""Its first digest is over the order of the curve, so the digest of that is taken."""
SLIP_0010 = [
    (SEED, (), "612091aaa12e22dd2abef664f8a01a82cae99ad7441b7ef8110424915c268bc2"),
    (SEED, (0,), "6939694369114c67917a182c59ddb8cafc3004e63ca5d3b84403ba8613debc0c"),
    (SEED, (28578,), "06f0db126f023755d0b8d86d4591718a5210dd8d024e3e14b6159d63f53aa669"),
    (RETRIED, (), "3b8c18469a4634517d6d0b65448f8e6c62091b45540a1743c5846be55d47d88f"),
]
"""Seed, path of hardened steps, private key: vectors of SLIP-0010 for nist256p1."""


@pytest.mark.parametrize(("seed", "path", "private"), SLIP_0010)
def test_steps_are_those_of_slip_0010(seed: str, path: tuple[int, ...], private: str) -> None:
    assert derive(bytes.fromhex(seed), path).hex() == private


def test_a_step_that_gives_no_scalar_is_taken_again(monkeypatch: pytest.MonkeyPatch) -> None:
    # with the true order it happens once in four billion steps
    monkeypatch.setattr(phrase_module, "ORDER", 1 << 255)
    key, chain, again = b"\x01" * 32, b"\x02" * 32, 0
    for number in range(16):
        step = (number | 1 << 31).to_bytes(4, "big")
        digest = hmac.digest(chain, b"\x00" + key + step, "sha512")
        while digest[0] >= 0x80:
            again += 1
            digest = hmac.digest(chain, b"\x01" + digest[32:] + step, "sha512")
        total = int.from_bytes(digest[:32], "big") + int.from_bytes(key, "big")
        expected = (total % (1 << 255)).to_bytes(32, "big"), digest[32:]
        assert phrase_module._child(key, chain, step) == expected
    assert again


@pytest.mark.parametrize("passphrase", GOLDEN)
def test_golden_phrase_gives_golden_keys(passphrase: str) -> None:
    made = scalars(ART, passphrase)
    assert {use: key.hex() for use, key in made.items()} == GOLDEN[passphrase]


def test_our_paths_begin_with_a_number_of_no_bip() -> None:
    assert PURPOSE.to_bytes(3, "big") == b"amo"
    assert set(PATHS) == {"account", "owner"}


def test_new_phrases_differ_and_hold() -> None:
    first, second = new_phrase(), new_phrase()
    assert first != second
    assert len(first.split()) == 24
    keys = [*scalars(first).values(), *scalars(second).values()]
    assert len({curve.public_bytes(curve.load_private(key)) for key in keys}) == 4


def test_case_and_blanks_do_not_matter() -> None:
    phrase = new_phrase()
    assert scalars(f"\n {phrase.upper().replace(' ', '  ')}\n") == scalars(phrase)


def test_a_word_changed_missing_or_misplaced_is_refused_and_not_shown() -> None:
    words = ART.split()
    wrong = {
        "23 words, not 24": words[:-1],
        "word 3 of the recovery phrase is not": [*words[:2], "sesame", *words[3:]],
        "wrong or a misplaced word": [words[-1], *words[:-1]],
    }
    for complaint, changed in wrong.items():
        with pytest.raises(UsageError, match=complaint) as caught:
            scalars(" ".join(changed))
        told = "".join(traceback.format_exception(caught.value))
        assert "sesame" not in told
        assert "abandon" not in told


def test_the_device_key_is_not_in_the_phrase() -> None:
    assert "device" not in scalars(ART)
