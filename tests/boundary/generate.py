#!/usr/bin/env python3
"""Turns the header into the table that the boundary test attacks: every function, every parameter, every status.

    generate.py HEADER > functions.c

What a parameter is follows from its type, and for plain numbers from its name; a function that these rules do not cover
is an error, so that none escapes the test. The rest is read from the function's own comment: which statuses it
returns (`Returns:`) and which of its pointers may be NULL (`NULL:`).
"""

import re
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "header"))
from declarations import functions  # noqa: E402
from lint import sections_of  # noqa: E402

# The objects that world.c can make, by the type of their handle.
KINDS = {
    "ostler_cancel": "CANCEL",
    "ostler_topology": "TOPOLOGY",
    "ostler_arena": "ARENA",
    "ostler_heap": "HEAP",
    "ostler_cursor": "CURSOR",
    "ostler_pool": "POOL",
    "ostler_tap": "TAP",
    "ostler_orchestrator": "ORCHESTRATOR",
    "ostler_model": "MODEL",
    "ostler_deferred": "DEFERRED",
    "ostler_desk": "DESK",
    "ostler_templates": "TEMPLATES",
    "ostler_file": "CONTENTS",
    "ostler_segment": "SEGMENT",
    "ostler_account": "ACCOUNT",
    "ostler_slab": "SLAB",
    "ostler_magazine": "MAGAZINE",
    "ostler_buffers": "BUFFERS",
    "ostler_lazy": "LAZY",
    "ostler_reader": "READER",
}
# What belongs to an object and travels as a plain struct, which may go stale.
TOKENS = {
    "ostler_lease": "LEASE",
    "ostler_ticket": "TICKET",
    "ostler_block": "MOVABLE",
    "ostler_mark": "MARK",
    "ostler_cell": "CELL",
    "ostler_template": "TEMPLATE",
    "ostler_buffer": "VIEW",
    "ostler_segment_block": "BLOCK",
}
# What functions list, as arrays of plain structs.
LISTED = ("ostler_lease_info", "ostler_heap_block", "ostler_account_info", "ostler_suggestion", "ostler_reclaimed", "ostler_slab_live")

# A valid value for a number, by its name.
NUMBERS = {
    "fd": "SEGMENT_FD",
    "access": "OSTLER_ACCESS_READ_ONLY",
    "timeout_ns": "0",
    "size_bytes": "64",
    "behind": "0",
    "most_bytes": "0",
    "align_bytes": "16",
    "mode": "OSTLER_RESET_KEEP_PAGES",
    "max_level": "OSTLER_LOG_WARN",
    "min_size": "0",
    "keep_idle": "0",
    "seed": "7",
    "call_site": "0",
    "keep_bytes": "0",
    "max_size": "1",
    "index": "0",
    "node_index": "0",
    "page_size_index": "0",
    "chunk_index": "0",
    "class_index": "0",
    "offset_bytes": "0",
    "keep_bytes": "0",
    "header_version": "OSTLER_VERSION_NUMBER",
    "status": "OSTLER_OK",
    "outcome": "OSTLER_OK",
    "by_ns": "1",
    "by": "OSTLER_TRACING_BY_OBJECT",
    "flags": "0",
    "watch_id": "0",
    "up_to_kind": "OSTLER_RECLAIM_EMPTY",
    "callback": "OSTLER_TESTKIT_CREATE",
    "cancelled": "0",
}

# The same where one name stands for several things.
NUMBERS_OF = {
    ("ostler_governor_reclaim", "bytes"): "64",
    ("ostler_account_reserve", "bytes"): "64",
    ("ostler_account_release", "bytes"): "0",
    ("ostler_account_report", "bytes"): "64",
    ("ostler_testkit_model_clear", "callback"): "OSTLER_TESTKIT_RUN",
    ("ostler_testkit_model_get_injected", "callback"): "OSTLER_TESTKIT_RUN",
    ("ostler_buffers_wrap", "size_bytes"): "ROOM_BYTES",
    ("ostler_testkit_templates_clear", "callback"): "OSTLER_TESTKIT_BUILD",
    ("ostler_testkit_templates_get_injected", "callback"): "OSTLER_TESTKIT_BUILD",
}

# How a struct is filled where that depends on the function.
FILLS = {
    "ostler_testkit_model_inject": "fill_ostler_testkit_fault_of_model",
    "ostler_testkit_templates_inject": "fill_ostler_testkit_fault_of_templates",
}

# What a call with nothing wrong answers where that is not OSTLER_OK: there is no callback to leave words for, the
# world's cell is completed, it has one arena, it keeps no watch, and what an opaque pointer shows is no block.
ANSWERS = {
    "ostler_segment_find": "OSTLER_E_FOREIGN_POINTER",
    "ostler_arena_hand_over_region": "OSTLER_E_INVALID_ARGUMENT",
    "ostler_governor_unwatch": "OSTLER_E_INVALID_ARGUMENT",
    "ostler_callback_set_message": "OSTLER_E_INVALID_ARGUMENT",
    "ostler_heap_unpin": "OSTLER_E_INVALID_ARGUMENT",
    # What is freed is no block.
    "ostler_heap_free": "OSTLER_E_FOREIGN_POINTER",
    "ostler_heap_free_n": "OSTLER_E_FOREIGN_POINTER",
    "ostler_heap_resize": "OSTLER_E_FOREIGN_POINTER",
    "ostler_heap_get_usable_bytes": "OSTLER_E_FOREIGN_POINTER",
    "ostler_deferred_complete": "OSTLER_E_ALREADY_COMPLETED",
    "ostler_deferred_cancel": "OSTLER_E_ALREADY_COMPLETED",
    "ostler_desk_complete": "OSTLER_E_ALREADY_COMPLETED",
    "ostler_lazy_drop": "OSTLER_E_BUSY",
    "ostler_lazy_unpin": "OSTLER_E_INVALID_ARGUMENT",
    "ostler_reader_unpin": "OSTLER_E_INVALID_ARGUMENT",
    "ostler_pool_cancel_async": "OSTLER_E_STALE_TICKET",
    "ostler_pool_continue_acquire": "OSTLER_E_STALE_TICKET",
    "ostler_pool_continue_acquire_n": "OSTLER_E_STALE_TICKET",
    "ostler_pool_take_acquired": "OSTLER_E_NOT_READY",
    # What is put is no slot.
    "ostler_slab_put": "OSTLER_E_FOREIGN_POINTER",
    "ostler_slab_put_n": "OSTLER_E_FOREIGN_POINTER",
    "ostler_magazine_put": "OSTLER_E_FOREIGN_POINTER",
    "ostler_magazine_put_n": "OSTLER_E_FOREIGN_POINTER",
}


class Unclassified(Exception):
    pass


class Header:
    def __init__(self, source):
        self.functions = functions(source)
        bare = re.sub(r"/\*.*?\*/|//[^\n]*", " ", source, flags=re.DOTALL)
        self.structs = dict(re.findall(r"\bstruct\s+(ostler_\w+)\s*\{(.*?)\}", bare, re.DOTALL))
        forward = set(re.findall(r"\btypedef\s+struct\s+(ostler_\w+)\s+\1\s*;", bare))
        self.opaque = forward - set(self.structs)
        self.callbacks = set(re.findall(r"\btypedef\s+[\w\s*]+\(\s*\*\s*(ostler_\w+)\s*\)", bare))

    def is_versioned(self, name):
        return re.match(r"\s*uint32_t\s+struct_size\s*[,;]", self.structs.get(name, "")) is not None


def parameter(header, function, name, text):
    """One row of the table."""
    type_text = re.sub(rf"\b{name}\b\s*(\[\s*\])?$", lambda m: "*" if m[1] else "", text.strip())
    constant = "const" in type_text.split()
    words = type_text.replace("*", " * ").split()
    base = next((w for w in words if w not in ("const", "struct", "*")), "")
    stars = words.count("*")
    names = [n for n, _ in function.parameters]
    many = "count" in names
    row = {"name": f'"{name}"', "nullable": "true" if name in nullable(function) else None}

    def of(shape, **more):
        return {**row, "shape": shape, **more}

    if stars == 1 and base in KINDS:
        if base not in header.opaque and base not in ("ostler_cursor", "ostler_tap", "ostler_desk", "ostler_magazine", "ostler_reader"):
            raise Unclassified(f"{base} is published, but is listed as a handle")
        return of("HANDLE", kind=KINDS[base])
    if base in header.opaque and base not in KINDS:
        raise Unclassified(f"nothing makes a {base}: teach world.c, and list it in KINDS")
    if stars == 2 and base == "void" and "const" in words and many:
        return of("BYTES", bytes="ITEMS * sizeof(void *)")
    if stars == 2 and (base == "void" or (base in KINDS and not constant)):
        array = many and base == "void"
        bytes_ = f"{'ITEMS * ' if array else ''}sizeof(void *)"
        return of("OUT", kind=KINDS.get(base, "NOTHING"), bytes=bytes_, many="true" if array else None)
    if stars == 0 and base in TOKENS:
        return of("TOKEN", kind=TOKENS[base], bytes=f"sizeof({base})")
    if stars == 1 and header.is_versioned(base):
        if constant:
            return of("IN_STRUCT", fill=FILLS.get(function.name, f"fill_{base}"), bytes=f"sizeof({base})", many="true" if many else None)
        if "struct_size" in names:
            return of("OUT_INIT", bytes=f"sizeof({base})")
        return of("OUT_STRUCT", bytes=f"sizeof({base})")
    if stars == 1 and constant and base in TOKENS:
        of_cursor = base == "ostler_mark" and function.name.startswith("ostler_cursor_")
        return of("IN_TOKEN", kind="CURSOR_MARK" if of_cursor else TOKENS[base], bytes=f"sizeof({base})")
    if stars == 1 and base == "char":
        return of("TEXT") if constant else of("BUFFER", bytes="ROOM_BYTES")
    if stars == 1 and base == "ostler_iovec":
        return of("OUT", kind="NOTHING", bytes=f"ITEMS * sizeof({base})", many="true")
    if stars == 1 and base in LISTED and "capacity" in names:
        return of("BUFFER", bytes=f"ITEMS * sizeof({base})")
    if stars == 1 and base == "void" and (f"{name}_bytes" in names or (name == "data" and "size_bytes" in names)):
        return of("BYTES", bytes=bytes_of(name))
    if stars == 1 and base == "void" and name in ("user_data", "value", "slot", "memory"):
        return of("OPAQUE")
    if stars == 1 and base == "void" and name == "address":
        return of("ADDRESS")
    if stars == 1 and not constant and base in (*TOKENS, "uint32_t", "int32_t", "uint64_t", "ostler_status"):
        array = many and base in TOKENS and name.endswith("s")
        bytes_ = f"{'ITEMS * ' if array else ''}sizeof({base})"
        return of("OUT", kind=TOKENS.get(base, "NOTHING"), bytes=bytes_, many="true" if array else None)
    if stars == 0 and base in header.callbacks:
        return of("CALLBACK", function=f"(void (*)(void))callback_{base}")
    if stars == 0 and base in ("uint32_t", "uint64_t", "ostler_status", "int32_t"):
        return number(of, function, name, 64 if base == "uint64_t" else 32)
    raise Unclassified(f'no rule covers the type "{type_text}"')


def bytes_of(name):
    """How much memory stands behind a pointer whose size is beside it."""
    return "KEY_BYTES" if name == "key" else "ROOM_BYTES"


def number(of, function, name, bits):
    """A number: how much memory the other arguments have bounds it, or its name tells a valid value."""
    names = [n for n, _ in function.parameters]
    if name == "struct_size":
        return of("SIZE_OF")
    # The world has one of each token to give.
    if name == "count" and any("const" in text and base in text for _, text in function.parameters for base in TOKENS):
        return of("NUMBER", bits=bits, valid="1", most="1")
    if name in ("count", "capacity"):
        return of("NUMBER", bits=bits, valid="ITEMS", most="ITEMS")
    if name.endswith("_bytes") and name.removesuffix("_bytes") in names:
        most = bytes_of(name.removesuffix("_bytes"))
        return of("NUMBER", bits=bits, valid=most, most=most)
    valid = NUMBERS_OF.get((function.name, name), NUMBERS.get(name))
    if valid is not None:
        return of("NUMBER", bits=bits, valid=valid, most="UINT64_MAX")
    raise Unclassified("NUMBERS tells no valid value for it")


def nullable(function):
    """The parameters that the comment says may be NULL."""
    _, sections, _ = sections_of(function.comment)
    names = {name for name, _ in function.parameters}
    found = set()
    for clause in re.split(r"[.;]", " ".join(sections.get("NULL", []))):
        before, may, _ = clause.partition("may be NULL")
        if may:
            found |= names & set(re.findall(r"\w+", before))
    return found


def statuses(function):
    """The statuses that the comment says it returns."""
    if function.result != "ostler_status":
        return ["OSTLER_OK"]
    _, sections, _ = sections_of(function.comment)
    found = re.findall(r"\bOSTLER_(?:OK|E_\w+)\b", " ".join(sections.get("Returns", [])))
    if not found:
        raise Unclassified("its comment has no line of statuses after Returns:")
    return found


def call(header, function):
    """An expression that calls the function with the arguments of the array a."""
    arguments = []
    for index, (name, text) in enumerate(function.parameters):
        base = next(w for w in text.replace("*", " ").split() if w not in ("const", "struct"))
        if "*" in text or "[" in text:
            arguments.append(f"a[{index}].pointer")
        elif base in TOKENS:
            arguments.append(f"a[{index}].{TOKENS[base].lower()}")
        elif base in header.callbacks:
            arguments.append(f"({base})a[{index}].function")
        else:
            arguments.append(f"({base})a[{index}].number")
    expression = f"{function.name}({', '.join(arguments)})"
    if function.result == "ostler_status":
        return f"return {expression};"
    if re.fullmatch(r"const\s+char\s*\*", function.result):
        return f"return answer_of_text({expression});"
    if function.result in ("uint32_t", "uint64_t"):
        return f"(void){expression};\n    return OSTLER_OK;"
    raise Unclassified(f'no rule covers the result "{function.result}"')


def emit(header):
    complaints = []
    yield '/* Generated from the header by generate.py. */\n#include "boundary.h"\n'
    for function in header.functions:
        try:
            rows = []
            for name, text in function.parameters:
                try:
                    rows.append(parameter(header, function, name, text))
                except Unclassified as why:
                    raise Unclassified(f"{name}: {why}") from None
            answers = statuses(function)
            body = call(header, function)
        except Unclassified as why:
            complaints.append(f"{function.name}: {why}")
            continue
        unused = "" if rows else "    (void)a;\n"
        table = ",\n".join(
            "    {" + ", ".join(f".{field} = {value}" for field, value in row.items() if value is not None) + "}"
            for row in rows
        )
        yield f"static ostler_status call_{function.name}(const union argument *a)\n{{\n{unused}    {body}\n}}\n"
        yield f"static const struct parameter parameters_of_{function.name}[] = {{\n{table or '    {.name = NULL}'}\n}};\n"
        yield f"static const ostler_status statuses_of_{function.name}[] = {{{', '.join(answers)}}};\n"
        yield f"""TEST({function.name})
{{
    static const struct function function = {{
        .name = "{function.name}",
        .call = call_{function.name},
        .parameters = parameters_of_{function.name},
        .parameter_count = {len(rows)},
        .statuses = statuses_of_{function.name},
        .status_count = {len(answers)},
        .answer = {ANSWERS.get(function.name, 'OSTLER_OK')},
    }};
    attack(&function);
}}
"""
    if not header.functions:
        complaints.append("the header declares no function")
    if complaints:
        sys.exit("; ".join(complaints))


def main():
    sys.stdout.write("\n".join(list(emit(Header(Path(sys.argv[1]).read_text())))))


if __name__ == "__main__":
    main()
