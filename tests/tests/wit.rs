//! Guards that the WIT only grows: a component that was built at an earlier
//! release links and runs for ever. `tests/wit/PACKAGE-VERSION` holds what a
//! release published; everything there must be in `wit/PACKAGE` unchanged.
//!
//! New functions, interfaces and types are fine, and so are new imports of a
//! world, since a component imports only what it was built with. A new field,
//! case or flag is not: it changes the layout of what is passed. Nor is a new
//! export: an earlier component has none.
#![allow(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use wit_parser::{
    Function, FunctionKind, Handle, PackageId, PackageName, Resolve, Type, TypeDef, TypeDefKind, TypeId,
    TypeOwner, WorldItem,
};

#[test]
fn every_release_is_still_served() {
    let releases = folders(&root().join("tests/wit"));
    assert!(!releases.is_empty(), "no release is kept");
    for release in releases {
        let name = release.file_name().unwrap().to_str().unwrap();
        let (package, _version) = name.split_once('-').unwrap();
        let faults = faults(&release, &root().join("wit").join(package));
        assert!(faults.is_empty(), "{name}: {faults:#?}");
    }
}

/// A change to the package, and whether components of before survive it.
struct Change {
    file: &'static str,
    from: &'static str,
    to: &'static str,
    /// Part of the fault that must be found; empty when there must be none.
    fault: &'static str,
}

#[rustfmt::skip]
const CHANGES: &[Change] = &[
    Change { file: "call.wit", from: "attempt: func() -> u32;", to: "", fault: "call.attempt is gone" },
    Change { file: "call.wit", from: "attempt: func() -> u32;", to: "attempt: func() -> u64;", fault: "call.attempt was" },
    Change { file: "call.wit", from: "attempt: func() -> u32;", to: "attempt: async func() -> u32;", fault: "call.attempt was" },
    Change { file: "call.wit", from: "claim: func(name: string)", to: "claim: func(key: string)", fault: "call.claim was" },
    Change { file: "call.wit", from: "data: list<string>,", to: "data: list<string>, more: bool,", fault: "call.part was" },
    Change { file: "reply.wit", from: "send: func(chunk: string)", to: "send: func(chunk: option<string>)", fault: "reply.send was" },
    Change { file: "reply.wit", from: "status: func(text: string) -> result<_, error>;", to: "status: func(text: string);", fault: "reply.status was" },
    Change { file: "types.wit", from: "retryable: bool,", to: "retryable: bool, at: u64,", fault: "types.error was" },
    Change { file: "types.wit", from: "retryable: bool,", to: "", fault: "types.error was" },
    Change { file: "types.wit", from: "binary(list<u8>),", to: "binary(list<u8>), file(string),", fault: "types.payload was" },
    Change { file: "types.wit", from: "rag-doc,", to: "rag-doc, rag-web,", fault: "types.request-flags was" },
    Change { file: "types.wit", from: "mtype: string,", to: "kind: string,", fault: "types.request was" },
    Change { file: "worlds.wit", from: "import call;", to: "", fault: "handler imports segue:plugin@0.1/call is gone" },
    Change { file: "worlds.wit", from: "export handle:", to: "export stop: func(); export handle:", fault: "handler exports stop is new" },
    Change { file: "worlds.wit", from: "export handle:", to: "export answer:", fault: "handler exports handle is gone" },
    Change { file: "deps/wasi-logging/logging.wit", from: "critical,", to: "critical, fatal,", fault: "logging.level was" },

    Change { file: "call.wit", from: "attempt: func() -> u32;", to: "attempt: func() -> u32; more: func();", fault: "" },
    Change { file: "types.wit", from: "record request {", to: "enum colour { red } record request {", fault: "" },
    Change { file: "worlds.wit", from: "import call;", to: "import call; import tune;", fault: "" },
];

/// Added to every changed package, so that a change has something to import.
const ADDED: &str = "package segue:plugin@0.1.0; interface tune { play: func(); }";

#[test]
fn the_check_bites_where_it_should_and_nowhere_else() {
    let release = root().join("tests/wit/plugin-0.1.0");
    for change in CHANGES {
        let folder = tempfile::tempdir().unwrap();
        copy(&release, folder.path());
        fs::write(folder.path().join("tune.wit"), ADDED).unwrap();
        let file = folder.path().join(change.file);
        let text = fs::read_to_string(&file).unwrap();
        assert!(
            text.contains(change.from),
            "{} lacks {}",
            change.file,
            change.from
        );
        fs::write(&file, text.replacen(change.from, change.to, 1)).unwrap();
        let faults = faults(&release, folder.path());
        let found = faults.iter().any(|fault| fault.contains(change.fault));
        let right = if change.fault.is_empty() {
            faults.is_empty()
        } else {
            found
        };
        assert!(right, "{} -> {}: {faults:#?}", change.from, change.to);
    }
}

#[test]
fn a_patch_release_is_compatible_and_a_minor_one_is_not() {
    let release = root().join("tests/wit/plugin-0.1.0");
    for (version, compatible) in [("0.1.1", true), ("0.2.0", false)] {
        let folder = tempfile::tempdir().unwrap();
        copy(&release, folder.path());
        for name in ["call.wit", "reply.wit", "types.wit", "worlds.wit"] {
            let file = folder.path().join(name);
            let text = fs::read_to_string(&file).unwrap();
            fs::write(
                &file,
                text.replacen("plugin@0.1.0", &format!("plugin@{version}"), 1),
            )
            .unwrap();
        }
        assert_eq!(
            faults(&release, folder.path()).is_empty(),
            compatible,
            "{version}"
        );
    }
}

/// What keeps components of `before` from running on `after`.
fn faults(before: &Path, after: &Path) -> Vec<String> {
    let (before, after) = (items(before), items(after));
    let lost = before.iter().filter_map(|(name, was)| match after.get(name) {
        None => Some(format!("{name} is gone")),
        Some(is) if is != was => Some(format!("{name} was {was}, is {is}")),
        Some(_) => None,
    });
    let demanded = after.keys().filter(|name| {
        let known = |world: &str| before.keys().any(|old| old.starts_with(&format!("{world} ")));
        let export = name
            .split_once(" exports ")
            .is_some_and(|(world, _)| known(world));
        export && !before.contains_key(*name)
    });
    lost.chain(demanded.map(|name| format!("{name} is new")))
        .collect()
}

/// Everything that a package and its dependencies define, by name, in one line.
fn items(folder: &Path) -> BTreeMap<String, String> {
    let mut resolve = Resolve::default();
    resolve
        .push_path(folder)
        .unwrap_or_else(|error| panic!("{}: {error:#}", folder.display()));
    let mut items = BTreeMap::new();
    for (_, interface) in &resolve.interfaces {
        let (Some(name), Some(package)) = (&interface.name, interface.package) else {
            panic!("an interface without a name: the check has to learn of it");
        };
        let name = qualified(&resolve, package, name);
        for (of, id) in &interface.types {
            items.insert(format!("{name}.{of}"), definition(&resolve, &resolve.types[*id]));
        }
        for (of, function) in &interface.functions {
            items.insert(format!("{name}.{of}"), signature(&resolve, function));
        }
        items.insert(name, "interface".into());
    }
    for (_, world) in &resolve.worlds {
        let name = qualified(&resolve, world.package.unwrap(), &world.name);
        let imports = world.imports.iter().map(|item| ("imports", item));
        let exports = world.exports.iter().map(|item| ("exports", item));
        for (direction, (key, item)) in imports.chain(exports) {
            let (key, text) = match item {
                WorldItem::Interface { id, .. } => {
                    let interface = &resolve.interfaces[*id];
                    let of = interface.name.as_deref().unwrap();
                    (
                        qualified(&resolve, interface.package.unwrap(), of),
                        "interface".into(),
                    )
                }
                WorldItem::Function(function) => (resolve.name_world_key(key), signature(&resolve, function)),
                WorldItem::Type { id, .. } => (
                    resolve.name_world_key(key),
                    definition(&resolve, &resolve.types[*id]),
                ),
            };
            items.insert(format!("{name} {direction} {key}"), text);
        }
    }
    items
}

/// `segue:plugin@0.1/reply`: with as much of the version as decides whether two
/// of them link.
fn qualified(resolve: &Resolve, package: PackageId, item: &str) -> String {
    let PackageName {
        namespace,
        name,
        version,
    } = &resolve.packages[package].name;
    let version = match version {
        None => String::new(),
        Some(version) if !version.pre.is_empty() => format!("@{version}"),
        Some(version) if version.major == 0 => format!("@0.{}", version.minor),
        Some(version) => format!("@{}", version.major),
    };
    format!("{namespace}:{name}{version}/{item}")
}

fn signature(resolve: &Resolve, function: &Function) -> String {
    let parameters = function.params.iter();
    let parameters = parameters.map(|param| format!("{}: {}", param.name, shown(resolve, &param.ty)));
    let result = function.result.as_ref().map(|ty| shown(resolve, ty));
    let kind = match function.kind {
        FunctionKind::Freestanding => "func",
        FunctionKind::AsyncFreestanding => "async func",
        FunctionKind::Method(_) => "method",
        FunctionKind::AsyncMethod(_) => "async method",
        FunctionKind::Static(_) => "static func",
        FunctionKind::AsyncStatic(_) => "static async func",
        FunctionKind::Constructor(_) => "constructor",
    };
    format!("{kind}({}) -> {}", list(parameters), result.unwrap_or_default())
}

fn definition(resolve: &Resolve, def: &TypeDef) -> String {
    let of = |ty: &Type| shown(resolve, ty);
    let maybe = |ty: &Option<Type>| ty.as_ref().map_or_else(|| "_".into(), of);
    match &def.kind {
        TypeDefKind::Record(record) => {
            let fields = record.fields.iter();
            format!(
                "record {{{}}}",
                list(fields.map(|f| format!("{}: {}", f.name, of(&f.ty))))
            )
        }
        TypeDefKind::Variant(variant) => {
            let cases = variant.cases.iter();
            format!(
                "variant {{{}}}",
                list(cases.map(|c| format!("{}({})", c.name, maybe(&c.ty))))
            )
        }
        TypeDefKind::Flags(flags) => {
            format!(
                "flags {{{}}}",
                list(flags.flags.iter().map(|flag| flag.name.clone()))
            )
        }
        TypeDefKind::Enum(cases) => {
            format!(
                "enum {{{}}}",
                list(cases.cases.iter().map(|case| case.name.clone()))
            )
        }
        TypeDefKind::Resource => "resource".into(),
        TypeDefKind::Handle(Handle::Own(id)) => format!("own<{}>", shown_id(resolve, *id)),
        TypeDefKind::Handle(Handle::Borrow(id)) => format!("borrow<{}>", shown_id(resolve, *id)),
        TypeDefKind::Tuple(tuple) => format!("tuple<{}>", list(tuple.types.iter().map(of))),
        TypeDefKind::Option(ty) => format!("option<{}>", of(ty)),
        TypeDefKind::Result(result) => {
            format!("result<{}, {}>", maybe(&result.ok), maybe(&result.err))
        }
        TypeDefKind::List(ty) => format!("list<{}>", of(ty)),
        TypeDefKind::FixedLengthList(ty, length) => format!("list<{}, {length}>", of(ty)),
        TypeDefKind::Map(key, value) => format!("map<{}, {}>", of(key), of(value)),
        TypeDefKind::Future(ty) => format!("future<{}>", maybe(ty)),
        TypeDefKind::Stream(ty) => format!("stream<{}>", maybe(ty)),
        TypeDefKind::Type(ty) => of(ty),
        TypeDefKind::Unknown => panic!("an unresolved type"),
    }
}

fn shown(resolve: &Resolve, ty: &Type) -> String {
    match ty {
        Type::Id(id) => shown_id(resolve, *id),
        simple => format!("{simple:?}").to_lowercase(),
    }
}

/// A type by its full name, found behind `use`; one without a name spelt out.
fn shown_id(resolve: &Resolve, id: TypeId) -> String {
    let def = &resolve.types[id];
    if let TypeDefKind::Type(Type::Id(id)) = &def.kind {
        return shown_id(resolve, *id);
    }
    match (&def.name, def.owner) {
        (Some(name), TypeOwner::Interface(id)) => {
            let interface = &resolve.interfaces[id];
            let of = interface.name.as_deref().unwrap();
            format!("{}.{name}", qualified(resolve, interface.package.unwrap(), of))
        }
        (Some(name), _) => name.clone(),
        (None, _) => definition(resolve, def),
    }
}

fn list(items: impl Iterator<Item = String>) -> String {
    items.collect::<Vec<_>>().join(", ")
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap()
        .to_path_buf()
}

fn folders(of: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(of).unwrap().map(|entry| entry.unwrap().path());
    entries.filter(|path| path.is_dir()).collect()
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let (path, to) = (entry.path(), to.join(entry.file_name()));
        if path.is_dir() {
            copy(&path, &to);
        } else {
            fs::copy(&path, &to).unwrap();
        }
    }
}
