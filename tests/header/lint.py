#!/usr/bin/env python3
"""Checks that the header is a manual: that every function's comment has every line, in the order of the house.

    lint.py HEADER    prints one line for each fault; exit status 1 if there is any

The form of a block: a paragraph that says what the function is for; `Parameters:` with a line `- name: ...` for each one,
in order (left out where there is none); `Returns:`, `Thread-safety:`, `NULL:`, `Blocking:` and `Since:`.
"""

import re
import sys
from pathlib import Path

from declarations import functions

SECTIONS = ["Parameters", "Returns", "Thread-safety", "NULL", "Blocking", "Since"]
WORDS = ["Thread-safe", "Exclusive", "Thread-bound"]
# What a pointer's line has to say; of user_data the library only ever hands on the value.
OWNERSHIP = re.compile(r"\b(borrowed|owned|written)\b", re.IGNORECASE)


def faults(source):
    """One sentence for each fault."""
    declared = functions(source)
    if not declared:
        yield "the header declares no function"
    yield from word_faults(source)
    known = set(re.findall(r"\bOSTLER_(?:OK|E_\w+)\b(?=[ \t(]+-?\d|\s*=)", source))
    for function in declared:
        for fault in function_faults(function, known):
            yield f"{function.name}: {fault}"


def word_faults(source):
    """The three words for thread-safety are defined once, before the first function."""
    start = min((m.start() for m in re.finditer(r"\bThread-safety:", source)), default=len(source))
    for word in WORDS:
        definition = re.compile(rf"^[ \t/*-]*{word}(?::|[ \t]{{2,}})[ \t]*\S", re.MULTILINE)
        places = [m.start() for m in definition.finditer(source)]
        if not places:
            yield f'the word "{word}" is not defined (a line "{word}  ..." at the top of the header)'
        elif len(places) > 1:
            yield f'the word "{word}" is defined {len(places)} times'
        elif places[0] > start:
            yield f'the word "{word}" is defined after its first use'


def function_faults(function, known_statuses):
    if not function.comment.startswith("/**"):
        yield "no comment block directly before it"
        return
    purpose, sections, order = sections_of(function.comment)
    wanted = [s for s in SECTIONS if s != "Parameters" or function.parameters]

    if not purpose:
        yield "no paragraph that says what it is for"
    for section in wanted:
        if section not in sections:
            yield f"no line \"{section}:\""
        elif not sections[section]:
            yield f'nothing after "{section}:"'
    for section in sorted(set(order)):
        if order.count(section) > 1:
            yield f'"{section}:" stands there {order.count(section)} times'
    if "Parameters" in order and not function.parameters:
        yield 'it has "Parameters:" and takes none'
    known_order = [s for s in SECTIONS if s in order]
    if sorted(set(order)) == sorted(order) and order != known_order:
        yield f"the lines stand in the order {', '.join(order)} and not {', '.join(known_order)}"

    if function.parameters and sections.get("Parameters"):
        yield from parameter_faults(function, sections["Parameters"])
    if sections.get("Returns"):
        yield from return_faults(function, sections["Returns"], known_statuses)
    if sections.get("Thread-safety"):
        first = re.match(r"[\w-]+", " ".join(sections["Thread-safety"]))
        if not first or first[0] not in WORDS:
            yield f'"Thread-safety:" begins with none of the words {", ".join(WORDS)}'
    if sections.get("Since") and not re.fullmatch(r"\d+\.\d+", " ".join(sections["Since"])):
        yield '"Since:" is not a version such as 0.1'


def sections_of(comment):
    """The purpose, the lines of each section by name, and the sections in the order found."""
    purpose, sections, order, current = [], {}, [], None
    for line in comment.removeprefix("/**").removesuffix("*/").splitlines():
        line = re.sub(r"^\s*\*? ?", "", line).strip()
        head = re.match(rf"({'|'.join(SECTIONS)}):\s*(.*)", line)
        if head:
            current = head[1]
            order.append(current)
            sections.setdefault(current, [])
            line = head[2]
        if line:
            (purpose if current is None else sections[current]).append(line)
    return purpose, sections, order


def parameter_faults(function, lines):
    described = {}
    for line in lines:
        item = re.match(r"- `?(\w+)`?:\s*(.*)", line)
        if item:
            described[item[1]] = item[2]
        elif described:
            described[list(described)[-1]] += " " + line
        else:
            yield f'"{line}" is no line "- name: ..."'
    names = [name for name, _ in function.parameters]
    for name, text in function.parameters:
        if not described.get(name, "").strip():
            yield f'no line "- {name}: ..." under "Parameters:"'
        elif "*" in text and name != "user_data" and not OWNERSHIP.search(described[name]):
            yield f'"- {name}:" does not say whether it is borrowed, owned or written'
    for name in described:
        if name not in names:
            yield f'"- {name}:" describes no parameter of it'
    if set(described) == set(names) and list(described) != names:
        yield "the parameters are described in another order than they have"


def return_faults(function, lines, known_statuses):
    if not function.result.endswith("ostler_status"):
        return
    text = " ".join(lines)
    named = re.findall(r"\bOSTLER_(?:OK|E_\w+)\b", text)
    if "OSTLER_OK" not in named:
        yield '"Returns:" does not name OSTLER_OK'
    for status in named:
        if status not in known_statuses:
            yield f'"Returns:" names {status}, which the header does not define'


def main():
    found = list(faults(Path(sys.argv[1]).read_text()))
    print("\n".join(found), end="\n" if found else "")
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
