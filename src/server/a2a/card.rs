//! The agent card: what this server is, where it is, and which versions of A2A it speaks there.
//!
//! One card serves both versions: clients of 0.3 read `url`, `preferredTransport` and
//! `additionalInterfaces`, those of 1.0 read `supportedInterfaces`; each passes over the other's.

use serde::Serialize;

/// The extension that lets a client go on where its stream was cut.
pub(super) const RESUME_URI: &str = "urn:planbus:a2a:resume:1";

/// What the card says of one server.
#[derive(Clone, Copy, Debug)]
pub(super) struct CardFacts<'a> {
    /// The server's address without a path: `http://127.0.0.1:9401`.
    pub(super) base: &'a str,
    /// Whether a message starts a plan.
    pub(super) has_executor: bool,
    /// Whether requests need a bearer token.
    pub(super) needs_token: bool,
}

/// The card as JSON.
pub(super) fn card(facts: CardFacts<'_>) -> String {
    let rpc = format!("{}/a2a", facts.base);
    let rest = format!("{}/a2a/v1", facts.base);
    let mut skills = vec![Skill {
        id: "watch",
        name: "Watch a plan",
        description: "Follow the events of a plan that runs, with its result or its failure at the end",
        tags: ["events", "plans"],
    }];
    if facts.has_executor {
        skills.push(Skill {
            id: "run",
            name: "Run a plan",
            description: "Start a plan with a message of text and data",
            tags: ["execution", "plans"],
        });
    }
    let card = Card {
        name: "planbus",
        description: "Plans of an agent runtime as tasks, from a durable log of their events",
        version: env!("CARGO_PKG_VERSION"),
        supported_interfaces: [
            Interface::new(&rpc, "JSONRPC", "1.0"),
            Interface::new(&rest, "HTTP+JSON", "1.0"),
            Interface::new(&rpc, "JSONRPC", "0.3"),
        ],
        protocol_version: "0.3.0",
        url: &rpc,
        preferred_transport: "JSONRPC",
        capabilities: Capabilities {
            streaming: true,
            push_notifications: false,
            extensions: [Extension {
                uri: RESUME_URI,
                description: "A subscription with the header Last-Event-ID, which holds the sequence or the \
                              event id of the last event that was seen, goes on behind it, for a task that \
                              has ended too. Each status names its event in metadata.sequence.",
                required: false,
            }],
        },
        security_schemes: facts.needs_token.then_some(Schemes { bearer: Bearer::SCHEME }),
        security_requirements: facts
            .needs_token
            .then_some([Requirement { schemes: Scopes { bearer: ScopeList { list: [] } } }]),
        security: facts.needs_token.then_some([Security { bearer: [] }]),
        default_input_modes: ["text/plain", "application/json"],
        default_output_modes: ["application/json"],
        skills,
    };
    // Strings and lists only: writing them cannot fail.
    serde_json::to_string(&card).unwrap_or_default()
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Card<'a> {
    name: &'static str,
    description: &'static str,
    version: &'static str,
    supported_interfaces: [Interface<'a>; 3],
    /// With `url` and `preferred_transport`, for clients of 0.3.
    protocol_version: &'static str,
    url: &'a str,
    preferred_transport: &'static str,
    capabilities: Capabilities,
    #[serde(skip_serializing_if = "Option::is_none")]
    security_schemes: Option<Schemes>,
    #[serde(skip_serializing_if = "Option::is_none")]
    security_requirements: Option<[Requirement; 1]>,
    /// For clients of 0.3.
    #[serde(skip_serializing_if = "Option::is_none")]
    security: Option<[Security; 1]>,
    default_input_modes: [&'static str; 2],
    default_output_modes: [&'static str; 1],
    skills: Vec<Skill>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Interface<'a> {
    url: &'a str,
    protocol_binding: &'static str,
    protocol_version: &'static str,
}

impl<'a> Interface<'a> {
    fn new(url: &'a str, protocol_binding: &'static str, protocol_version: &'static str) -> Self {
        Self { url, protocol_binding, protocol_version }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Capabilities {
    streaming: bool,
    push_notifications: bool,
    extensions: [Extension; 1],
}

#[derive(Serialize)]
struct Extension {
    uri: &'static str,
    description: &'static str,
    required: bool,
}

#[derive(Serialize)]
struct Skill {
    id: &'static str,
    name: &'static str,
    description: &'static str,
    tags: [&'static str; 2],
}

#[derive(Serialize)]
struct Schemes {
    bearer: Bearer,
}

/// A bearer token, as 1.0 says it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Bearer {
    http_auth_security_scheme: HttpScheme,
}

impl Bearer {
    const SCHEME: Self = Self { http_auth_security_scheme: HttpScheme { scheme: "Bearer" } };
}

#[derive(Serialize)]
struct HttpScheme {
    scheme: &'static str,
}

#[derive(Serialize)]
struct Requirement {
    schemes: Scopes,
}

#[derive(Serialize)]
struct Scopes {
    bearer: ScopeList,
}

#[derive(Serialize)]
struct ScopeList {
    list: [&'static str; 0],
}

#[derive(Serialize)]
struct Security {
    bearer: [&'static str; 0],
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_card_is_one_for_both_versions_and_for_the_public_types() {
        let facts = CardFacts { base: "http://127.0.0.1:9401", has_executor: true, needs_token: true };
        let text = card(facts);
        let read: a2a::AgentCard = serde_json::from_str(&text).expect("a card of 1.0");
        let interfaces: Vec<_> = read
            .supported_interfaces
            .iter()
            .map(|interface| (interface.url.as_str(), interface.protocol_binding.to_string()))
            .collect();
        assert_eq!(interfaces[0], ("http://127.0.0.1:9401/a2a", "JSONRPC".to_owned()));
        assert_eq!(interfaces[1], ("http://127.0.0.1:9401/a2a/v1", "HTTP+JSON".to_owned()));
        assert_eq!(read.capabilities.streaming, Some(true));
        let json: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!(json["protocolVersion"], "0.3.0");
        assert_eq!(json["url"], "http://127.0.0.1:9401/a2a");
        assert_eq!(json["preferredTransport"], "JSONRPC");
        assert_eq!(json["capabilities"]["extensions"][0]["uri"], RESUME_URI);
        assert_eq!(json["skills"].as_array().map(Vec::len), Some(2));
        let plain = card(CardFacts { has_executor: false, needs_token: false, ..facts });
        let json: serde_json::Value = serde_json::from_str(&plain).expect("JSON");
        assert!(json.get("securitySchemes").is_none() && json["skills"].as_array().map(Vec::len) == Some(1));
    }
}
