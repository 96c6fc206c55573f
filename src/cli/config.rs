//! `oxi-state config …`

use std::fmt::Write as _;

use anstyle::{Effects, Style};
use schemars::JsonSchema;
use serde::Serialize;

use crate::project::Project;
use crate::schema::id::printable;
use crate::schema::privacy::{self, Policy};
use crate::schema::settings::{Given, Key, Layer, Origin, Settings, Shown};
use crate::settings::Place;

use super::args::{ConfigCommand, ConfigSetArgs};
use super::context::Context;
use super::error::{CliError, CliResult, Code};
use super::output;

/// A setting: an element of `config list`, and what `config get` and `config set` print.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct SettingJson {
    key: &'static str,
    /// Null if it is not set.
    value: ValueJson,
    /// `built-in`, `global`, `project`, `environment` or `command-line`.
    layer: &'static str,
    /// The file, relative to the home directory (`~/…`) or to the project; the variable; the flag. Null if built in.
    source: Option<String>,
    /// The line of the file.
    line: Option<usize>,
    /// The environment variable that sets it.
    variable: &'static str,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(untagged)]
enum ValueJson {
    Nothing,
    Flag(bool),
    Whole(u64),
    Fraction(f64),
    Text(String),
    List(Vec<String>),
}

impl From<Shown> for ValueJson {
    fn from(value: Shown) -> Self {
        match value {
            Shown::Nothing => Self::Nothing,
            Shown::Flag(flag) => Self::Flag(flag),
            Shown::Whole(number) => Self::Whole(number),
            Shown::Fraction(number) => Self::Fraction(number),
            Shown::Text(text) => Self::Text(text),
            Shown::List(texts) => Self::List(texts),
        }
    }
}

pub(super) fn run(context: &Context, command: ConfigCommand) -> CliResult<()> {
    match command {
        ConfigCommand::List => list(context),
        ConfigCommand::Get { key } => get(context, parse(&key)?),
        ConfigCommand::Set(args) => set(context, &args),
    }
}

fn parse(name: &str) -> CliResult<Key> {
    name.parse().map_err(|unknown: crate::schema::settings::UnknownKey| {
        let name = privacy::redact(name, &privacy::scan(name));
        CliError::new(Code::Usage, format!("{name:?}: {unknown}"))
            .hint("`oxi-state config list` shows all settings")
            .detail("nearest", unknown.nearest.as_str())
    })
}

/// A value as it may be printed: whoever put a secret into a file should not find it in a terminal's history, too.
fn harmless(context: &Context, value: Shown) -> Shown {
    let Shown::Text(text) = value else { return value };
    let policy = Policy { redact: true, ..context.policy.clone() };
    Shown::Text(privacy::check(&text, &policy).map(std::borrow::Cow::into_owned).unwrap_or_default())
}

/// What a value comes from, by name.
fn source(context: &Context, project: Option<&Project>, key: Key, layer: Layer) -> Option<String> {
    match layer {
        Layer::BuiltIn => None,
        Layer::Global => context.home().map(|home| Place::Global(home).name()),
        Layer::Project => project.map(|project| Place::Project(project).name()),
        Layer::Environment => Some(key.variable().to_owned()),
        Layer::CommandLine => key.flag().map(str::to_owned),
    }
}

fn described(context: &Context, settings: &Settings, key: Key) -> (Shown, SettingJson) {
    let (value, Origin { layer, line }) = settings.shown(key);
    let value = harmless(context, value);
    let source = source(context, context.project().ok().as_ref(), key, layer);
    let shown = value.clone();
    let value = ValueJson::from(value);
    let (layer, variable) = (layer.as_str(), key.variable());
    (shown, SettingJson { key: key.as_str(), value, layer, source, line, variable })
}

/// Where a value stands, for people.
fn place(setting: &SettingJson) -> String {
    match (&setting.source, setting.line) {
        (Some(source), Some(line)) => format!("{source}:{line}"),
        (Some(source), None) => source.clone(),
        (None, _) => String::new(),
    }
}

fn list(context: &Context) -> CliResult<()> {
    let all = Key::ALL.map(|key| described(context, &context.settings, key));
    if context.json {
        return output::json(&all.map(|(_, setting)| setting));
    }
    let head = ["setting", "value", "layer", "where", "variable"].map(str::to_owned);
    let rows = all.map(|(shown, setting)| {
        let value = printable(&shown.as_word(), false).into_owned();
        [setting.key.to_owned(), value, setting.layer.to_owned(), place(&setting), setting.variable.to_owned()]
    });
    output::text(&table(&head, &rows))
}

/// Columns side by side beneath their heads.
fn table<const N: usize>(head: &[String; N], rows: &[[String; N]]) -> String {
    let mut widths = [0; N];
    for row in rows.iter().chain([head]) {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = cell.chars().count().max(*width);
        }
    }
    let line = |row: &[String; N]| {
        let cells = row.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}")).collect::<Vec<_>>();
        cells.join("  ").trim_end().to_owned()
    };
    let bold = Style::new().effects(Effects::BOLD);
    let mut text = format!("{bold}{}{bold:#}\n", line(head));
    for row in rows {
        // writing to a string cannot fail
        let _ = writeln!(text, "{}", line(row));
    }
    text
}

fn get(context: &Context, key: Key) -> CliResult<()> {
    let (shown, setting) = described(context, &context.settings, key);
    if context.json {
        return output::json(&setting);
    }
    output::text(&format!("{}\n", printable(&shown.as_word(), false)))
}

fn set(context: &Context, args: &ConfigSetArgs) -> CliResult<()> {
    let key = parse(&args.key)?;
    let value = match &args.value {
        Some(text) => checked(context, key, text)?,
        None => Shown::Nothing,
    };
    let project = if args.global { None } else { Some(project(context)?) };
    let place = match &project {
        Some(project) => Place::Project(project),
        None => Place::Global(context.home().ok_or_else(|| {
            CliError::usage("where your own settings are is not known")
                .hint("set HOME to your home directory, as an absolute path")
        })?),
    };
    let changed = place.change(key, &value, context.settings.lock_timeout.value)?;
    let file = place.name();
    if context.json {
        // of the file alone, whatever else is wrong or overrides it
        let mut settings = Settings::default();
        let _ = place.apply(&mut settings);
        let line = settings.shown(key).1.line;
        let (layer, variable) = (place.layer().as_str(), key.variable());
        let value = ValueJson::from(value);
        output::json(&SettingJson { key: key.as_str(), value, layer, source: Some(file), line, variable })?;
    } else {
        let said = match (&value, changed) {
            (Shown::Nothing, true) => format!("{file}: {key} is no longer set"),
            (Shown::Nothing, false) => format!("{file}: {key} was not set"),
            (value, true) => format!("{file}: {key} = {}", value.as_word()),
            (value, false) => format!("{file}: {key} was {} already", value.as_word()),
        };
        output::text(&format!("{}\n", printable(&said, false)))?;
    }
    note_what_holds(context, key, place.layer());
    Ok(())
}

/// The project whose file is to be changed.
fn project(context: &Context) -> CliResult<Project> {
    context.project().map_err(|error| match error.code {
        Code::NotFound => error.hint("go to a project, or use --global for your own settings"),
        _ => error,
    })
}

/// A value as it will be written: right, and no secret.
fn checked(context: &Context, key: Key, text: &str) -> CliResult<Shown> {
    context.refuse_secret(key.as_str(), text)?;
    let mut settings = Settings::default();
    settings
        .set(key, &Given::Word(text.to_owned()), Origin::of(Layer::CommandLine))
        .map_err(|wrong| CliError::usage(wrong).detail("key", key.as_str()))?;
    Ok(settings.shown(key).0)
}

/// Tells a person where the change has no effect, because a later layer says otherwise or something else is wrong.
fn note_what_holds(context: &Context, key: Key, written: Layer) {
    match context.all_settings() {
        Ok(settings) => {
            let (_, setting) = described(context, &settings, key);
            if settings.shown(key).1.layer > written {
                context.note(&format!("note: {} overrides it", place(&setting)));
            }
        }
        Err(error) if !context.quiet && !context.json => error.warn("until that is mended, other commands will fail"),
        Err(_) => {}
    }
}
