//! Whether a row is whole and says what rows of its table say: told from its bytes alone, for those who check or save a
//! damaged file.

use crate::schema::codec::{self, decode};
use crate::schema::day::Day;
use crate::schema::id::{Identity, IssueId, Revision};
use crate::schema::inbox::{KnownRow, Memory};
use crate::schema::issue::Issue;
use crate::schema::retention::Belief;

use super::index::id_key;
use super::migrate::is_old_change;
use super::read::{FolderMark, mark};
use super::record::{Baseline, Change, Conflict, Counters, Landing, Moved, Pending, StoredHead, Tombstone};
use super::records::is_record;
use super::sums::Sum;

/// The tables that hold what is worked out from others.
pub(super) const INDEXES: [&str; 4] = ["order", "terms", "links", "baseline_sums"];

/// Whether a row is whole and of its table.
pub(super) fn is_sound(table: &str, key: &[u8], value: &[u8]) -> bool {
    match table {
        "issues" => decode::<StoredHead>(key, value).is_ok_and(|stored| id_key(stored.head.id) == *key),
        "bodies" => key.len() == 4 && decode::<String>(key, value).is_ok(),
        "order" | "terms" | "links" => value == codec::index_seal(key),
        "identities" => Identity::from_key(key).is_some() && decode::<IssueId>(key, value).is_ok(),
        "pending" => decode::<(Identity, Pending)>(key, value).is_ok(),
        "baseline" => Identity::from_key(key).is_some() && decode::<Baseline>(key, value).is_ok(),
        "baseline_sums" => key.len() == 4 && decode::<Sum>(key, value).is_ok(),
        "baseline_content" => decode::<Issue>(key, value).is_ok(),
        "changes" => key.len() == 8 && (decode::<Change>(key, value).is_ok() || is_old_change(key, value)),
        "superseded" => key.len() == 8 && decode::<String>(key, value).is_ok(),
        "tombstones" => Identity::from_key(key).is_some() && decode::<Tombstone>(key, value).is_ok(),
        "conflicts" => decode::<(Identity, Conflict)>(key, value).is_ok(),
        "moved" => key.len() == 12 && decode::<Moved>(key, value).is_ok(),
        "records" => is_sound_record(key, value),
        "meta" => is_sound_mark(key, value),
        _ => false,
    }
}

/// Whether a row that is sound, but lies where rows of any table may lie, can be of this one. The checksum of a row does
/// not tell its table: `store_id` of `meta` has as many bytes as a revision, and its value is a text.
pub(super) fn can_be_of(table: &str, key: &[u8]) -> bool {
    table == "meta" || !is_name(key)
}

fn is_sound_record(key: &[u8], value: &[u8]) -> bool {
    let Some(end) = key.iter().position(|byte| *byte == 0) else { return false };
    match &key[..end] {
        b"document.text" => decode::<String>(key, value).is_ok(),
        b"usage-counted" | b"usage-absent" => decode::<Vec<u8>>(key, value).is_ok(),
        b"inbox" => decode::<Memory>(key, value).is_ok(),
        b"inbox-lines" => decode::<Vec<u64>>(key, value).is_ok(),
        b"inbox-key" => decode::<KnownRow>(key, value).is_ok(),
        // a slug is spelled as a kind may be: where an identity is the key, the row is of another table
        kind => is_record(kind, key, value)
            .unwrap_or_else(|| is_name(kind) && Identity::from_key(key).is_none() && codec::is_whole(key, value)),
    }
}

fn is_sound_mark(key: &[u8], value: &[u8]) -> bool {
    match key {
        mark::SCHEMA => decode::<u8>(key, value).is_ok(),
        mark::STORE_ID => decode::<String>(key, value).is_ok(),
        mark::REVISION | mark::BORN | mark::LOG_FROM => decode::<Revision>(key, value).is_ok(),
        mark::HIGH_WATER => decode::<IssueId>(key, value).is_ok(),
        mark::COUNTERS => decode::<Counters>(key, value).is_ok(),
        mark::FOLDER => decode::<FolderMark>(key, value).is_ok(),
        mark::BELIEF => decode::<Belief>(key, value).is_ok(),
        mark::LANDINGS => decode::<Vec<Landing>>(key, value).is_ok(),
        b"usage_horizon" => decode::<Day>(key, value).is_ok(),
        name => is_name(name) && codec::is_whole(key, value),
    }
}

/// Whether something is spelled as the names are that this program gives.
fn is_name(bytes: &[u8]) -> bool {
    !bytes.is_empty() && bytes.iter().all(|byte| byte.is_ascii_lowercase() || b"_-.".contains(byte))
}
