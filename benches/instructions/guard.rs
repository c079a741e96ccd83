//! The guard at work: counts all scenarios, as many at once as there are processors, and judges them.
//!
//! The promises in [`SHAPES`] are ratios of one run; they hold with every compiler and architecture.

use std::{
    env, fs,
    path::Path,
    sync::atomic::{AtomicUsize, Ordering},
    thread,
};

use crate::{
    COUNTED, UNSLOWED, callgrind,
    judge::{
        Baseline, Conditions, Counts, Shape, Slowed, against_baseline, against_each_other, against_itself,
        complaints, table, unseen,
    },
    logged::Logs,
    scenarios::{SCENARIOS, Scenario},
    slowdowns::{SLOWDOWNS, Slowdown},
};

/// Set to `write`, what is counted becomes the baseline.
const BASELINE: &str = "PLANBUS_BASELINE";

/// What holds everywhere.
const SHAPES: &[Shape] = &[
    // The index is a tree: a thousand times the plans make it two small nodes deeper.
    Shape {
        promise: "publish does not grow with subscribers that do not match",
        scenario: "publish, 10,000 plans, none matches",
        beside: "publish, 10 plans, none matches",
        most: 1.15,
    },
    // At eight times the handlers, what a publish costs beside them is shared by eight times as many.
    Shape {
        promise: "publish to 8 handlers costs less than half of 8 publishes to one",
        scenario: "publish, 8 handlers",
        beside: "publish, 1 handler",
        most: 4.0,
    },
    Shape {
        promise: "publish to 64 handlers costs less than 8 publishes to 8",
        scenario: "publish, 64 handlers",
        beside: "publish, 8 handlers",
        most: 7.0,
    },
    // A hundred times the rows make its trees one page deeper; nothing else of a commit knows them.
    Shape {
        promise: "durable publish does not grow with the log",
        scenario: "durable publish, log of 50,000",
        beside: "durable publish, log of 500",
        most: 1.15,
    },
    Shape {
        promise: "an event of a batch costs half of one by itself",
        scenario: "publish_all of 100, an event",
        beside: "durable publish, log of 500",
        most: 0.5,
    },
    Shape {
        promise: "list_by_plan does not grow with the log",
        scenario: "list_by_plan of 100, log of 50,000",
        beside: "list_by_plan of 100, log of 500",
        most: 1.15,
    },
];

/// One process to be run: a scenario, and perhaps a slowdown in it.
type Job = (&'static Scenario, Option<&'static Slowdown>);

/// Counts and judges; whether all is well.
pub(crate) fn run() -> Result<bool, String> {
    let conditions = callgrind::conditions()?;
    let counted = count_all(&jobs())?;
    let (counts, slowed) = counted.split_at(SCENARIOS.len());
    let counts: Counts =
        SCENARIOS.iter().zip(counts).map(|(known, count)| (known.name.to_owned(), *count)).collect();
    let slowed: Vec<Slowed<'_>> = SLOWDOWNS
        .iter()
        .zip(slowed)
        .map(|(known, count)| Slowed { slowdown: known.name, scenario: known.scenario, count: *count })
        .collect();

    let baseline = baseline(&conditions, &counts)?;
    let verdicts = against_baseline(&baseline.instructions, &counts);
    print!("{}", table("instructions an operation", "baseline", &verdicts));
    let shapes = against_each_other(SHAPES, &counts);
    print!("{}", table("ratio of two scenarios", "beside", &shapes));
    let refused = against_itself(&slowed, &counts);
    print!("{}", table("deliberate slowdown, to be refused", "without it", &refused));

    let mut complained = complaints(&shapes, false);
    complained.extend(unseen(&slowed, SHAPES, &counts));
    if baseline.conditions == conditions {
        complained.extend(complaints(&verdicts, true));
    } else {
        println!("\nThe baseline was counted elsewhere, so only ratios of this run are judged.");
        println!("baseline: {:?}\nhere: {conditions:?}", baseline.conditions);
    }
    complained.iter().for_each(|complaint| eprintln!("instructions: {complaint}"));
    Ok(complained.is_empty())
}

/// The baseline; what was just counted becomes it where that is asked for.
fn baseline(conditions: &Conditions, counts: &Counts) -> Result<Baseline, String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/instructions/baseline.json");
    let failed = |error| format!("{}: {error}", path.display());
    if env::var_os(BASELINE).is_some_and(|what| what == "write") {
        let written = Baseline { conditions: conditions.clone(), instructions: counts.clone() };
        fs::write(&path, written.to_json()?).map_err(failed)?;
    }
    Baseline::from_json(&fs::read_to_string(&path).map_err(failed)?)
}

/// Every scenario as it is, then every slowdown in its scenario.
fn jobs() -> Vec<Job> {
    let slowed = SLOWDOWNS.iter().map(|slowdown| {
        let scenario = SCENARIOS.iter().find(|known| known.name == slowdown.scenario);
        (scenario.expect("a slowdown names its scenario"), Some(slowdown))
    });
    SCENARIOS.iter().map(|scenario| (scenario, None)).chain(slowed).collect()
}

/// The instructions an operation of every job, in their order.
fn count_all(jobs: &[Job]) -> Result<Vec<f64>, String> {
    let folder = tempfile::tempdir().map_err(|error| format!("no folder for the logs: {error}"))?;
    let models = folder.path().join("models");
    fs::create_dir(&models).map_err(|error| format!("no folder for the logs: {error}"))?;
    let logs = Logs::write(&models).map_err(|error| format!("the logs cannot be written: {error}"))?;
    let next = AtomicUsize::new(0);
    let count_some = || {
        let mut counted = Vec::new();
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            let Some(job) = jobs.get(number) else { return Ok::<_, String>(counted) };
            let own = folder.path().join(number.to_string());
            let count = count(*job, &logs, &own).map_err(|error| format!("{}: {error}", job.0.name))?;
            counted.push((number, count));
        }
    };
    let mut counted = Vec::new();
    thread::scope(|threads| {
        let at_once = thread::available_parallelism().map_or(1, usize::from);
        let counting: Vec<_> = (0..at_once).map(|_| threads.spawn(count_some)).collect();
        for one in counting {
            counted.extend(one.join().map_err(|_| "a counting thread panicked".to_owned())??);
        }
        Ok::<_, String>(())
    })?;
    counted.sort_by_key(|(number, _)| *number);
    Ok(counted.into_iter().map(|(_, count)| count).collect())
}

/// The instructions an operation of one job, which runs in a folder of its own.
fn count((scenario, slowdown): Job, logs: &Logs, folder: &Path) -> Result<f64, String> {
    let failed = |error| format!("{}: {error}", folder.display());
    fs::create_dir(folder).map_err(failed)?;
    logs.copy_to(folder).map_err(failed)?;
    let slowdown = slowdown.map_or(UNSLOWED, |slowdown| slowdown.name);
    let total = callgrind::count(&[COUNTED, scenario.name, slowdown], folder)?;
    fs::remove_dir_all(folder).map_err(failed)?;
    Ok(total as f64 / (scenario.times * scenario.operations) as f64)
}
