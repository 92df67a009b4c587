//! Who a plugin says it is: the custom section that `segue build` writes into a
//! component of any language, from a small manifest. Reading it runs nothing.

use serde::{Deserialize, Serialize};

use crate::error::{LoadError, clip};

/// The section's name.
pub(crate) const SECTION: &str = "segue:plugin";

/// A larger section is refused.
const MAX_BYTES: usize = 64 * 1024;
const NAME_MAX_BYTES: usize = 64;
const VERSION_MAX_BYTES: usize = 64;
const DESCRIPTION_MAX_BYTES: usize = 1024;
const MTYPES_MAX: usize = 64;

/// What the section holds, as JSON. What this host does not know of it is left
/// alone: it may come from a newer `segue build`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    pub name: String,
    /// The author's own, for people; hosts tell versions by their digest.
    pub version: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// The message types it is made for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub mtypes: Vec<String>,
    /// Which calls may share an instance, one after the other.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub isolation: Vec<Isolation>,
}

/// Which calls may reuse an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Isolation {
    /// None: a fresh instance each.
    Message,
    Session,
    Tenant,
    Shared,
}

impl Manifest {
    /// Reads the section's bytes.
    pub(crate) fn read(bytes: &[u8]) -> Result<Manifest, LoadError> {
        if bytes.len() > MAX_BYTES {
            return Err(invalid(format!("it is larger than {} KiB", MAX_BYTES / 1024)));
        }
        let manifest: Manifest =
            serde_json::from_slice(bytes).map_err(|error| invalid(clip(&error.to_string(), 200)))?;
        let bounds = [
            ("name", manifest.name.len(), NAME_MAX_BYTES),
            ("version", manifest.version.len(), VERSION_MAX_BYTES),
            ("description", manifest.description.len(), DESCRIPTION_MAX_BYTES),
        ];
        for (key, len, most) in bounds {
            if len > most {
                return Err(invalid(format!("its {key} is longer than {most} bytes")));
            }
        }
        if manifest.mtypes.len() > MTYPES_MAX {
            return Err(invalid(format!("it names more than {MTYPES_MAX} message types")));
        }
        Ok(manifest)
    }
}

fn invalid(reason: String) -> LoadError {
    LoadError::Manifest { reason }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manifest_is_read_with_what_is_unknown_left_alone() {
        let json = br#"{"name":"a","version":"1.0","isolation":["message","session"],"colour":"red"}"#;
        let manifest = Manifest::read(json).unwrap();
        assert_eq!((&*manifest.name, &*manifest.version), ("a", "1.0"));
        assert_eq!(manifest.isolation, [Isolation::Message, Isolation::Session]);
    }

    #[test]
    fn what_is_no_manifest_is_refused_with_the_reason() {
        for bad in [
            "",
            "{}",
            r#"{"name":"a"}"#,
            r#"{"name":1,"version":"1"}"#,
            r#"{"name":"a","version":"1","isolation":["none"]}"#,
        ] {
            let error = Manifest::read(bad.as_bytes()).unwrap_err();
            assert_eq!(error.code(), "manifest_invalid", "{bad}");
        }
        let long = format!(r#"{{"name":"{}","version":"1"}}"#, "x".repeat(65));
        assert!(
            Manifest::read(long.as_bytes())
                .unwrap_err()
                .to_string()
                .contains("64 bytes")
        );
    }
}
