import json

import pytest

from agent.archive import Archive
from agent.errors import UsageError
from agent.events import OwnerDescribed, OwnerNamed, decode, encode
from agent.owner import DATA_USES, SEXES, Owner, from_json, owner_of, write_owner
from agent.privacy import Level

KIM = Owner(name="Kim Minjun", contact="kim@example.org", age=55, sex="male", data_use="research")


def told(parts: Archive) -> Owner:
    parts.journal.flush()
    return owner_of(parts.log.read(), parts.unsealer)


def kinds(parts: Archive) -> list[tuple[str, Level]]:
    return [(e.kind, e.level) for e in parts.log.read() if e.kind.startswith("owner-")]


def test_what_was_told_comes_back_from_the_log(parts: Archive) -> None:
    write_owner(Owner(), KIM, parts.journal)
    assert told(parts) == KIM


def test_name_and_contact_are_lv1_and_the_rest_lv2(parts: Archive) -> None:
    write_owner(Owner(), KIM, parts.journal)
    assert kinds(parts) == [("owner-named/1", Level.LV1), ("owner-described/1", Level.LV2)]


def test_only_what_changed_is_written_and_the_last_word_counts(parts: Archive) -> None:
    write_owner(Owner(), KIM, parts.journal)
    older = KIM.changed({"age": 56})
    write_owner(KIM, older, parts.journal)
    write_owner(older, older, parts.journal)
    assert told(parts) == older
    assert len(kinds(parts)) == 3


def test_a_field_is_taken_back(parts: Archive) -> None:
    write_owner(Owner(), KIM, parts.journal)
    write_owner(KIM, KIM.changed({"contact": None}), parts.journal)
    assert told(parts).contact is None
    assert told(parts).name == KIM.name


@pytest.mark.parametrize(
    "text", [repr(KIM), f"{KIM}", *(form(e) for e in KIM.events for form in (repr, str))]
)
def test_no_text_form_has_a_value(text: str) -> None:
    assert not [value for value in ("Kim", "example", "55", "male", "research") if value in text]


@pytest.mark.parametrize("event", KIM.events)
def test_an_event_of_the_owner_comes_back_as_it_was(event: OwnerNamed | OwnerDescribed) -> None:
    assert decode(event.kind, encode(event)) == event


@pytest.mark.parametrize(
    ("field", "value", "kept"),
    [
        ("name", " Kim ", "Kim"),
        ("name", "김민준", "김민준"),
        ("name", "x" * 100, "x" * 100),
        ("age", 0, 0),
        ("age", "150", 150),
        *(("sex", word, word) for word in SEXES),
        *(("data_use", word, word) for word in DATA_USES),
    ],
)
def test_what_fits_is_taken(field: str, value: object, kept: object) -> None:
    assert getattr(Owner().changed({field: value}), field) == kept


@pytest.mark.parametrize(
    ("field", "value", "limit"),
    [
        ("name", "", "1 to 100"),
        ("name", "  ", "1 to 100"),
        ("name", "x" * 101, "1 to 100"),
        ("name", "Kim\nMinjun", "printable"),
        ("name", ["Kim"], "printable"),
        ("contact", "x" * 201, "1 to 200"),
        ("age", -1, "0 to 150"),
        ("age", 151, "0 to 150"),
        ("age", "-7", "0 to 150"),
        ("age", "9" * 5000, "0 to 150"),
        ("age", "fifty", "0 to 150"),
        ("age", "\N{ARABIC-INDIC DIGIT FIVE}", "0 to 150"),
        ("age", 55.5, "0 to 150"),
        ("age", True, "0 to 150"),
        ("sex", "Kim", "female, male, other"),
        ("sex", 1, "female, male, other"),
        ("data_use", "Kim", "none, research"),
        ("Kim", "x", "name, contact, age, sex, data_use"),
    ],
)
def test_what_does_not_fit_is_refused_with_its_limit_and_without_its_value(
    field: str, value: object, limit: str
) -> None:
    with pytest.raises(UsageError, match=limit) as refused:
        Owner().changed({field: value})
    assert "Kim" not in str(refused.value)


@pytest.mark.parametrize("text", ["", "[]", "Kim", '{"name": "Kim"', "[" * 100_000, b"\xff\xfe{"])
def test_what_is_no_object_is_refused_without_being_quoted(text: str | bytes) -> None:
    with pytest.raises(UsageError, match="JSON object") as refused:
        from_json(text)
    assert "Kim" not in str(refused.value)


def test_an_object_is_read() -> None:
    assert from_json(json.dumps({"name": "Kim", "age": None})) == {"name": "Kim", "age": None}
