//! [`Fnv`]: the hash of what is written into keys and ids, the same in every version and process.
//!
//! FNV-1a with 128 bits. It spreads; it keeps out nobody who wants a collision.

/// FNV-1a over texts, each ended by a zero byte, so that their borders count.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fnv(u128);

impl Fnv {
    const OFFSET: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
    const PRIME: u128 = 0x0000_0000_0100_0000_0000_0000_0000_013b;

    pub(super) fn new() -> Self {
        Self(Self::OFFSET)
    }

    pub(super) fn text(self, text: &str) -> Self {
        let bytes = text.bytes().chain([0]);
        Self(bytes.fold(self.0, |hash, byte| (hash ^ u128::from(byte)).wrapping_mul(Self::PRIME)))
    }

    pub(super) fn finish(self) -> u128 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_never_changes() {
        assert_eq!(Fnv::new().finish(), 144_066_263_297_769_815_596_495_629_667_062_367_629);
        // FNV-1a of "a" is d228cb696f1a8caf78912b704e4a8964 by its authors' table.
        let a = (Fnv::OFFSET ^ u128::from(b'a')).wrapping_mul(Fnv::PRIME);
        assert_eq!(a, 0xd228_cb69_6f1a_8caf_7891_2b70_4e4a_8964);
        assert_eq!(Fnv::new().text("a").finish(), a.wrapping_mul(Fnv::PRIME));
        assert_ne!(Fnv::new().text("a").text("bc").finish(), Fnv::new().text("ab").text("c").finish());
    }
}
