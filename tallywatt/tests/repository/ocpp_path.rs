//! The CloudFront Function, run in Node as CloudFront would.

use std::process::Command;

use anyhow::{Context as _, ensure};
use serde_json::{Value, json};

use crate::read;

/// How far the template indents the code.
const INDENT: &str = "        ";

const SOURCE: &str = "infra/cloudfront/ocpp-path.js";

/// What the function makes of a request.
fn answer(uri: &str, querystring: &Value) -> anyhow::Result<Value> {
    let event = json!({ "request": {
        "method": "GET", "uri": uri, "querystring": querystring, "headers": {}, "cookies": {},
    }});
    let script = format!("{}\nconsole.log(JSON.stringify(handler({event})));", read(SOURCE)?);
    let node = Command::new("node").args(["-e", &script]).output().context("starting node")?;
    ensure!(node.status.success(), "{}", String::from_utf8_lossy(&node.stderr));
    Ok(serde_json::from_slice(&node.stdout)?)
}

fn identity(uri: &str) -> anyhow::Result<Value> {
    let request = answer(uri, &json!({}))?;
    assert_eq!(request["uri"], "/live", "{uri}");
    Ok(request["querystring"]["chargePointId"]["value"].clone())
}

#[test]
fn the_last_path_segment_becomes_the_identity() -> anyhow::Result<()> {
    assert_eq!(identity("/ocpp/CP-1")?, "CP-1");
    assert_eq!(identity("/ocpp/DE*TWT*E1%2F2")?, "DE*TWT*E1%2F2");
    // In a path these stand for themselves; in a query string they would not.
    assert_eq!(identity("/ocpp/a+b&c=d")?, "a%2Bb%26c%3Dd");
    Ok(())
}

#[test]
fn a_query_string_claims_no_identity() -> anyhow::Result<()> {
    let claimed = json!({ "chargePointId": { "value": "other" }, "stage": { "value": "x" } });
    let request = answer("/ocpp/CP-1", &claimed)?;
    assert_eq!(request["querystring"], json!({ "chargePointId": { "value": "CP-1" } }));
    Ok(())
}

#[test]
fn any_other_path_is_not_found() -> anyhow::Result<()> {
    for uri in ["/", "/live", "/ocpp", "/ocpp/", "/ocpp/a/b", "/OCPP/a", "/ocpp/%E0%A4%A"] {
        assert_eq!(answer(uri, &json!({}))?["statusCode"], 404, "{uri}");
    }
    Ok(())
}

#[test]
fn the_template_carries_the_function_that_is_tested_here() -> anyhow::Result<()> {
    let template = read("infra/template.yaml")?;
    let code = template.split_once("FunctionCode: |\n").context("no FunctionCode")?.1;
    let inside = |line: &&str| line.is_empty() || line.starts_with(INDENT);
    let lines = code.lines().take_while(inside);
    let code: Vec<_> = lines.map(|line| line.strip_prefix(INDENT).unwrap_or(line)).collect();
    assert_eq!(code.join("\n").trim_end(), read(SOURCE)?.trim_end());
    Ok(())
}
