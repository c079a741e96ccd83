//! Reads what `strace` saw a child do to the files of one directory, in order.
//!
//! Never guesses: a line that it does not understand fails the test.

use std::{collections::HashMap, path::Path};

/// The calls that change files, or that make changes last. All of them are traced, so that one that
/// a later version of SQLite begins to use is noticed.
pub(crate) const CALLS: &str = "open,openat,creat,write,pwrite64,writev,pwritev,pwritev2,truncate,ftruncate,\
    fallocate,fsync,fdatasync,sync_file_range,sync,syncfs,rename,renameat,renameat2,link,linkat,unlink,unlinkat";

/// The most bytes of one write that are recorded; more than SQLite or the child ever writes at once.
pub(crate) const WRITE_MAX_BYTES: usize = 1 << 20;

/// What the child did, once it was done. Files go by their name in the directory.
#[derive(Debug)]
pub(crate) enum Step {
    /// Opened so that it is there afterwards, whether it was before or not.
    Create {
        name: String,
    },
    Write {
        name: String,
        offset: usize,
        bytes: Vec<u8>,
    },
    SetLength {
        name: String,
        bytes: usize,
    },
    /// Makes last what was done to the file before the call began: before the step of this number.
    SyncFile {
        name: String,
        began: usize,
    },
    /// The same for what was done to the directory's names.
    SyncDirectory {
        began: usize,
    },
    Rename {
        from: String,
        to: String,
    },
    Unlink {
        name: String,
    },
    /// A line that the child began to print.
    Told(String),
}

/// A system call that returned.
struct Call<'a> {
    name: &'a str,
    arguments: &'a str,
    result: &'a str,
    /// How many steps had been done when it began.
    began: usize,
}

/// Reads a trace of `strace -f -y`, as far as it is about files of this directory.
pub(crate) fn read(trace: &str, directory: &Path) -> Vec<Step> {
    let mut reader =
        Reader { directory: directory.display().to_string(), steps: Vec::new(), offsets: HashMap::new() };
    // By process: a call that another thread's line came in between of, and when it began.
    let mut unfinished: HashMap<&str, (&str, usize)> = HashMap::new();
    for line in trace.lines() {
        let (process, line) = line.split_once(' ').unwrap_or_else(|| panic!("no process id: {line}"));
        let line = line.trim_start();
        if line.starts_with("+++") || line.starts_with("---") {
            continue;
        }
        let began = reader.steps.len();
        if let Some(start) = line.strip_suffix(" <unfinished ...>") {
            reader.tell(start);
            unfinished.insert(process, (start, began));
        } else if let Some(resumed) = line.strip_prefix("<... ") {
            let (_, rest) = resumed.split_once(" resumed>").unwrap_or_else(|| panic!("no end: {line}"));
            let (start, began) = unfinished.remove(process).unwrap_or_else(|| panic!("no start: {line}"));
            reader.call(&parse(&format!("{start}{rest}"), began));
        } else {
            reader.tell(line);
            reader.call(&parse(line, began));
        }
    }
    reader.steps
}

fn parse(line: &str, began: usize) -> Call<'_> {
    let call = line.rsplit_once(" = ").and_then(|(call, result)| {
        let (name, rest) = call.split_once('(')?;
        Some(Call { name, arguments: rest.trim_end().strip_suffix(')')?, result, began })
    });
    call.unwrap_or_else(|| panic!("not a call: {line:.200}"))
}

struct Reader {
    directory: String,
    steps: Vec<Step>,
    /// Where the next `write` to a file goes, by its descriptor and path.
    offsets: HashMap<String, usize>,
}

impl Reader {
    /// What a child prints counts from the moment it begins to: the publish returned before.
    fn tell(&mut self, line: &str) {
        if line.starts_with("write(1<") {
            let text = String::from_utf8(first_string(line)).expect("the child prints text");
            self.steps.push(Step::Told(text.trim_end().to_owned()));
        }
    }

    fn call(&mut self, call: &Call<'_>) {
        // What failed changed nothing.
        if call.result.starts_with("-1 ") || call.result == "?" {
            return;
        }
        let (name, began) = (self.name_of_descriptor(call.arguments), call.began);
        match (call.name, name) {
            ("open" | "openat" | "creat", _) => self.open(call),
            ("rename", _) => {
                let (from, to) = call.arguments.split_once(", ").expect("two paths");
                if let (Some(from), Some(to)) = (self.name(&quoted(from)), self.name(&quoted(to))) {
                    self.steps.push(Step::Rename { from, to });
                }
            }
            ("unlink", _) => {
                if let Some(name) = self.name(&quoted(call.arguments)) {
                    self.steps.push(Step::Unlink { name });
                }
            }
            ("fsync" | "fdatasync", _) if self.is_directory(call.arguments) => {
                self.steps.push(Step::SyncDirectory { began });
            }
            ("fsync" | "fdatasync", Some(name)) => self.steps.push(Step::SyncFile { name, began }),
            ("pwrite64", Some(name)) => {
                let offset = last_number(call.arguments);
                self.write(name, offset, call);
            }
            ("write", Some(name)) => {
                let offset = *self.offsets.entry(descriptor(call.arguments).to_owned()).or_default();
                self.write(name, offset, call);
            }
            ("ftruncate", Some(name)) => {
                self.steps.push(Step::SetLength { name, bytes: last_number(call.arguments) });
            }
            (other, Some(name)) => panic!("{other} on {name}: teach the recorder what that does"),
            // Elsewhere, or on a file whose name is gone.
            (_, None) => {
                let elsewhere = !call.arguments.contains(&format!("{}/", self.directory));
                let gone = call.arguments.contains(" (deleted)>");
                assert!(elsewhere || gone, "{} ({:.200}): teach the recorder", call.name, call.arguments);
            }
        }
    }

    fn open(&mut self, call: &Call<'_>) {
        let Some(name) = self.name(&quoted(call.arguments)) else { return };
        // Each opening of a file by `write` begins at its start.
        self.offsets.remove(call.result);
        if call.arguments.contains("O_CREAT") || call.name == "creat" {
            self.steps.push(Step::Create { name: name.clone() });
        }
        if call.arguments.contains("O_TRUNC") || call.name == "creat" {
            self.steps.push(Step::SetLength { name, bytes: 0 });
        }
        assert!(!call.arguments.contains("O_APPEND"), "teach the recorder: {}", call.arguments);
    }

    fn write(&mut self, name: String, offset: usize, call: &Call<'_>) {
        let mut bytes = first_string(call.arguments);
        bytes.truncate(call.result.parse().expect("a write returns how much it wrote"));
        self.offsets.insert(descriptor(call.arguments).to_owned(), offset + bytes.len());
        self.steps.push(Step::Write { name, offset, bytes });
    }

    /// The name of a path in the directory.
    fn name(&self, path: &str) -> Option<String> {
        let name = path.strip_prefix(&self.directory)?.strip_prefix('/')?;
        (!name.ends_with(" (deleted)")).then(|| name.to_owned())
    }

    /// The name of the file whose descriptor a call is given first.
    fn name_of_descriptor(&self, arguments: &str) -> Option<String> {
        let (_, path) = descriptor(arguments).split_once('<')?;
        self.name(path.strip_suffix('>')?)
    }

    fn is_directory(&self, arguments: &str) -> bool {
        descriptor(arguments).ends_with(&format!("<{}>", self.directory))
    }
}

/// The first argument, as in `5</tmp/planbus.db>`.
fn descriptor(arguments: &str) -> &str {
    arguments.split_once(", ").map_or(arguments, |(first, _)| first)
}

fn last_number(arguments: &str) -> usize {
    let last = arguments.rsplit_once(", ").map(|(_, last)| last);
    last.and_then(|last| last.parse().ok())
        .unwrap_or_else(|| panic!("no number at the end: {arguments:.200}"))
}

/// The first path in quotes.
fn quoted(arguments: &str) -> String {
    String::from_utf8(first_string(arguments)).expect("a path of the test is text")
}

/// The bytes of the first string, which is written as in C.
///
/// Millions of bytes go through here: slices, because iterators are slow in a debug build.
fn first_string(arguments: &str) -> Vec<u8> {
    let (_, text) = arguments.split_once('"').unwrap_or_else(|| panic!("no string: {arguments:.200}"));
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    loop {
        let (byte, after) = match rest {
            [b'"', after @ ..] => {
                assert!(
                    !after.starts_with(b"..."),
                    "a write of more than {WRITE_MAX_BYTES} bytes was cut short"
                );
                return bytes;
            }
            [b'\\', escape @ ..] => match escape {
                [b'n', after @ ..] => (b'\n', after),
                [b't', after @ ..] => (b'\t', after),
                [b'r', after @ ..] => (b'\r', after),
                [b'v', after @ ..] => (0x0b, after),
                [b'f', after @ ..] => (0x0c, after),
                // The shortest that is no longer number with what follows, of at most three digits.
                [a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7', after @ ..] => {
                    ((a - b'0') << 6 | (b - b'0') << 3 | (c - b'0'), after)
                }
                [a @ b'0'..=b'7', b @ b'0'..=b'7', after @ ..] => ((a - b'0') << 3 | (b - b'0'), after),
                [a @ b'0'..=b'7', after @ ..] => (a - b'0', after),
                [plain, after @ ..] => (*plain, after),
                [] => panic!("an escape ends"),
            },
            [plain, after @ ..] => (*plain, after),
            [] => panic!("a string ends"),
        };
        bytes.push(byte);
        rest = after;
    }
}
