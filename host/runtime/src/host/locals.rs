//! Values that capabilities keep for the length of a call, one a type.

use std::any::{Any, TypeId};

/// A handful at most, so a list is enough.
#[derive(Default)]
pub(super) struct Locals(Vec<(TypeId, Box<dyn Any + Send>)>);

impl Locals {
    /// The one of this type, made if there is none yet.
    #[expect(
        clippy::expect_used,
        reason = "it was found, or put there, under its own type"
    )]
    pub(super) fn get<T: Default + Send + 'static>(&mut self) -> &mut T {
        let of = TypeId::of::<T>();
        let at = match self.0.iter().position(|(known, _)| *known == of) {
            Some(at) => at,
            None => {
                self.0.push((of, Box::new(T::default())));
                self.0.len() - 1
            }
        };
        let found = self.0.get_mut(at).and_then(|(_, value)| value.downcast_mut());
        found.expect("a local of this type")
    }
}
