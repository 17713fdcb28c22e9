import json
from typing import Any

import pytest

from agent.bsm.codec import Codec
from agent.bsm.jer import from_jer, to_jer
from agent.errors import MalformedInputError
from tests.bsm.layout import packed


def test_every_public_message_survives_json(codec: Codec, public: dict[str, Any]) -> None:
    for vector in public["vectors"]:
        tree = codec.decode_tree(bytes.fromhex(vector["hex"]))
        through = json.loads(json.dumps(to_jer(codec, tree)))
        assert codec.encode_tree(from_jer(codec, through)).hex().upper() == vector["hex"]


def test_the_form_is_that_of_the_ode(codec: Codec) -> None:
    tree = codec.decode_tree(packed())
    extension = {"events": (b"\x01\x00", 13), "lights": (b"\x80\x00", 9)}
    tree["partII"] = [
        {"partII-Id": 0, "partII-Value": extension},
        {"partII-Id": 9, "partII-Value": b"\xab"},
    ]

    frame = to_jer(codec, tree)

    body = frame["value"]["BasicSafetyMessage"]
    assert frame["messageId"] == 20
    assert body["coreData"]["id"] == "0BADF00D"
    assert body["coreData"]["brakes"]["wheelBrakes"] == "78"
    assert body["partII"] == [
        {
            "partII-Id": 0,
            "partII-Value": {
                "VehicleSafetyExtensions": {
                    "events": {"value": "0100", "length": 13},
                    "lights": {"value": "8000", "length": 9},
                }
            },
        },
        {"partII-Id": 9, "partII-Value": "AB"},
    ]


def test_additions_of_a_later_edition_survive_json(codec: Codec) -> None:
    tree = codec.decode_tree(packed())
    tree["..."] = [None, b"\x12\x34"]

    through = json.loads(json.dumps(to_jer(codec, tree)))

    assert through["value"]["BasicSafetyMessage"]["..."] == [None, "1234"]
    assert from_jer(codec, through) == tree


@pytest.mark.parametrize(
    "frame",
    [
        None,
        [],
        {},
        {"messageId": 20},
        {"messageId": 20, "value": {}},
        {"messageId": 19, "value": {"BasicSafetyMessage": {}}},
        {"messageId": 20, "value": {"BasicSafetyMessage": {"partII": 1}}},
        {"messageId": 20, "value": {"BasicSafetyMessage": {"partII": [1]}}},
        {"messageId": 20, "value": {"BasicSafetyMessage": {"coreData": {"id": "xyz"}}}},
        {"messageId": 20, "value": {"BasicSafetyMessage": {"coreData": {"id": 7}}}},
        {"messageId": 20, "value": {"BasicSafetyMessage": {"coreData": []}}},
        {"messageId": 20, "value": {"BasicSafetyMessage": {"...": ["00", 3]}}},
        {
            "messageId": 20,
            "value": {"BasicSafetyMessage": {"coreData": {"brakes": {"wheelBrakes": 5}}}},
        },
    ],
)
def test_json_that_is_no_message_is_refused(codec: Codec, frame: Any) -> None:
    with pytest.raises(MalformedInputError):
        codec.encode_tree(from_jer(codec, frame))
