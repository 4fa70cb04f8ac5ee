//! A request, as it is shown and as it is sent.

use anyhow::Result;
use serde_json::Value;
use testbed::client::{Connection, Request, Response};

use crate::variables::{Caller, Place, Variables};

/// A request of the tour.
#[derive(Debug, Clone)]
pub struct Ask {
    to: Place,
    path: String,
    caller: Option<Caller>,
    headers: Vec<(&'static str, &'static str)>,
    body: Option<Value>,
}

impl Ask {
    /// A GET.
    pub fn get(to: Place, path: &str) -> Self {
        Self { to, path: path.to_owned(), caller: None, headers: Vec::new(), body: None }
    }

    /// A POST of JSON to the gateway.
    pub fn post(path: &str, body: Value) -> Self {
        Self { body: Some(body), ..Self::get(Place::Gateway, path) }
    }

    /// With this caller's token.
    #[must_use]
    pub fn by(mut self, caller: Caller) -> Self {
        self.caller = Some(caller);
        self
    }

    /// With a header.
    #[must_use]
    pub fn header(mut self, name: &'static str, value: &'static str) -> Self {
        self.headers.push((name, value));
        self
    }

    /// Where it goes.
    pub fn to(&self) -> Place {
        self.to
    }

    /// The lines of a shell command that sends it.
    pub fn curl(&self) -> Vec<String> {
        // curl would walk the dots itself.
        let as_is = if self.path.contains("/..") { " --path-as-is" } else { "" };
        let mut lines = vec![format!("curl -i{as_is} \"${}{}\"", self.to.variable(), self.path)];
        if let Some(caller) = self.caller {
            lines.push(format!("-H \"authorization: Bearer ${}\"", caller.variable()));
        }
        lines.extend(self.headers.iter().map(|(name, value)| format!("-H '{name}: {value}'")));
        if let Some(body) = &self.body {
            lines.push("-H 'content-type: application/json'".to_owned());
            lines.push(format!("-d '{body}'"));
        }
        lines
    }

    /// Sends it over a new connection.
    pub async fn send(&self, variables: &Variables) -> Result<Response> {
        self.request(variables)?.send(variables.address(self.to)?).await
    }

    /// Opens a connection for many requests.
    pub async fn connect(&self, variables: &Variables) -> Result<Connection> {
        self.request(variables)?.connect(variables.address(self.to)?).await
    }

    /// The request as bytes.
    pub fn request(&self, variables: &Variables) -> Result<Request> {
        let host = variables.address(self.to)?.to_string();
        let mut request = match &self.body {
            Some(body) => Request::post_json(&self.path, body),
            None => Request::get(&self.path),
        };
        request = request.authority(Some(&host)).header("user-agent", "modelgate-demo");
        if let Some(caller) = self.caller {
            request = request.bearer(variables.token(caller)?);
        }
        Ok(self.headers.iter().fold(request, |request, (name, value)| request.header(name, value)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn is_shown_as_a_shell_reads_it() {
        let ask =
            Ask::post("/a/..%2Fb", json!({"x": [1.5]})).by(Caller::Alice).header("x-user", "root");
        assert_eq!(
            ask.curl(),
            [
                "curl -i --path-as-is \"$GATEWAY/a/..%2Fb\"",
                "-H \"authorization: Bearer $ALICE\"",
                "-H 'x-user: root'",
                "-H 'content-type: application/json'",
                "-d '{\"x\":[1.5]}'",
            ]
        );
    }
}
