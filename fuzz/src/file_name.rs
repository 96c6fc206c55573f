//! The names of issue files: one spelling each, nothing in them that leaves the folder or fools a reader.
//!
//! An input is a name; as text it is a title, a link, the name of a session, and the key of an identity, too.

use std::path::{Component, Path};

use oxi_state::schema::id::{
    ContentHash, FileName, Identity, IssueId, Link, MAX_FILE_NAME, MAX_SESSION_ID, SessionId, Slug, is_deceptive,
    printable,
};

/// Looks at an input.
pub fn run(input: &[u8]) {
    if let Some(identity) = Identity::from_key(input) {
        assert_eq!(identity.key(), input, "an identity has one key");
    }
    let text = String::from_utf8_lossy(input);
    if let Ok(name) = FileName::parse(&text) {
        check_name(&name, &text);
    }
    let slug = Slug::from_title(&text);
    assert!(slug.as_str().bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-'));
    assert!(!slug.as_str().starts_with('-') && !slug.as_str().ends_with('-') && !slug.as_str().contains("--"));
    for id in [0, 12, u32::MAX] {
        let name = FileName { id: IssueId(id), slug: slug.clone() };
        assert!(name.to_string().len() <= MAX_FILE_NAME, "{name}");
        check_name(&name, &name.to_string());
    }
    if let Some(link) = Link::parse(&text) {
        let shown = link.to_string();
        assert_eq!(Link::parse(&shown), Some(link), "{shown:?}");
        assert!(!shown.contains('/') && !shown.chars().any(is_deceptive), "{shown:?}");
    }
    if let Ok(session) = text.parse::<SessionId>() {
        assert!(session.as_str() == text && text.len() <= MAX_SESSION_ID);
        check_beneath(&text);
    }
    if let Ok(hash) = text.parse::<ContentHash>() {
        assert!(hash.to_string().eq_ignore_ascii_case(&text));
    }
    let shown = printable(&text, false);
    assert!(shown.chars().all(|c| c == '\t' || !is_deceptive(c)), "{shown:?}");
}

/// A name is read as what it was written from, and is one entry of its folder.
fn check_name(name: &FileName, text: &str) {
    assert_eq!(name.to_string(), text, "one spelling");
    assert_eq!(FileName::parse(text).as_ref(), Ok(name), "{text:?}");
    assert!(!text.chars().any(is_deceptive), "{text:?}");
    check_beneath(text);
    // what other issues write to mean this one
    let link = Link { id: name.id, slug: name.slug.clone() };
    assert_eq!(link.to_string(), name.stem());
    assert_eq!(Link::parse(&name.stem()), Some(link), "{text:?} cannot be linked to");
}

fn check_beneath(name: &str) {
    let mut components = Path::new(name).components();
    let first = components.next();
    assert!(matches!(first, Some(Component::Normal(normal)) if normal == name), "{name:?} leaves its folder");
    assert!(components.next().is_none() && !name.contains(['/', '\0']), "{name:?} leaves its folder");
}

/// Names of all kinds.
pub fn seeds() -> Vec<Vec<u8>> {
    let names = [
        "0012-fix.md",
        "0000.md",
        "10000-big-id.md",
        "4294967295-max.md",
        "4294967296.md",
        "0001-\u{dc}bung a.md",
        "12-fix.md",
        "0012-.md",
        "0012-fix.MD",
        "0012-../../../etc/passwd.md",
        "0012-a\u{1b}[2J.md",
        "0012-a\u{202e}b.md",
        "0012-fix-login-bug",
        "#12",
        "Fix Login Bug!",
        "../x",
        "CON",
        "01m7x0qfhjzzzzzzzzzzzzzzzz",
        "30406ea523c53def",
    ];
    let mut seeds: Vec<_> = names.iter().map(|name| name.as_bytes().to_vec()).collect();
    seeds.push([b"fix\0".as_slice(), &[0x80, 0, 0, 0, 0x6a, 0, 0, 0, 0, 0, 0, 1]].concat());
    seeds.push("long words ".repeat(20).into_bytes());
    seeds
}
