#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
"""Validates findings against the schema, and that every ledger sums to its window exactly.

usage: check_json.py SCHEMA.json FILE.json...
"""
import decimal
import json
import sys

import jsonschema


def load(path):
    with open(path, encoding="utf-8") as f:
        return json.load(f, parse_float=decimal.Decimal)


def check_sums(path, doc):
    for w in doc.get("windows", []):
        if not isinstance(w, dict):
            continue  # a curve has a number of windows
        total = sum((row["ms"] for row in w["ledger"]), decimal.Decimal(0))
        assert total == w["duration_ms"], f"{path}: window {w['index']}: {total} != {w['duration_ms']}"
        threads = sum((t["wall_ms"] for t in w["threads"]), decimal.Decimal(0))
        states = sum((s["thread_ms"] for s in w["states"]), decimal.Decimal(0))
        assert states == threads, f"{path}: window {w['index']}: states {states} != {threads}"
        for row in w["sizes"] + [s for f in w["files"] for s in f["sizes"]]:
            assert row["cumulative"][-1] == row["calls"], f"{path}: {row}"
        for row in w["devices"]:
            assert row["cumulative"][-1] == row["requests"], f"{path}: {row}"


def main(schema_path, *paths):
    schema = json.load(open(schema_path, encoding="utf-8"))
    jsonschema.Draft7Validator.check_schema(schema)
    for path in paths:
        doc = load(path)
        # anyOf hides which key is wrong: choose the document by what is in it.
        kind = ("findings" if "verdict" in doc and isinstance(doc["verdict"], dict) else
                "difference_document" if "change_ms" in doc else
                "report_document" if "comparisons" in doc else
                "comparison_document" if "arms" in doc else "curve_document")
        part = {"$ref": "#/definitions/" + kind, "definitions": schema["definitions"]}
        jsonschema.validate(doc, part)
        jsonschema.validate(doc, schema)
        if kind == "findings":
            check_sums(path, doc)
            broken = json.loads(json.dumps(doc, default=float))
            del broken["curve"]
            assert not jsonschema.Draft7Validator(part).is_valid(broken), "the schema demands nothing"


main(*sys.argv[1:])
