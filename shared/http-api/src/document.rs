//! The OpenAPI document of a surface: made from its routes, committed, and held to them by a test.

use std::{collections::BTreeSet, env, fs, path::Path};

use serde_json::Value;
use utoipa::{
    PartialSchema as _, ToSchema as _,
    openapi::{
        ComponentsBuilder, ContentBuilder, InfoBuilder, OpenApi, OpenApiBuilder, Ref, RefOr,
        ResponseBuilder,
        security::{HttpAuthScheme, HttpBuilder, SecurityScheme},
    },
};

use crate::{ProblemDetails, Violation};

/// An empty document to collect routes in.
#[must_use]
pub fn start(title: &str, description: &str) -> OpenApi {
    let jwt = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).bearer_format("JWT").build();
    let components = ComponentsBuilder::new()
        .schema(ProblemDetails::name(), ProblemDetails::schema())
        .schema(Violation::name(), Violation::schema())
        .security_scheme("jwt", SecurityScheme::Http(jwt))
        .build();
    let info = InfoBuilder::new()
        .title(title)
        .description(Some(description))
        .version(env!("CARGO_PKG_VERSION"))
        .build();
    OpenApiBuilder::new().info(info).components(Some(components)).build()
}

/// The document with the problem answer that every operation has.
#[must_use]
pub fn complete(mut document: OpenApi) -> OpenApi {
    let schema = Ref::from_schema_name(ProblemDetails::name());
    let content = ContentBuilder::new().schema(Some(schema)).build();
    let problem = ResponseBuilder::new()
        .description("A problem")
        .content("application/problem+json", content)
        .build();
    for item in document.paths.paths.values_mut() {
        let operations = [&mut item.get, &mut item.put, &mut item.post, &mut item.delete];
        for operation in operations.into_iter().flatten() {
            let responses = &mut operation.responses.responses;
            responses.insert("default".to_owned(), RefOr::T(problem.clone()));
        }
    }
    document
}

/// What a reader of the document would stumble over: references to nothing, names used twice.
fn flaws(document: &Value) -> Vec<String> {
    let mut flaws = Vec::new();
    let mut names = BTreeSet::new();
    walk(document, &mut |member, value| match (member, value) {
        ("$ref", Value::String(to)) if document.pointer(to.trim_start_matches('#')).is_none() => {
            flaws.push(format!("{to} is nowhere"));
        }
        ("operationId", Value::String(name)) if !names.insert(name.clone()) => {
            flaws.push(format!("two operations are called {name}"));
        }
        _ => {}
    });
    flaws
}

fn walk(value: &Value, visit: &mut impl FnMut(&str, &Value)) {
    match value {
        Value::Object(members) => {
            for (member, value) in members {
                visit(member, value);
                walk(value, visit);
            }
        }
        Value::Array(values) => values.iter().for_each(|value| walk(value, visit)),
        _ => {}
    }
}

/// Compares `document` with the committed one at `path`; with `UPDATE_EXPECT=1` in the environment
/// it is written there instead, for a person to read the difference. For tests.
///
/// # Errors
///
/// What differs, or why the file cannot be read or written.
pub fn hold(document: &OpenApi, path: &Path) -> Result<(), String> {
    let value = serde_json::to_value(document).map_err(|error| error.to_string())?;
    let flaws = flaws(&value);
    if !flaws.is_empty() {
        return Err(flaws.join("; "));
    }
    let made = document.to_pretty_json().map_err(|error| error.to_string())? + "\n";
    if env::var_os("UPDATE_EXPECT").is_some() {
        return fs::write(path, made).map_err(|error| format!("{}: {error}", path.display()));
    }
    let committed =
        fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let lines = committed.lines().zip(made.lines()).enumerate();
    if let Some((line, (was, is))) = lines.into_iter().find(|(_, (was, is))| was != is) {
        let place = format!("{}, line {}", path.display(), line + 1);
        return Err(format!("{place}: `{was}` is `{is}` in the code; UPDATE_EXPECT=1 rewrites"));
    }
    if committed == made { Ok(()) } else { Err(format!("{} is shorter or longer", path.display())) }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_document_that_nobody_could_use_is_not_committed() {
        let document = json!({
            "paths": {
                "/a": { "get": { "operationId": "list", "schema": { "$ref": "#/components/A" } } },
                "/b": { "get": { "operationId": "list" } },
            },
            "components": { "B": {} },
        });
        let flaws = flaws(&document);
        assert_eq!(flaws, ["#/components/A is nowhere", "two operations are called list"]);
    }
}
