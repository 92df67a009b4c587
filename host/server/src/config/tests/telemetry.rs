//! What `[telemetry]` reads as, what OpenTelemetry's variables say beside it, and
//! what is wrong with both.

use std::path::Path;
use std::time::Duration;

use super::*;

fn with(text: &str, variables: &[(&str, &str)]) -> Config {
    parse(text, Path::new("/srv/segue"), &env(variables)).unwrap_or_else(|faults| panic!("{faults}"))
}

#[test]
fn without_a_word_no_traces_are_kept() {
    let telemetry = good("").telemetry;
    assert_eq!(telemetry.otlp_endpoint, None);
    assert_eq!((telemetry.queue, telemetry.sample), (4096, 1.0));
    assert!(!telemetry.query_text);
    assert_eq!(telemetry.service_name, "segue");
}

#[test]
fn an_endpoint_is_where_traces_go() {
    let of = |url: &str| {
        good(&format!("[telemetry]\notlp_endpoint = \"{url}\""))
            .telemetry
            .otlp_endpoint
    };
    for (written, asked) in [
        ("http://127.0.0.1:4318", "http://127.0.0.1:4318/v1/traces"),
        ("http://127.0.0.1:4318/", "http://127.0.0.1:4318/v1/traces"),
        (
            "https://o1.example.com/api/2/otlp/v1/traces",
            "https://o1.example.com/api/2/otlp/v1/traces",
        ),
    ] {
        assert_eq!(of(written).as_deref(), Some(asked));
    }
}

#[test]
fn what_the_file_does_not_say_the_variables_of_opentelemetry_may() {
    let general = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318/base/"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "X-Key=hunter2%2C%20sure, x-other=b"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "2500"),
        ("OTEL_SERVICE_NAME", "shop"),
        (
            "OTEL_RESOURCE_ATTRIBUTES",
            "team=a%20b,deployment.environment.name=test",
        ),
    ];
    let config = with("[telemetry]\nresource = { team = \"c\" }", &general);
    let telemetry = &config.telemetry;
    assert_eq!(
        telemetry.otlp_endpoint.as_deref(),
        Some("http://collector:4318/base/v1/traces")
    );
    assert_eq!(telemetry.otlp_headers["x-key"].expose(), "hunter2, sure");
    assert_eq!(telemetry.otlp_timeout, Duration::from_millis(2500));
    assert_eq!(telemetry.service_name, "shop");
    assert_eq!(telemetry.resource["team"], "c", "the file is stronger");
    assert_eq!(telemetry.resource["deployment.environment.name"], "test");
    // And who looks sees where it is from, but no secret.
    let shown = config.redacted_json();
    assert!(!format!("{shown} {config:?}").contains("hunter2"));
    let source = shown["sources"]["telemetry.otlp_endpoint"].to_string();
    assert!(source.contains("OTEL_EXPORTER_OTLP_ENDPOINT"), "{source}");

    let own = [
        general[0],
        ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://traces:4318/in"),
    ];
    let endpoint = |text: &str| with(text, &own).telemetry.otlp_endpoint;
    assert_eq!(endpoint("").as_deref(), Some("http://traces:4318/in"), "as it is");
    let file = "[telemetry]\notlp_endpoint = \"http://file:4318\"";
    assert_eq!(endpoint(file).as_deref(), Some("http://file:4318/v1/traces"));
    let off = [general[0], ("OTEL_SDK_DISABLED", "TRUE")];
    assert_eq!(with(file, &off).telemetry.otlp_endpoint, None);
}

#[test]
fn a_key_is_a_secret_and_needs_a_restart() {
    let text =
        "[telemetry]\notlp_endpoint = \"http://c:4318\"\n[telemetry.otlp_headers]\nX-Api-Key = \"env:KEY\"";
    let one = with(text, &[("KEY", "hunter2-one")]);
    let two = with(text, &[("KEY", "hunter2-two")]);
    assert_eq!(one.telemetry.otlp_headers["x-api-key"].expose(), "hunter2-one");
    assert!(!format!("{} {one:?}", one.redacted_json()).contains("hunter2"));
    assert_eq!(
        one.redacted_json()["telemetry"]["otlp_headers"]["x-api-key"],
        "env:KEY"
    );
    assert_eq!(one.needs_restart(&two), ["telemetry.otlp_headers"]);
    assert!(one.needs_restart(&one).is_empty());
    assert_eq!(
        good("").needs_restart(&good("[telemetry]\nqueue = 16")),
        ["telemetry.queue"]
    );
    let plain = bad("[telemetry.otlp_headers]\nx = \"hunter2\"");
    assert!(
        plain.to_string().contains("must not stand in the file"),
        "{plain}"
    );
    assert!(!plain.report(true).contains("hunter2"));
}

#[test]
fn what_is_wrong_is_told_with_its_mend() {
    let url = |url: &str| format!("[telemetry]\notlp_endpoint = \"{url}\"");
    for (text, code, words) in [
        (url("collector:4318"), "bad_url", "such as http://127.0.0.1:4318"),
        (url("http://u:p@collector"), "bad_url", "[telemetry.otlp_headers]"),
        (url("http://collector:4317"), "bad_url", "write port 4318"),
        (
            "[telemetry]\nsample = 1.5".to_owned(),
            "out_of_range",
            "give 0 to 1",
        ),
        (
            "[telemetry]\nendpoint = \"x\"".to_owned(),
            "unknown_key",
            "did you mean",
        ),
        ("[telemetry]\nqueue = 3".to_owned(), "out_of_range", "give 16 to"),
    ] {
        let faults = bad(&text);
        assert!(
            faults.list().iter().any(|fault| fault.code == code),
            "{text}\n{faults}"
        );
        assert!(faults.to_string().contains(words), "{text}\n{faults}");
    }
    for (variables, words) in [
        (
            vec![("OTEL_EXPORTER_OTLP_ENDPOINT", "collector")],
            "`OTEL_EXPORTER_OTLP_ENDPOINT` is no",
        ),
        (
            vec![
                ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:4318"),
                ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
            ],
            "set it to http/protobuf",
        ),
        (vec![("OTEL_EXPORTER_OTLP_TIMEOUT", "10s")], "write milliseconds"),
        (vec![("OTEL_EXPORTER_OTLP_HEADERS", "hunter2")], "write key=value"),
    ] {
        let faults = parse("", Path::new("/"), &env(&variables))
            .unwrap_err()
            .to_string();
        assert!(faults.contains(words) && !faults.contains("hunter2"), "{faults}");
    }
}
