//! Words on a terminal that open an address when they are clicked (OSC 8).
//!
//! There is no way to ask a terminal whether it can, and one that cannot may show
//! the address as rubbish; so only those that say who they are, and are known to
//! be able to, get any. `FORCE_HYPERLINK=1` says yes for the others, `0` says no.

/// What programs name in `TERM_PROGRAM` that can.
const PROGRAMS: [&str; 7] = [
    "Hyper",
    "iTerm.app",
    "WezTerm",
    "vscode",
    "ghostty",
    "Tabby",
    "rio",
];

/// What terminals begin with in `TERM` that can.
const TERMINALS: [&str; 5] = ["xterm-kitty", "alacritty", "foot", "xterm-ghostty", "wezterm"];

/// The first version of VTE (GNOME's terminal and many others) that can, as it
/// writes it in `VTE_VERSION`.
const VTE: u32 = 5000;

/// Whether the terminal of this environment can.
pub(super) fn are_shown(variable: impl Fn(&str) -> Option<String>) -> bool {
    if let Some(forced) = variable("FORCE_HYPERLINK") {
        return forced != "0" && !forced.is_empty();
    }
    let is = |name: &str, known: &[&str]| variable(name).is_some_and(|value| known.contains(&value.as_str()));
    let term = variable("TERM").unwrap_or_default();
    // These pass on what stands within only if they are told to.
    if term == "dumb" || term.starts_with("screen") || term.starts_with("tmux") {
        return false;
    }
    let vte = variable("VTE_VERSION").and_then(|version| version.parse::<u32>().ok());
    vte.is_some_and(|version| version >= VTE)
        || TERMINALS.iter().any(|known| term.starts_with(known))
        || is("TERM_PROGRAM", &PROGRAMS)
        || ["WT_SESSION", "KONSOLE_VERSION", "DOMTERM"]
            .iter()
            .any(|name| variable(name).is_some())
}

/// `words`, which open `address`. Neither may have a control character.
pub(super) fn on(words: &str, address: &str) -> String {
    format!("\x1b]8;;{address}\x1b\\{words}\x1b]8;;\x1b\\")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(environment: &[(&str, &str)]) -> bool {
        are_shown(|name| {
            let found = environment.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn only_a_terminal_that_is_known_to_show_them_gets_any() {
        for (environment, expected) in [
            (&[][..], false),
            (&[("TERM", "xterm-256color")], false),
            (&[("TERM", "xterm-kitty")], true),
            (&[("TERM", "xterm-256color"), ("VTE_VERSION", "7600")], true),
            (&[("TERM", "xterm-256color"), ("VTE_VERSION", "4205")], false),
            (&[("TERM", "xterm-256color"), ("TERM_PROGRAM", "iTerm.app")], true),
            (
                &[("TERM", "xterm-256color"), ("TERM_PROGRAM", "Apple_Terminal")],
                false,
            ),
            (&[("TERM", "tmux-256color"), ("VTE_VERSION", "7600")], false),
            (&[("TERM", "tmux-256color"), ("FORCE_HYPERLINK", "1")], true),
            (&[("TERM", "xterm-kitty"), ("FORCE_HYPERLINK", "0")], false),
        ] {
            assert_eq!(shown(environment), expected, "{environment:?}");
        }
    }
}
