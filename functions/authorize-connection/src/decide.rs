//! Load, decide, store, reply.

use crate::credentials;
use crate::credentials::Credentials;
use aws_lambda_events::apigw::ApiGatewayCustomAuthorizerRequestTypeRequest;
use network::Charger;
use runtime::{Caller, Invocation, Metric};
use serde_json::{Value, json};
use store::Store;

pub(crate) async fn decide(
    store: &Store,
    event: ApiGatewayCustomAuthorizerRequestTypeRequest,
    invocation: &Invocation,
) -> anyhow::Result<Value> {
    let resource = event.method_arn.clone().unwrap_or_default();
    let charger = match credentials::of(&event) {
        Ok(credentials) => admitted(store, &credentials, invocation).await?,
        Err(reason) => {
            invocation.outcome(reason);
            None
        }
    };
    if charger.is_none() {
        invocation.count(Metric::Refusals, 1);
    }
    Ok(policy(&resource, charger.as_ref()))
}

async fn admitted(
    store: &Store,
    credentials: &Credentials,
    invocation: &Invocation,
) -> anyhow::Result<Option<Charger>> {
    invocation.field("charge_point_id", credentials.charge_point_id.as_str());
    let Some(charger) = store.charger(&credentials.charge_point_id).await? else {
        invocation.outcome("unknown charger");
        return Ok(None);
    };
    let right = credentials.matches(&charger.password_hash);
    invocation.outcome(if right { "allowed" } else { "wrong password" });
    Ok(right.then_some(charger))
}

/// Allows the connection for `charger`, or denies it to nobody we know.
fn policy(resource: &str, charger: Option<&Charger>) -> Value {
    let effect = if charger.is_some() { "Allow" } else { "Deny" };
    let context =
        charger.map(|charger| Caller::context(&charger.id, &charger.site_id, charger.time_zone));
    json!({
        "principalId": charger.map_or("nobody", |charger| charger.id.as_str()),
        "policyDocument": {
            "Version": "2012-10-17",
            "Statement": [
                { "Action": "execute-api:Invoke", "Effect": effect, "Resource": resource },
            ],
        },
        "context": context.unwrap_or_else(|| json!({})),
    })
}
