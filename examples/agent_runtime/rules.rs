//! What the survey looks at: pure rules over an entry's name and metadata.
//!
//! Nothing here opens a file or asks the system: the same entry always gets the same verdict.

use std::{fs::Metadata, path::Path};

use super::tools::Entry;

/// Larger files are not read.
pub(crate) const FILE_MAX_BYTES: u64 = 1 << 20;
/// Folders nested deeper are not entered: plans run inside each other on one stack.
pub(crate) const DEPTH_MAX: usize = 64;

/// What to do with an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Read,
    Enter,
    Skip(Reason),
}

/// Why an entry is skipped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Reason {
    VersionControl,
    BuildOutput,
    Dependencies,
    Hidden,
    TooLarge,
    KnownBinary,
    Symlink,
    NoRegularFile,
    OtherFileSystem,
    TooDeep,
    OwnLog,
    Vanished,
}

impl Reason {
    /// The reason in a word or two, for tables.
    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::VersionControl => "version control",
            Self::BuildOutput => "build output",
            Self::Dependencies => "dependencies",
            Self::Hidden => "hidden",
            Self::TooLarge => "too large",
            Self::KnownBinary => "binary by name",
            Self::Symlink => "symbolic link",
            Self::NoRegularFile => "no regular file",
            Self::OtherFileSystem => "other file system",
            Self::TooDeep => "too deep",
            Self::OwnLog => "own log",
            Self::Vanished => "vanished",
        }
    }

    /// The reason as a decision states it.
    pub(crate) fn why(self) -> &'static str {
        match self {
            Self::VersionControl => "version control data is not the project's own text",
            Self::BuildOutput => "build output can be made again",
            Self::Dependencies => "installed dependencies are not the project's own text",
            Self::Hidden => "hidden entries are settings or caches",
            Self::TooLarge => "files beyond 1 MiB are rarely written by people",
            Self::KnownBinary => "the name says that it is no text",
            Self::Symlink => "a symbolic link may lead out of the survey or in a circle",
            Self::NoRegularFile => "reading a device, socket or pipe may block or act",
            Self::OtherFileSystem => "another file system may be remote, or no files at all",
            Self::TooDeep => "folders are entered 64 levels deep at most",
            Self::OwnLog => "this process must not open its own log",
            Self::Vanished => "it could not be looked at",
        }
    }
}

/// What the rules know of the place where an entry is.
pub(crate) struct Place<'a> {
    /// Whether a path with this metadata is one of the log's own files.
    pub(crate) is_own_log: &'a dyn Fn(&Path, &Metadata) -> bool,
    /// How deep the folder is, 0 for the root.
    pub(crate) depth: usize,
    /// The file system that the survey keeps to.
    pub(crate) device: u64,
}

impl Place<'_> {
    /// What to do with the entry at `path`.
    pub(crate) fn verdict(&self, entry: &Entry, path: &Path) -> Verdict {
        let Some(metadata) = &entry.metadata else { return Verdict::Skip(Reason::Vanished) };
        // First of all: everything below may lead to opening it.
        if (self.is_own_log)(path, metadata) {
            return Verdict::Skip(Reason::OwnLog);
        }
        if metadata.is_symlink() {
            return Verdict::Skip(Reason::Symlink);
        }
        let name = entry.name.to_string_lossy();
        if metadata.is_dir() { self.folder(&name, metadata) } else { file(&name, metadata) }
    }

    fn folder(&self, name: &str, metadata: &Metadata) -> Verdict {
        match name {
            ".git" | ".hg" | ".svn" | ".jj" => Verdict::Skip(Reason::VersionControl),
            "target" => Verdict::Skip(Reason::BuildOutput),
            "node_modules" => Verdict::Skip(Reason::Dependencies),
            _ if name.starts_with('.') => Verdict::Skip(Reason::Hidden),
            _ if device(metadata) != self.device => Verdict::Skip(Reason::OtherFileSystem),
            _ if self.depth >= DEPTH_MAX => Verdict::Skip(Reason::TooDeep),
            _ => Verdict::Enter,
        }
    }
}

fn file(name: &str, metadata: &Metadata) -> Verdict {
    match name {
        _ if !metadata.is_file() => Verdict::Skip(Reason::NoRegularFile),
        _ if name.starts_with('.') => Verdict::Skip(Reason::Hidden),
        _ if is_known_binary(name) => Verdict::Skip(Reason::KnownBinary),
        _ if metadata.len() > FILE_MAX_BYTES => Verdict::Skip(Reason::TooLarge),
        _ => Verdict::Read,
    }
}

/// The ending of a name, in lower case; empty when it has none.
fn ending(name: &str) -> String {
    name.rsplit_once('.').map(|(_, ending)| ending.to_ascii_lowercase()).unwrap_or_default()
}

fn is_known_binary(name: &str) -> bool {
    const ENDINGS: [&str; 47] = [
        "7z", "a", "avi", "bmp", "bz2", "class", "db", "dll", "doc", "docx", "dylib", "eot", "exe", "flac",
        "gif", "gz", "ico", "jar", "jpeg", "jpg", "lib", "mo", "mov", "mp3", "mp4", "o", "ogg", "otf", "pdf",
        "png", "pyc", "rlib", "rmeta", "so", "sqlite", "tar", "tgz", "ttf", "wasm", "wav", "webm", "webp",
        "woff", "woff2", "xz", "zip", "zst",
    ];
    ENDINGS.binary_search(&ending(name).as_str()).is_ok()
}

/// The language of a file, by its name.
pub(crate) fn language(name: &str) -> &'static str {
    match name {
        "Makefile" | "makefile" | "GNUmakefile" => return "Make",
        "Dockerfile" => return "Docker",
        _ => {}
    }
    match ending(name).as_str() {
        "rs" => "Rust",
        "c" | "h" => "C",
        "cc" | "cpp" | "cxx" | "hh" | "hpp" | "hxx" => "C++",
        "cs" => "C#",
        "css" | "scss" | "less" => "CSS",
        "go" => "Go",
        "htm" | "html" | "xhtml" => "HTML",
        "java" => "Java",
        "js" | "mjs" | "cjs" | "jsx" => "JavaScript",
        "json" | "jsonl" => "JSON",
        "kt" | "kts" => "Kotlin",
        "lock" => "Lock file",
        "lua" => "Lua",
        "md" | "markdown" => "Markdown",
        "php" => "PHP",
        "pl" | "pm" => "Perl",
        "py" | "pyi" => "Python",
        "r" => "R",
        "rb" => "Ruby",
        "sh" | "bash" | "zsh" | "fish" => "Shell",
        "sql" => "SQL",
        "swift" => "Swift",
        "tcl" => "Tcl",
        "toml" => "TOML",
        "ts" | "tsx" => "TypeScript",
        "txt" | "rst" | "adoc" => "Text",
        "vim" => "Vim script",
        "xml" | "svg" | "xsd" | "xsl" => "XML",
        "yaml" | "yml" => "YAML",
        _ => "Other",
    }
}

/// The file system that an entry is on.
#[cfg(unix)]
pub(crate) fn device(metadata: &Metadata) -> u64 {
    std::os::unix::fs::MetadataExt::dev(metadata)
}

/// The file system that an entry is on: not told here, so all are one.
#[cfg(not(unix))]
pub(crate) fn device(_: &Metadata) -> u64 {
    0
}
