//! SQLite with a write-ahead log and synchronous FULL. PLACE is the file. One table, one index.

use std::process::ExitCode;
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension as _, Row, params};
use twins::{Record, Result, Store};

struct Sqlite(Connection);

const PUT: &str = "INSERT INTO records (key, status, updated, value) VALUES (?1, ?2, ?3, ?4)
    ON CONFLICT (key) DO UPDATE SET status = ?2, updated = ?3, value = ?4";

fn open(path: &str, _writing: bool) -> Result<Sqlite> {
    let database = Connection::open(path)?;
    database.busy_timeout(Duration::from_secs(60))?;
    database.pragma_update(None, "journal_mode", "WAL")?;
    database.pragma_update(None, "synchronous", "FULL")?;
    Ok(Sqlite(database))
}

fn record(row: &Row<'_>) -> rusqlite::Result<Record> {
    Ok(Record { key: row.get(0)?, status: row.get(1)?, updated: row.get(2)?, value: row.get(3)? })
}

impl Store for Sqlite {
    fn fill(&mut self, records: &mut dyn Iterator<Item = Record>) -> Result<()> {
        self.0.execute_batch(
            "CREATE TABLE records (key TEXT PRIMARY KEY, status TEXT, updated TEXT, value TEXT) WITHOUT ROWID;
             CREATE INDEX by_change ON records (status, updated);",
        )?;
        let transaction = self.0.transaction()?;
        for record in records {
            transaction.prepare_cached(PUT)?.execute(params![
                record.key,
                record.status,
                record.updated,
                record.value
            ])?;
        }
        Ok(transaction.commit()?)
    }

    fn put(&mut self, record: &Record) -> Result<()> {
        self.0.execute(PUT, params![record.key, record.status, record.updated, record.value])?;
        Ok(())
    }

    fn get(&mut self, key: &str) -> Result<Option<Record>> {
        let query = "SELECT key, status, updated, value FROM records WHERE key = ?1";
        Ok(self.0.query_row(query, [key], record).optional()?)
    }

    fn list(&mut self, status: &str, limit: usize) -> Result<Vec<Record>> {
        let mut query = self.0.prepare(
            "SELECT key, status, updated, value FROM records WHERE status = ?1 ORDER BY updated DESC LIMIT ?2",
        )?;
        let records = query.query_map(params![status, i64::try_from(limit)?], record)?;
        Ok(records.collect::<rusqlite::Result<_>>()?)
    }

    fn swap(&mut self, expected: &str, record: &Record) -> Result<bool> {
        let changed = self.0.execute(
            "UPDATE records SET status = ?2, updated = ?3, value = ?4 WHERE key = ?1 AND value = ?5",
            params![record.key, record.status, record.updated, record.value, expected],
        )?;
        Ok(changed == 1)
    }

    fn keys(&mut self) -> Result<Vec<String>> {
        let mut query = self.0.prepare("SELECT key FROM records")?;
        let keys = query.query_map([], |row| row.get(0))?;
        Ok(keys.collect::<rusqlite::Result<_>>()?)
    }
}

fn main() -> ExitCode {
    twins::run(open)
}
