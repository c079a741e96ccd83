//! [`HashTree`]: a map from hashes to values whose copies share everything but what changed.
//!
//! A change copies one path: a few small nodes, whatever the number of entries. Keys are hashes
//! already; the tree spends four of their bits a level and never hashes anything.

use std::sync::Arc;

const BITS: u32 = 4;
const FANOUT: usize = 1 << BITS;
/// The most entries of a leaf that can still be split.
const LEAF_MAX: usize = 6;

/// A persistent map with hashes as keys.
#[derive(Clone, Debug)]
pub(super) struct HashTree<V> {
    root: Node<V>,
    len: usize,
}

/// A node lies in its parent, so that a look-up takes one load a level.
#[derive(Clone, Debug)]
enum Node<V> {
    Leaf(Arc<[(u64, V)]>),
    Branch(Arc<[Node<V>; FANOUT]>),
    Empty,
}

impl<V> Default for HashTree<V> {
    fn default() -> Self {
        Self { root: Node::Empty, len: 0 }
    }
}

impl<V: Clone + Default> HashTree<V> {
    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.len == 0
    }

    #[inline]
    pub(super) fn get(&self, key: u64) -> Option<&V> {
        let (mut node, mut bits) = (&self.root, key);
        while let Node::Branch(children) = node {
            node = &children[place(bits)];
            bits >>= BITS;
        }
        match node {
            Node::Leaf(entries) => entries.iter().find(|entry| entry.0 == key).map(|entry| &entry.1),
            _ => None,
        }
    }

    /// Changes the value at `key`, which is made when there is none; takes it out when `change`
    /// says that it is empty.
    pub(super) fn update(&mut self, key: u64, change: impl FnOnce(&mut V) -> bool) {
        let (mut node, mut shift) = (&mut self.root, 0);
        while let Node::Branch(children) = node {
            node = &mut Arc::make_mut(children)[place(key >> shift)];
            shift += BITS;
        }
        let mut entries = match std::mem::replace(node, Node::Empty) {
            Node::Leaf(entries) => entries.to_vec(),
            _ => Vec::new(),
        };
        let found = entries.iter().position(|entry| entry.0 == key);
        let at = found.unwrap_or_else(|| {
            entries.push((key, V::default()));
            self.len += 1;
            entries.len() - 1
        });
        if change(&mut entries[at].1) {
            entries.swap_remove(at);
            self.len -= 1;
        }
        *node = match entries.len() {
            0 => Node::Empty,
            more if more > LEAF_MAX && shift < u64::BITS => split(entries, shift),
            _ => Node::Leaf(entries.into()),
        };
    }
}

#[inline]
fn place(bits: u64) -> usize {
    (bits & (FANOUT as u64 - 1)) as usize
}

/// A branch over the entries of a leaf, by the next bits of their keys.
fn split<V: Clone>(entries: Vec<(u64, V)>, shift: u32) -> Node<V> {
    let mut leaves: [Vec<(u64, V)>; FANOUT] = Default::default();
    for entry in entries {
        leaves[place(entry.0 >> shift)].push(entry);
    }
    let leaf = |entries: Vec<(u64, V)>| match entries.is_empty() {
        true => Node::Empty,
        false => Node::Leaf(entries.into()),
    };
    Node::Branch(Arc::new(leaves.map(leaf)))
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Every copy keeps what it held, whatever is changed in another.
        #[test]
        fn a_tree_does_what_a_map_does(steps in prop::collection::vec((0u64..64, 0u32..6, any::<bool>()), 0..400)) {
            let (mut tree, mut map) = (HashTree::<u64>::default(), HashMap::new());
            let mut copies = Vec::new();
            for (number, spread, add) in steps {
                // Keys that share their low bits go deep; those that share all but the highest go deepest.
                let key = number.rotate_right(spread * 11);
                tree.update(key, |value| {
                    *value += 1;
                    !add
                });
                if add { *map.entry(key).or_insert(0) += 1 } else { map.remove(&key); }
                prop_assert_eq!(tree.is_empty(), map.is_empty());
                copies.push((tree.clone(), map.clone()));
            }
            for (tree, map) in copies {
                prop_assert_eq!(tree.len, map.len());
                prop_assert!(map.iter().all(|(key, value)| tree.get(*key) == Some(value)));
            }
        }
    }
}
