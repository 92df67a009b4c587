use wasmtime::component::Linker;

use super::*;
use crate::capability::{Capability, Interface};
use crate::grants::Rules;
use crate::host::CallState;

static OPEN: HostFunction = HostFunction::new("vault", "vault.open");
static LIST: HostFunction = HostFunction::new("vault", "vault.list");

struct Vault;

impl Capability for Vault {
    fn name(&self) -> &'static str {
        "vault"
    }

    fn interfaces(&self) -> &'static [Interface] {
        &[]
    }

    fn functions(&self) -> &'static [&'static HostFunction] {
        const ALL: &[&HostFunction] = &[&OPEN, &LIST];
        ALL
    }

    fn link(&self, _linker: &mut Linker<CallState>) -> wasmtime::Result<()> {
        Ok(())
    }
}

fn rules(ceiling: &[&str]) -> Arc<Rulebook> {
    let ceiling = ceiling.iter().map(ToString::to_string).collect();
    let rules = Rules {
        ceiling: [(String::from("vault"), ceiling)].into(),
        auto_widen: false,
    };
    let capabilities = Capabilities::new(vec![Arc::new(Vault)]);
    Arc::new(Rulebook::new(capabilities, Policy::new(rules)))
}

fn gate(granted: &[&str], rules: &Arc<Rulebook>) -> Gate {
    let mut plugin = Identity::for_tests();
    let granted = granted.iter().map(ToString::to_string).collect();
    plugin.grants.insert(String::from("vault"), granted);
    Gate::new(
        Arc::new(plugin),
        Arc::default(),
        Arc::clone(rules),
        crate::trace::Scope::default(),
    )
}

#[test]
fn every_host_call_is_counted_once_whichever_way_it_ends() {
    let rules = rules(&[]);
    let gate = gate(&[], &rules);
    let pass = gate.base(Base::ReplySend, 10);
    pass.leave(Ok::<(), ()>(())).unwrap();
    let pass = gate.base(Base::ReplySend, 5);
    pass.leave(Err::<(), ()>(())).unwrap_err();
    drop(gate.base(Base::ReplySend, 1));
    let rows = rules.counters.read();
    assert_eq!(rows[0].function, "reply.send");
    assert_eq!((rows[0].ok, rows[0].error, rows[0].bytes), (1, 2, 16));
}

#[test]
fn a_name_passes_that_is_granted_below_the_ceiling_and_no_other() {
    let rules = rules(&["gold", "silver"]);
    let gate = gate(&["gold", "iron"], &rules);
    assert_eq!(gate.granted("vault"), ["gold"]);
    gate.enter(&OPEN, Some("gold"), 1).unwrap().leave_with(());
    gate.enter(&LIST, None, 1).unwrap().leave_with(());
    let line = |scope| gate.enter(&OPEN, Some(scope), 1).err().unwrap().to_string();
    let own = line("silver");
    assert!(
        own.ends_with("add vault = [\"silver\"] to [grants] in test.toml"),
        "{own}"
    );
    let ceiling = line("iron");
    assert!(ceiling.contains("add vault = [\"iron\"] to [plugins.max_grants]"));
    let both = line("lead");
    assert!(
        both.contains("test.toml") && both.contains("max_grants"),
        "{both}"
    );

    let row = rules.counters.read().into_iter();
    let row = row.into_iter().find(|row| row.function == "vault.open").unwrap();
    assert_eq!((row.ok, row.denied, row.error), (1, 3, 0));
    let access = gate.access.read();
    assert_eq!((access["vault"].used, access["vault"].denied), (2, 3));
    assert_eq!(access["vault"].last_denial.as_ref(), Some(&both));
    assert!(access["vault"].last_denied_at.is_some());
}

#[test]
fn what_the_operator_withdraws_is_gone_at_the_next_call() {
    let rules = rules(&["gold"]);
    let gate = gate(&["gold"], &rules);
    gate.enter(&OPEN, Some("gold"), 1).unwrap().leave_with(());
    rules.policy.change(Rules::default());
    assert!(gate.enter(&OPEN, Some("gold"), 1).is_err());
    assert!(gate.granted("vault").is_empty());
}

#[test]
fn a_guests_name_cannot_fill_the_log_or_forge_a_line() {
    let rules = rules(&[]);
    let gate = gate(&[], &rules);
    let scope = format!("a\n{}", "x".repeat(10_000));
    let line = gate.enter(&OPEN, Some(&scope), 1).err().unwrap().to_string();
    assert!(line.len() < 600 && !line.contains('\n'), "{line}");
}

#[test]
fn however_a_guest_is_denied_the_operator_is_told_a_bounded_number_of_times() {
    let access = Access::default();
    let told = (0..1000).filter(|n| access.denied("vault", &format!("line {}", n % 100)));
    assert_eq!(told.count(), 16);
    assert_eq!(access.read()["vault"].denied, 1000);
}
