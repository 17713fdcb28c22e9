"""The firmware agent of a car's own data.

    bus -> decode -> signal -> BSM / event -> store -> parcel -> upload -> grant

The house has floors, and an import goes down only (tests/test_floors.py):

    roof      cli  config  compose  feeds                       knows everything, decides nothing
    gallery   record  upload  trade  service                    moves data between rooms
    rooms     obd  v2x  amo | bsm  eventstore  parcel  wallet   no doors between rooms
    ground    errors  clock  signals  position  events  privacy  the words all rooms share
"""

__version__ = "0.1.0"
