//! Random names.

/// 128 random bits as 32 hexadecimal digits.
pub(crate) fn random() -> String {
    let mut bits = [0_u8; 16];
    // The kernel's generator does not fail once the system has started; a host
    // without it must not hand out names that can be guessed.
    if getrandom::fill(&mut bits).is_err() {
        std::process::abort();
    }
    bits.iter().map(|byte| format!("{byte:02x}")).collect()
}
