//! What the log tells of a trap: where in the guest, by the names of functions,
//! and why, where the outcome does not say it already.
//!
//! A component that was stripped of its names has no backtrace here: numbers of
//! functions tell nobody anything.

use wasmtime::{Trap, WasmBacktrace};
use wasmtime_wasi::I32Exit;

/// Functions that are named at most, the innermost first.
const NAMED_MAX: usize = 16;

/// The longest name of a function.
const NAME_MAX_BYTES: usize = 200;

/// Where panics and allocators of Rust's guests pass through before they trap.
const MACHINERY: [&str; 7] = ["std", "core", "alloc", "__rust", "rust_", "abort", "dlmalloc"];

/// `greet::answer < greet::handle`: the functions that were running, the innermost
/// first; `None` when none has a name.
pub(super) fn backtrace(error: &wasmtime::Error) -> Option<String> {
    let frames = error.downcast_ref::<WasmBacktrace>()?.frames();
    let names = frames.iter().filter_map(|frame| frame.func_name());
    named(names)
}

fn named<'a>(functions: impl Iterator<Item = &'a str>) -> Option<String> {
    let names: Vec<String> = functions.map(plain).collect();
    let machinery = names.iter().take_while(|name| is_machinery(name)).count();
    // A guest that is nothing but machinery is told as it is.
    let names = match names.get(machinery..) {
        Some(rest) if !rest.is_empty() => rest,
        _ => &names,
    };
    let mut told: Vec<(String, usize)> = Vec::new();
    for name in names {
        match told.last_mut() {
            Some((last, times)) if last == name => *times += 1,
            _ => told.push((name.clone(), 1)),
        }
    }
    let cut = told.len() > NAMED_MAX;
    told.truncate(NAMED_MAX);
    let told = told.into_iter().map(|(name, times)| match times {
        1 => name,
        times => format!("{name} ({times} times)"),
    });
    let mut told: Vec<String> = told.collect();
    if cut {
        told.push(String::from("..."));
    }
    (!told.is_empty()).then(|| told.join(" < "))
}

/// The name as its author wrote it.
fn plain(name: &str) -> String {
    let name = format!("{:#}", rustc_demangle::demangle(name));
    crate::error::clip(&name.replace(char::is_control, " "), NAME_MAX_BYTES)
}

fn is_machinery(name: &str) -> bool {
    let name = name.trim_start_matches('<');
    MACHINERY.iter().any(|root| {
        let rest = name.strip_prefix(root);
        rest.is_some_and(|rest| rest.is_empty() || root.starts_with(['_', 'r']) || rest.starts_with("::"))
    })
}

/// What led to the trap, from the outermost to the innermost; `None` where it is a
/// trap of the guest's own, which the outcome names.
pub(super) fn causes(error: &wasmtime::Error) -> Option<String> {
    if error.is::<Trap>() || error.is::<I32Exit>() {
        return None;
    }
    let trace = error.downcast_ref::<WasmBacktrace>().map(ToString::to_string);
    let links = error.chain().map(ToString::to_string);
    let links: Vec<String> = links.filter(|link| Some(link) != trace.as_ref()).collect();
    (!links.is_empty()).then(|| links.join(": "))
}

#[cfg(test)]
mod tests {
    use wasmtime::{Engine, Instance, Linker, Module, Store};

    use super::*;

    fn told(names: &[&str]) -> Option<String> {
        named(names.iter().copied())
    }

    #[test]
    fn names_are_told_as_their_author_wrote_them_without_the_machinery_of_a_panic() {
        assert_eq!(
            told(&[
                "abort",
                "__rust_start_panic",
                "_ZN3std9panicking20rust_panic_with_hook17h0123456789abcdefE",
                "_ZN4core9panicking9panic_fmt17h0123456789abcdefE",
                "_ZN5greet6answer17h0123456789abcdefE",
                "_ZN5greet6handle17h0123456789abcdefE",
                "handle",
            ])
            .unwrap(),
            "greet::answer < greet::handle < handle"
        );
        assert_eq!(
            told(&["deep", "deep", "deep", "top"]).unwrap(),
            "deep (3 times) < top"
        );
        assert_eq!(told(&["abort", "core::x"]).unwrap(), "abort < core::x");
        assert_eq!(
            told(&["core_of_it", "stdin", "y"]).unwrap(),
            "core_of_it < stdin < y"
        );
        assert_eq!(told(&[]), None);
        let many: Vec<String> = (0..40).map(|n| format!("f{n}")).collect();
        let many = named(many.iter().map(String::as_str)).unwrap();
        assert!(many.starts_with("f0 < ") && many.ends_with("f15 < ..."), "{many}");
    }

    /// What a module's function `run` ends in.
    fn end_of(text: &str) -> wasmtime::Error {
        let engine = Engine::default();
        let module = Module::new(&engine, wat::parse_str(text).unwrap()).unwrap();
        let mut linker = Linker::new(&engine);
        let fail = || -> wasmtime::Result<()> { Err(wasmtime::Error::msg("a handle of another call")) };
        linker.func_wrap("host", "fail", fail).unwrap();
        let mut store = Store::new(&engine, ());
        let instance: Instance = linker.instantiate(&mut store, &module).unwrap();
        let run = instance.get_typed_func::<(), ()>(&mut store, "run").unwrap();
        run.call(&mut store, ()).unwrap_err()
    }

    #[test]
    fn a_trap_is_told_by_the_functions_that_ran_and_by_its_cause_where_that_is_not_known() {
        let trap = end_of("(module (func $inner unreachable) (func $outer (export \"run\") call $inner))");
        assert_eq!(backtrace(&trap).unwrap(), "inner < outer");
        assert_eq!(causes(&trap), None);

        let misuse = end_of(
            "(module (import \"host\" \"fail\" (func $fail)) (func $outer (export \"run\") call $fail))",
        );
        assert_eq!(backtrace(&misuse).unwrap(), "outer");
        assert_eq!(causes(&misuse).unwrap(), "a handle of another call");

        let stripped = end_of("(module (func unreachable) (func (export \"run\") call 0))");
        assert_eq!(backtrace(&stripped), None);
        assert_eq!(causes(&stripped), None);
    }
}
