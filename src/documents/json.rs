//! JSON as documents keep it: an indent of two spaces, no newline at the end, and every number, key and escape spelled as
//! it was given. Nothing is read into values and written again, which would lose digits of long numbers.

use crate::schema::document::MAX_TEXT;
use crate::schema::privacy::{self, Policy, Refused};

use super::error::DocumentError;

/// A string of a JSON text, with its quotes.
struct Text<'t> {
    spelled: &'t str,
    /// Where it begins, in bytes.
    offset: usize,
    is_key: bool,
    /// In how many objects and lists it stands.
    depth: usize,
}

/// The keys that a value stands under, outermost first.
#[derive(Default)]
struct Keys(Vec<(usize, String)>);

impl Keys {
    /// Takes note of a key.
    fn enter(&mut self, text: &Text<'_>) {
        self.0.retain(|(depth, _)| *depth < text.depth);
        self.0.push((text.depth, unescaped(text)));
    }

    /// The value as an assignment to each of its keys, which is how a secret-like name tells.
    fn assignments(&self, text: &Text<'_>, value: &str) -> Vec<(String, usize)> {
        /// Shorter ones are no assignment of a secret.
        const MIN: usize = 12;
        let above = self.0.iter().filter(|(depth, _)| *depth <= text.depth && value.len() >= MIN);
        above.map(|(_, key)| (format!("{key}={value}"), key.len() + 1)).collect()
    }
}

/// JSON with an indent of two spaces and no newline at the end.
///
/// # Errors
/// [`DocumentError::Malformed`], and [`DocumentError::TooLarge`] if it would be.
pub fn pretty(text: &str) -> Result<String, DocumentError> {
    check(text)?;
    rewrite(text, |_| Ok(None))
}

/// Whether a text is JSON that everybody can read: not nested too deeply, and no number out of range.
fn check(text: &str) -> Result<(), DocumentError> {
    serde_json::from_str::<serde_json::Value>(text).map(drop).map_err(|error| {
        // the reader's own words could repeat a text
        let reason = match error.classify() {
            serde_json::error::Category::Eof => "it ends too early",
            _ if error.to_string().starts_with("recursion") => "it is nested too deeply",
            _ if error.to_string().starts_with("number out of range") => "a number is out of range",
            _ => "a value, a comma, a colon or the end was expected",
        };
        DocumentError::Malformed { line: error.line(), column: error.column(), reason }
    })
}

/// A JSON text as it may be stored in the place of an older one: pretty, and nothing in it that looks like a secret. A
/// secret may hide behind escapes, so strings are looked at as they are meant, too. Positions are those of the given text.
///
/// # Errors
/// [`DocumentError::Secret`] unless the policy allows or redacts it; a key is refused in any case; or see [`pretty`].
pub fn admit(before: &str, given: &str, policy: &Policy) -> Result<String, DocumentError> {
    /// Each string that is redacted costs a look at all of the older text; past so many, what was there is redacted, too.
    const LOOKS: usize = 64;
    check(given)?;
    let strict = Policy { redact: false, ..policy.clone() };
    if !policy.redact {
        privacy::check_added(before, given, policy).map_err(DocumentError::Secret)?;
    }
    let mut meant = before.to_owned();
    if check(before).is_ok() {
        let mut keys = Keys::default();
        rewrite(before, |text| {
            let plain = unescaped(&text);
            if text.is_key {
                keys.enter(&text);
            } else {
                for (assignment, _) in keys.assignments(&text, &plain) {
                    meant.push('\n');
                    meant.push_str(&assignment);
                }
            }
            meant.push('\n');
            meant.push_str(&plain);
            Ok(None)
        })?;
    }
    let (mut looks, mut keys) = (0, Keys::default());
    let stored = rewrite(given, |text| {
        let plain = unescaped(&text);
        let policy = if text.is_key { &strict } else { policy };
        if text.is_key {
            keys.enter(&text);
        } else {
            for (assignment, value_at) in keys.assignments(&text, &plain) {
                let clean = privacy::check_added(if looks < LOOKS { &meant } else { "" }, &assignment, policy)
                    .map_err(|refused| DocumentError::Secret(at(given, text.offset, refused)))?;
                if clean != assignment {
                    looks += 1;
                    let value = clean.get(value_at..).unwrap_or_default();
                    return Ok(Some(serde_json::Value::from(value).to_string()));
                }
            }
        }
        match privacy::check_added(if looks < LOOKS { &meant } else { "" }, &plain, policy) {
            Ok(clean) if clean == plain => Ok(None),
            Ok(clean) => {
                looks += 1;
                Ok(Some(serde_json::Value::from(clean).to_string()))
            }
            Err(refused) => Err(DocumentError::Secret(at(given, text.offset, refused))),
        }
    })?;
    // what a key says of its value shows only in the whole
    let clean = privacy::check_added(before, &stored, policy).map_err(DocumentError::Secret)?;
    if clean != stored && check(&clean).is_err() {
        privacy::check_added(before, &stored, &strict).map_err(DocumentError::Secret)?;
    }
    if clean.len() > MAX_TEXT { Err(DocumentError::TooLarge) } else { Ok(clean.into_owned()) }
}

/// What a string means.
fn unescaped(text: &Text<'_>) -> String {
    // it was checked before
    serde_json::from_str(text.spelled).unwrap_or_default()
}

/// What was found in a string, at the place of that string.
fn at(given: &str, offset: usize, refused: Refused) -> Refused {
    let before = &given[..offset];
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    let (line, column) = (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1);
    Refused { rule: refused.rule, line, column }
}

/// Lays a valid JSON text out anew. `visit` may give another spelling for each string.
fn rewrite(
    text: &str,
    mut visit: impl FnMut(Text<'_>) -> Result<Option<String>, DocumentError>,
) -> Result<String, DocumentError> {
    let bytes = text.as_bytes();
    let next = |mut at: usize| {
        while bytes.get(at).is_some_and(u8::is_ascii_whitespace) {
            at += 1;
        }
        at
    };
    let mut out = String::with_capacity(text.len());
    let (mut depth, mut at) = (0_usize, next(0));
    while let Some(&byte) = bytes.get(at) {
        if out.len() > MAX_TEXT {
            return Err(DocumentError::TooLarge);
        }
        let end = match byte {
            b'"' => end_of_string(bytes, at),
            b'{' | b'}' | b'[' | b']' | b',' | b':' => at + 1,
            _ => bytes[at..].iter().position(|byte| b",:]} \t\r\n".contains(byte)).map_or(bytes.len(), |len| at + len),
        };
        let (token, following) = (&text[at..end], next(end));
        match byte {
            b'"' => {
                let is_key = bytes.get(following) == Some(&b':');
                let other = visit(Text { spelled: token, offset: at, is_key, depth })?;
                out.push_str(other.as_deref().unwrap_or(token));
            }
            b'{' | b'[' if bytes.get(following).is_some_and(|next| b"}]".contains(next)) => {
                out.push_str(if byte == b'{' { "{}" } else { "[]" });
                at = next(following + 1);
                continue;
            }
            b'{' | b'[' => {
                depth += 1;
                out.push_str(token);
                new_line(&mut out, depth);
            }
            b'}' | b']' => {
                depth = depth.saturating_sub(1);
                new_line(&mut out, depth);
                out.push_str(token);
            }
            b',' => {
                out.push(',');
                new_line(&mut out, depth);
            }
            b':' => out.push_str(": "),
            _ => out.push_str(token),
        }
        at = following;
    }
    if out.len() > MAX_TEXT { Err(DocumentError::TooLarge) } else { Ok(out) }
}

/// Where a string ends, its closing quote included.
fn end_of_string(bytes: &[u8], start: usize) -> usize {
    let mut at = start + 1;
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b'\\' => at += 2,
            b'"' => return at + 1,
            _ => at += 1,
        }
    }
    bytes.len()
}

fn new_line(out: &mut String, depth: usize) {
    out.push('\n');
    out.extend(std::iter::repeat_n("  ", depth));
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    #[test]
    fn numbers_keys_and_escapes_stay_as_they_were_spelled() {
        let given =
            " {\"b\":123456789012345678901234567890, \"a\":[1.0e2,-0,{},[ ],\"\\u00e9\\/\\\"\"],\"a\":null}\r\n";
        let expected = "{\n  \"b\": 123456789012345678901234567890,\n  \"a\": [\n    1.0e2,\n    -0,\n    {},\n    [],\n    \"\\u00e9\\/\\\"\"\n  ],\n  \"a\": null\n}";
        assert_eq!(pretty(given).unwrap(), expected);
        assert_eq!(pretty(" true ").unwrap(), "true");
    }

    #[test]
    fn what_is_no_json_is_told_with_its_place_and_never_repeated() {
        for (text, place, reason) in [
            ("", (1, 0), "it ends too early"),
            ("{\n  \"word\": wrong\n}", (2, 11), "a value, a comma, a colon or the end was expected"),
            ("[1e999]", (1, 6), "a number is out of range"),
            ("{} x", (1, 4), "a value, a comma, a colon or the end was expected"),
        ] {
            let Err(DocumentError::Malformed { line, column, reason: told }) = pretty(text) else { panic!("{text}") };
            assert_eq!(((line, column), told), (place, reason), "{text}");
        }
        let deep = "[".repeat(500) + &"]".repeat(500);
        assert!(matches!(pretty(&deep), Err(DocumentError::Malformed { reason: "it is nested too deeply", .. })));
    }

    #[test]
    fn a_secret_like_key_tells_of_all_that_stands_under_it_however_it_is_spelled() {
        let value = ["hunter2", "hunter2"].concat();
        for given in [
            format!(r#"{{"pass\u0077ord":"{value}"}}"#),
            format!(r#"{{"api_key":["{value}"]}}"#),
            format!(r#"{{"token":{{"v":"{value}"}}}}"#),
            format!(r#"[{{"a":1,"secret":{{"b":[{{"c":"{value}"}}]}}}}]"#),
        ] {
            assert!(matches!(admit("", &given, &Policy::default()), Err(DocumentError::Secret(_))), "{given}");
            assert!(admit(&pretty(&given).unwrap(), &given, &Policy::default()).is_ok(), "it was there: {given}");
            let redacted = admit("", &given, &Policy { redact: true, ..Policy::default() }).unwrap();
            assert!(!redacted.contains(&value) && redacted.contains("[redacted:"), "{redacted}");
        }
        let harmless = format!(r#"{{"token":{{}},"note":"{value}","total_tokens":"{value}"}}"#);
        assert!(admit("", &harmless, &Policy::default()).is_ok());
    }

    #[test]
    fn a_small_text_cannot_grow_beyond_the_limit() {
        let nested = "[".repeat(100) + &"1,".repeat(10_000) + "1" + &"]".repeat(100);
        assert!(matches!(pretty(&nested), Err(DocumentError::TooLarge)));
        let nested = format!("[{}1]", "{},".repeat(300_000));
        assert!(matches!(pretty(&nested), Err(DocumentError::TooLarge)));
    }

    fn value() -> impl Strategy<Value = Value> {
        let text = "[a-c\"\\\\/é\u{1}\n{}\\[\\]:, ]{0,6}";
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            (-1.0e9..1.0e9).prop_map(Value::from),
            text.prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 32, 4, move |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::btree_map(text, inner, 0..4).prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn it_is_laid_out_as_the_original_does(value in value()) {
            let expected = serde_json::to_string_pretty(&value).unwrap();
            for given in [value.to_string(), expected.clone(), format!("\n\t {value} \r\n")] {
                prop_assert_eq!(pretty(&given).unwrap(), expected.clone());
                prop_assert_eq!(admit("", &given, &Policy::default()).unwrap(), expected.clone());
            }
        }

        #[test]
        fn no_text_makes_it_panic(text in "\\PC{0,40}|[\\[\\]{}:,\"\\\\a1 \n]{0,16}") {
            if let Ok(pretty) = pretty(&text) {
                prop_assert_eq!(
                    serde_json::from_str::<Value>(&pretty).unwrap(), serde_json::from_str::<Value>(&text).unwrap());
            }
        }
    }
}
