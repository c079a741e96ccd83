//! One line of a recorded run, read field by field.
//!
//! Pure: text in, fields or what is wrong with them out. Nothing is passed over: a key that the form
//! does not know, one that is missing and one that is given twice are all refused.

use std::{borrow::Cow, fmt, str};

use planbus::{AgentId, CorrelationId, Error, EventType, PlanId, Timestamp};
use serde::{
    Deserialize, Deserializer,
    de::{self, MapAccess, Visitor},
};
use serde_json::value::RawValue;

/// The most bytes of `at`; every RFC 3339 time is far shorter.
const AT_MAX_BYTES: usize = 128;
/// How many characters of a wrong value an error shows.
const SHOWN_CHARS: usize = 60;

/// The fields of a line.
#[derive(Debug)]
pub(crate) struct Line<'a> {
    pub(crate) plan: PlanId,
    /// The plan that spawned it.
    pub(crate) parent: Option<CorrelationId>,
    pub(crate) event_type: EventType,
    /// The kind, where the type would be taken for another one: it is the type's own name.
    pub(crate) odd_kind: Option<Cow<'a, str>>,
    pub(crate) agent: AgentId,
    pub(crate) at: At<'a>,
    /// A JSON value as it is written; whether it may be a payload is for the bus to say.
    pub(crate) data: &'a RawValue,
}

/// When it happened, as far as the line says.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum At<'a> {
    /// There is no such key.
    Missing,
    /// The source had no clock.
    Null,
    /// A moment, and how it is written.
    Given(Timestamp, Cow<'a, str>),
}

impl At<'_> {
    /// The moment, if there is one.
    pub(crate) fn moment(&self) -> Option<Timestamp> {
        match self {
            Self::Given(moment, _) => Some(*moment),
            Self::Missing | Self::Null => None,
        }
    }
}

impl<'a> Line<'a> {
    /// Reads a line that has lost its line end.
    ///
    /// # Errors
    /// What is wrong with it, naming the field, or the column (in bytes, from 1) where it is no JSON.
    pub(crate) fn parse(bytes: &'a [u8]) -> Result<Self, String> {
        let text = str::from_utf8(bytes)
            .map_err(|error| format!("is not UTF-8 at column {}", error.valid_up_to() + 1))?;
        if !text.trim_ascii_start().starts_with('{') {
            return Err(format!("must be a JSON object, got {}", shown(text)));
        }
        let fields: Fields<'a> = serde_json::from_str(text).map_err(|error| at_column(&error))?;
        let plan = fields.parsed("plan")?;
        let parent: Option<PlanId> = match fields.required("parent")?.get() {
            "null" => None,
            _ => Some(fields.parsed("parent")?),
        };
        if parent.as_ref() == Some(&plan) {
            return Err("parent: names the plan itself".to_owned());
        }
        let kind = fields.text("kind")?;
        let event_type =
            EventType::new(type_of(&kind)).map_err(|error| format!("kind: {}", problem(&error)))?;
        let has_other_kind = !matches!(event_type, EventType::Custom(_)) && kind == event_type.as_str();
        Ok(Self {
            odd_kind: has_other_kind.then_some(kind),
            plan,
            parent: parent.map(CorrelationId::from),
            event_type,
            agent: fields.parsed("agent")?,
            at: fields.at()?,
            data: fields.required("data")?,
        })
    }
}

/// The event type that a kind stands for; any other kind is a type by its own name.
fn type_of(kind: &str) -> &str {
    match kind {
        "plan_started" => "PlanStarted",
        "plan_completed" => "PlanCompleted",
        "plan_failed" => "PlanFailed",
        "decision" => "DecisionMade",
        "tool_called" => "ToolCalled",
        "tool_completed" => "ToolCompleted",
        "subplan_spawned" => "SubplanSpawned",
        "subplan_completed" => "SubplanCompleted",
        other => other,
    }
}

/// What a field of an event must be, without the name that the event has for it.
pub(super) fn problem(error: &Error) -> String {
    let told = error.to_string();
    told.split_once(": ").map_or(told.as_str(), |(_, problem)| problem).to_owned()
}

/// What serde says, with the place in the line alone.
fn at_column(error: &serde_json::Error) -> String {
    let told = error.to_string();
    let what = told.rsplit_once(" at line ").map_or(told.as_str(), |(what, _)| what);
    // Every object has the right shape for serde; what else is data is a key that we refused.
    match error.is_data() {
        true => what.to_owned(),
        false => format!("is not JSON: {what} at column {}", error.column()),
    }
}

/// The keys of a line.
const NAMES: [&str; 6] = ["plan", "parent", "kind", "agent", "at", "data"];

/// The values of [`NAMES`] as they are written.
#[derive(Default)]
struct Fields<'a>([Option<&'a RawValue>; NAMES.len()]);

impl<'a> Fields<'a> {
    fn get(&self, name: &str) -> Option<&'a RawValue> {
        let at = NAMES.iter().position(|known| *known == name)?;
        self.0[at]
    }

    fn required(&self, name: &str) -> Result<&'a RawValue, String> {
        self.get(name).ok_or_else(|| format!("{name}: is missing"))
    }

    fn text(&self, name: &str) -> Result<Cow<'a, str>, String> {
        let value = self.required(name)?.get();
        match value.strip_prefix('"').and_then(|text| text.strip_suffix('"')) {
            Some(text) if !text.contains('\\') => Ok(Cow::Borrowed(text)),
            Some(_) => serde_json::from_str::<String>(value)
                .map(Cow::Owned)
                .map_err(|_| format!("{name}: holds half of a surrogate pair, got {}", shown(value))),
            None => Err(format!("{name}: must be a string, got {}", shown(value))),
        }
    }

    fn parsed<T>(&self, name: &str) -> Result<T, String>
    where
        T: for<'t> TryFrom<&'t str, Error = Error>,
    {
        let text = self.text(name)?;
        T::try_from(&*text).map_err(|error| format!("{name}: {}", problem(&error)))
    }

    fn at(&self) -> Result<At<'a>, String> {
        match self.get("at") {
            None => return Ok(At::Missing),
            Some(value) if value.get() == "null" => return Ok(At::Null),
            Some(_) => {}
        }
        let text = self.text("at")?;
        if text.len() > AT_MAX_BYTES {
            return Err(format!("at: must be at most {AT_MAX_BYTES} bytes, got {}", text.len()));
        }
        let moment = Timestamp::try_from(&*text).map_err(|error| format!("at: {}", problem(&error)))?;
        Ok(At::Given(moment, text))
    }
}

/// A value as an error shows it.
fn shown(value: &str) -> String {
    match value.char_indices().nth(SHOWN_CHARS) {
        Some((cut, _)) => format!("{}... ({} bytes)", &value[..cut], value.len()),
        None => value.to_owned(),
    }
}

impl<'de> Deserialize<'de> for Fields<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Keys;
        impl<'de> Visitor<'de> for Keys {
            type Value = Fields<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut fields = Fields::default();
                while let Some(key) = map.next_key::<Cow<'de, str>>()? {
                    let Some(at) = NAMES.iter().position(|name| *name == key) else {
                        let names = NAMES.join(", ");
                        return Err(de::Error::custom(format_args!(
                            "{}: is no key of a recorded run, which are {names}",
                            shown(&key)
                        )));
                    };
                    if fields.0[at].replace(map.next_value()?).is_some() {
                        return Err(de::Error::custom(format_args!("{key}: is given twice")));
                    }
                }
                Ok(fields)
            }
        }
        deserializer.deserialize_map(Keys)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHOLE: &str =
        r#"{"plan":"p","parent":null,"kind":"decision","agent":"a","at":null,"data":{"x":1e400}}"#;

    fn refused(text: &str) -> String {
        Line::parse(text.as_bytes()).expect_err(text)
    }

    #[test]
    fn a_line_is_read_whatever_the_order_of_its_keys_and_its_spaces() {
        let line = Line::parse(WHOLE.as_bytes()).expect("a line");
        assert_eq!((line.plan.as_str(), line.agent.as_str(), line.data.get()), ("p", "a", r#"{"x":1e400}"#));
        assert_eq!((line.event_type, line.parent, line.at), (EventType::DecisionMade, None, At::Null));
        let text = r#" { "data" : { } , "at":"2026-03-01T10:30:00+01:00","agent":"\u0061","kind":"agent.note","parent":"o","plan":"p" } "#;
        let line = Line::parse(text.as_bytes()).expect("a line");
        assert_eq!(
            (line.agent.as_str(), line.data.get(), line.event_type.as_str()),
            ("a", "{ }", "agent.note")
        );
        assert_eq!(line.at.moment().expect("a time").to_string(), "2026-03-01T09:30:00.000000Z");
        let timeless = WHOLE.replace(r#""at":null,"#, "");
        assert_eq!(Line::parse(timeless.as_bytes()).expect("a line").at, At::Missing);
    }

    #[test]
    fn every_kind_has_its_type() {
        for (kind, event_type) in [
            ("plan_started", EventType::PlanStarted),
            ("plan_completed", EventType::PlanCompleted),
            ("plan_failed", EventType::PlanFailed),
            ("decision", EventType::DecisionMade),
            ("tool_called", EventType::ToolCalled),
            ("tool_completed", EventType::ToolCompleted),
            ("subplan_spawned", EventType::SubplanSpawned),
            ("subplan_completed", EventType::SubplanCompleted),
        ] {
            let text = WHOLE.replace("decision", kind);
            assert_eq!(Line::parse(text.as_bytes()).expect(kind).event_type, event_type);
        }
    }

    #[test]
    fn p11_what_is_wrong_names_the_field_or_the_column() {
        for (from, to, told) in [
            (r#""plan":"p","#, "", "plan: is missing"),
            (r#""parent":null,"#, "", "parent: is missing"),
            (r#","data":{"x":1e400}"#, "", "data: is missing"),
            (r#""p""#, "7", "plan: must be a string, got 7"),
            (r#""p""#, r#""""#, "plan: must be 1 to 256 bytes, got 0"),
            (r#""p""#, r#""a\u0007""#, r"plan: must not contain control characters, got '\u{7}' at byte 1"),
            (r#""p""#, r#""\ud800""#, r#"plan: holds half of a surrogate pair, got "\ud800""#),
            (r#""parent":null"#, r#""parent":"p""#, "parent: names the plan itself"),
            (r#""parent":null"#, r#""parent":[]"#, "parent: must be a string, got []"),
            ("decision", "a b", r#"kind: must match [A-Za-z0-9][A-Za-z0-9._-]{0,63}, got "a b""#),
            (r#""a""#, "null", "agent: must be a string, got null"),
            (r#""at":null"#, r#""at":17"#, "at: must be a string, got 17"),
            (
                r#""at":null"#,
                r#""at":"noon""#,
                r#"at: must be an RFC 3339 time with an offset, like 2026-03-01T09:30:00Z, got "noon""#,
            ),
            ("{\"plan", "{\"at\":null,\"plan", "at: is given twice"),
            ("{\"plan", "{\"\\u0061t\":null,\"plan", "at: is given twice"),
            (
                "{\"plan",
                "{\"note\":1,\"plan",
                "note: is no key of a recorded run, which are plan, parent, kind, agent, at, data",
            ),
            ("1e400}", "1e400}}", "is not JSON: trailing characters at column 86"),
            ("\"plan\"", "plan", "is not JSON: key must be a string at column 2"),
        ] {
            assert!(WHOLE.contains(from), "{from}");
            assert_eq!(refused(&WHOLE.replacen(from, to, 1)), told);
        }
        assert_eq!(refused("[1]"), "must be a JSON object, got [1]");
        let long = format!(r#"{{"{}":1}}"#, "k".repeat(500));
        assert!(refused(&long).len() < 200);
        let at = WHOLE.replace(r#""at":null"#, &format!(r#""at":"{}""#, "0".repeat(200)));
        assert_eq!(refused(&at), "at: must be at most 128 bytes, got 200");
        assert_eq!(Line::parse(b"{\"plan\":\"\xff\"}").expect_err("bytes"), "is not UTF-8 at column 10");
    }
}
