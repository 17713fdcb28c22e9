"""Rows of the Wyoming CV Pilot's one-day sample: the ODE's JSON record laid out in 69 columns.

    record = from_row({"coreData_msgCnt": "38", ...})    # {"metadata": {...}, "payload": {...
    to_row(record)                                       # all 69 columns, in order

A column holds what the record has at one place, in the same unit (docs/formats/bsm-json.md). There
is none for steering angle, longitudinal, lateral and vertical acceleration, orientation of the
accuracy and type of an event, so these do not survive.

Columns: the dataset's own listing; places: the exporters of the US DOT's open-data sandbox.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from agent.bsm.cells import escaped, instant, meaning, shown
from agent.bsm.odeform import number
from agent.errors import MalformedInputError

_VEHICLE: Final = "VehicleSafetyExtensions"
_SPECIAL: Final = "SpecialVehicleExtensions"
_SUPPLEMENT: Final = "SupplementalVehicleExtensions"

_PLACES: Final = f"""
dataType payload.dataType
metadata_generatedAt metadata.recordGeneratedAt
metadata_generatedBy metadata.recordGeneratedBy
metadata_logFileName metadata.logFileName
metadata_schemaVersion metadata.schemaVersion
metadata_securityResultCode metadata.securityResultCode
metadata_sanitized metadata.sanitized
metadata_payloadType metadata.payloadType
metadata_recordType metadata.recordType
metadata_serialId_streamId metadata.serialId.streamId
metadata_serialId_bundleSize metadata.serialId.bundleSize
metadata_serialId_bundleId metadata.serialId.bundleId
metadata_serialId_recordId metadata.serialId.recordId
metadata_serialId_serialNumber metadata.serialId.serialNumber
metadata_receivedAt metadata.odeReceivedAt
metadata_rmd_elevation metadata.receivedMessageDetails.locationData.elevation
metadata_rmd_heading metadata.receivedMessageDetails.locationData.heading
metadata_rmd_latitude metadata.receivedMessageDetails.locationData.latitude
metadata_rmd_longitude metadata.receivedMessageDetails.locationData.longitude
metadata_rmd_speed metadata.receivedMessageDetails.locationData.speed
metadata_rmd_rxSource metadata.receivedMessageDetails.rxSource
metadata_bsmSource metadata.bsmSource
coreData_msgCnt core.msgCnt
coreData_id core.id
coreData_secMark core.secMark
coreData_position_lat core.position.latitude
coreData_position_long core.position.longitude
coreData_elevation core.position.elevation
coreData_accelset_accelYaw core.accelSet.accelYaw
coreData_accuracy_semiMajor core.accuracy.semiMajor
coreData_accuracy_semiMinor core.accuracy.semiMinor
coreData_transmission core.transmission
coreData_speed core.speed
coreData_heading core.heading
coreData_brakes_wheelBrakes_leftFront core.brakes.wheelBrakes.leftFront
coreData_brakes_wheelBrakes_rightFront core.brakes.wheelBrakes.rightFront
coreData_brakes_wheelBrakes_unavailable core.brakes.wheelBrakes.unavailable
coreData_brakes_wheelBrakes_leftRear core.brakes.wheelBrakes.leftRear
coreData_brakes_wheelBrakes_rightRear core.brakes.wheelBrakes.rightRear
coreData_brakes_traction core.brakes.traction
coreData_brakes_abs core.brakes.abs
coreData_brakes_scs core.brakes.scs
coreData_brakes_brakeBoost core.brakes.brakeBoost
coreData_brakes_auxBrakes core.brakes.auxBrakes
coreData_size core.size
part2_suve_cd_hpmstype {_SUPPLEMENT}.classDetails.hpmsType
part2_suve_cd_role {_SUPPLEMENT}.classDetails.role
part2_suve_vd_height {_SUPPLEMENT}.vehicleData.height
part2_suve_vd_mass {_SUPPLEMENT}.vehicleData.mass
part2_suve_vd_trailerweight {_SUPPLEMENT}.vehicleData.trailerWeight
part2_vse_events {_VEHICLE}.events
part2_vse_ph_crumbdata {_VEHICLE}.pathHistory.crumbData
part2_vse_pp_confidence {_VEHICLE}.pathPrediction.confidence
part2_vse_pp_radiusofcurve {_VEHICLE}.pathPrediction.radiusOfCurve
part2_vse_lights {_VEHICLE}.lights
part2_spve_vehalert_sspRights {_SPECIAL}.vehicleAlerts.sspRights
part2_spve_vehalert_event_sspRights {_SPECIAL}.vehicleAlerts.events.sspRights
part2_spve_vehalert_event_events {_SPECIAL}.vehicleAlerts.events.event
part2_spve_vehalert_lightsUse {_SPECIAL}.vehicleAlerts.lightsUse
part2_spve_vehalert_multi {_SPECIAL}.vehicleAlerts.multi
part2_spve_vehalert_responseType {_SPECIAL}.vehicleAlerts.responseType
part2_spve_vehalert_sirenUse {_SPECIAL}.vehicleAlerts.sirenUse
part2_spve_event_desc {_SPECIAL}.description.description
part2_spve_event_extent {_SPECIAL}.description.extent
part2_spve_event_heading {_SPECIAL}.description.heading
part2_spve_tr_sspRights {_SPECIAL}.trailers.sspRights
part2_spve_tr_conn {_SPECIAL}.trailers.connection
part2_spve_tr_units {_SPECIAL}.trailers.units
coreData_position core.wkt
"""
_COLUMNS: Final[dict[str, tuple[str, ...]]] = {
    column: tuple(place.split("."))
    for column, place in (line.split() for line in _PLACES.strip().splitlines())
}
COLUMNS: Final = tuple(_COLUMNS)
"""The 69 names, in order."""
_KNOWN: Final = {column.casefold(): column for column in COLUMNS}
_TIMES: Final = ("recordGeneratedAt", "odeReceivedAt")
_POINT: Final = re.compile(r"POINT\s*\(\s*([-+.\deE]+)\s+([-+.\deE]+)\s*\)", re.IGNORECASE)


def columns_of(header: Iterable[str]) -> list[str | None]:
    """The column each cell of a row belongs to, None where we have none; case does not matter.

    Raises MalformedInputError where this is no header of such a table.
    """
    found = [_KNOWN.get(name.strip(" \t\r\n\ufeff\"'").casefold()) for name in header]
    if "coreData_id" not in found:
        raise MalformedInputError("there is no column coreData_id")
    return found


def from_row(row: Mapping[str, str]) -> dict[str, Any]:
    """The ODE's record, its numbers still as text. Raises MalformedInputError by the column."""
    tree: dict[str, Any] = {"metadata": {}, "payload": {}, "core": {}}
    for column, place in _COLUMNS.items():
        if (value := meaning(column, row.get(column, ""))) is not None:
            _put(tree, place, value)
    core = tree.pop("core")
    _locate(core)
    for name in _TIMES:
        if name in tree["metadata"]:
            tree["metadata"][name] = instant(tree["metadata"][name])
    metadata, payload = tree.pop("metadata"), tree.pop("payload")
    tree.get(_SPECIAL, {}).pop("description", None)  # its required typeEvent has no column
    parts = [{"id": name, "value": value} for name, value in tree.items() if value]
    return {
        "metadata": metadata,
        "payload": {**payload, "data": {"coreData": core, "partII": parts}},
    }


def to_row(record: Mapping[str, Any]) -> dict[str, str]:
    """All columns, empty where the record says nothing; safe to open in a spreadsheet."""
    payload = record["payload"]
    core = payload["data"]["coreData"]
    tree = {**record, "core": core}
    tree |= {part["id"]: part["value"] for part in payload["data"]["partII"]}
    row = {column: shown(_get(tree, place)) for column, place in _COLUMNS.items()}
    for column in ("metadata_generatedAt", "metadata_receivedAt"):
        row[column] = row[column].removesuffix("[UTC]").removesuffix("Z")
    if row["coreData_position_lat"] and row["coreData_position_long"]:
        place = f"{row['coreData_position_long']} {row['coreData_position_lat']}"
        row["coreData_position"] = f"POINT ({place})"
    return {column: escaped(cell) for column, cell in row.items()}


def _locate(core: dict[str, Any]) -> None:
    """Take the position from the column for maps where the others do not have it."""
    where = core.pop("wkt", None)
    position = core.setdefault("position", {})
    if where is None or ("latitude" in position and "longitude" in position):
        return
    match where:
        case {"coordinates": [lon, lat, *_]}:
            pass
        case str() if point := _POINT.search(where):
            lon, lat = point.groups()
        case _:
            raise MalformedInputError("coreData_position is not POINT (longitude latitude)")
    place = {
        name: number(value, "coreData_position")
        for name, value in (("longitude", lon), ("latitude", lat))
    }
    core["position"] = {**place, **position}


def _put(tree: dict[str, Any], place: tuple[str, ...], value: Any) -> None:
    for name in place[:-1]:
        tree = tree.setdefault(name, {})
    tree[place[-1]] = value


def _get(tree: Any, place: tuple[str, ...]) -> Any:
    for name in place:
        tree = tree.get(name) if isinstance(tree, Mapping) else None
    return tree
