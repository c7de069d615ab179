#!/usr/bin/env python3
"""Counts test cases and prints "N passed, N failed, N skipped" as the last line.

usage: test-summary.py REPORTS

REPORTS holds ctest.xml (JUnit, one entry a test program) and NAME.xml (Google
Test, one entry a case) of the programs that are Google Tests. A program without
a report of its own counts as one test; one that failed although its report does
not say so (it crashed or hung) counts as one more failure.
"""
import sys
import xml.etree.ElementTree as xml
from collections import Counter
from pathlib import Path


def outcome_of_case(case):
    """A case of a Google Test report."""
    if case.find("failure") is not None or case.find("error") is not None:
        return "failed"
    if case.get("status") == "notrun" or case.get("result") == "skipped" or case.find("skipped") is not None:
        return "skipped"
    return "passed"


def outcome_of_program(entry):
    """An entry of ctest's own report."""
    status = entry.get("status")
    if status == "notrun":  # either the test asked to be skipped, or its program is missing
        reason = entry.find("skipped")
        return "skipped" if reason is not None and reason.get("message", "").startswith("SKIP_") else "failed"
    return {"run": "passed", "disabled": "skipped"}.get(status, "failed")


def read(path):
    try:
        return xml.parse(path).getroot()
    except (OSError, xml.ParseError):
        return None  # never written, or the program died while writing


def main():
    reports = Path(sys.argv[1])
    ctest = read(reports / "ctest.xml")
    total, failures = Counter(), []
    if ctest is None:
        failures.append("ctest did not run")
        total["failed"] += 1
    for entry in [] if ctest is None else ctest.iter("testcase"):
        name, program = entry.get("name"), outcome_of_program(entry)
        report = read(reports / f"{name}.xml")
        if report is None:
            total[program] += 1
            if program == "failed":
                failures.append(name)
            continue
        cases = Counter()
        for case in report.iter("testcase"):
            outcome = outcome_of_case(case)
            cases[outcome] += 1
            if outcome == "failed":
                failures.append(f"{name}: {case.get('classname')}.{case.get('name')}")
        if program == "failed" and cases["failed"] == 0:
            cases["failed"] += 1
            failures.append(f"{name}: the program itself")
        total += cases
    for failure in failures:
        print(f"FAILED {failure}")
    line = f"{total['passed']} passed, {total['failed']} failed, {total['skipped']} skipped"
    (reports / "summary.txt").write_text(line + "\n")
    print(line)
    return 1 if total["failed"] or not total["passed"] else 0


if __name__ == "__main__":
    sys.exit(main())
