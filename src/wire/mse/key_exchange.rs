//! The Diffie-Hellman exchange: 768 bits, generator 2.

use crypto_bigint::modular::{ConstMontyForm, ConstMontyParams};
use crypto_bigint::{U192, U768, const_monty_params};

/// Bytes of a public key, and of the secret that two share.
pub const KEY_BYTES: usize = 96;
/// Bytes of a private key: more than 160 bits make nothing safer.
pub const PRIVATE_KEY_BYTES: usize = 20;
const PRIVATE_KEY_BITS: u32 = 8 * PRIVATE_KEY_BYTES as u32;

const_monty_params!(
    Prime,
    U768,
    "ffffffffffffffffc90fdaa22168c234c4c6628b80dc1cd129024e088a67cc74020bbea63b139b22514a08798e3404ddef9519b3cd3a431b302b0a6df25f14374fe1356d6d51c245e485b576625e7ec6f44c42e9a63a36210000000000090563"
);

type Residue = ConstMontyForm<Prime, { U768::LIMBS }>;

const GENERATOR: Residue = Residue::new(&U768::from_u8(2));

/// The secret of a connection.
#[derive(Clone, PartialEq, Eq)]
pub struct SharedSecret(pub [u8; KEY_BYTES]);

/// One side's keys.
pub struct KeyPair {
    private: U192,
    pub public: [u8; KEY_BYTES],
}

impl KeyPair {
    /// From bytes that nobody can guess.
    pub fn new(private: [u8; PRIVATE_KEY_BYTES]) -> Self {
        let private = from_bytes(&private);
        let public = GENERATOR.pow_bounded_exp(&private, PRIVATE_KEY_BITS).retrieve().to_be_bytes().into();
        Self { private, public }
    }

    /// What both sides come to. None if the other's key is one that gives a secret which anybody can tell.
    pub fn agree(&self, public: &[u8; KEY_BYTES]) -> Option<SharedSecret> {
        let theirs = U768::from_be_slice(public);
        let largest = Prime::PARAMS.modulus().as_ref().wrapping_sub(&U768::from_u8(2));
        if theirs < U768::from_u8(2) || theirs > largest {
            return None;
        }
        Some(SharedSecret(
            Residue::new(&theirs).pow_bounded_exp(&self.private, PRIVATE_KEY_BITS).retrieve().to_be_bytes().into(),
        ))
    }
}

/// 160 bits are no whole number of limbs.
fn from_bytes(private: &[u8; PRIVATE_KEY_BYTES]) -> U192 {
    let mut padded = [0; U192::BYTES];
    padded[U192::BYTES - PRIVATE_KEY_BYTES..].copy_from_slice(private);
    U192::from_be_slice(&padded)
}
