//! What a capability may rely on: it is called by those who were granted it and
//! by nobody else, what it forwards outlives the instance, and a version that
//! reaches further than the one before waits for its operator.

use std::sync::Arc;

use segue_runtime::{
    CallError, CallState, Capabilities, Capability, HandlerError, HostFunction, Interface, PluginEvent,
    PluginState, PromoteError, Reply, Services, Settings,
};
use tokio::sync::{Mutex, mpsc};
use wasmtime::StoreContextMut;
use wasmtime::component::Linker;

use crate::guest;
use crate::host::{Host, joined, message};

static OPEN: HostFunction = HostFunction::new("vault", "vault.open");
static POUR: HostFunction = HostFunction::new("vault", "vault.pour");

/// Says whether a name may be opened, and pours what a test puts in.
struct Vault;

/// What is poured.
struct Spring(Mutex<Option<mpsc::Receiver<Result<String, HandlerError>>>>);

impl Capability for Vault {
    fn name(&self) -> &'static str {
        "vault"
    }

    fn interfaces(&self) -> &'static [Interface] {
        const ALL: &[Interface] = &[Interface {
            name: "test:vault/vault",
            version: "0.1.0",
            functions: &["open", "pour"],
        }];
        ALL
    }

    fn functions(&self) -> &'static [&'static HostFunction] {
        const ALL: &[&HostFunction] = &[&OPEN, &POUR];
        ALL
    }

    fn link(&self, linker: &mut Linker<CallState>) -> wasmtime::Result<()> {
        let mut vault = linker.instance("test:vault/vault@0.1.0")?;
        vault.func_wrap(
            "open",
            |store: StoreContextMut<'_, CallState>, (name,): (String,)| {
                let state = store.data();
                let open = match state.enter(&OPEN, Some(&name), name.len()) {
                    Ok(pass) => pass.leave_with(true),
                    Err(_) => false,
                };
                state.meters().add("vault.tries", 1);
                Ok((open,))
            },
        )?;
        vault.func_wrap_async("pour", |mut store: StoreContextMut<'_, CallState>, (): ()| {
            Box::new(async move {
                let state = store.data_mut();
                let spring = state.service::<Spring>().unwrap();
                let receiver = spring.0.lock().await.take().unwrap();
                let source = futures_util::stream::unfold(receiver, async |mut receiver| {
                    receiver.recv().await.map(|item| (item, receiver))
                });
                Ok((state.forward(Box::pin(source)).await?.is_ok(),))
            })
        })
    }
}

/// A handler that imports the vault; `body` may use `$open` (name at, length)
/// and `$pour`.
fn opener(fields: &str, body: &str) -> Vec<u8> {
    let import = "(type $vault (instance
        (export \"open\" (func (param \"name\" string) (result bool)))
        (export \"pour\" (func (result bool)))))
      (import \"test:vault/vault@0.1.0\" (instance $vault-in (type $vault)))
      (import \"segue:plugin/types@0.1.0\"";
    let changes = [
        ("(import \"segue:plugin/types@0.1.0\"", import),
        (
            "(core func $log\n",
            "(core func $open (canon lower (func $vault-in \"open\") (memory $memory) (realloc $realloc)))
             (core func $pour (canon lower (func $vault-in \"pour\")))
             (core func $log\n",
        ),
        (
            "(import \"host\" \"log\" (func $log_in",
            "(import \"host\" \"open\" (func $open (param i32 i32) (result i32)))
             (import \"host\" \"pour\" (func $pour (result i32)))
             (import \"host\" \"log\" (func $log_in",
        ),
        (
            "(export \"log\" (func $log))",
            "(export \"log\" (func $log)) (export \"open\" (func $open)) (export \"pour\" (func $pour))",
        ),
    ];
    guest::handler_with(&changes, fields, body)
}

/// Says `yes` or `no` to whether the name it is sent may be opened.
fn asks() -> Vec<u8> {
    opener(
        "(data (i32.const 4096) \"yesno\")",
        "(drop (if (result i32) (call $open (local.get $payload) (local.get $payload_len))
            (then (call $say (i32.const 4096) (i32.const 3)))
            (else (call $say (i32.const 4099) (i32.const 2)))))
         (call $ok)",
    )
}

/// Forwards, says `a`, and then does as `end` says.
fn pours(end: &str) -> Vec<u8> {
    opener(
        "(data (i32.const 4096) \"a\")",
        &format!("(drop (call $pour)) (drop (call $say (i32.const 4096) (i32.const 1))) {end}"),
    )
}

fn with_vault(settings: &mut Settings) {
    settings.capabilities = Capabilities::new(vec![Arc::new(Vault)]);
    let ceiling = ["gold", "silver"].map(String::from).to_vec();
    settings.max_grants.insert(String::from("vault"), ceiling);
}

async fn start(plugins: &[(&str, Vec<u8>)]) -> Host {
    Host::start_with(plugins, with_vault).await
}

#[tokio::test]
async fn only_what_is_granted_is_reached() {
    let host = start(&[("p", asks())]).await;
    // Loaded, and without any capability.
    assert_eq!(host.ask("p", "gold").await, "no");
    let status = host.runtime.plugin("p").unwrap();
    assert_eq!(status.wants, ["vault"]);
    let access = &status.access[0];
    assert_eq!((access.wanted, access.used, access.denied), (true, 0, 1));
    assert!(access.last_denied_at.is_some());
    let line = access.last_denial.as_deref().unwrap();
    assert!(
        line.ends_with("add vault = [\"gold\"] to [grants] in p.toml"),
        "{line}"
    );

    host.put("p.toml", "[grants]\nvault = [\"gold\"]\n").await;
    host.runtime.promote("p", None).unwrap();
    assert_eq!(host.ask("p", "gold").await, "yes");
    assert_eq!(host.ask("p", "silver").await, "no");
    let (_, outcome) = host.call("p", message("gold")).await;
    assert_eq!(outcome.usage.meters["vault.tries"], 1);
    let stats = host.runtime.stats().host_calls;
    let open = stats.iter().find(|row| row.function == "vault.open").unwrap();
    assert_eq!((open.ok, open.denied), (2, 2));
}

#[tokio::test]
async fn a_grant_past_the_ceiling_refuses_the_file_and_names_both_mends() {
    let host = start(&[]).await;
    host.put("p.toml", "[grants]\nvault = [\"gold\", \"lead\"]\n")
        .await;
    host.put("p.wasm", asks()).await;
    let error = host.runtime.plugin("p").unwrap().last_error.unwrap();
    assert_eq!(error.code, "sidecar_invalid");
    assert!(
        error.message.contains("line 2: `vault` may not grant `lead`"),
        "{}",
        error.message
    );
    assert!(error.message.contains("[plugins.max_grants] vault"));

    // Raised, the file is taken without being touched.
    let ceiling = ["gold", "lead"].map(String::from).to_vec();
    let grants = [(String::from("vault"), ceiling)].into();
    host.runtime.reconfigure_grants(grants, false).await;
    assert_eq!(host.ask("p", "lead").await, "yes");

    // Withdrawn, it serves on and reaches nothing.
    host.runtime.reconfigure_grants(Default::default(), false).await;
    assert_eq!(host.ask("p", "lead").await, "no");
    let status = host.runtime.plugin("p").unwrap();
    assert_eq!(status.last_error.unwrap().code, "sidecar_invalid");
}

#[tokio::test]
async fn a_version_that_reaches_further_waits_until_it_is_promoted() {
    let host = start(&[("p", guest::says("old"))]).await;
    assert_eq!(host.runtime.promote("p", None), Err(PromoteError::NothingWaits));
    let mut events = host.runtime.events();
    host.put("p.toml", "[grants]\nvault = [\"gold\"]\n").await;
    // It wants nothing, so the grant alone gives it nothing.
    assert!(matches!(events.recv().await.unwrap(), PluginEvent::Loaded { .. }));
    host.put("p.wasm", asks()).await;
    let version = loop {
        match events.recv().await.unwrap() {
            PluginEvent::Pending { version, widens, .. } => {
                assert_eq!(widens, ["vault: gold"]);
                break version;
            }
            PluginEvent::Freed { .. } => {}
            other => panic!("unexpected {other:?}"),
        }
    };
    assert_eq!(host.ask("p", "").await, "old");
    let pending = host.runtime.plugin("p").unwrap().pending.unwrap();
    assert_eq!(pending.version, version);

    let other = host.runtime.promote("p", Some("sha256:other"));
    assert_eq!(
        other,
        Err(PromoteError::OtherVersion {
            waits: version.clone()
        })
    );
    assert_eq!(host.runtime.promote("p", Some(&version)), Ok(version));
    assert_eq!(host.ask("p", "gold").await, "yes");
    assert_eq!(host.runtime.plugin("p").unwrap().pending, None);
    // Less is no widening, and neither is the same again.
    host.put("p.wasm", guest::says("less")).await;
    assert_eq!(host.ask("p", "").await, "less");
}

#[tokio::test]
async fn a_version_that_waits_is_forgotten_when_its_file_changes_back() {
    let host = start(&[("p", guest::says("old"))]).await;
    host.put("p.toml", "[grants]\nvault = [\"gold\"]\n").await;
    host.put("p.wasm", asks()).await;
    assert!(host.runtime.plugin("p").unwrap().pending.is_some());
    host.put("p.wasm", guest::says("old")).await;
    assert_eq!(host.runtime.plugin("p").unwrap().pending, None);
    assert_eq!(host.runtime.promote("p", None), Err(PromoteError::NothingWaits));
}

#[tokio::test]
async fn taking_a_file_away_and_putting_a_wider_one_there_is_no_way_around() {
    let host = start(&[("p", guest::says("old"))]).await;
    host.delete("p.wasm").await;
    host.put("p.toml", "[grants]\nvault = [\"gold\"]\n").await;
    host.put("p.wasm", asks()).await;
    let status = host.runtime.plugin("p").unwrap();
    assert!(host.runtime.generation("p").is_none());
    assert_eq!(status.state, PluginState::Waiting);
    assert_eq!(status.pending.unwrap().widens, ["vault: gold"]);
    host.runtime.promote("p", None).unwrap();
    assert_eq!(host.ask("p", "gold").await, "yes");
}

#[tokio::test]
async fn what_the_operator_takes_out_is_gone_although_the_version_that_says_so_waits() {
    let host = start(&[]).await;
    host.put("p.toml", "[grants]\nvault = [\"gold\"]\n").await;
    host.put("p.wasm", asks()).await;
    assert_eq!(host.ask("p", "gold").await, "yes");
    host.put("p.toml", "[grants]\nvault = [\"silver\"]\n").await;
    assert!(host.runtime.plugin("p").unwrap().pending.is_some());
    assert_eq!(host.ask("p", "gold").await, "no");
    assert_eq!(host.ask("p", "silver").await, "no");
    host.runtime.promote("p", None).unwrap();
    assert_eq!(host.ask("p", "gold").await, "no");
    assert_eq!(host.ask("p", "silver").await, "yes");
}

#[tokio::test]
async fn a_version_that_is_not_in_the_folder_any_more_cannot_be_promoted() {
    let host = start(&[("p", guest::says("old"))]).await;
    host.put("p.toml", "[grants]\nvault = [\"gold\"]\n").await;
    host.put("p.wasm", asks()).await;
    assert!(host.runtime.plugin("p").unwrap().pending.is_some());
    host.put("p.wasm", "hello").await;
    assert_eq!(host.runtime.promote("p", None), Err(PromoteError::NothingWaits));
    assert_eq!(host.ask("p", "").await, "old");
}

#[tokio::test]
async fn auto_widen_asks_nobody() {
    let host = Host::start_with(&[("p", guest::says("old"))], |settings| {
        with_vault(settings);
        settings.auto_widen = true;
    })
    .await;
    host.put("p.toml", "[grants]\nvault = [\"gold\"]\n").await;
    host.put("p.wasm", asks()).await;
    assert_eq!(host.ask("p", "gold").await, "yes");
}

#[tokio::test]
async fn what_is_forwarded_outlives_the_instance_and_keeps_its_place() {
    let host = start(&[("p", pours("(call $ok)"))]).await;
    let (sender, receiver) = mpsc::channel(4);
    let mut spec = message("");
    spec.services = Services::new().with(Arc::new(Spring(Mutex::new(Some(receiver)))));
    let mut call = host.runtime.call(&host.generation("p"), spec);
    sender.send(Ok(String::from("1"))).await.unwrap();
    let mut replies = vec![call.next().await.unwrap()];
    // The source is still open, and nothing of the instance is left.
    while host.runtime.stats().instances_in_use > 0 {
        tokio::task::yield_now().await;
    }
    sender.send(Ok(String::from("2"))).await.unwrap();
    drop(sender);
    while let Some(reply) = call.next().await {
        replies.push(reply);
    }
    assert_eq!(joined(&replies), "12a");
    let outcome = call.finish().await;
    assert_eq!(outcome.result, Ok(()));
    assert_eq!((outcome.usage.chunks, outcome.usage.reply_bytes), (3, 3));
}

#[tokio::test]
async fn a_handler_that_fails_after_forwarding_stops_the_source() {
    let fails = "(call $fail (i32.const 4096) (i32.const 1))";
    let host = start(&[("p", pours(fails))]).await;
    let (sender, receiver) = mpsc::channel::<Result<String, HandlerError>>(4);
    let mut spec = message("");
    spec.services = Services::new().with(Arc::new(Spring(Mutex::new(Some(receiver)))));
    let (replies, outcome) = host.call("p", spec).await;
    assert_eq!(replies, [Reply::Chunk(String::from("a"))]);
    assert!(matches!(outcome.result, Err(CallError::Handler(error)) if error.code == "a"));
    assert!(sender.is_closed());
}
