//! `session run`

use std::os::unix::process::CommandExt as _;
use std::process::Command;

use crate::claims::{self, Scope};
use crate::db::{Author, Op, Store};
use crate::liveness::{Watch, process};
use crate::project::Project;
use crate::schema::id::SessionId;
use crate::schema::session::Session;
use crate::sessions::{self, Beginning, Begun, Leases, Noted};
use crate::worktrees::Shared;

use super::super::args::RunArgs;
use super::super::child::{self, Failure};
use super::super::context::{Context, now};
use super::super::error::{CliError, CliResult, Code};
use super::super::program;
use super::lifecycle::reap_in_passing;
use super::{check_name, folders, taken, working_place};

/// Answers the exit code of the command. Nothing is printed on stdout: that is the command's.
pub(super) fn run(context: &Context, args: RunArgs) -> CliResult<u8> {
    let name = args.name.map(|name| check_name(context, name)).transpose()?;
    let (Some(command), arguments) = (args.command.first(), args.command.get(1..).unwrap_or_default()) else {
        return Err(CliError::usage("a command is missing"));
    };
    let program = program::resolve(command, std::env::var_os("PATH").as_deref())?;
    let id = super::beginning_id(context, args.id)?;
    let (project, store) = context.ready()?;
    let run = Run { author: Author { session: Some(id.clone()), ..context.author(&project)? }, id, project, store };
    let (mut leases, before) = run.begin(context, name)?;

    let mut command_line = Command::new(&program);
    command_line.arg0(command).args(arguments).env("OXI_STATE_SESSION", run.id.as_str());
    let ended = child::run(&mut command_line, None, |command| {
        // so that the session lives on with the command if this process is killed
        leases.share_with_children(true).map_err(|error| error.source)?;
        let child = command.spawn();
        let _ = leases.share_with_children(false);
        if let Some(process) = child.as_ref().ok().and_then(|child| process::of(child.id())) {
            leases.name(&process);
        }
        child
    });
    match ended {
        Ok(ended) => {
            run.end(leases, args.release);
            Ok(child::exit_code(ended.status))
        }
        Err(Failure::Start(error)) => {
            run.withdraw(leases, before.as_ref());
            Err(program::not_started(&program, &error))
        }
        Err(Failure::Wait(error)) => {
            run.end(leases, args.release);
            Err(CliError::new(Code::Error, format!("cannot tell how {} ended: {error}", program.display())))
        }
    }
}

struct Run {
    id: SessionId,
    project: Project,
    store: Store,
    author: Author,
}

impl Run {
    /// Takes the locks, then writes the record.
    fn begin(&self, context: &Context, name: Option<String>) -> CliResult<(Leases, Option<Session>)> {
        let folders = folders(&self.project, &self.store)?;
        let ours = process::of(std::process::id())
            .ok_or_else(|| CliError::new(Code::Error, "the system does not tell which process this is"))?;
        let leases = match Leases::acquire(&folders, &self.id, ours.clone(), self.author.now)? {
            Begun::Held(leases) => leases,
            Begun::Taken(holder) => return Err(taken(&self.id, holder.and_then(|it| it.process).as_ref())),
        };
        let beginning =
            Beginning { id: self.id.clone(), name, process: Some(ours), project: working_place(&self.project) };
        match self.store.write(&self.author, |txn| sessions::note_begin(txn, &beginning))? {
            Noted::Begun { before } => {
                reap_in_passing(context, &self.project, &self.store, &folders);
                Ok((leases, before.map(|before| *before)))
            }
            Noted::Taken(process) => Err(taken(&self.id, Some(&process))),
        }
    }

    /// Writes that the session is over, then frees the locks. The command has had its effects and its exit code matters
    /// more than ours: what fails is a warning.
    fn end(&self, leases: Leases, release: bool) {
        let author = Author { now: now(), ..self.author.clone() };
        let written: CliResult<()> = if release {
            Shared::find(&self.project).map_err(CliError::from).and_then(|shared| {
                let watch = Watch::of(&self.project, shared.as_ref(), author.now)?;
                let scope = Scope { watch: &watch, shared: shared.as_ref(), force: true };
                claims::write(&self.store, &author, scope, |txn, access| {
                    sessions::release_all(txn, &self.id, access)?;
                    Ok(sessions::note_end(txn, &self.id, Op::End).map(|_| ())?)
                })
            })
        } else {
            self.store.write(&author, |txn| Ok(sessions::note_end(txn, &self.id, Op::End).map(|_| ())?))
        };
        leases.end(author.now);
        if let Err(error) = written {
            let release = if release { " --release" } else { "" };
            error
                .warn(&format!("the session's end was not recorded; run `oxi-state session end {}{release}`", self.id));
        }
    }

    /// As if it had never begun.
    fn withdraw(&self, leases: Leases, before: Option<&Session>) {
        let author = Author { now: now(), ..self.author.clone() };
        let written: CliResult<()> = self.store.write(&author, |txn| Ok(sessions::withdraw(txn, &self.id, before)?));
        leases.end(author.now);
        if before.is_none() {
            for folder in sessions::existing_folders(&self.project).unwrap_or_default() {
                let _ = crate::liveness::forget(&folder, &self.id);
            }
        }
        if let Err(error) = written {
            error.warn("the session that came to nothing is still recorded");
        }
    }
}
