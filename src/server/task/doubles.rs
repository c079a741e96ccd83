//! JSON for readers that hold every number as a double.
//!
//! A2A's data objects are protobuf `Struct`s. An integer above 2^53 would arrive as another one, and
//! some clients end the whole stream at a number beyond a double's range. Such a number is sent as a
//! string with the same digits; everything else stays as it is written.

use serde_json::value::RawValue;

/// The largest integer up to which a double holds all.
const INTEGER_MAX: u64 = 1 << 53;

/// The same JSON, with the numbers that a double cannot hold as strings.
pub(super) fn for_doubles(json: &str) -> Box<RawValue> {
    let mut safe = String::with_capacity(json.len());
    let mut rest = json;
    while let Some(at) = rest.find(['"', '-', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9']) {
        let is_string = rest.as_bytes()[at] == b'"';
        let (before, token) = rest.split_at(at);
        let end = if is_string { string_end(token) } else { number_end(token) };
        let (token, after) = token.split_at(end);
        safe.push_str(before);
        if is_string || is_held(token) {
            safe.push_str(token);
        } else {
            safe.extend(["\"", token, "\""]);
        }
        rest = after;
    }
    safe.push_str(rest);
    // Only valid JSON comes in, and quotes round a number keep it valid.
    RawValue::from_string(safe).unwrap_or_else(|_| RawValue::NULL.to_owned())
}

/// Where the string ends with which a text begins.
fn string_end(text: &str) -> usize {
    let bytes = text.as_bytes();
    let mut at = 1;
    while at < bytes.len() && bytes[at] != b'"' {
        at += if bytes[at] == b'\\' { 2 } else { 1 };
    }
    (at + 1).min(bytes.len())
}

fn number_end(text: &str) -> usize {
    text.find(|c: char| !matches!(c, '0'..='9' | '-' | '+' | '.' | 'e' | 'E')).unwrap_or(text.len())
}

/// Whether a double holds this number, or for a fraction the nearest one to it.
fn is_held(number: &str) -> bool {
    let digits = number.strip_prefix('-').unwrap_or(number);
    if digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return digits.parse::<u64>().is_ok_and(|number| number <= INTEGER_MAX);
    }
    number.parse::<f64>().is_ok_and(f64::is_finite)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn p11_numbers_that_a_double_cannot_hold_become_strings_and_all_else_stays() {
        let cases = [
            (r#"{"a":1,"b":-2.50,"c":[1e3,true,null]}"#, r#"{"a":1,"b":-2.50,"c":[1e3,true,null]}"#),
            (r#"{"n":9007199254740992}"#, r#"{"n":9007199254740992}"#),
            (r#"{"n":9007199254740993}"#, r#"{"n":"9007199254740993"}"#),
            (r#"[-9007199254740993,1e400,-1E+999]"#, r#"["-9007199254740993","1e400","-1E+999"]"#),
            (r#"{"9007199254740993":"a \" 1e400 \\"}"#, r#"{"9007199254740993":"a \" 1e400 \\"}"#),
            (r#"{"ü":"1e400 ☃", "x" : 1e400 }"#, r#"{"ü":"1e400 ☃", "x" : "1e400" }"#),
            ("{}", "{}"),
        ];
        for (given, expected) in cases {
            assert_eq!(for_doubles(given).get(), expected, "{given}");
        }
    }
}
