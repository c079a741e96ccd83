//! `planbus demo`: a real agent surveys a directory, and every step goes through the bus.
//!
//! What is drawn while it runs comes from the bus, not from the survey: the survey knows of no
//! terminal. It opens nothing in the directory but what the survey reads.

use std::{
    env,
    io::{self, Write},
    path::Path,
    sync::Arc,
};

use planbus::{EventBus, EventQuery, EventStore, EventType, PlanId, Tenant, Unfinished, server::Server};
use serde_json::{Value, json};

use super::{open_as_owner, show};
use crate::{
    agent_runtime::{
        executor::Halt,
        on_demand::OnDemand,
        survey::{Report, Survey},
        units,
    },
    cli::{DemoOptions, Form, Global},
    failure::{Exit, Failure},
    interrupt::CtrlC,
    live::Live,
    mirroring::Mirroring,
    output::Output,
    serving::{About, Serving},
    style::Style,
    terminal,
    text::{escape, shell_word},
};

/// Runs the command.
pub(crate) fn run(options: &DemoOptions, global: &Global, out: &mut Output) -> Result<(), Failure> {
    // The directory first: where it is wrong, no store is made.
    options.redis.check()?;
    let door = options.serve.door()?;
    let survey =
        Survey::of(&options.path, global.tenant()).map_err(|error| unusable(&options.path, &error))?;
    let ctrl_c = CtrlC::listen()?;
    // Nobody goes on with a survey that was killed.
    let store = open_as_owner(EventStore::options().unfinished(Unfinished::Fail), global)?;
    let unfinished = store.unfinished()?.count;
    if unfinished > 0 && !global.quiet {
        let plans = units::counted(unfinished, "plan");
        // A note alone: where nobody can read it, the survey runs all the same.
        let _ = writeln!(io::stderr(), "planbus: {plans} of a process that is gone ended as failed");
    }
    let before = store.head()?;
    let bus = EventBus::builder().store(store.clone()).build()?;
    let mut mirroring = Mirroring::start(&options.redis, &store)?;
    let on_demand = OnDemand::below(&survey, &bus, Arc::clone(&ctrl_c.flag));
    let serving = Serving::start(
        door,
        mirroring.show(Server::builder(&bus).executor(on_demand.executor())),
        About { plan: Some(survey.plan_id()), messages: Some("`survey FOLDER` starts a survey") },
        global,
    )?;
    if !options.no_wait && !serving.wait_for_page("the survey", &ctrl_c, global)? {
        return Err(Failure::new(Exit::Interrupted, "interrupted before the survey began"));
    }
    let live = (terminal::can_redraw() && global.wants_pictures())
        .then(|| Live::start(&bus, survey.plan_id()))
        .transpose()?;
    let outcome = survey.run(&bus, Arc::clone(&ctrl_c.flag));
    drop(live);
    let look = Look::new(global, survey.plan_id());
    let report = outcome.map_err(|halt| {
        let is_interrupted = matches!(halt, Halt::Interrupted);
        let failure = Failure::from(halt);
        if is_interrupted { failure.hint(&format!("how far it came: {}", look.show())) } else { failure }
    })?;
    let decided = EventQuery::new().types([EventType::DecisionMade]).after(before).limit(1);
    let log = Stretch {
        events: bus.stats().published,
        first: before + 1,
        last: store.head()?,
        has_decisions: !store.query(decided)?.is_empty(),
    };
    match out.form(Form::Table) {
        Form::Json => write_json(&survey, &report, &log, mirroring.settle(global), global, out)?,
        form => {
            match form {
                Form::Tree => show::write_tree(&store, survey.plan_id(), out)?,
                _ => write_summary(&survey, &report, &log, &look, global, out)?,
            }
            out.flush()?;
            mirroring.settle(global);
        }
    }
    out.flush()?;
    serving.go_on(&ctrl_c, global);
    drop(on_demand);
    mirroring.end(global)?;
    bus.close();
    store.close()?;
    Ok(())
}

/// The part of the log that the survey wrote.
struct Stretch {
    events: u64,
    first: u64,
    last: u64,
    has_decisions: bool,
}

fn unusable(path: &Path, error: &io::Error) -> Failure {
    let exit = match error.kind() {
        io::ErrorKind::NotFound => Exit::NotFound,
        io::ErrorKind::NotADirectory => Exit::Usage,
        _ => Exit::Unavailable,
    };
    Failure::of(exit, &format!("survey {}", path.display()), error).hint("name a directory with --path DIR")
}

fn write_summary(
    survey: &Survey,
    report: &Report,
    log: &Stretch,
    look: &Look,
    global: &Global,
    out: &mut Output,
) -> Result<(), Failure> {
    let root = escape(&survey.root().to_string_lossy()).into_owned();
    out.line(&out.paint(Style::Heading, &format!("Survey of {root}")))?;
    for line in report.to_text().lines() {
        // What stands at the margin is a heading.
        let style = if line.starts_with(' ') { Style::Plain } else { Style::Heading };
        out.line(&out.paint(style, line))?;
    }
    let rate = log.events as f64 / report.duration.as_secs_f64().max(1e-6);
    out.line("")?;
    out.line(&out.paint(Style::Heading, "Log"))?;
    let stored = format!(
        "{} stored in {}, seq {} to {}, {} a second, each durable before the next step",
        units::counted(log.events, "event"),
        escape(&global.db.to_string_lossy()),
        log.first,
        log.last,
        units::number(rate as u64),
    );
    out.wrapped("  ", 2, &stored)?;
    out.line("")?;
    out.line(&out.paint(Style::Heading, "Look further"))?;
    for command in look.all(report.totals.failed_tools > 0, log.has_decisions) {
        out.line(&format!("  {command}"))?;
    }
    Ok(())
}

fn write_json(
    survey: &Survey,
    report: &Report,
    log: &Stretch,
    mirror: Option<Value>,
    global: &Global,
    out: &mut Output,
) -> Result<(), Failure> {
    let mut object = report.totals.to_json();
    object["plan_id"] = json!(survey.plan_id());
    object["tenant"] = json!(global.tenant());
    object["path"] = json!(survey.root().to_string_lossy());
    object["db"] = json!(global.db.to_string_lossy());
    object["duration_us"] = json!(u64::try_from(report.duration.as_micros()).unwrap_or(u64::MAX));
    object["events"] = json!(log.events);
    object["first_seq"] = json!(log.first);
    object["last_seq"] = json!(log.last);
    if let Some(mirror) = mirror {
        object["mirror"] = mirror;
    }
    out.json(&object.to_string())
}

/// The commands with which to look further, as the user would type them here.
struct Look {
    program: String,
    db: String,
    plan: String,
}

impl Look {
    fn new(global: &Global, plan: &PlanId) -> Self {
        let word = |text: &str| escape(&shell_word(text)).into_owned();
        let program = env::args_os().next().unwrap_or_else(|| "planbus".into());
        let mut program = word(&program.to_string_lossy());
        if global.db != Path::new("planbus.db") {
            program = format!("{program} --db {}", word(&global.db.to_string_lossy()));
        }
        let tenant = global.tenant();
        if tenant != Tenant::default() {
            program = format!("{program} --tenant {tenant}");
        }
        Self { program, db: word(&global.db.to_string_lossy()), plan: word(plan.as_str()) }
    }

    fn show(&self) -> String {
        format!("{} show {}", self.program, self.plan)
    }

    fn all(&self, has_failures: bool, has_decisions: bool) -> Vec<String> {
        let Self { program, db, plan } = self;
        let query = if has_failures {
            "select plan_id, tool, arguments, error from tool_calls where outcome = 'failed'"
        } else {
            "select tool, outcome, count(*), sum(duration_us) from tool_calls group by 1, 2"
        };
        let mut commands = vec![self.show(), format!("{} --timeline", self.show())];
        if has_decisions {
            commands.push(format!("{program} events --correlation {plan} --type DecisionMade"));
        }
        commands.push(format!("{program} plans --roots"));
        commands.push(format!("sqlite3 -box {db} \"{query}\""));
        commands
    }
}
