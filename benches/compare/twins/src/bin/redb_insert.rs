//! The twin of the storing part of an import: reads all files of a folder, then inserts them in a redb database in one
//! durable transaction. Prints the nanoseconds of the insertion alone, from the creation of the database to the commit.

use std::time::Instant;

use redb::{Builder, TableDefinition};

const FILES: TableDefinition<u32, &[u8]> = TableDefinition::new("files");

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().collect();
    let mut paths: Vec<_> =
        std::fs::read_dir(&arguments[1])?.map(|entry| entry.map(|e| e.path())).collect::<Result<_, _>>()?;
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "md"));
    paths.sort();
    let files: Vec<Vec<u8>> = paths.iter().map(std::fs::read).collect::<Result<_, _>>()?;
    let start = Instant::now();
    let database = Builder::new().set_cache_size(16 << 20).create(&arguments[2])?;
    let mut transaction = database.begin_write()?;
    transaction.set_quick_repair(true);
    {
        let mut table = transaction.open_table(FILES)?;
        for (id, file) in (0_u32..).zip(&files) {
            table.insert(id, file.as_slice())?;
        }
    }
    transaction.commit()?;
    drop(database);
    println!("{}", start.elapsed().as_nanos());
    Ok(())
}
