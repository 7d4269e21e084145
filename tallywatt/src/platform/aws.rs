//! Signed requests to the few AWS services that the command asks something of. All of them speak
//! JSON with an `X-Amz-Target`, so one function does instead of an SDK each.

use std::{env, time::SystemTime};

use anyhow::{Context as _, anyhow, bail};
use aws_credential_types::Credentials;
use aws_sigv4::{
    http_request::{SignableBody, SignableRequest, SigningSettings, sign},
    sign::v4,
};
use serde_json::{Value, json};
use url::Url;

/// Where AWS is, and as whom we ask.
#[derive(Debug, Clone)]
pub struct Aws {
    endpoint: Option<Url>,
    region: String,
    credentials: Credentials,
    http: reqwest::Client,
}

/// A service that is asked in JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Service {
    /// Tables.
    DynamoDb,
    /// Queues.
    Sqs,
    /// Secrets.
    SecretsManager,
    /// The functions' log.
    Logs,
}

impl Service {
    /// Name in addresses and signatures, target prefix, JSON version.
    const fn protocol(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::DynamoDb => ("dynamodb", "DynamoDB_20120810", "1.0"),
            Self::Sqs => ("sqs", "AmazonSQS", "1.0"),
            Self::SecretsManager => ("secretsmanager", "secretsmanager", "1.1"),
            Self::Logs => ("logs", "Logs_20140328", "1.1"),
        }
    }
}

/// A request that AWS refused.
#[derive(Debug, thiserror::Error)]
#[error("{operation} failed: {code} {message}")]
pub struct Refused {
    /// The API operation.
    pub operation: String,
    /// AWS's error code, without its namespace.
    pub code: String,
    /// AWS's own words.
    pub message: String,
}

impl Aws {
    /// An emulator, as its root user.
    pub(super) fn emulator(endpoint: Url) -> anyhow::Result<Self> {
        let credentials = Credentials::new("test", "test", None, None, "emulator");
        Self::new(Some(endpoint), super::LOCAL_REGION.to_owned(), credentials)
    }

    /// What `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_SESSION_TOKEN` and `AWS_REGION`
    /// say; `endpoint` instead of AWS itself.
    pub(super) fn from_environment(endpoint: Option<Url>) -> anyhow::Result<Self> {
        let variable = |name: &str| env::var(name).ok().filter(|value| !value.is_empty());
        let required = |name: &str| {
            variable(name).with_context(|| {
                format!("{name} is not set (aws configure export-credentials --format env)")
            })
        };
        let region = variable("AWS_REGION").or_else(|| variable("AWS_DEFAULT_REGION"));
        let credentials = Credentials::new(
            required("AWS_ACCESS_KEY_ID")?,
            required("AWS_SECRET_ACCESS_KEY")?,
            variable("AWS_SESSION_TOKEN"),
            None,
            "environment",
        );
        Self::new(endpoint, region.context("AWS_REGION is not set")?, credentials)
    }

    fn new(
        endpoint: Option<Url>,
        region: String,
        credentials: Credentials,
    ) -> anyhow::Result<Self> {
        let mut http = reqwest::Client::builder();
        if endpoint.is_some() {
            http = http.no_proxy();
        }
        Ok(Self { endpoint, region, credentials, http: http.build()? })
    }

    /// The emulator's address; `None` is AWS itself.
    #[must_use]
    pub fn endpoint(&self) -> Option<&str> {
        self.endpoint.as_ref().map(|endpoint| endpoint.as_str().trim_end_matches('/'))
    }

    /// The `AWS_*` variables that make another program ask the same AWS as the same user.
    pub(super) fn environment(&self) -> Vec<(&'static str, String)> {
        let mut all = vec![
            ("AWS_ACCESS_KEY_ID", self.credentials.access_key_id().to_owned()),
            ("AWS_SECRET_ACCESS_KEY", self.credentials.secret_access_key().to_owned()),
            ("AWS_DEFAULT_REGION", self.region.clone()),
            ("AWS_REGION", self.region.clone()),
        ];
        if let Some(token) = self.credentials.session_token() {
            all.push(("AWS_SESSION_TOKEN", token.to_owned()));
        }
        if let Some(endpoint) = self.endpoint() {
            all.push(("AWS_ENDPOINT_URL", endpoint.to_owned()));
        }
        all
    }

    /// Asks `operation` of `service` and gives its answer.
    ///
    /// # Errors
    ///
    /// [`Refused`] when AWS answers with an error; others when it does not answer.
    pub async fn call(
        &self,
        service: Service,
        operation: &str,
        request: &Value,
    ) -> anyhow::Result<Value> {
        let (name, prefix, version) = service.protocol();
        let headers = [
            ("content-type", format!("application/x-amz-json-{version}")),
            ("x-amz-target", format!("{prefix}.{operation}")),
        ];
        self.post(name, "/", &headers, operation, request).await
    }

    /// Invokes a function and waits for its answer.
    ///
    /// # Errors
    ///
    /// When it cannot be invoked, or fails: then its own words are in the error.
    pub async fn invoke(&self, function: &str, event: &Value) -> anyhow::Result<Value> {
        let path = format!("/2015-03-31/functions/{function}/invocations");
        let answer = self.post("lambda", &path, &[], "Invoke", event).await?;
        match answer.get("errorMessage") {
            Some(error) => bail!("{function} failed: {error}"),
            None => Ok(answer),
        }
    }

    /// Creates the function `name` with this code (a zip file in Base64) and otherwise as `like`
    /// is.
    pub(super) async fn copy_function(
        &self,
        like: &str,
        name: &str,
        code: &str,
    ) -> anyhow::Result<()> {
        let path = format!("/2015-03-31/functions/{like}/configuration");
        let like = self.request("GET", "lambda", &path, &[], "GetFunctionConfiguration", "");
        let like = like.await?;
        let create = json!({
            "FunctionName": name,
            "Code": { "ZipFile": code },
            "Runtime": like["Runtime"],
            "Handler": like["Handler"],
            "Role": like["Role"],
            "Environment": { "Variables": like["Environment"]["Variables"] },
            "MemorySize": like["MemorySize"],
            "Timeout": like["Timeout"],
        });
        let path = "/2015-03-31/functions";
        self.post("lambda", path, &[], "CreateFunction", &create).await.map(drop)
    }

    /// Makes `domain` an identity that SES sends mail of. Elsewhere than on an emulator its owner
    /// still has to prove it.
    pub(super) async fn verify_mail_domain(&self, domain: &str) -> anyhow::Result<()> {
        let create = json!({ "EmailIdentity": domain });
        let path = "/v2/email/identities";
        self.post("ses", path, &[], "CreateEmailIdentity", &create).await.map(drop)
    }

    /// The mails that an emulator's SES has sent.
    ///
    /// # Errors
    ///
    /// When it does not say.
    pub async fn mails(&self) -> anyhow::Result<Vec<Value>> {
        let path = "/_ministack/ses/messages";
        let answer = self.request("GET", "ses", path, &[], "the mails that were sent", "").await?;
        let accounts = answer.get("messages").and_then(Value::as_object);
        let mails = accounts.into_iter().flat_map(|accounts| accounts.values());
        Ok(mails.filter_map(Value::as_array).flatten().cloned().collect())
    }

    async fn post(
        &self,
        service: &str,
        path: &str,
        headers: &[(&str, String)],
        operation: &str,
        request: &Value,
    ) -> anyhow::Result<Value> {
        self.request("POST", service, path, headers, operation, &request.to_string()).await
    }

    async fn request(
        &self,
        method: &str,
        service: &str,
        path: &str,
        headers: &[(&str, String)],
        operation: &str,
        body: &str,
    ) -> anyhow::Result<Value> {
        let url = match &self.endpoint {
            Some(endpoint) => endpoint.join(path)?,
            None => format!("https://{service}.{}.amazonaws.com{path}", self.region).parse()?,
        };
        let identity = self.credentials.clone().into();
        let params = v4::SigningParams::builder()
            .identity(&identity)
            .region(&self.region)
            .name(service)
            .time(SystemTime::now())
            .settings(SigningSettings::default())
            .build()?
            .into();
        let shown = headers.iter().map(|(name, value)| (*name, value.as_str()));
        let signable = SignableBody::Bytes(body.as_bytes());
        let signable = SignableRequest::new(method, url.as_str(), shown, signable)?;
        let (signature, _) = sign(signable, &params)?.into_parts();

        let mut request = self.http.request(method.parse()?, url.clone()).body(body.to_owned());
        for (name, value) in headers {
            request = request.header(*name, value);
        }
        for (name, value) in signature.headers() {
            request = request.header(name, value);
        }
        let answer = request.send().await.with_context(|| format!("asking {operation}"))?;
        let good = answer.status().is_success();
        let text = answer.text().await.with_context(|| format!("reading {operation}"))?;
        let answer: Value = match text.trim() {
            "" => Value::Null,
            text => serde_json::from_str(text)
                .map_err(|_| anyhow!("{operation} answered no JSON: {text}"))?,
        };
        if good {
            return Ok(answer);
        }
        bail!(refused(operation, &answer))
    }
}

fn refused(operation: &str, answer: &Value) -> Refused {
    let text = |name: &str| answer.get(name).and_then(Value::as_str).unwrap_or_default();
    let code = text("__type").rsplit('#').next().unwrap_or_default().to_owned();
    let message = [text("message"), text("Message")].concat();
    Refused { operation: operation.to_owned(), code, message }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_code_loses_its_namespace() {
        let answer = json!({ "__type": "com.amazonaws.sqs#QueueDoesNotExist", "message": "No." });
        assert_eq!(
            refused("SendMessage", &answer).to_string(),
            "SendMessage failed: QueueDoesNotExist No."
        );
    }
}
