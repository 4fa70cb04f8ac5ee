"""What JSON readers make of bodies.

Reads a file of bodies, each behind its length (32 bits, little-endian), and prints a line for each: an object whose
members are the readers that took the body, with the values that they have for the top-level `model`. A reader that
raised an error is not there; one that found no `model` has an empty list.
"""

import json
import struct
import sys

import msgspec
import orjson
import pydantic_core
import rapidjson


class Pairs(rapidjson.Decoder):
    """Keeps every member of an object, as RapidJSON reports them."""

    def start_object(self):
        return []


def members(pairs):
    """The values of `model` among the members of an object, which may come as a list of pairs."""
    return [value for name, value in pairs if name == "model"]


def of_object(value):
    return members(value.items()) if isinstance(value, dict) else []


class Tuple(tuple):
    """An object's members, which is no array's list."""


READERS = {
    "json": lambda body: of_object(json.loads(body)),
    "json, every member": lambda body: of_pairs(json.loads(body, object_pairs_hook=Tuple)),
    "orjson": lambda body: of_object(orjson.loads(body)),
    "msgspec": lambda body: of_object(msgspec.json.decode(body)),
    "pydantic": lambda body: of_object(pydantic_core.from_json(body)),
    "rapidjson": lambda body: members(p) if isinstance(p := Pairs()(body), list) else [],
}


def of_pairs(value):
    return members(value) if isinstance(value, Tuple) else []


def bodies(path):
    with open(path, "rb") as file:
        while length := file.read(4):
            yield file.read(struct.unpack("<I", length)[0])


def shown(value):
    """Texts as they are, but for halves of a pair of surrogates; of others only that they are something else."""
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    return {"not a text": type(value).__name__}


for body in bodies(sys.argv[1]):
    found = {}
    for name, read in READERS.items():
        try:
            found[name] = [shown(value) for value in read(body)]
        except (ValueError, RecursionError, msgspec.DecodeError, TypeError):
            pass
    print(json.dumps(found))
