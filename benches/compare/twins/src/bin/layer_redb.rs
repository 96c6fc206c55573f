//! redb with nothing around it but a lock that is waited for: redb itself answers whoever finds the file open with an
//! error. PLACE is the file. One table, one index; durable, with quick repair, as oxi-state commits.

use std::fs::{File, OpenOptions};
use std::process::ExitCode;

use redb::{
    Builder, Database, DatabaseError, ReadOnlyDatabase, ReadTransaction, ReadableDatabase as _, ReadableTable as _,
    TableDefinition, WriteTransaction,
};
use twins::{Record, Result, Store};

const RECORDS: TableDefinition<&str, &[u8]> = TableDefinition::new("records");
/// Status, time and key.
const BY_CHANGE: TableDefinition<(&str, &str, &str), ()> = TableDefinition::new("by_change");

enum Opened {
    Read(ReadOnlyDatabase),
    Write(Database),
}

struct Redb {
    opened: Opened,
    _gate: File,
}

fn open(path: &str, writing: bool) -> Result<Redb> {
    let gate = OpenOptions::new().write(true).create(true).truncate(false).open(format!("{path}.lock"))?;
    let builder = || {
        let mut builder = Builder::new();
        builder.set_cache_size(16 << 20);
        builder
    };
    if !writing {
        gate.lock_shared()?;
        match builder().open_read_only(path) {
            Ok(database) => return Ok(Redb { opened: Opened::Read(database), _gate: gate }),
            // a writer was killed: it wants to be opened for writing once
            Err(DatabaseError::RepairAborted) => gate.unlock()?,
            Err(error) => return Err(error.into()),
        }
    }
    gate.lock()?;
    Ok(Redb { opened: Opened::Write(builder().create(path)?), _gate: gate })
}

impl Redb {
    fn read(&self) -> Result<ReadTransaction> {
        Ok(match &self.opened {
            Opened::Read(database) => database.begin_read()?,
            Opened::Write(database) => database.begin_read()?,
        })
    }

    fn write(&self, work: impl FnOnce(&WriteTransaction) -> Result<bool>) -> Result<bool> {
        let Opened::Write(database) = &self.opened else { return Err("opened to read".into()) };
        let mut transaction = database.begin_write()?;
        transaction.set_quick_repair(true);
        let changed = work(&transaction)?;
        if changed {
            transaction.commit()?;
        }
        Ok(changed)
    }
}

fn insert(transaction: &WriteTransaction, record: &Record) -> Result<()> {
    let mut records = transaction.open_table(RECORDS)?;
    let mut index = transaction.open_table(BY_CHANGE)?;
    let old = records.insert(record.key.as_str(), serde_json::to_vec(record)?.as_slice())?;
    if let Some(old) = old {
        let old: Record = serde_json::from_slice(old.value())?;
        index.remove((old.status.as_str(), old.updated.as_str(), old.key.as_str()))?;
    }
    index.insert((record.status.as_str(), record.updated.as_str(), record.key.as_str()), ())?;
    Ok(())
}

impl Store for Redb {
    fn fill(&mut self, records: &mut dyn Iterator<Item = Record>) -> Result<()> {
        self.write(|transaction| {
            for record in records {
                insert(transaction, &record)?;
            }
            Ok(true)
        })?;
        Ok(())
    }

    fn put(&mut self, record: &Record) -> Result<()> {
        self.write(|transaction| insert(transaction, record).map(|()| true))?;
        Ok(())
    }

    fn get(&mut self, key: &str) -> Result<Option<Record>> {
        let records = self.read()?.open_table(RECORDS)?;
        let found = records.get(key)?;
        Ok(found.map(|found| serde_json::from_slice(found.value())).transpose()?)
    }

    fn list(&mut self, status: &str, limit: usize) -> Result<Vec<Record>> {
        let transaction = self.read()?;
        let (records, index) = (transaction.open_table(RECORDS)?, transaction.open_table(BY_CHANGE)?);
        let mut found = Vec::new();
        for row in index.range((status, "", "")..(status, "~", ""))?.rev().take(limit) {
            let row = row?.0;
            let record = records.get(row.value().2)?.ok_or("an index row without a record")?;
            found.push(serde_json::from_slice(record.value())?);
        }
        Ok(found)
    }

    fn swap(&mut self, expected: &str, record: &Record) -> Result<bool> {
        self.write(|transaction| {
            let present: Option<Record> = {
                let records = transaction.open_table(RECORDS)?;
                let found = records.get(record.key.as_str())?;
                found.map(|found| serde_json::from_slice(found.value())).transpose()?
            };
            if present.is_none_or(|present| present.value != expected) {
                return Ok(false);
            }
            insert(transaction, record).map(|()| true)
        })
    }

    fn keys(&mut self) -> Result<Vec<String>> {
        let records = self.read()?.open_table(RECORDS)?;
        records.iter()?.map(|row| Ok(row?.0.value().to_owned())).collect()
    }
}

fn main() -> ExitCode {
    twins::run(open)
}
