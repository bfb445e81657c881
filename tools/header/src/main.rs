//! Writes `include/ostler.h` from the doc comments of `src/abi`: one section for each noun, opened by the module's own
//! words. With `--check` it writes nothing and fails when the committed header is stale.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// The nouns in the order of the header, each a file in `src/abi`.
const NOUNS: &[&str] = &[
    "status",
    "library",
    "cancel",
    "topology",
    "page_source",
    "advice",
    "arena",
    "mark",
    "hand_over",
    "heap",
    "heap/many",
    "block",
    "slab",
    "slab/config",
    "slab/callbacks",
    "slab/life",
    "slab/slots",
    "slab/live",
    "slab/memory",
    "slab/stats",
    "magazine",
    "buffers",
    "buffer",
    "receipt",
    "coverage",
    "file",
    "cursor",
    "segment",
    "governor",
    "governor/config",
    "governor/stats",
    "governor/watch",
    "governor/accounts",
    "governor/reclaim",
    "account",
    "lazy",
    "request",
    "pool",
    "pool/config",
    "pool/callbacks",
    "pool/life",
    "pool/upkeep",
    "pool/stats",
    "acquire",
    "turn",
    "lease",
    "tap",
    "deferred",
    "deferred/config",
    "deferred/callbacks",
    "deferred/life",
    "deferred/acquiring",
    "deferred/completing",
    "deferred/taking",
    "deferred/stats",
    "desk",
    "templates",
    "templates/config",
    "templates/callbacks",
    "templates/life",
    "templates/instances",
    "templates/references",
    "templates/versions",
    "templates/stats",
    "orchestrator",
    "model",
    "tracing",
    "testkit",
];

const PREAMBLE: &str = include_str!("preamble.h");
const ENDING: &str = "\n#ifdef __cplusplus\n}\n#endif\n\n#endif /* OSTLER_H */\n";

fn main() -> ExitCode {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let committed = root.join("include/ostler.h");
    let check = std::env::args().any(|argument| argument == "--check");
    match header(&root) {
        Err(error) => complain(&error),
        Ok(header) if check => match std::fs::read_to_string(&committed) {
            Ok(text) if text == header => ExitCode::SUCCESS,
            _ => complain("include/ostler.h is stale: run `make header` and commit the result"),
        },
        Ok(header) => match std::fs::write(&committed, header) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => complain(&format!("{}: {error}", committed.display())),
        },
    }
}

fn complain(error: &str) -> ExitCode {
    eprintln!("{error}");
    ExitCode::FAILURE
}

fn header(root: &Path) -> Result<String, String> {
    let mut header = PREAMBLE.to_owned();
    for noun in NOUNS {
        let source = root.join("src/abi").join(noun).with_extension("rs");
        header.push_str(&section(&source)?);
    }
    header.push_str(ENDING);
    Ok(header)
}

/// One noun: the module's doc comment as a banner, then its constants, types and functions.
fn section(source: &PathBuf) -> Result<String, String> {
    let text = std::fs::read_to_string(source).map_err(|error| format!("{}: {error}", source.display()))?;
    let mut banner = String::from("\n/* ======================================================================\n");
    for line in text.lines().map_while(|line| line.strip_prefix("//!")) {
        banner.push_str(format!(" *{line}").trim_end());
        banner.push('\n');
    }
    banner.push_str(" * ====================================================================== */\n");

    let bindings = cbindgen::Builder::new()
        .with_src(source)
        .with_config(config(&text))
        .generate()
        .map_err(|error| format!("{}: {error}", source.display()))?;
    let mut body = Vec::new();
    bindings.write(&mut body);
    let body = String::from_utf8(body).map_err(|error| error.to_string())?;
    Ok(banner + "\n" + &short_comments_on_one_line(body.trim()) + "\n")
}

fn short_comments_on_one_line(body: &str) -> String {
    let lines: Vec<&str> = body.lines().collect();
    let mut text = String::new();
    let mut at = 0;
    while at < lines.len() {
        let words = lines.get(at + 1).and_then(|line| line.trim_start().strip_prefix("* "));
        let closes = lines.get(at + 2).is_some_and(|line| line.trim() == "*/");
        if let (Some(indent), Some(words), true) = (lines[at].strip_suffix("/**"), words, closes) {
            text.push_str(&format!("{indent}/** {words} */\n"));
            at += 3;
        } else {
            text.push_str(&format!("{}\n", lines[at]));
            at += 1;
        }
    }
    text
}

/// Every type that the file publishes goes into its section, also one that only a later section uses.
fn published_types(source: &str) -> Vec<String> {
    let declarations = source.lines().filter_map(|line| {
        line.strip_prefix("pub struct ").or_else(|| line.strip_prefix("pub type ")).map(|rest| rest.split_once(' '))
    });
    declarations.flatten().map(|(name, _)| name.to_owned()).collect()
}

fn config(source: &str) -> cbindgen::Config {
    let mut config = cbindgen::Config {
        language: cbindgen::Language::C,
        style: cbindgen::Style::Both,
        no_includes: true,
        documentation_style: cbindgen::DocumentationStyle::Doxy,
        line_length: 110,
        tab_width: 4,
        ..Default::default()
    };
    config.export.include = published_types(source);
    config.structure.associated_constants_in_body = false;
    config.function.sort_by = Some(cbindgen::SortKey::None);
    config.constant.sort_by = Some(cbindgen::SortKey::None);
    config
}
