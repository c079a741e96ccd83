//! The index beside a real log: what it finds, in which pages, and for whom.

mod damage;
mod figures;
mod following;
mod pages;

use serde_json::json;

use super::*;
use crate::{
    event::{PlanId, ToolCalled},
    filter::TypePattern,
    store::Durability,
};

/// A store in a directory of its own.
struct Fixture {
    store: EventStore,
    dir: tempfile::TempDir,
}

impl Fixture {
    /// In memory where there is one to write to: nothing here needs a disk, and some tests write much.
    fn new() -> Self {
        let memory = tempfile::tempdir_in("/dev/shm");
        Self::within(memory.unwrap_or_else(|_| tempfile::tempdir().expect("a directory")))
    }

    fn within(dir: tempfile::TempDir) -> Self {
        let store = open_store(&dir.path().join("planbus.db"));
        Self { store, dir }
    }

    fn path(&self) -> PathBuf {
        SearchIndex::default_path(&self.store)
    }

    fn save(&self, plan: &str, tool: &str, argument: &str) -> u64 {
        self.store.save(&event(plan, tool, argument)).expect("commits").seq
    }

    /// Stores this many events whose only difference is a word of their own, `word<seq>`.
    fn fill(&self, count: usize) {
        let head = self.store.head().expect("a head");
        let events = (head + 1..).take(count).map(|seq| event("plan", "grep", &format!("word{seq} common")));
        self.store.commit(events.collect()).expect("commits");
    }

    /// The index, with all that the log holds.
    fn index(&self) -> SearchIndex {
        let index = SearchIndex::open(&self.store, &self.path()).expect("opens");
        complete(&index);
        index
    }
}

fn open_store(path: &Path) -> EventStore {
    // What is tested outlives a process, not a power cut.
    EventStore::options().durability(Durability::Process).open(path).expect("opens")
}

fn event(plan: &str, tool: &str, argument: &str) -> Event {
    Event::new(plan, ToolCalled::new("call-17", tool, json!({"path": argument})))
}

fn complete(index: &SearchIndex) {
    while !index.catch_up(SEARCH_BATCH_MAX).expect("indexes").is_complete() {}
}

fn search(index: &SearchIndex, query: &SearchQuery) -> SearchPage {
    index.search(&Tenant::default(), query).expect("searches")
}

fn found(index: &SearchIndex, text: &str) -> Vec<u64> {
    seqs(&search(index, &SearchQuery::new(text).limit(1_000)))
}

fn seqs(page: &SearchPage) -> Vec<u64> {
    page.events.iter().filter_map(Event::seq).collect()
}

/// Checks that each event of the log is found once, by the word that only it has and by the one that
/// all have.
fn check_exact(fixture: &Fixture, index: &SearchIndex) {
    let log = fixture.store.read_after(index_floor(fixture), usize::MAX).expect("reads");
    let mut all: Vec<u64> = log.iter().filter_map(Event::seq).collect();
    for seq in &all {
        assert_eq!(found(index, &format!("word{seq}")), [*seq]);
    }
    all.reverse();
    assert_eq!(found(index, "common"), all);
}

fn index_floor(fixture: &Fixture) -> u64 {
    fixture.store.stats().expect("figures").first_seq.map_or(0, |first| first - 1)
}

#[test]
fn names_and_paths_are_found_whole_and_by_part() {
    let fixture = Fixture::new();
    fixture.save("release/notes 1", "read_file", "src/store/mod.rs");
    fixture.save("other", "webSearch", "Größe der 任务失败");
    let index = fixture.index();
    for text in [
        "src/store/mod.rs",
        "store",
        "mod.rs",
        "read_file",
        "file",
        "READ",
        "call-17 store",
        "stor*",
        "src/sto*",
        "\"store mod\"",
        "release/notes",
        "\"read file\"",
        "path src",
    ] {
        assert_eq!(found(&index, text), [1], "{text}");
    }
    for text in ["webSearch", "websearch", "search", "\"web search\"", "sear*", "GRÖßE", "große", "失败"]
    {
        assert_eq!(found(&index, text), [2], "{text}");
    }
    assert_eq!(found(&index, "toolcalled"), [2, 1], "newest first");
    assert_eq!(found(&index, "Called tool"), [2, 1]);
    for text in ["sto", "mod store phrase", "\"mod store\"", "\"file path\"", "file nowhere", "失任", "t*x"]
    {
        assert_eq!(found(&index, text), [0; 0], "{text}");
    }
}

#[test]
fn a_search_is_narrowed_by_plan_type_and_place() {
    let fixture = Fixture::new();
    let custom = |plan: &str, event_type: &str| {
        let event = Event::untyped(plan, event_type, json!({"note": "common"}));
        fixture.store.save(&event).expect("commits");
    };
    custom("one", "workflow.started");
    custom("two", "workflow.step.done");
    custom("one", "workflow");
    custom("one", "Workflow.started");
    let index = fixture.index();
    let asked = |query: SearchQuery| seqs(&search(&index, &query));
    let all = || SearchQuery::new("common");
    let types = |names: &[&str]| {
        all().types(names.iter().map(|name| TypePattern::try_from(*name).expect("valid")).collect())
    };
    let plan = |name: &str| PlanId::try_from(name).expect("valid");
    assert_eq!(asked(all().plan(plan("one"))), [4, 3, 1]);
    assert_eq!(asked(all().plan(plan("One"))), [0; 0]);
    assert_eq!(asked(types(&["workflow.*"])), [2, 1]);
    assert_eq!(asked(types(&["workflow.step.*", "workflow"])), [3, 2]);
    assert_eq!(asked(types(&["workflow.started"]).plan(plan("one"))), [1]);
    assert_eq!(asked(all().after(1).before(4)), [3, 2]);
    assert_eq!(asked(all().after(u64::MAX)), [0; 0]);
    assert_eq!(asked(all().before(0)), [0; 0]);
    assert_eq!(asked(all().oldest_first().limit(3)), [1, 2, 3]);
}

#[test]
fn p10_a_tenant_finds_only_its_own_events_also_in_an_index_that_is_wrong() {
    let fixture = Fixture::new();
    let theirs =
        fixture.store.save(&event("plan", "grep", "secret").with_tenant("theirs")).expect("commits").seq;
    let ours = fixture.save("plan", "grep", "secret");
    let index = fixture.index();
    let tenant = |name: &str| Tenant::try_from(name).expect("valid");
    let seen = |name: &str| {
        let plan = PlanId::try_from("plan").expect("valid");
        let page = index.search(&tenant(name), &SearchQuery::new("secret").plan(plan)).expect("searches");
        assert!(page.events.iter().all(|event| event.tenant().as_str() == name));
        seqs(&page)
    };
    assert_eq!((seen("default"), seen("theirs"), seen("nobody")), (vec![ours], vec![theirs], vec![]));
    // Now the index says that their event is ours.
    let name = words::plan_name(&Tenant::default(), &PlanId::try_from("plan").expect("valid"));
    let wrong = format!("INSERT INTO words (rowid, scope, text) VALUES ({theirs}, '{name}', 'secret')");
    let file = index.file.read();
    file.as_ref().expect("open").execute(&format!("DELETE FROM words WHERE rowid = {theirs}; {wrong}"));
    drop(file);
    assert_eq!((seen("default"), seen("theirs")), (vec![ours], vec![]));
}

#[test]
fn a_reader_is_told_how_far_the_index_is() {
    let fixture = Fixture::new();
    fixture.fill(3);
    let index = fixture.index();
    fixture.fill(2);
    let page = search(&index, &SearchQuery::new("common"));
    assert_eq!((page.events.len(), page.indexed_seq, page.last_seq), (3, 3, 5));
    let progress = index.catch_up(1).expect("indexes");
    assert_eq!((progress.indexed_seq, progress.last_seq, progress.is_complete()), (4, 5, false));
    complete(&index);
    assert_eq!(search(&index, &SearchQuery::new("common")).indexed_seq, 5);
}

#[test]
fn one_process_at_a_time_has_an_index() {
    let fixture = Fixture::new();
    fixture.fill(1);
    let index = fixture.index();
    let error = SearchIndex::open(&fixture.store, &fixture.path()).expect_err("refused");
    assert_eq!(error.kind(), ErrorKind::Locked);
    assert!(error.to_string().contains(&std::process::id().to_string()), "{error}");
    drop(index);
    check_exact(&fixture, &fixture.index());
}

#[cfg(unix)]
#[test]
fn the_files_of_an_index_are_its_users_own() {
    use std::os::unix::fs::PermissionsExt;
    let fixture = Fixture::new();
    fixture.fill(1);
    let _open = fixture.index();
    for suffix in ["", "-wal", "-shm", ".lock"] {
        let path = format!("{}{suffix}", fixture.path().display());
        let mode = std::fs::metadata(&path).expect("is there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{path}");
    }
}
