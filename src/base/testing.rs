//! What the tests of every room share.

/// Runs the calling test in a process of its own, because what it does to its process would meet other tests too. `true`
/// in that process, where the test goes on.
pub fn in_own_process() -> bool {
    const INSIDE: &str = "OSTLER_TEST_IN_OWN_PROCESS";
    if std::env::var_os(INSIDE).is_some() {
        return true;
    }
    let thread = std::thread::current();
    let test = thread.name().expect("the test's name");
    let ended = std::process::Command::new(std::env::current_exe().expect("this program"))
        .args(["--exact", test, "--nocapture", "--test-threads=1"])
        .env(INSIDE, "1")
        .output()
        .expect("a process");
    let said = String::from_utf8_lossy(&ended.stdout) + String::from_utf8_lossy(&ended.stderr);
    assert!(ended.status.success() && said.contains("1 passed"), "{said}");
    false
}
