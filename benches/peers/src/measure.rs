//! Measuring side by side: rounds of all contenders in turn, and the medians of each.
//!
//! Machines drift; ratios of figures from the same rounds hold.

use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

/// What a contender's time is taken with.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Clock {
    /// The processor time of the measuring thread: what else runs on the machine does not count.
    ThreadCpu,
    /// The time on the wall: where a disk, a socket or another thread is waited for.
    Wall,
}

impl Clock {
    /// Nanoseconds since some moment.
    pub(crate) fn now(self) -> u64 {
        let id = match self {
            Self::ThreadCpu => ClockId::ThreadCPUTime,
            Self::Wall => ClockId::Monotonic,
        };
        let time = clock_gettime(id);
        time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
    }
}

/// One contender: runs its work this many times and says how long it took.
pub(crate) struct Contender<'a> {
    run: Box<dyn FnMut(u64) -> Duration + 'a>,
}

impl<'a> Contender<'a> {
    /// A contender that is told how often to work and says how long that took.
    pub(crate) fn timed(run: impl FnMut(u64) -> Duration + 'a) -> Self {
        Self { run: Box::new(run) }
    }

    /// A contender that does one thing again and again on this thread.
    pub(crate) fn looped(clock: Clock, mut work: impl FnMut() + 'a) -> Self {
        Self::timed(move |times| {
            let begun = clock.now();
            for _ in 0..times {
                work();
            }
            Duration::from_nanos(clock.now() - begun)
        })
    }
}

/// The median nanoseconds of one piece of each contender's work, from this many interleaved rounds.
pub(crate) fn medians(rounds: usize, times: u64, contenders: &mut [Contender<'_>]) -> Vec<f64> {
    let mut figures = vec![Vec::new(); contenders.len()];
    for round in 0..=rounds {
        for (contender, figures) in contenders.iter_mut().zip(&mut figures) {
            let took = (contender.run)(times).as_nanos() as f64 / times as f64;
            if round > 0 {
                figures.push(took); // the first round warms up
            }
        }
    }
    figures.into_iter().map(median).collect()
}

/// The figure in the middle.
pub(crate) fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}

/// The time that this part of them, 0 to 1, does not exceed.
pub(crate) fn quantile(took: &mut [Duration], part: f64) -> Duration {
    took.sort();
    took[((took.len() - 1) as f64 * part) as usize]
}

/// A folder for what a contender keeps, beside this program: on a disk, where the system's folder for
/// temporary files may be memory. It goes when it is dropped.
pub(crate) fn folder() -> tempfile::TempDir {
    let program = std::env::current_exe().expect("this program is a file");
    let beside = program.parent().expect("a file is in a folder");
    tempfile::tempdir_in(beside).expect("a folder beside the program can be made")
}

/// Runs `work` on several threads at once, `times` in all, and says how long that took.
pub(crate) fn by_threads(threads: u64, times: u64, work: impl Fn() + Sync) -> Duration {
    let begun = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| (0..times / threads).for_each(|_| work()));
        }
    });
    begun.elapsed()
}
