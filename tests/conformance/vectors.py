#!/usr/bin/env python3
"""Reads the conformance vectors.

    vectors.py table LANGUAGE FILE...    the vectors as tests for the program of a language (c or cpp), in C
    vectors.py rules SPECIFICATION FILE...    whether each rule is named by a vector, or told to be shown elsewhere

A vector is an object: `name`, the `rules` that it shows, the `pool` (the fields of ostler_pool_config), which of the
optional `callbacks` there are (validate, reset, retag), how the callbacks `behave` from the beginning, what making
the pool `gives` and `says`, and its `steps`. `not_in` names a language that has no such call, with the reason.

A step is one call (`do`) with its arguments and with what it `gives` (OK when it is not said). `on` names the thread
that makes it, else the runner does. With `starts` nobody waits for it; a later step `ended` does, and tells what it was to
give. A lease is named by a label, and so is a cancel. A timeout that is not given is endless,
a priority normal, a tag 0.
"""

import json
import re
import sys
from pathlib import Path

CALLS = (
    "acquire try_acquire acquire_n look release discard revoke trim pause resume refresh resize wait_warm close destroy"
    " signal"
)
OWN = "behave ended await await_closed numbers events"
CALLBACKS = ["create", "validate", "reset", "retag", "destroy"]
CONDUCTS = {
    "well": "WELL",
    "fails": "FAILS",
    "throws": "THROWS",
    "gives_null": "GIVES_NULL",
    "holds": "HOLDS",
    "fails_once": "FAILS_ONCE",
    "closes": "CLOSES",
    "destroys": "DESTROYS",
    "waits_warm": "WAITS_WARM",
    "acquires": "ACQUIRES",
}
IDLE_ORDERS = {"last_used_first": "OSTLER_IDLE_LAST_USED_FIRST", "longest_first": "OSTLER_IDLE_LONGEST_FIRST"}
STEP_KEYS = set(
    "do on starts again lease leases timeout_ms cancel min_size max_size conduct numbers events gives says resource"
    " still_out ready wanted trimmed keep_idle priority tag".split()
)
VECTOR_KEYS = set("name rules pool callbacks behave gives says steps not_in".split())
RULE = re.compile(r"\b[PD]-[A-Z]+-\d+\b")


def vectors_of(files):
    for file in files:
        for vector in json.loads(Path(file).read_text()):
            unknown = set(vector) - VECTOR_KEYS
            for step in vector.get("steps", []):
                unknown |= set(step) - STEP_KEYS
                if step.get("do") not in (CALLS + " " + OWN).split():
                    unknown.add(f"do: {step.get('do')}")
            if unknown:
                sys.exit(f"{file}: {vector.get('name')}: not known: {', '.join(sorted(unknown))}")
            yield vector


class Labels(dict):
    """Gives each label a number."""

    def of(self, label):
        return self.setdefault(label, len(self))


def text(words):
    return "NULL" if words is None else json.dumps(words)


def status(name):
    return "OSTLER_OK" if name in (None, "OK") else f"OSTLER_E_{name}"


def conducts(given):
    return "{" + ", ".join("PLAY_" + CONDUCTS.get(given.get(name), "UNCHANGED") for name in CALLBACKS) + "}"


def number(name, value):
    offset = "SIZE_MAX" if name == "held" else f"offsetof(ostler_pool_stats, {name})"
    return f'{{"{name}", {offset}, {value}}}'


def array(name, kind, elements):
    """The declaration of an array that is not empty, and what stands for it."""
    if not elements:
        return [], "NULL, 0"
    declaration = [f"static {kind} {name}[] = {{", *(f"    {element}," for element in elements), "};"]
    return declaration, f"{name}, {len(elements)}"


def step_in_c(step, name, threads, leases, cancels):
    wanted = [number(*pair) for pair in step.get("numbers", {}).items()]
    before, numbers = array(f"{name}_numbers", "const struct play_number", wanted)
    more, events = array(f"{name}_events", "const char *const", [text(event) for event in step.get("events", [])])
    labels = step.get("leases", [step["lease"]] if "lease" in step else [])
    timeout = f"{step['timeout_ms']} * 1000000ull" if "timeout_ms" in step else "OSTLER_FOREVER"
    fields = [
        "PLAY_" + step["do"].upper(),
        str(threads.of(step["on"])) if "on" in step else "PLAY_RUNNER",
        str(int(step.get("starts", False))),
        str(int(step.get("again", False))),
        "{" + (", ".join(str(leases.of(label)) for label in labels) or "0") + "}",
        str(len(labels)),
        timeout,
        f"OSTLER_PRIORITY_{step['priority'].upper()}" if "priority" in step else "0",
        str(step.get("tag", 0)),
        str(cancels.of(step["cancel"])) if "cancel" in step else "PLAY_ANY",
        str(step.get("min_size", 0)),
        str(step.get("max_size", 0)),
        str(step.get("keep_idle", 0)),
        conducts(step.get("conduct", {})),
        numbers,
        events,
        status(step.get("gives")),
        text(step.get("says")),
        *(str(step.get(key, "PLAY_ANY")) for key in ("resource", "still_out", "ready", "wanted", "trimmed")),
    ]
    return before + more, "{" + ", ".join(fields) + "}"


def vector_in_c(vector):
    name = vector["name"]
    threads, leases, cancels = Labels(), Labels(), Labels()
    lines, steps = [], []
    for place, step in enumerate(vector["steps"]):
        before, in_c = step_in_c(step, f"{name}_{place + 1}", threads, leases, cancels)
        lines += before
        steps.append(in_c)
    before, steps = array(f"{name}_steps", "const struct play_step", steps)
    lines += before
    # The last place for a lease is the runner's own.
    lines += [
        f"TEST({name})",
        "{",
        f'    static_assert({len(threads)} <= PLAY_THREADS, "threads");',
        f'    static_assert({len(leases)} < PLAY_LEASES, "leases");',
        f'    static_assert({len(cancels)} <= PLAY_CANCELS, "cancels");',
        "    struct play_vector vector;",
        "    memset(&vector, 0, sizeof vector);",
        "    CHECK_STATUS(ostler_pool_config_init(&vector.config, sizeof vector.config), OSTLER_OK);",
    ]
    for field, value in vector.get("pool", {}).items():
        lines.append(f"    vector.config.{field} = {IDLE_ORDERS.get(value, value)};")
    callbacks = vector.get("callbacks", [])
    lines += [
        f"    vector.validates = {int('validate' in callbacks)};",
        f"    vector.resets = {int('reset' in callbacks)};",
        f"    vector.retags = {int('retag' in callbacks)};",
        f"    static const enum play_conduct conduct[PLAY_CALLBACKS] = {conducts(vector.get('behave', {}))};",
        "    memcpy(vector.conduct, conduct, sizeof conduct);",
        f"    vector.gives = {status(vector.get('gives'))};",
        f"    vector.says = {text(vector.get('says'))};",
        f"    vector.steps = {steps.split(',')[0]};",
        f"    vector.steps_count = {steps.split(',')[1].strip()};",
        "    play(&vector);",
        "}",
    ]
    return lines


def table(language, files):
    print("#include <assert.h>")
    for vector in vectors_of(files):
        if language not in vector.get("not_in", {}):
            print("\n".join(vector_in_c(vector)))


def rules(specification, files):
    """A rule begins a point of a list, in bold; what no vector shows stands in the table of the last section."""
    body, elsewhere = Path(specification).read_text().split("# Not by a vector\n")
    stated = re.findall(r"^- \*\*([PD]-[A-Z]+-\d+)\*\*", body, re.M)
    excused = RULE.findall("\n".join(line.split("|")[1] for line in elsewhere.splitlines() if line.count("|") >= 3))
    shown, names = [], []
    for vector in vectors_of(files):
        names.append(vector["name"])
        shown += vector["rules"]
    faults = [f"{rule} is stated twice" for rule in sorted({r for r in stated if stated.count(r) > 1})]
    faults += [f"the vector {name} is there twice" for name in sorted({n for n in names if names.count(n) > 1})]
    faults += [f"{rule} is shown by no vector, and the specification does not say why" for rule in stated
               if rule not in shown and rule not in excused]
    faults += [f"{rule} is shown by a vector, and stands among those that none shows" for rule in excused
               if rule in shown]
    faults += [f"{rule} is no rule of the specification" for rule in sorted(set(shown + excused + RULE.findall(body)))
               if rule not in stated]
    if faults:
        sys.exit("\n".join(faults))
    print(f"{len(stated)} rules, {len(set(shown))} of them shown by {len(names)} vectors")


def main():
    if len(sys.argv) < 4 or sys.argv[1] not in ("table", "rules"):
        sys.exit(__doc__)
    {"table": table, "rules": rules}[sys.argv[1]](sys.argv[2], sys.argv[3:])


main()
