//! What the environment asks of the engine: `TSLIP_THREADS` and `TSLIP_SIMD`, read once.
// Circle: a setting is a level of instructions, and which level runs is a setting.
use std::sync::OnceLock;
use tslip_graph::{Error, Result};

use crate::simd::Level;

/// More workers than this are not started.
pub const MOST_THREADS: usize = 256;

/// How the engine uses this machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Workers of the thread pool, 1 to [`MOST_THREADS`].
    pub threads: usize,
    /// Instructions of the kernels.
    pub level: Level,
}

impl Settings {
    /// The settings of this process.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` when a variable holds what this machine cannot follow; nothing is ignored in silence.
    pub fn checked() -> Result<Settings> {
        static SETTINGS: OnceLock<Result<Settings>> = OnceLock::new();
        let variable = |name: &str| std::env::var_os(name).map(|value| value.to_string_lossy().into_owned());
        SETTINGS
            .get_or_init(|| Settings::of(variable("TSLIP_THREADS").as_deref(), variable("TSLIP_SIMD").as_deref()))
            .clone()
    }

    /// The same for what runs without an engine, which alone reports errors: the machine's own where they are wrong.
    pub fn current() -> Settings {
        Settings::checked().unwrap_or_else(|_| Settings::of_machine())
    }

    fn of_machine() -> Settings {
        let processors = std::thread::available_parallelism().map_or(1, |n| n.get());
        Settings { threads: processors.min(MOST_THREADS), level: Level::best() }
    }

    /// Settings from the texts of the two variables; an empty text is none.
    fn of(threads: Option<&str>, simd: Option<&str>) -> Result<Settings> {
        let mut settings = Settings::of_machine();
        if let Some(text) = threads.filter(|text| !text.is_empty()) {
            let in_range = text.parse().ok().filter(|n| (1..=MOST_THREADS).contains(n));
            settings.threads = in_range.ok_or_else(|| {
                Error::argument(format!(
                    "TSLIP_THREADS is \"{text}\"; give an integer from 1 to {MOST_THREADS}, or unset it to use all \
                     {} processors",
                    settings.threads
                ))
            })?;
        }
        if let Some(text) = simd.filter(|text| !text.is_empty()) {
            let named = Level::available().into_iter().find(|level| level.name() == text);
            settings.level = named.ok_or_else(|| {
                let names: Vec<&str> = Level::available().into_iter().map(Level::name).collect();
                Error::argument(format!(
                    "TSLIP_SIMD is \"{text}\"; this machine can run {}: give one of them, or unset it for the best",
                    names.join(", ")
                ))
            })?;
        }
        Ok(settings)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_asked_is_the_best_of_the_machine() {
        assert_eq!(Settings::of(None, None), Ok(Settings::of_machine()));
        assert_eq!(Settings::of(Some(""), Some("")), Ok(Settings::of_machine()));
    }

    #[test]
    fn every_level_of_the_machine_can_be_asked_for_by_name() {
        for level in Level::available() {
            assert_eq!(Settings::of(Some("3"), Some(level.name())), Ok(Settings { threads: 3, level }));
        }
    }

    #[test]
    fn a_value_that_cannot_be_followed_is_an_error_that_says_what_can() {
        for threads in ["0", "-1", "two", "1.5", "257", "99999999999999999999", " 2"] {
            let message = Settings::of(Some(threads), None).expect_err("no number of threads").message;
            assert!(message.contains(threads) && message.contains("from 1 to 256"), "{message}");
        }
        for simd in ["sse", "AVX2", "avx1024", "neon,portable"] {
            let message = Settings::of(None, Some(simd)).expect_err("no instructions").message;
            assert!(message.contains(simd) && message.contains("portable"), "{message}");
        }
    }
}
