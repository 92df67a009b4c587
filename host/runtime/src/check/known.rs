//! The interfaces that this host has, by name, version and function.
//!
//! One table: what is not in it is refused with its name before anything is
//! compiled, and whether the types fit is the linker's business. A test keeps
//! the part of `segue:plugin` equal to the WIT. What capabilities offer, they
//! say themselves.

use crate::capability::{Capabilities, Interface};

/// The package and version that this host speaks, for people.
pub(crate) const SPEAKS: &str = "segue:plugin@0.1.0";
/// Its patch version may be newer in a plugin, since only functions and
/// interfaces are ever added: what it imports of them decides.
const SPEAKS_TRACK: (u64, u64) = (0, 1);

/// What a plugin's import is to this host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Import<'a> {
    /// Part of every plugin: `segue:plugin`, logging, WASI's base. Never a want.
    /// The functions are those it may use; `None` leaves that to the linker.
    Base(Option<&'static [&'static str]>),
    /// Of a capability, with the functions this host has of it. A want, if it
    /// has to be granted.
    Capability {
        want: Option<&'static str>,
        functions: Option<&'static [&'static str]>,
    },
    /// `segue:plugin` at a version that this host does not speak.
    Newer(Version<'a>),
    /// Something that would have to be granted, were it known.
    Unknown,
}

/// A version of the form `1.2.3`, with or without a `-pre` at its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Version<'a> {
    pub(super) text: &'a str,
    major: u64,
    minor: u64,
    patch: u64,
    plain: bool,
}

impl<'a> Version<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        let core = text.split_once('+').map_or(text, |(core, _)| core);
        let (core, plain) = core
            .split_once('-')
            .map_or((core, true), |(core, _)| (core, false));
        let mut numbers = core.split('.').map(|number| number.parse::<u64>().ok());
        let version = Self {
            text,
            major: numbers.next()??,
            minor: numbers.next()??,
            patch: numbers.next()??,
            plain,
        };
        numbers.next().is_none().then_some(version)
    }

    pub(super) fn order(&self) -> (u64, u64, u64) {
        (self.major, self.minor, self.patch)
    }

    fn track(&self) -> (u64, u64) {
        (self.major, self.minor)
    }
}

/// `package/interface@version`, taken apart.
pub(super) struct Name<'a> {
    pub(super) package: &'a str,
    pub(super) interface: &'a str,
    pub(super) version: Option<Version<'a>>,
}

impl<'a> Name<'a> {
    /// `None` for a name of the world's own (`import log: func(...)`).
    pub(super) fn parse(name: &'a str) -> Option<Self> {
        let (package, rest) = name.split_once('/')?;
        let (interface, version) = match rest.split_once('@') {
            Some((interface, version)) => (interface, Version::parse(version)),
            None => (rest, None),
        };
        package.contains(':').then_some(Self {
            package,
            interface,
            version,
        })
    }

    /// What a grant for this import is called: the package without its
    /// namespace.
    pub(super) fn capability(&self) -> &'a str {
        self.package
            .split_once(':')
            .map_or(self.package, |(_, name)| name)
    }
}

/// The functions of `segue:plugin`, by interface.
pub(super) const PLUGIN: [(&str, &[&str]); 3] = [
    ("types", &[]),
    ("reply", &["send", "send-binary", "status", "data"]),
    (
        "call",
        &[
            "meta",
            "claim",
            "setting",
            "session",
            "traceparent",
            "deadline-ms",
            "attempt",
            "previous",
        ],
    ),
];

const LOGGING: (&str, &[&str]) = ("wasi:logging/logging@0.1.0-draft", &["log"]);

/// WASI 0.2's command world, linked empty: no arguments, files or network.
const WASI: [(&str, &[&str]); 6] = [
    (
        "wasi:cli",
        &[
            "environment",
            "exit",
            "stdin",
            "stdout",
            "stderr",
            "terminal-input",
            "terminal-output",
            "terminal-stdin",
            "terminal-stdout",
            "terminal-stderr",
        ],
    ),
    ("wasi:clocks", &["monotonic-clock", "wall-clock"]),
    ("wasi:filesystem", &["preopens", "types"]),
    ("wasi:io", &["error", "poll", "streams"]),
    ("wasi:random", &["insecure", "insecure-seed", "random"]),
    (
        "wasi:sockets",
        &[
            "instance-network",
            "ip-name-lookup",
            "network",
            "tcp",
            "tcp-create-socket",
            "udp",
            "udp-create-socket",
        ],
    ),
];

/// Looks an import up.
pub(super) fn import<'a>(full: &'a str, capabilities: &Capabilities) -> Import<'a> {
    if full == LOGGING.0 {
        return Import::Base(Some(LOGGING.1));
    }
    let Some(Name {
        package,
        interface,
        version: Some(version),
    }) = Name::parse(full)
    else {
        return Import::Unknown;
    };
    if package == "segue:plugin" {
        return plugin(interface, version);
    }
    let known = version.plain
        && version.track() == (0, 2)
        && WASI
            .iter()
            .any(|(name, interfaces)| *name == package && interfaces.contains(&interface));
    if known {
        return Import::Base(None);
    }
    of_capability(package, interface, version, capabilities).unwrap_or(Import::Unknown)
}

fn of_capability<'a>(
    package: &str,
    interface: &str,
    version: Version<'_>,
    capabilities: &Capabilities,
) -> Option<Import<'a>> {
    let offers = |offered: &Interface| {
        let Some(has) = Version::parse(offered.version) else {
            return false;
        };
        let fits = match has.plain {
            true => version.plain && version.track() == has.track(),
            false => version.text == has.text,
        };
        fits && offered.name.split_once('/') == Some((package, interface))
    };
    capabilities.iter().find_map(|capability| {
        let found = capability.interfaces().iter().find(|offered| offers(offered))?;
        Some(Import::Capability {
            want: capability.needs_grant().then(|| capability.name()),
            functions: (!found.functions.is_empty()).then_some(found.functions),
        })
    })
}

fn plugin<'a>(interface: &str, version: Version<'a>) -> Import<'a> {
    if version.track() > SPEAKS_TRACK {
        return Import::Newer(version);
    }
    let functions = PLUGIN
        .iter()
        .find(|(name, _)| *name == interface)
        .filter(|_| version.track() == SPEAKS_TRACK && version.plain);
    match functions {
        Some((_, functions)) => Import::Base(Some(functions)),
        None => Import::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The functions of each interface in a WIT file, in order.
    fn functions(wit: &str) -> Vec<(String, Vec<String>)> {
        let mut found: Vec<(String, Vec<String>)> = Vec::new();
        for line in wit.lines().map(str::trim) {
            if let Some(rest) = line.strip_prefix("interface ") {
                found.push((rest.trim_end_matches(" {").into(), Vec::new()));
            } else if let Some((name, _)) = line.split_once(": func(")
                && let Some((_, functions)) = found.last_mut()
            {
                functions.push(name.into());
            }
        }
        found
    }

    #[test]
    fn the_table_is_what_the_wit_says() {
        let wit = [
            include_str!("../../../../wit/plugin/types.wit"),
            include_str!("../../../../wit/plugin/reply.wit"),
            include_str!("../../../../wit/plugin/call.wit"),
        ];
        let written: Vec<_> = wit.iter().flat_map(|wit| functions(wit)).collect();
        let table: Vec<_> = PLUGIN
            .iter()
            .map(|(name, functions)| {
                let functions = functions.iter().map(ToString::to_string).collect();
                (name.to_string(), functions)
            })
            .collect();
        assert_eq!(written, table);
        for wit in wit {
            assert!(wit.contains(&format!("package {SPEAKS};")));
        }
    }

    #[test]
    fn versions_decide_as_promised() {
        let import = |name| import(name, &Capabilities::default());
        let base = |name| matches!(import(name), Import::Base(_));
        assert!(base("segue:plugin/reply@0.1.0"));
        assert!(base("segue:plugin/reply@0.1.7"));
        assert!(base("wasi:io/streams@0.2.6"));
        assert!(base("wasi:logging/logging@0.1.0-draft"));
        for newer in ["segue:plugin/reply@0.2.0", "segue:plugin/new@1.0.0"] {
            assert!(matches!(import(newer), Import::Newer(_)), "{newer}");
        }
        for unknown in [
            "segue:plugin/reply@0.0.9",
            "segue:plugin/new@0.1.1",
            "segue:plugin/reply@0.1.0-rc.1",
            "segue:plugin/reply",
            "segue:sql/query@0.1.0",
            "wasi:io/streams@0.3.0",
            "wasi:io/streams@0.2.0-rc-2023-11-10",
            "wasi:http/outgoing-handler@0.2.0",
            "wasi:logging/logging@0.2.0",
            "log",
            "a:b/c@x",
        ] {
            assert_eq!(import(unknown), Import::Unknown, "{unknown}");
        }
    }
}
