#!/usr/bin/env python3
"""Reads the function declarations of a C header, with the comment that stands before each.

    declarations.py --names HEADER         the names, one on each line
    declarations.py --definitions HEADER   a C file that defines each function with an empty body, and an enum of the constants
"""

import re
import sys
from dataclasses import dataclass
from pathlib import Path

TOKEN = re.compile(
    r"""(?P<comment>/\*.*?\*/|//[^\n]*)
      | (?P<directive>^[ \t]*\#(?:[^\n\\]|\\.)*)
      | (?P<linkage>extern\s+"C"\s*\{)
      | (?P<open>\{) | (?P<close>\}) | (?P<end>;)
      | (?P<text>[^/\#{};\n]+|.|\n)""",
    re.VERBOSE | re.DOTALL | re.MULTILINE,
)


@dataclass
class Function:
    name: str
    result: str
    parameters: list  # of (name, text)
    comment: str  # "" where none stands directly before the declaration
    text: str


def functions(source):
    """The functions declared at the top level of a header, in order."""
    found, depth, text, comment = [], 0, "", ""
    for token in TOKEN.finditer(source):
        kind, value = token.lastgroup, token.group()
        if kind == "comment":
            if depth == 0 and not text.strip():
                comment = value
        elif kind in ("directive", "linkage"):
            if not text.strip():
                comment = ""
        elif kind == "open":
            depth += 1
        elif kind == "close" and depth == 0:
            comment = ""  # the end of extern "C"
        elif kind == "close":
            depth -= 1
        elif depth == 0 and kind == "text":
            text += value
        elif depth == 0 and kind == "end":
            function = parse(" ".join(text.split()), comment)
            if function:
                found.append(function)
            text = comment = ""
    return found


def constants(source):
    """The names of the macros that stand for a number, except the version, which every release changes."""
    return re.findall(r"^#define (OSTLER_(?!VERSION_)\w+) [^\"\n]+$", source, re.MULTILINE)


def parse(text, comment):
    match = re.match(r"(?P<result>(?!typedef\b)[\w\s*]*?[\s*])(?P<name>ostler_\w+)\s*\((?P<inside>.*)\)[\w\s()]*$", text)
    if not match:
        return None
    inside = match["inside"].strip()
    parameters = [] if inside in ("", "void") else [(parameter_name(p), p.strip()) for p in split(inside)]
    return Function(match["name"], match["result"].strip(), parameters, comment, text)


def split(inside):
    """The parts between commas that stand in no parenthesis."""
    parts, depth = [""], 0
    for character in inside:
        depth += {"(": 1, ")": -1}.get(character, 0)
        if character == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += character
    return parts


def parameter_name(text):
    pointer_to_function = re.search(r"\(\s*\*\s*(\w+)\s*\)", text)
    if pointer_to_function:
        return pointer_to_function[1]
    return re.sub(r"\[.*?\]", "", text).split("*")[-1].split()[-1]


def main():
    mode, header = sys.argv[1], Path(sys.argv[2])
    source = header.read_text()
    declared = functions(source)
    if not declared:
        sys.exit(f"{header} declares no function")
    if mode == "--names":
        print("\n".join(function.name for function in declared))
    elif mode == "--definitions":
        print(f'#include "{header.name}"')
        for function in declared:
            print(function.text, "{ __builtin_trap(); }")
        print("enum ostler_constants {", ", ".join(f"ABI_{name} = {name}" for name in constants(source)), "} ostler_constants;")
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    main()
