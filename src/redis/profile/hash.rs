//! The hashes of what is written into keys and ids, the same in every version and process.
//!
//! They spread; they keep out nobody who wants a collision.

/// FNV-1a with 128 bits over texts, each ended by a zero byte, so that their borders count.
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

/// The CRC-32 of zlib and Ethernet, which every language has at hand.
#[cfg(feature = "sqlite")]
pub(super) fn crc32(bytes: impl Iterator<Item = u8>) -> u32 {
    const POLYNOMIAL: u32 = 0xedb8_8320;
    !bytes.fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| (crc >> 1) ^ (POLYNOMIAL * (crc & 1)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_never_changes() {
        // FNV-1a of "a" is d228cb696f1a8caf78912b704e4a8964 by its authors' table.
        let a = (Fnv::OFFSET ^ u128::from(b'a')).wrapping_mul(Fnv::PRIME);
        assert_eq!(a, 0xd228_cb69_6f1a_8caf_7891_2b70_4e4a_8964);
        assert_eq!(Fnv::new().text("a").finish(), a.wrapping_mul(Fnv::PRIME));
        assert_ne!(Fnv::new().text("a").text("bc").finish(), Fnv::new().text("ab").text("c").finish());
    }

    #[cfg(feature = "sqlite")]
    #[test]
    fn the_checksum_is_that_of_zlib() {
        assert_eq!(crc32(b"123456789".iter().copied()), 0xcbf4_3926);
        assert_eq!(crc32([].into_iter()), 0);
    }
}
