//! [`Cluster`]: a connection to each master of a Cluster that was needed so far.
//!
//! Each command goes to the owner of its first key. Nothing is sent twice, not even where a slot
//! has moved: whoever is told so connects again, and the new connection knows the new owners.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use ::redis::{Cmd, cmd};

use super::{
    dial::{Target, dial},
    fault::Refusal,
    node::{Hello, Node, Reply},
    reply,
    settings::{Address, Settings, invalid},
    slots::{self, SlotMap},
};
use crate::error::{Error, ErrorKind, Result};

/// The masters of a Cluster.
pub(super) struct Cluster {
    settings: Arc<Settings>,
    slots: SlotMap,
    /// As many as `slots.masters`.
    nodes: Vec<Option<Node>>,
    read_timeout: Duration,
    awaited: VecDeque<Awaited>,
    pub(super) hello: Hello,
}

/// Where the answer to a command comes from.
enum Awaited {
    Node(usize),
    /// No master owns the slot: nothing was sent.
    Nobody,
}

impl Cluster {
    /// Asks the nodes, from the one at `turn` on, who owns which slots, and takes the first answer of
    /// one that is not cut off. Each connection begins with another node: what a node names may be
    /// long gone, and it answers all the same.
    pub(super) fn connect(settings: &Arc<Settings>, seeds: &[Address], turn: usize) -> Result<Self> {
        let (mut cut_off, mut last) = (None, None);
        for seed in seeds.iter().cycle().skip(turn % seeds.len().max(1)).take(seeds.len()) {
            match Self::ask(settings, seed) {
                Ok((cluster, true)) => return Ok(cluster),
                Ok((cluster, false)) => cut_off = cut_off.or(Some(cluster)),
                Err(error) => last = Some(error),
            }
        }
        // It still says why it serves nothing.
        cut_off.ok_or_else(|| last.unwrap_or_else(|| invalid("the URL names no node of a Cluster")))
    }

    /// The masters that a node names, and whether it believes that the Cluster works.
    fn ask(settings: &Arc<Settings>, seed: &Address) -> Result<(Self, bool)> {
        let mut node = dial(settings, Target::Server(seed), &settings.login, 0)?;
        if !matches!(node.hello.mode.as_str(), "cluster" | "") {
            return Err(invalid(format!("{seed} is no node of a Cluster; redis:// is for one server")));
        }
        let mut questions = cmd("CLUSTER").arg("SLOTS").get_packed_command();
        cmd("CLUSTER").arg("INFO").write_packed_command(&mut questions);
        node.send(&questions, 2)?;
        let (answer, state) = (node.receive()?, node.receive()?);
        // Who may not ask must find out.
        let state = state.ok().and_then(|state| reply::text(state).ok()).unwrap_or_default();
        let works = reply::info_part(&state, "cluster_state") != Some("fail");
        let answer = answer.map_err(|refusal| refusal.into_error(&format!("ask {seed} for the slots")))?;
        let slots = SlotMap::read(answer, seed)?;
        if slots.masters.is_empty() {
            let told = format!("redis: {seed} knows no master with slots: the Cluster is not made yet");
            return Err(Error::new(ErrorKind::Unavailable, told));
        }
        let mut nodes: Vec<Option<Node>> = slots.masters.iter().map(|_| None).collect();
        // Commands go to masters, also where the node that was asked is a replica.
        let hello = Hello { role: "master".to_owned(), ..node.hello.clone() };
        if let Some(own) = slots.masters.iter().position(|master| master == seed) {
            nodes[own] = Some(node);
        }
        let (settings, read_timeout) = (Arc::clone(settings), settings.read_timeout);
        let awaited = VecDeque::new();
        Ok((Self { settings, slots, nodes, read_timeout, awaited, hello }, works))
    }

    pub(super) fn send(&mut self, commands: &[Cmd]) -> Result<()> {
        let mut batches = vec![(Vec::new(), 0); self.nodes.len()];
        for command in commands {
            let master = match slots::slot_of(command) {
                Some(slot) => self.slots.owner(slot),
                None => Some(self.any()?),
            };
            self.awaited.push_back(match master {
                Some(master) => {
                    command.write_packed_command(&mut batches[master].0);
                    batches[master].1 += 1;
                    Awaited::Node(master)
                }
                None => Awaited::Nobody,
            });
        }
        for (master, (packed, count)) in batches.into_iter().enumerate() {
            if count > 0 {
                self.node(master)?.send(&packed, count)?;
            }
        }
        Ok(())
    }

    pub(super) fn receive_all(&mut self) -> Result<Vec<Reply>> {
        let mut replies = Vec::with_capacity(self.awaited.len());
        while let Some(awaited) = self.awaited.pop_front() {
            replies.push(match awaited {
                Awaited::Node(master) => self.node(master)?.receive()?,
                Awaited::Nobody => Err(Refusal::new("CLUSTERDOWN", "no master owns the slot of the key")),
            });
        }
        Ok(replies)
    }

    /// Sends one command to every master.
    pub(super) fn each_master(&mut self, command: &Cmd) -> Result<Vec<(String, Reply)>> {
        let packed = command.get_packed_command();
        for master in 0..self.nodes.len() {
            self.node(master)?.send(&packed, 1)?;
        }
        let mut replies = Vec::with_capacity(self.nodes.len());
        for master in 0..self.nodes.len() {
            let reply = self.node(master)?.receive()?;
            replies.push((self.slots.masters[master].to_string(), reply));
        }
        Ok(replies)
    }

    /// Sends one command to the master of this name.
    pub(super) fn call_master(&mut self, name: &str, command: &Cmd) -> Result<Reply> {
        let named = self.slots.masters.iter().position(|master| master.to_string() == name);
        let Some(master) = named else {
            return Err(Error::new(ErrorKind::Unavailable, format!("redis: {name} is no master any more")));
        };
        let node = self.node(master)?;
        node.send(&command.get_packed_command(), 1)?;
        node.receive()
    }

    pub(super) fn set_read_timeout(&mut self, timeout: Duration) -> Result<()> {
        self.read_timeout = timeout;
        self.nodes.iter_mut().flatten().try_for_each(|node| node.set_read_timeout(timeout))
    }

    /// A master for what concerns no key: one with a connection, or else the first that can be reached.
    fn any(&mut self) -> Result<usize> {
        if let Some(open) = self.nodes.iter().position(Option::is_some) {
            return Ok(open);
        }
        let last = self.nodes.len() - 1;
        let reached = (0..last).find(|master| self.node(*master).is_ok());
        reached.map_or_else(|| self.node(last).map(|_| last), Ok)
    }

    fn node(&mut self, master: usize) -> Result<&mut Node> {
        let slot = &mut self.nodes[master];
        match slot {
            Some(node) => Ok(node),
            None => {
                let address = &self.slots.masters[master];
                let mut node = dial(&self.settings, Target::Server(address), &self.settings.login, 0)?;
                node.set_read_timeout(self.read_timeout)?;
                Ok(slot.insert(node))
            }
        }
    }
}
