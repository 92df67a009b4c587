use super::*;

fn kind(address: &str) -> Option<Kind> {
    let address = address.parse::<IpAddr>().unwrap();
    check(address, &[]).err().map(|prohibited| prohibited.kind)
}

/// Nothing but public addresses is reached unless the operator says so, in
/// whatever form it is written.
#[test]
fn the_verdict_on_every_kind_of_address() {
    use Kind::*;
    let table = [
        // Public.
        ("1.1.1.1", None),
        ("8.8.8.8", None),
        ("9.255.255.255", None),
        ("11.0.0.0", None),
        ("100.63.255.255", None),
        ("100.128.0.0", None),
        ("126.255.255.255", None),
        ("128.0.0.1", None),
        ("168.63.129.15", None),
        ("168.63.129.17", None),
        ("169.253.255.255", None),
        ("169.255.0.0", None),
        ("172.15.255.255", None),
        ("172.32.0.0", None),
        ("192.0.1.0", None),
        ("192.167.255.255", None),
        ("192.169.0.0", None),
        ("198.17.255.255", None),
        ("198.20.0.0", None),
        ("223.255.255.255", None),
        ("2606:4700:4700::1111", None),
        ("2a00:1450:4001:81b::200e", None),
        ("2001:200::1", None),
        ("2001:4860:4860::8888", None),
        ("2003::1", None),
        ("3ffe::1", None),
        ("::ffff:8.8.8.8", None),
        ("64:ff9b::8.8.8.8", None),
        // Not.
        ("0.0.0.0", Some(Unspecified)),
        ("0.1.2.3", Some(Unspecified)),
        ("10.0.0.0", Some(Private)),
        ("10.255.255.255", Some(Private)),
        ("100.64.0.0", Some(SharedNat)),
        ("100.100.100.200", Some(SharedNat)),
        ("100.127.255.255", Some(SharedNat)),
        ("127.0.0.1", Some(Loopback)),
        ("127.255.255.255", Some(Loopback)),
        ("168.63.129.16", Some(Platform)),
        ("169.254.0.0", Some(LinkLocal)),
        ("169.254.169.254", Some(LinkLocal)),
        ("172.16.0.0", Some(Private)),
        ("172.31.255.255", Some(Private)),
        ("192.0.0.1", Some(Reserved)),
        ("192.0.0.192", Some(Reserved)),
        ("192.0.2.1", Some(Documentation)),
        ("192.88.99.1", Some(Tunnel)),
        ("192.168.0.0", Some(Private)),
        ("192.168.255.255", Some(Private)),
        ("198.18.0.0", Some(Benchmarking)),
        ("198.19.255.255", Some(Benchmarking)),
        ("198.51.100.7", Some(Documentation)),
        ("203.0.113.7", Some(Documentation)),
        ("224.0.0.1", Some(Multicast)),
        ("239.255.255.255", Some(Multicast)),
        ("240.0.0.1", Some(Reserved)),
        ("255.255.255.255", Some(Reserved)),
        ("::", Some(Unspecified)),
        ("::1", Some(Loopback)),
        ("::2", Some(Tunnel)),
        ("fc00::1", Some(Private)),
        ("fd00:ec2::254", Some(Private)),
        ("fe80::1", Some(LinkLocal)),
        ("febf::1", Some(LinkLocal)),
        ("fec0::1", Some(Reserved)),
        ("ff02::1", Some(Multicast)),
        ("100::1", Some(Reserved)),
        ("4000::1", Some(Reserved)),
        ("5f00::1", Some(Reserved)),
        ("2001:db8::1", Some(Documentation)),
        ("3fff::1", Some(Documentation)),
        ("3fff:fff:ffff::1", Some(Documentation)),
        ("2001:2::1", Some(Benchmarking)),
        ("2001:10::1", Some(Reserved)),
        ("2001:1ff::1", Some(Reserved)),
        // Wrapped up.
        ("::ffff:127.0.0.1", Some(Loopback)),
        ("::ffff:10.0.0.1", Some(Private)),
        ("::ffff:169.254.169.254", Some(LinkLocal)),
        ("::ffff:0.0.0.0", Some(Unspecified)),
        ("64:ff9b::127.0.0.1", Some(Loopback)),
        ("64:ff9b::10.0.0.1", Some(Private)),
        ("64:ff9b::169.254.169.254", Some(LinkLocal)),
        ("64:ff9b:1::8.8.8.8", Some(Tunnel)),
        ("64:ff9b:0:1::8.8.8.8", Some(Reserved)),
        ("::127.0.0.1", Some(Tunnel)),
        ("::8.8.8.8", Some(Tunnel)),
        ("::ffff:0:8.8.8.8", Some(Tunnel)),
        ("2002:7f00:1::", Some(Tunnel)),
        ("2002:808:808::1", Some(Tunnel)),
        ("2001:0:4136:e378:8000:63bf:f5ff:fffe", Some(Tunnel)),
    ];
    for (address, verdict) in table {
        assert_eq!(kind(address), verdict, "{address}");
    }
}

#[test]
fn an_allowed_network_opens_exactly_itself() {
    let allowed = ["127.0.0.0/8", "10.1.0.0/16", "fd00::/8", "2001:db8::/32"].map(|net| net.parse().unwrap());
    let table = [
        ("127.0.0.1", true),
        ("::ffff:127.0.0.1", true),
        ("64:ff9b::10.1.2.3", true),
        ("10.1.255.255", true),
        ("10.2.0.0", false),
        ("::ffff:10.2.0.0", false),
        ("fd12::1", true),
        ("fc00::1", false),
        ("2001:db8::7", true),
        ("::1", false),
        ("::127.0.0.1", false),
        ("192.168.0.1", false),
    ];
    for (address, open) in table {
        assert_eq!(
            check(address.parse().unwrap(), &allowed).is_ok(),
            open,
            "{address}"
        );
    }
}

/// The wrapping comes off before anything is connected to.
#[test]
fn a_mapped_address_is_connected_to_as_what_it_is() {
    let mapped = "::ffff:8.8.8.8".parse().unwrap();
    assert_eq!(check(mapped, &[]).unwrap().to_string(), "8.8.8.8");
}

#[test]
fn a_refusal_says_which_line_would_lift_it() {
    let refused = check("10.0.0.7".parse().unwrap(), &[]).unwrap_err();
    let text = refused.to_string();
    assert!(
        text.starts_with("10.0.0.7 is private") && text.contains("`[http] allow_networks`"),
        "{text}"
    );
}
