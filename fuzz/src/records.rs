//! Stored bytes: anything at all is a value or damage, never a panic and never much memory; a value is stored as bytes
//! that are read as that value.
//!
//! An input is a byte that says which type, a byte that says which bit to flip, and a payload. The checksum in front of
//! it is made here, as somebody would who forges a database.

use oxi_state::db::FolderMark;
use oxi_state::db::record::{Baseline, Change, Conflict, Counters, Moved, Pending, StoredHead, Tombstone};
use oxi_state::db::records::Record;
use oxi_state::schema::agent::Agent;
use oxi_state::schema::codec::{DecodeError, decode, encode};
use oxi_state::schema::document::Document;
use oxi_state::schema::fact::Fact;
use oxi_state::schema::frontmatter;
use oxi_state::schema::handoff::Handoff;
use oxi_state::schema::health::Health;
use oxi_state::schema::issue::Issue;
use oxi_state::schema::pointer::Pointer;
use oxi_state::schema::registry::Registration;
use oxi_state::schema::runtime::Runtime;
use oxi_state::schema::session::Session;
use oxi_state::schema::usage::{Telemetry, UsageDay, UsageSource};
use oxi_state::schema::validation::Validation;
use serde::Serialize;
use serde::de::DeserializeOwned;
use xxhash_rust::xxh3::xxh3_64_with_seed;

const KEY: &[u8] = b"key";

/// Looks at an input.
pub fn run(input: &[u8]) {
    let [kind, flip, payload @ ..] = input else { return };
    CHECKS[usize::from(*kind) % CHECKS.len()](payload, *flip);
}

type Check = fn(&[u8], u8);

/// A check for each type that is stored.
const CHECKS: [Check; 23] = [
    check::<StoredHead>,
    check::<Issue>,
    check::<Baseline>,
    check::<Conflict>,
    check::<Change>,
    check::<Counters>,
    check::<Moved>,
    check::<Pending>,
    check::<Tombstone>,
    check::<String>,
    check_record::<Session>,
    check_record::<Agent>,
    check_record::<Document>,
    check_record::<Pointer>,
    check_record::<Fact>,
    check_record::<Runtime>,
    check_record::<Health>,
    check_record::<Registration>,
    check_record::<UsageDay>,
    check_record::<UsageSource>,
    check_record::<Telemetry>,
    check_record::<Validation>,
    check_record::<Handoff>,
];

/// The bytes as they lie in the database.
fn sealed(payload: &[u8]) -> Vec<u8> {
    const FORMAT: u8 = 1;
    let seed = xxh3_64_with_seed(KEY, u64::from(FORMAT) << 32 | KEY.len() as u64);
    let sum = xxh3_64_with_seed(payload, seed).to_le_bytes();
    [&[FORMAT], sum.as_slice(), payload].concat()
}

fn check<T: Serialize + DeserializeOwned>(payload: &[u8], flip: u8) {
    let _ = read::<T>(payload, flip);
}

/// A keyed record is spelled as JSON in the log, and undone from there.
fn check_record<R: Record>(payload: &[u8], flip: u8) {
    let Some(record) = read::<R>(payload, flip) else { return };
    let _ = record.key();
    let json = serde_json::to_value(&record).expect("a record is spelled as JSON");
    let Ok(again) = serde_json::from_value::<R>(json) else { return };
    let _ = oxi_state::db::records::hash_of(&again);
}

fn read<T: Serialize + DeserializeOwned>(payload: &[u8], flip: u8) -> Option<T> {
    let bytes = sealed(payload);
    let mut damaged = bytes.clone();
    let bit = usize::from(flip) % (bytes.len() * 8);
    damaged[bit / 8] ^= 1 << (bit % 8);
    assert_eq!(decode::<T>(KEY, &damaged).err(), Some(DecodeError::Damaged), "a flipped bit is noticed");
    assert_eq!(decode::<T>(b"other", &bytes).err(), Some(DecodeError::Damaged), "a wrong place is noticed");
    // libFuzzer makes checksums that are right, so this may be a value, or one of a newer format
    let _ = decode::<T>(KEY, payload);
    let value = decode::<T>(KEY, &bytes).ok()?;
    let stored = encode(KEY, &value);
    let again = decode::<T>(KEY, &stored).expect("what was stored can be read");
    assert_eq!(encode(KEY, &again), stored, "it is read as what was stored");
    Some(value)
}

/// Payloads of issues and sessions of the golden data, and of small values.
pub fn seeds() -> Vec<Vec<u8>> {
    let payload = |kind: u8, bytes: &[u8]| [&[kind, 77], &bytes[9..]].concat();
    let mut seeds = Vec::new();
    for file in super::golden("oxi-issues") {
        let Ok(issue) = frontmatter::parse(&file) else { continue };
        let hash = issue.content_hash();
        seeds.push(payload(1, &encode(KEY, &issue)));
        seeds.push(payload(0, &encode(KEY, &StoredHead { head: issue.head, hash, blocked: true })));
    }
    seeds.extend(super::session_lines::golden_sessions().iter().map(|session| payload(10, &encode(KEY, session))));
    seeds.push(payload(5, &encode(KEY, &Counters::default())));
    seeds.push(payload(7, &encode(KEY, &Pending::Changed)));
    seeds.push(payload(9, &encode(KEY, "a body\n")));
    seeds.push(payload(2, &encode(KEY, &FolderMark { modified: Some((1, 2)) })));
    seeds.extend(stored_in_databases());
    // lengths that promise far more than there is
    let huge = [&[0xfd][..], &(1_u64 << 40).to_le_bytes()].concat();
    let big = [&[0xfc][..], &(60_u32 << 20).to_le_bytes()].concat();
    for kind in 0..CHECKS.len() {
        let kind = u8::try_from(kind).expect("there are few");
        seeds.extend([&huge, &big].map(|length| [&[kind, 3], length.as_slice(), b"x"].concat()));
        seeds.push([&[kind, 3], [1; 60].as_slice()].concat());
    }
    seeds
}

/// Records of the databases that are kept to test migrations with.
fn stored_in_databases() -> Vec<Vec<u8>> {
    let folder = super::scratch();
    let mut seeds = Vec::new();
    for database in super::golden("databases") {
        std::fs::write(folder.path().join("state.redb"), database).expect("a place to write");
        let store = oxi_state::db::Store::open(folder.path(), std::time::Duration::from_secs(10)).expect("a folder");
        let read = store.read().expect("a database of an older version");
        let payload = |kind: u8, bytes: &[u8]| [&[kind, 5], &bytes[9..]].concat();
        let changes = read.changes_since(oxi_state::schema::id::Revision(0)).expect("a log");
        seeds.extend(changes.flatten().map(|(_, change)| payload(4, &encode(KEY, &change))));
        let conflicts = read.all_conflicts().expect("conflicts");
        seeds.extend(conflicts.iter().map(|(_, conflict)| payload(3, &encode(KEY, conflict))));
        let baselines = read.all_baselines().expect("baselines");
        seeds.extend(baselines.iter().map(|(_, baseline)| payload(2, &encode(KEY, baseline))));
        macro_rules! records {
            ($($number:literal $kind:ty),*) => {
                $(for record in read.records::<$kind>().expect("records") {
                    seeds.push(payload($number, &encode(KEY, &record)));
                })*
            };
        }
        records!(10 Session, 11 Agent, 12 Document, 13 Pointer, 14 Fact, 15 Runtime, 16 Health, 17 Registration,
            18 UsageDay, 19 UsageSource, 20 Telemetry, 21 Validation, 22 Handoff);
    }
    seeds
}
