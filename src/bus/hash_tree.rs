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

#[derive(Clone, Debug)]
enum Node<V> {
    Leaf(Vec<(u64, V)>),
    Branch([Option<Arc<Node<V>>>; FANOUT]),
}

impl<V> Default for HashTree<V> {
    fn default() -> Self {
        Self { root: Node::Leaf(Vec::new()), len: 0 }
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
        loop {
            match node {
                Node::Leaf(entries) => {
                    return entries.iter().find(|entry| entry.0 == key).map(|entry| &entry.1);
                }
                Node::Branch(children) => node = children[place(bits)].as_deref()?,
            }
            bits >>= BITS;
        }
    }

    /// Changes the value at `key`, which is made when there is none; takes it out when `change`
    /// says that it is empty.
    pub(super) fn update(&mut self, key: u64, change: impl FnOnce(&mut V) -> bool) {
        let (mut node, mut shift) = (&mut self.root, 0);
        while let Node::Branch(children) = node {
            let child = children[place(key >> shift)].get_or_insert_with(|| Arc::new(Node::Leaf(Vec::new())));
            node = Arc::make_mut(child);
            shift += BITS;
        }
        let Node::Leaf(entries) = node else { return };
        let found = entries.iter().position(|entry| entry.0 == key);
        let at = found.unwrap_or_else(|| {
            entries.push((key, V::default()));
            self.len += 1;
            entries.len() - 1
        });
        if change(&mut entries[at].1) {
            entries.swap_remove(at);
            self.len -= 1;
        } else if entries.len() > LEAF_MAX && shift < u64::BITS {
            *node = split(std::mem::take(entries), shift);
        }
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
    Node::Branch(leaves.map(|leaf| (!leaf.is_empty()).then(|| Arc::new(Node::Leaf(leaf)))))
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
