//! What a plugin file is, without compiling it.
//!
//! [`describe`] reads a component: what it exports, imports and wants.
//! [`inspect`] also decides whether this host can run it. Checks go from the
//! plain to the subtle, and the first that fails is the answer: empty, not
//! WebAssembly, a core module, truncated, invalid; then the version of
//! `segue:plugin`, the world, the imports, the manifest.

mod file;
mod known;

use serde::Serialize;
use sha2::{Digest, Sha256};
use wasmparser::component_types::ComponentEntityType;
use wasmparser::types::TypesRef;
use wasmparser::{ComponentExternalKind, ComponentTypeRef, Parser, Payload, Validator};

pub(crate) use known::SPEAKS;

use crate::capability::Capabilities;
use crate::error::{LoadError, clip};
use crate::manifest::{self, Manifest};
use known::{Import, Name};

/// What a plugin is for, told by what it exports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum World {
    /// Answers a message: exports `handle`.
    Handler,
    /// Decides who gets a message: exports `decide`.
    Policy,
    /// Decides what an event sets off: exports `plan`.
    Strategy,
}

/// What a component says about itself. Lists are in the binary's order, without
/// plain types.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Inspection {
    /// `None` when it exports nothing that this host knows.
    pub world: Option<World>,
    /// The newest version of `segue:plugin` among its imports; `None` when it
    /// imports nothing of it.
    pub wit_version: Option<String>,
    /// Every import, by its full name.
    pub imports: Vec<String>,
    /// The capabilities it asks for, as `[grants]` names them, sorted: its
    /// imports without WASI's base and `segue:plugin`.
    pub wants: Vec<String>,
    /// Imports, and functions of known ones, that this host does not have.
    pub unknown: Vec<String>,
    pub exports: Vec<String>,
    /// Who it says it is; `None` for a component that was not made by `segue
    /// build`.
    pub manifest: Option<Manifest>,
    /// `sha256:` and 64 hex digits, of the file alone.
    pub digest: String,
    pub bytes: u64,
    /// Why this host would refuse it.
    #[serde(skip)]
    refusal: Option<LoadError>,
}

impl Inspection {
    /// Whether this host can run it.
    pub fn verdict(&self) -> Result<(), LoadError> {
        match &self.refusal {
            Some(refusal) => Err(refusal.clone()),
            None => Ok(()),
        }
    }
}

/// Reads a component and decides whether this host can run it. Costs a
/// validation of the whole binary: milliseconds per megabyte.
pub(crate) fn inspect(bytes: &[u8], capabilities: &Capabilities) -> Result<Inspection, LoadError> {
    let inspection = describe(bytes, capabilities)?;
    inspection.verdict()?;
    Ok(inspection)
}

/// Reads a component, also one that this host would refuse for its world,
/// version or imports; [`Inspection::verdict`] then says so.
pub fn describe(bytes: &[u8], capabilities: &Capabilities) -> Result<Inspection, LoadError> {
    file::whole_component(bytes)?;
    let types = Validator::new().validate_all(bytes).map_err(invalid)?;
    let outline = Outline::read(bytes).map_err(invalid)?;
    let mut imports = Imports::default();
    for (name, is_type) in &outline.imports {
        imports.add(name, *is_type, types.as_ref(), capabilities);
    }
    let world = outline.world();
    let (manifest, unreadable) = match outline.manifest.map(Manifest::read) {
        None => (None, None),
        Some(Ok(manifest)) => (Some(manifest), None),
        Some(Err(error)) => (None, Some(error)),
    };
    let refusal = imports
        .newer_version()
        .or_else(|| outline.refusal(types.as_ref()))
        .or_else(|| imports.refusal())
        .or(unreadable);
    Ok(Inspection {
        world,
        wit_version: imports.version.map(|(_, text)| text.to_owned()),
        imports: imports.all,
        wants: imports.wants,
        unknown: imports.unknown,
        exports: outline
            .exports
            .iter()
            .map(|(name, _)| (*name).to_owned())
            .collect(),
        manifest,
        digest: digest(bytes),
        bytes: bytes.len() as u64,
        refusal,
    })
}

/// `sha256:` and 64 hex digits.
pub(crate) fn digest(bytes: &[u8]) -> String {
    format!("sha256:{:x}", Sha256::digest(bytes))
}

fn invalid(error: wasmparser::Error) -> LoadError {
    LoadError::Invalid {
        reason: clip(error.message(), 500),
        offset: error.offset(),
    }
}

/// The names at the top level of a component.
#[derive(Default)]
struct Outline<'a> {
    /// Name, and whether it is a plain type.
    imports: Vec<(&'a str, bool)>,
    exports: Vec<(&'a str, ComponentExternalKind)>,
    /// The first section of the manifest's name.
    manifest: Option<&'a [u8]>,
}

impl<'a> Outline<'a> {
    fn read(bytes: &'a [u8]) -> wasmparser::Result<Self> {
        let mut outline = Self::default();
        let mut depth = 0usize;
        for payload in Parser::new(0).parse_all(bytes) {
            match payload? {
                Payload::Version { .. } => depth += 1,
                Payload::End(_) => depth = depth.saturating_sub(1),
                Payload::ComponentImportSection(section) if depth == 1 => {
                    for import in section {
                        let import = import?;
                        let is_type = matches!(import.ty, ComponentTypeRef::Type(_));
                        outline.imports.push((import.name.name, is_type));
                    }
                }
                Payload::ComponentExportSection(section) if depth == 1 => {
                    for export in section {
                        let export = export?;
                        if export.kind != ComponentExternalKind::Type {
                            outline.exports.push((export.name.name, export.kind));
                        }
                    }
                }
                Payload::CustomSection(section)
                    if depth == 1 && section.name() == manifest::SECTION && outline.manifest.is_none() =>
                {
                    outline.manifest = Some(section.data());
                }
                _ => {}
            }
        }
        Ok(outline)
    }

    fn exports_function(&self, name: &str) -> bool {
        self.exports.contains(&(name, ComponentExternalKind::Func))
    }

    /// A component may carry exports nobody asked for, so `handle` wins.
    fn world(&self) -> Option<World> {
        [
            ("handle", World::Handler),
            ("decide", World::Policy),
            ("plan", World::Strategy),
        ]
        .into_iter()
        .find(|(name, _)| self.exports_function(name))
        .map(|(_, world)| world)
    }

    fn refusal(&self, types: TypesRef<'_>) -> Option<LoadError> {
        let wrong = |found: String| {
            Some(LoadError::WrongWorld {
                found,
                speaks: SPEAKS,
            })
        };
        let unknown = |world| {
            Some(LoadError::UnknownWorld {
                world,
                speaks: SPEAKS,
            })
        };
        match self.world() {
            Some(World::Handler) if handles(types) => None,
            Some(World::Handler) => wrong(
                "its `handle` is not `func(request: request) -> result<_, error>`, without `async`"
                    .to_owned(),
            ),
            Some(World::Policy) => unknown("policy (it exports `decide`)"),
            Some(World::Strategy) => unknown("strategy (it exports `plan`)"),
            None => wrong(self.what_instead()),
        }
    }

    fn what_instead(&self) -> String {
        let exports = |start: &str| self.exports.iter().any(|(name, _)| name.starts_with(start));
        if exports("wasi:cli/run@") {
            return "this is a command-line program (it exports `wasi:cli/run`), not a handler; make it a library that exports `handle`".to_owned();
        }
        if exports("wasi:http/incoming-handler@") || exports("wasi:http/handler@") {
            return "this is a WASI HTTP handler (it exports `wasi:http`), not a handler of messages"
                .to_owned();
        }
        if self.exports.is_empty() {
            return "it exports nothing, not even `handle`".to_owned();
        }
        let names: Vec<&str> = self.exports.iter().map(|(name, _)| *name).collect();
        format!("it exports no `handle`, only {}", clip(&names.join(", "), 500))
    }
}

/// Whether `handle` has the shape of a handler. Its types in full are checked
/// when the component is linked.
fn handles(types: TypesRef<'_>) -> bool {
    let Some(item) = types.component_item_for_export("handle") else {
        return false;
    };
    let ComponentEntityType::Func(id) = item.ty else {
        return false;
    };
    types
        .get(id)
        .is_some_and(|handle| !handle.async_ && handle.params.len() == 1 && handle.result.is_some())
}

/// What the imports come to.
#[derive(Default)]
struct Imports<'a> {
    all: Vec<String>,
    wants: Vec<String>,
    unknown: Vec<String>,
    /// The newest version of `segue:plugin`.
    version: Option<((u64, u64, u64), &'a str)>,
    newer: Option<&'a str>,
}

impl<'a> Imports<'a> {
    fn add(&mut self, full: &'a str, is_type: bool, types: TypesRef<'_>, capabilities: &Capabilities) {
        if is_type {
            return;
        }
        self.all.push(full.to_owned());
        let name = Name::parse(full);
        if let Some(name) = &name
            && name.package == "segue:plugin"
            && let Some(version) = name.version
        {
            self.version = self.version.max(Some((version.order(), version.text)));
        }
        match known::import(full, capabilities) {
            Import::Base(functions) => self.functions(full, functions, types),
            Import::Capability { want, functions } => {
                self.functions(full, functions, types);
                if let Some(want) = want {
                    self.want(want);
                }
            }
            Import::Newer(version) => self.newer = Some(version.text),
            Import::Unknown => {
                self.unknown.push(full.to_owned());
                self.want(name.map_or(full, |name| name.capability()));
            }
        }
    }

    fn want(&mut self, capability: &str) {
        if let Err(at) = self.wants.binary_search_by(|want| want.as_str().cmp(capability)) {
            self.wants.insert(at, capability.to_owned());
        }
    }

    /// A newer patch version may have functions that this host lacks.
    fn functions(&mut self, full: &str, known: Option<&[&str]>, types: TypesRef<'_>) {
        let Some(known) = known else { return };
        let exports = types
            .component_item_for_import(full)
            .and_then(|item| match item.ty {
                ComponentEntityType::Instance(id) => types.get(id),
                _ => None,
            })
            .map(|instance| &instance.exports);
        let Some(exports) = exports else {
            self.unknown.push(format!("{full} (which is not an interface)"));
            return;
        };
        for (function, item) in exports {
            let is_function = matches!(item.ty, ComponentEntityType::Func(_));
            if is_function && !known.contains(&function.as_str()) {
                self.unknown.push(format!("{full} (its function `{function}`)"));
            }
        }
    }

    fn newer_version(&self) -> Option<LoadError> {
        self.newer.map(|version| LoadError::NewerVersion {
            wants: format!("segue:plugin@{}", clip(version, 60)),
            speaks: SPEAKS,
        })
    }

    fn refusal(&self) -> Option<LoadError> {
        (!self.unknown.is_empty()).then(|| LoadError::UnknownImports {
            names: self.unknown.clone(),
        })
    }
}

#[cfg(test)]
pub(crate) mod tests;
