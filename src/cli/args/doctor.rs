//! Arguments of `doctor`, `backup` and `restore`.

use std::path::PathBuf;

use clap::{Args, ValueHint};

pub(super) const DOCTOR_EXAMPLES: &str = "\
Examples:
  oxi-state doctor                        is anything wrong? exit 9: the database is damaged;
                                          1: something could not be checked; 7: bad files
  oxi-state doctor --fix                  save what is whole, rebuild the rest from the files
  oxi-state doctor --json | jq -r '.findings[].message'";

pub(super) const BACKUP_EXAMPLES: &str = "\
Examples:
  oxi-state backup ~/backups/shop.redb
  oxi-state backup --force ~/backups/shop.redb";

pub(super) const RESTORE_EXAMPLES: &str = "\
Examples:
  oxi-state restore ~/backups/shop.redb && oxi-state status
  oxi-state restore .oxi/state.redb.backup-20261121T093000.000Z-restore";

#[derive(Debug, Args)]
pub(in crate::cli) struct DoctorArgs {
    /// Put a whole database in the place of a damaged one, and remove what killed processes left
    #[arg(long)]
    pub(in crate::cli) fix: bool,
    /// Have the database engine check a copy, in this very process
    #[arg(long, hide = true, conflicts_with = "fix")]
    pub(in crate::cli) engine: bool,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct BackupArgs {
    /// Where to
    #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(in crate::cli) file: PathBuf,
    /// Over the file that is there
    #[arg(long)]
    pub(in crate::cli) force: bool,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct RestoreArgs {
    /// A backup
    #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(in crate::cli) file: PathBuf,
}
