//! Records in the host's log, each with the plugin's name, version and the
//! message's trace id added by the host.
//!
//! ```
//! # use segue_sdk::prelude::*;
//! # fn answer(message: Message, reply: &mut Reply) -> Result<()> {
//! log::info!("asked in {} characters", message.text().len());
//! # reply.send("")
//! # }
//! # let run = segue_sdk::test::call(answer, "hello");
//! # assert_eq!(run.logs[0].message, "asked in 5 characters");
//! ```

use std::fmt;

use crate::host::logging;

/// How much a record matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    Trace,
    Debug,
    Info,
    Warn,
    Error,
}

/// Writes a record; the macros call it. `context` names the part of the program
/// that speaks.
pub fn write(level: Level, context: &str, message: fmt::Arguments<'_>) {
    let level = match level {
        Level::Trace => logging::Level::Trace,
        Level::Debug => logging::Level::Debug,
        Level::Info => logging::Level::Info,
        Level::Warn => logging::Level::Warn,
        Level::Error => logging::Level::Error,
    };
    match message.as_str() {
        Some(text) => logging::log(level, context, text),
        None => logging::log(level, context, &message.to_string()),
    }
}

macro_rules! levels {
    ($d:tt $($(#[$doc:meta])* $hidden:ident as $name:ident: $level:ident;)*) => {$(
        $(#[$doc])*
        #[doc(hidden)]
        #[macro_export]
        macro_rules! $hidden {
            ($d($d arg:tt)+) => {
                $crate::log::write(
                    $crate::log::Level::$level,
                    module_path!(),
                    format_args!($d($d arg)+),
                )
            };
        }
        #[doc(inline)]
        pub use $hidden as $name;
    )*};
}

levels! { $
    /// Writes at level trace, with the arguments of `format!`.
    __log_trace as trace: Trace;
    /// Writes at level debug, with the arguments of `format!`.
    __log_debug as debug: Debug;
    /// Writes at level info, with the arguments of `format!`.
    __log_info as info: Info;
    /// Writes at level warn, with the arguments of `format!`.
    __log_warn as warn: Warn;
    /// Writes at level error, with the arguments of `format!`.
    __log_error as error: Error;
}
