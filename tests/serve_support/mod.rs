//! What the tests of the program as a server share: the program while it serves, and how it ends.

#![allow(dead_code, reason = "each test binary uses a part")]

use std::{
    io::{BufRead, BufReader, Lines, Read},
    process::{Child, ChildStderr, Command, Stdio},
};

use crate::{cli_support::signal, server_support::Sse, store_support::wait_until};

/// A program that serves, killed when dropped.
pub(crate) struct Serving {
    pub(crate) child: Child,
    /// Where it says that it serves.
    pub(crate) url: String,
    stderr: Lines<BufReader<ChildStderr>>,
}

impl Serving {
    /// Starts it, and waits until it says where it serves.
    pub(crate) fn start(command: &mut Command) -> Self {
        let mut child =
            command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("planbus starts");
        let mut stderr = BufReader::new(child.stderr.take().expect("piped")).lines();
        let url = url_of(&mut stderr, "planbus: serving ");
        Self { child, url, stderr }
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Follows a path of its own.
    pub(crate) fn follow(&self, path: &str) -> Sse {
        Sse::open(&format!("{}{path}", self.url), &[]).expect("a stream")
    }

    /// Waits until it says that its work is done and that it goes on.
    pub(crate) fn wait_until_still_serving(&mut self) {
        assert_eq!(url_of(&mut self.stderr, "planbus: still serving"), self.url);
    }

    /// Waits until it says this in a line.
    pub(crate) fn wait_until_it_says(&mut self, what: &str) {
        let mut lines = self.stderr.by_ref().map(|line| line.expect("UTF-8"));
        assert!(lines.any(|line| line.contains(what)), "it ended without a word of {what:?}");
    }

    /// The path that it says to ask for, in its next line that is about this.
    pub(crate) fn told_path(&mut self, about: &str) -> String {
        let mut lines = self.stderr.by_ref().map(|line| line.expect("UTF-8"));
        let line = lines.find(|line| line.trim_start().starts_with(about)).expect("it says where");
        let url = line.rsplit(' ').next().expect("a word").trim_matches('\'');
        url.strip_prefix(&self.url).expect("a path of this server").to_owned()
    }

    /// Whether nobody can connect any more.
    pub(crate) fn is_closed(&self) -> bool {
        let place = self.url.strip_prefix("http://").expect("a URL");
        std::net::TcpStream::connect(place).is_err()
    }

    /// Presses Ctrl-C, and waits for the end.
    pub(crate) fn interrupt(self) -> Ended {
        signal("INT", self.id());
        self.ended()
    }

    /// Waits for the end.
    pub(crate) fn ended(mut self) -> Ended {
        let mut status = None;
        wait_until("it ends", || {
            status = self.child.try_wait().expect("a child");
            status.is_some()
        });
        let mut stdout = String::new();
        self.child.stdout.take().map(|mut pipe| pipe.read_to_string(&mut stdout).expect("UTF-8"));
        let stderr = self.stderr.by_ref().map(|line| line.expect("UTF-8") + "\n").collect();
        Ended { code: status.and_then(|status| status.code()), stdout, stderr }
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        // It may have ended as it should.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// How a program ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    /// What of both was not read before.
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// The URL in the next line that begins so.
fn url_of(lines: &mut Lines<BufReader<ChildStderr>>, begin: &str) -> String {
    let mut told = String::new();
    for line in lines {
        let line = line.expect("UTF-8");
        if let Some(url) = line.strip_prefix(begin).and_then(|rest| rest.split_once(" at ")) {
            return url.1.trim_end_matches("; Ctrl-C ends").to_owned();
        }
        told.push_str(&line);
        told.push('\n');
    }
    panic!("it never said where it serves:\n{told}");
}
