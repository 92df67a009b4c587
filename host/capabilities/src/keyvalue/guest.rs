//! `wasi:keyvalue` as guests see it.
//!
//! Every function passes the gate under the bucket's name: what was opened and
//! is no longer granted answers `access-denied` from then on.

use segue_runtime::{CallState, Capability, HostFunction, Interface, Pass};
use wasmtime::component::{HasSelf, Linker, Resource, ResourceTableError};

use super::buckets::{Bucket, Buckets};
use super::fault::Fault;
use bindings::wasi::keyvalue::store::{Error, KeyResponse};
use bindings::wasi::keyvalue::{atomics, batch, store};

mod bindings {
    wasmtime::component::bindgen!({
        path: "../../wit/keyvalue",
        world: "wasi:keyvalue/imports",
        imports: {
            "wasi:keyvalue/store.open": trappable,
            "wasi:keyvalue/store.[drop]bucket": trappable,
            default: async | trappable,
        },
        with: { "wasi:keyvalue/store.bucket": super::super::buckets::Bucket },
    });
}

static OPEN: HostFunction = HostFunction::new("keyvalue", "keyvalue.open").untraced();
static GET: HostFunction = HostFunction::new("keyvalue", "keyvalue.get");
static SET: HostFunction = HostFunction::new("keyvalue", "keyvalue.set");
static DELETE: HostFunction = HostFunction::new("keyvalue", "keyvalue.delete");
static EXISTS: HostFunction = HostFunction::new("keyvalue", "keyvalue.exists");
static LIST_KEYS: HostFunction = HostFunction::new("keyvalue", "keyvalue.list-keys");
static INCREMENT: HostFunction = HostFunction::new("keyvalue", "keyvalue.increment");
static GET_MANY: HostFunction = HostFunction::new("keyvalue", "keyvalue.get-many");
static SET_MANY: HostFunction = HostFunction::new("keyvalue", "keyvalue.set-many");
static DELETE_MANY: HostFunction = HostFunction::new("keyvalue", "keyvalue.delete-many");

static FUNCTIONS: [&HostFunction; 10] = [
    &OPEN,
    &GET,
    &SET,
    &DELETE,
    &EXISTS,
    &LIST_KEYS,
    &INCREMENT,
    &GET_MANY,
    &SET_MANY,
    &DELETE_MANY,
];

/// The version of the draft.
const VERSION: &str = "0.2.0-draft";

/// The capability.
#[derive(Clone, Copy, Debug, Default)]
pub struct Keyvalue;

impl Capability for Keyvalue {
    fn name(&self) -> &'static str {
        "keyvalue"
    }

    fn interfaces(&self) -> &'static [Interface] {
        &[
            Interface {
                name: "wasi:keyvalue/store",
                version: VERSION,
                functions: &[
                    "open",
                    "[method]bucket.get",
                    "[method]bucket.set",
                    "[method]bucket.delete",
                    "[method]bucket.exists",
                    "[method]bucket.list-keys",
                    "[resource-drop]bucket",
                ],
            },
            Interface {
                name: "wasi:keyvalue/atomics",
                version: VERSION,
                functions: &["increment"],
            },
            Interface {
                name: "wasi:keyvalue/batch",
                version: VERSION,
                functions: &["get-many", "set-many", "delete-many"],
            },
        ]
    }

    fn functions(&self) -> &'static [&'static HostFunction] {
        &FUNCTIONS
    }

    fn link(&self, linker: &mut Linker<CallState>) -> wasmtime::Result<()> {
        store::add_to_linker::<_, HasSelf<CallState>>(linker, |state| state)?;
        atomics::add_to_linker::<_, HasSelf<CallState>>(linker, |state| state)?;
        batch::add_to_linker::<_, HasSelf<CallState>>(linker, |state| state)
    }
}

impl From<Fault> for Error {
    fn from(fault: Fault) -> Error {
        Error::Other(fault.to_string())
    }
}

/// The way through the gate and the bucket behind it, or the denial.
fn enter(
    state: &mut CallState,
    function: &'static HostFunction,
    bucket: &Resource<Bucket>,
    bytes: usize,
) -> Result<Result<(Pass, Bucket), Error>, ResourceTableError> {
    let bucket = state.table().get(bucket)?.clone();
    let pass = state.enter(function, Some(bucket.name()), bytes);
    Ok(pass.map(|pass| (pass, bucket)).map_err(|_| Error::AccessDenied))
}

/// Enters, or answers with the denial.
macro_rules! enter {
    ($state:expr, $function:expr, $bucket:expr, $bytes:expr) => {
        match enter($state, $function, &$bucket, $bytes)? {
            Ok(entered) => entered,
            Err(denied) => return Ok(Err(denied)),
        }
    };
}

impl store::Host for CallState {
    fn open(&mut self, identifier: String) -> wasmtime::Result<Result<Resource<Bucket>, Error>> {
        let Ok(pass) = self.enter(&OPEN, Some(&identifier), identifier.len()) else {
            return Ok(Err(Error::AccessDenied));
        };
        let Some(buckets) = self.service::<Buckets>() else {
            let fault = Fault::Unavailable(String::from("there is no store"));
            return Ok(pass.leave(Err(fault.into())));
        };
        let bucket = buckets.bucket(self.plugin_name(), &identifier);
        let bucket = self.table().push(bucket)?;
        Ok(Ok(pass.leave_with(bucket)))
    }
}

impl store::HostBucket for CallState {
    async fn get(
        &mut self,
        bucket: Resource<Bucket>,
        key: String,
    ) -> wasmtime::Result<Result<Option<Vec<u8>>, Error>> {
        let (pass, bucket) = enter!(self, &GET, bucket, key.len());
        Ok(pass
            .leave_told(bucket.get(key).await, Fault::code)
            .map_err(Error::from))
    }

    async fn set(
        &mut self,
        bucket: Resource<Bucket>,
        key: String,
        value: Vec<u8>,
    ) -> wasmtime::Result<Result<(), Error>> {
        let (pass, bucket) = enter!(self, &SET, bucket, key.len() + value.len());
        Ok(pass
            .leave_told(bucket.set(key, value).await, Fault::code)
            .map_err(Error::from))
    }

    async fn delete(&mut self, bucket: Resource<Bucket>, key: String) -> wasmtime::Result<Result<(), Error>> {
        let (pass, bucket) = enter!(self, &DELETE, bucket, key.len());
        Ok(pass
            .leave_told(bucket.delete(key).await, Fault::code)
            .map_err(Error::from))
    }

    async fn exists(
        &mut self,
        bucket: Resource<Bucket>,
        key: String,
    ) -> wasmtime::Result<Result<bool, Error>> {
        let (pass, bucket) = enter!(self, &EXISTS, bucket, key.len());
        Ok(pass
            .leave_told(bucket.exists(key).await, Fault::code)
            .map_err(Error::from))
    }

    async fn list_keys(
        &mut self,
        bucket: Resource<Bucket>,
        cursor: Option<u64>,
    ) -> wasmtime::Result<Result<KeyResponse, Error>> {
        let (pass, bucket) = enter!(self, &LIST_KEYS, bucket, 0);
        let page = pass.leave_told(bucket.keys(cursor).await, Fault::code);
        Ok(page
            .map(|(keys, cursor)| KeyResponse { keys, cursor })
            .map_err(Error::from))
    }

    fn drop(&mut self, bucket: Resource<Bucket>) -> wasmtime::Result<()> {
        self.table().delete(bucket)?;
        Ok(())
    }
}

impl atomics::Host for CallState {
    async fn increment(
        &mut self,
        bucket: Resource<Bucket>,
        key: String,
        delta: u64,
    ) -> wasmtime::Result<Result<u64, Error>> {
        let (pass, bucket) = enter!(self, &INCREMENT, bucket, key.len());
        Ok(pass
            .leave_told(bucket.increment(key, delta).await, Fault::code)
            .map_err(Error::from))
    }
}

impl batch::Host for CallState {
    async fn get_many(
        &mut self,
        bucket: Resource<Bucket>,
        keys: Vec<String>,
    ) -> wasmtime::Result<Result<Vec<Option<(String, Vec<u8>)>>, Error>> {
        let bytes = keys.iter().map(String::len).sum();
        let (pass, bucket) = enter!(self, &GET_MANY, bucket, bytes);
        Ok(pass
            .leave_told(bucket.get_many(keys).await, Fault::code)
            .map_err(Error::from))
    }

    async fn set_many(
        &mut self,
        bucket: Resource<Bucket>,
        key_values: Vec<(String, Vec<u8>)>,
    ) -> wasmtime::Result<Result<(), Error>> {
        let bytes = key_values
            .iter()
            .map(|(key, value)| key.len() + value.len())
            .sum();
        let (pass, bucket) = enter!(self, &SET_MANY, bucket, bytes);
        Ok(pass
            .leave_told(bucket.set_many(key_values).await, Fault::code)
            .map_err(Error::from))
    }

    async fn delete_many(
        &mut self,
        bucket: Resource<Bucket>,
        keys: Vec<String>,
    ) -> wasmtime::Result<Result<(), Error>> {
        let bytes = keys.iter().map(String::len).sum();
        let (pass, bucket) = enter!(self, &DELETE_MANY, bucket, bytes);
        Ok(pass
            .leave_told(bucket.delete_many(keys).await, Fault::code)
            .map_err(Error::from))
    }
}
