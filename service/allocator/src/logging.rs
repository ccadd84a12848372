// SPDX-License-Identifier: Apache-2.0
//! Where messages go: logcat on Android, stderr elsewhere.

use log::LevelFilter;

/// Installs the logger, for warnings and worse; the service wants more.
#[cfg(target_os = "android")]
pub fn init() {
    // Its own level is fixed; what it takes at all is said to `log`, which the service tells otherwise.
    let config = android_logger::Config::default();
    android_logger::init_once(
        config.with_tag("dmaheap-allocator").with_max_level(LevelFilter::Info),
    );
    log::set_max_level(LevelFilter::Warn);
}

/// Installs the logger, for warnings and worse; the service wants more.
#[cfg(not(target_os = "android"))]
pub fn init() {
    struct Stderr;

    impl log::Log for Stderr {
        fn enabled(&self, _: &log::Metadata<'_>) -> bool {
            true
        }

        fn log(&self, record: &log::Record<'_>) {
            eprintln!("allocator: {}: {}", record.level().as_str().to_lowercase(), record.args());
        }

        fn flush(&self) {}
    }

    // Fails only if there is a logger already, which serves as well.
    if log::set_logger(&Stderr).is_ok() {
        log::set_max_level(LevelFilter::Warn);
    }
}
