//! `oxi-state doc …`

mod view;

use std::io::Read as _;
use std::path::Path;

use crate::documents::{Deleted, DocumentError, Documents, Expect, Saved, steps};
use crate::schema::document::{Category, DocumentKind, DocumentPath, MAX_TEXT};
use crate::schema::id::ContentHash;

use super::args::{DocCommand, DocDeleteArgs, DocListArgs, DocPutArgs};
use super::context::Context;
use super::error::{CliError, CliResult, Code};
use super::output;

pub(super) use view::{DocumentHeadJson, DocumentJson};

pub(super) fn run(context: &Context, command: DocCommand) -> CliResult<()> {
    match command {
        DocCommand::Put(args) => put(context, &args),
        DocCommand::Get { path, kind } => get(context, &path, kind),
        DocCommand::List(args) => list(context, &args),
        DocCommand::Delete(args) => delete(context, &args),
    }
}

/// A path as it may be stored and repeated.
fn parse(context: &Context, path: &str) -> CliResult<DocumentPath> {
    context.refuse_secret("name", path)?;
    path.parse().map_err(|error| DocumentError::Name(error).into())
}

fn put(context: &Context, args: &DocPutArgs) -> CliResult<()> {
    let path = parse(context, &args.path)?;
    let kind = args.kind.unwrap_or_else(|| kind_of(&args.file));
    let (project, store) = context.ready()?;
    let author = context.author(&project)?;
    let text = read(&args.file)?;
    let documents = Documents::new(&store, author).with_policy(context.policy.clone());
    let expect = args.expect.unwrap_or(Expect::Anything);
    let saved = documents.save(path.category.as_str(), path.name.as_str(), kind, &text, expect)?;
    let (done, document) = match saved {
        Saved::Created(document) => ("created", document),
        Saved::Changed(document) => ("changed", document),
        Saved::Unchanged(document) => ("unchanged:", document),
        Saved::Stale { current } => return Err(stale(&path, kind, current)),
    };
    let head = DocumentHeadJson::new(document);
    if context.json { output::json(&head) } else { output::text(&format!("{done} {}\n", head.line())) }
}

/// What a file's name says it is written in.
fn kind_of(file: &Path) -> DocumentKind {
    let is_json = file.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("json"));
    if is_json { DocumentKind::Json } else { DocumentKind::Markdown }
}

/// Reads a text from a file, or from standard input where the path is `-`.
fn read(path: &Path) -> CliResult<String> {
    let mut bytes = Vec::new();
    // a little more than is allowed, so that too much is noticed without reading it all
    let limit = MAX_TEXT as u64 + 1;
    let result = if path.as_os_str() == "-" {
        std::io::stdin().lock().take(limit).read_to_end(&mut bytes)
    } else {
        // anything else than a regular file might never end, or never begin
        crate::fs::read(path, limit).map_err(|error| error.source).map(|read| {
            bytes = read;
            bytes.len()
        })
    };
    result.map_err(|error| {
        let code = if error.kind() == std::io::ErrorKind::NotFound { Code::NotFound } else { Code::Error };
        CliError::new(code, format!("cannot read {}: {error}", path.display()))
    })?;
    if bytes.len() > MAX_TEXT {
        return Err(DocumentError::TooLarge.into());
    }
    String::from_utf8(bytes).map_err(|error| {
        let good = String::from_utf8_lossy(&error.as_bytes()[..error.utf8_error().valid_up_to()]);
        let line = good.matches('\n').count() + 1;
        CliError::new(Code::BadInput, format!("cannot read {}: line {line} is not UTF-8", path.display()))
            .detail("line", line)
    })
}

fn get(context: &Context, path: &str, kind: Option<DocumentKind>) -> CliResult<()> {
    let path = parse(context, path)?;
    let (_, read) = context.read()?;
    let found = match kind {
        Some(kind) => read.document(&path, kind)?,
        None => steps::find(&*read, &path)?,
    };
    let document = found.ok_or_else(|| missing(&path, kind))?;
    let text = read.document_text(&document)?;
    let both = kind.is_none()
        && document.kind == DocumentKind::Json
        && read.document(&path, DocumentKind::Markdown)?.is_some();
    drop(read);
    if both {
        context.note(&format!("{path} is there in Markdown, too; --kind markdown shows it"));
    }
    if context.json { output::json(&DocumentJson::new(document, text)) } else { output::verbatim(&text) }
}

fn list(context: &Context, args: &DocListArgs) -> CliResult<()> {
    let category = match &args.category {
        Some(text) => {
            context.refuse_secret("name", text)?;
            Some(text.parse::<Category>().map_err(DocumentError::Name)?)
        }
        None => None,
    };
    let (_, read) = context.read()?;
    let mut documents = match &category {
        Some(category) => read.documents_within(category)?,
        None => read.documents()?,
    };
    drop(read);
    let all = documents.len();
    if let Some(category) = category.as_ref().filter(|_| !args.recursive) {
        documents.retain(|document| document.category == *category);
    }
    let below = all - documents.len();
    let heads: Vec<_> = documents.into_iter().map(DocumentHeadJson::new).collect();
    if context.json {
        return output::json(&heads);
    }
    output::text(&view::list(&heads))?;
    if below > 0 {
        context.note(&format!("{below} more in categories below; --recursive shows them"));
    }
    Ok(())
}

fn delete(context: &Context, args: &DocDeleteArgs) -> CliResult<()> {
    let path = parse(context, &args.path)?;
    let (project, store) = context.ready()?;
    let author = context.author(&project)?;
    let documents = Documents::new(&store, author).with_policy(context.policy.clone());
    let deleted = documents.delete(path.category.as_str(), path.name.as_str(), args.kind, args.expect)?;
    let head = match deleted {
        Deleted::Done(document) => DocumentHeadJson::new(document),
        Deleted::Missing => return Err(missing(&path, args.kind)),
        Deleted::Stale { current } => return Err(stale(&path, current.kind, Some(current.hash))),
    };
    if context.json {
        return output::json(&head);
    }
    output::text(&format!("deleted {}\n", head.line()))?;
    context.note("hint: `oxi-state undo` brings it back");
    Ok(())
}

fn missing(path: &DocumentPath, kind: Option<DocumentKind>) -> CliError {
    let what = kind.map_or_else(String::new, |kind| format!(" in {kind}"));
    CliError::new(Code::NotFound, format!("there is no document {path}{what}"))
        .hint("`oxi-state doc list` shows what there is")
        .detail("document", path.to_string())
}

fn stale(path: &DocumentPath, kind: DocumentKind, current: Option<ContentHash>) -> CliError {
    let (now, hint) = match current {
        Some(hash) => (
            format!("its hash is now {hash}"),
            format!("read it again with `oxi-state doc get {path} --kind {kind}`, then retry with the new hash"),
        ),
        None => ("it is not there".to_owned(), "retry with --expect none, if it is to be made".to_owned()),
    };
    CliError::new(Code::Conflict, format!("{path} ({kind}) is not what you expect: {now}"))
        .hint(hint)
        .detail("document", path.to_string())
        .detail("hash", current.map(|hash| hash.to_string()))
}
