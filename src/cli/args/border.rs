//! `oxi-state snapshot`, `oxi-state inbox`

use clap::Args;

pub(in crate::cli) const SNAPSHOT_EXAMPLES: &str = "\
Examples:
  oxi-state snapshot
  oxi-state snapshot --json | jq -r .written[]
  jq '.handoffs[].summary' .oxi/state/latest.json
  jq -c 'select(.priority == \"high\") | {id, title}' .oxi/state/issues.jsonl
  OXI_STATE_EXPORT_SESSION_IDS=true oxi-state snapshot";

pub(in crate::cli) const INBOX_EXAMPLES: &str = r#"Examples:
  echo '{"kind":"pointer","data":{"kind":"branch","target":"main"}}' >> .oxi/state/inbox.jsonl
  oxi-state inbox
  oxi-state inbox --dry-run --json | jq .bad
  oxi-state schema inbox-row"#;

#[derive(Debug, Args)]
pub(in crate::cli) struct SnapshotArgs {
    /// Say which files would be written, and write none
    #[arg(long)]
    pub(in crate::cli) dry_run: bool,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct InboxArgs {
    /// Say what would be taken, and take nothing
    #[arg(long)]
    pub(in crate::cli) dry_run: bool,
}
