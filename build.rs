//! Link arguments of the shared library: its name, and the promises that a loaded library keeps.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    for argument in [
        "-Wl,-soname,libostler.so.0",
        // Thread-local destructors and worker threads outlive a dlclose.
        "-Wl,-z,nodelete",
        "-Wl,-z,now",
        "-Wl,-z,relro",
        "-Wl,-z,defs",
    ] {
        println!("cargo::rustc-cdylib-link-arg={argument}");
    }
}
