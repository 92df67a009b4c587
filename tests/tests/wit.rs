//! Guards that the WIT only grows: a component that was built at an earlier
//! release links and runs for ever. `tests/wit/PACKAGE-VERSION` holds what a
//! release published; everything there must be in a folder of `wit` unchanged. A
//! package reads those that it uses: of a release in the version it was published
//! with, so what they define is held fast as well.
//!
//! What is added is free to change until a release publishes it: then it is copied
//! here too.
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
    let served = folders(&root().join("wit"));
    let faults = faults(&releases, &served);
    assert!(faults.is_empty(), "{faults:#?}");
}

/// A change to the packages, and whether components of before survive it.
struct Change {
    /// From the folder of the releases on.
    file: &'static str,
    from: &'static str,
    to: &'static str,
    /// Part of the fault that must be found; empty when there must be none.
    fault: &'static str,
}

#[rustfmt::skip]
const CHANGES: &[Change] = &[
    Change { file: "plugin-0.1.0/call.wit", from: "attempt: func() -> u32;", to: "", fault: "call.attempt is gone" },
    Change { file: "plugin-0.1.0/call.wit", from: "attempt: func() -> u32;", to: "attempt: func() -> u64;", fault: "call.attempt was" },
    Change { file: "plugin-0.1.0/call.wit", from: "attempt: func() -> u32;", to: "attempt: async func() -> u32;", fault: "call.attempt was" },
    Change { file: "plugin-0.1.0/call.wit", from: "claim: func(name: string)", to: "claim: func(key: string)", fault: "call.claim was" },
    Change { file: "plugin-0.1.0/call.wit", from: "data: list<string>,", to: "data: list<string>, more: bool,", fault: "call.part was" },
    Change { file: "plugin-0.1.0/reply.wit", from: "send: func(chunk: string)", to: "send: func(chunk: option<string>)", fault: "reply.send was" },
    Change { file: "plugin-0.1.0/reply.wit", from: "status: func(text: string) -> result<_, error>;", to: "status: func(text: string);", fault: "reply.status was" },
    Change { file: "plugin-0.1.0/types.wit", from: "retryable: bool,", to: "retryable: bool, at: u64,", fault: "types.error was" },
    Change { file: "plugin-0.1.0/types.wit", from: "retryable: bool,", to: "", fault: "types.error was" },
    Change { file: "plugin-0.1.0/types.wit", from: "binary(list<u8>),", to: "binary(list<u8>), file(string),", fault: "types.payload was" },
    Change { file: "plugin-0.1.0/types.wit", from: "rag-doc,", to: "rag-doc, rag-web,", fault: "types.request-flags was" },
    Change { file: "plugin-0.1.0/types.wit", from: "mtype: string,", to: "kind: string,", fault: "types.request was" },
    Change { file: "plugin-0.1.0/worlds.wit", from: "import call;", to: "", fault: "handler imports segue:plugin@0.1/call is gone" },
    Change { file: "plugin-0.1.0/worlds.wit", from: "export handle:", to: "export stop: func(); export handle:", fault: "handler exports stop is new" },
    Change { file: "plugin-0.1.0/worlds.wit", from: "export handle:", to: "export answer:", fault: "handler exports handle is gone" },
    Change { file: "plugin-0.1.0/deps/wasi-logging/logging.wit", from: "critical,", to: "critical, fatal,", fault: "logging.level was" },

    Change { file: "plugin-0.1.0/call.wit", from: "attempt: func() -> u32;", to: "attempt: func() -> u32; more: func();", fault: "" },
    Change { file: "plugin-0.1.0/types.wit", from: "record request {", to: "enum colour { red } record request {", fault: "" },
    Change { file: "plugin-0.1.0/worlds.wit", from: "import call;", to: "import call; import tune;", fault: "" },

    Change { file: "sql-0.1.0/query.wit", from: "run: func(", to: "ask: func(", fault: "query.run is gone" },
    Change { file: "sql-0.1.0/query.wit", from: "variant value {", to: "variant value { odd,", fault: "query.value was" },
    Change { file: "session-0.1.0/session.wit", from: "recent: func(limit: u32)", to: "recent: func(limit: u64)", fault: "history.recent was" },
    Change { file: "llm-0.1.0/llm.wit", from: "models: func()", to: "more: func(); models: func()", fault: "" },
    Change { file: "llm-0.1.0/llm.wit", from: "resource prompt {", to: "resource prompt { top: func(least: f32);", fault: "" },
];

/// Added to the changed package `plugin`, so that a change has something to import.
const ADDED: &str = "package segue:plugin@0.1.0; interface tune { play: func(); }";

#[test]
fn the_check_bites_where_it_should_and_nowhere_else() {
    let releases = root().join("tests/wit");
    let before = folders(&releases);
    for change in CHANGES {
        let folder = tempfile::tempdir().unwrap();
        copy(&releases, folder.path());
        fs::write(folder.path().join("plugin-0.1.0/tune.wit"), ADDED).unwrap();
        let file = folder.path().join(change.file);
        let text = fs::read_to_string(&file).unwrap();
        assert!(
            text.contains(change.from),
            "{} lacks {}",
            change.file,
            change.from
        );
        fs::write(&file, text.replacen(change.from, change.to, 1)).unwrap();
        let faults = faults(&before, &folders(folder.path()));
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
    let release = vec![root().join("tests/wit/plugin-0.1.0")];
    for (version, compatible) in [("0.1.1", true), ("0.2.0", false)] {
        let folder = tempfile::tempdir().unwrap();
        copy(&release[0], folder.path());
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
            faults(&release, &[folder.path().to_owned()]).is_empty(),
            compatible,
            "{version}"
        );
    }
}

/// A new version of a package beside the old one, and a package that was never
/// there, are additions.
#[test]
fn a_package_may_be_added_in_a_folder_of_its_own() {
    let releases = folders(&root().join("tests/wit"));
    let folder = tempfile::tempdir().unwrap();
    let newer = folder.path().join("llm-next");
    copy(&root().join("tests/wit/llm-0.1.0"), &newer);
    let file = newer.join("llm.wit");
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, text.replacen("llm@0.1.0", "llm@0.2.0", 1)).unwrap();
    let other = folder.path().join("cache");
    fs::create_dir(&other).unwrap();
    fs::write(
        other.join("cache.wit"),
        "package segue:cache@0.1.0; interface store { use segue:plugin/types@0.1.0.{error}; get: func() -> result<_, error>; }",
    )
    .unwrap();
    let mut after = releases.clone();
    after.extend(folders(folder.path()));
    assert_eq!(faults(&releases, &after), [""; 0]);
    // But not in the place of the old one.
    let without: Vec<PathBuf> = after
        .iter()
        .filter(|folder| !folder.ends_with("llm-0.1.0"))
        .cloned()
        .collect();
    assert!(!faults(&releases, &without).is_empty());
}

/// What keeps components of `before` from running on `after`.
fn faults(before: &[PathBuf], after: &[PathBuf]) -> Vec<String> {
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

/// These packages, each after those that it uses.
fn resolved(folders: &[PathBuf]) -> Resolve {
    let mut resolve = Resolve::default();
    let mut left: Vec<&PathBuf> = folders.iter().collect();
    while !left.is_empty() {
        let mut faults = Vec::new();
        let before = left.len();
        left.retain(|folder| {
            // What fails may have left something behind.
            let mut with = resolve.clone();
            match with.push_path(folder) {
                Ok(_) => {
                    resolve = with;
                    false
                }
                Err(error) => {
                    faults.push(format!("{}: {error:#}", folder.display()));
                    true
                }
            }
        });
        assert!(left.len() < before, "{faults:#?}");
    }
    resolve
}

/// Everything that the packages and their dependencies define, by name, in one line.
fn items(folders: &[PathBuf]) -> BTreeMap<String, String> {
    let resolve = resolved(folders);
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
