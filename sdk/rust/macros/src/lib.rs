//! The attribute macro of the Segue SDK.

use proc_macro::TokenStream;
use quote::{quote, quote_spanned};
use syn::spanned::Spanned as _;
use syn::{Error, ItemFn, parse_macro_input};

/// Makes a function the plugin's handler.
///
/// It takes the message and the reply, and returns a result:
///
/// ```text
/// #[handler]
/// fn name(message: Message, reply: &mut Reply) -> Result<()>
/// ```
///
/// Compiled for wasm, the function becomes the component's export; compiled
/// natively it stays a plain function, so that tests can call it. A plugin has
/// one handler.
#[proc_macro_attribute]
pub fn handler(arguments: TokenStream, item: TokenStream) -> TokenStream {
    let arguments = proc_macro2::TokenStream::from(arguments);
    let function = parse_macro_input!(item as ItemFn);
    let fault = fault_of(&arguments, &function).map(|fault| fault.into_compile_error());
    let name = &function.sig.ident;
    // Spanned at the signature, so that a function of another shape is shown
    // there and not at the attribute.
    let check = quote_spanned! {function.sig.span()=>
        const _: ::segue_sdk::export::Handler = #name;
    };
    let export = match fault {
        Some(fault) => fault,
        None => quote! {
            #check

            #[cfg(target_family = "wasm")]
            #[allow(unsafe_code)]
            const _: () = {
                struct Component;
                impl ::segue_sdk::export::Guest for Component {
                    fn handle(
                        request: ::segue_sdk::export::Request,
                    ) -> ::core::result::Result<(), ::segue_sdk::export::HostError> {
                        ::segue_sdk::export::run(#name, request)
                    }
                }
                ::segue_sdk::export::export_handler!(Component with_types_in ::segue_sdk::bindings);
            };
        },
    };
    quote! {
        #function
        #export
    }
    .into()
}

/// What the type check alone would say in words that help nobody.
fn fault_of(arguments: &proc_macro2::TokenStream, function: &ItemFn) -> Option<Error> {
    let signature = &function.sig;
    if !arguments.is_empty() {
        return Some(Error::new(arguments.span(), "`#[handler]` takes no arguments"));
    }
    if let Some(token) = &signature.asyncness {
        return Some(Error::new(
            token.span(),
            "a handler is no `async fn`: what the host does slowly already waits without a thread",
        ));
    }
    if !signature.generics.params.is_empty() {
        return Some(Error::new(
            signature.generics.span(),
            "a handler has no generic parameters",
        ));
    }
    if signature.inputs.len() != 2 {
        return Some(Error::new(
            signature.span(),
            "a handler is `fn(message: Message, reply: &mut Reply) -> Result<()>`",
        ));
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(arguments: &str, function: &str) -> Option<String> {
        let arguments = arguments.parse().unwrap();
        fault_of(&arguments, &syn::parse_str(function).unwrap()).map(|fault| fault.to_string())
    }

    #[test]
    fn a_function_of_another_shape_is_told_the_right_one() {
        let good = "fn f(message: Message, reply: &mut Reply) -> Result<()> { Ok(()) }";
        assert_eq!(fault("", good), None);
        assert!(fault("wide", good).unwrap().contains("no arguments"));
        assert!(fault("", "async fn f(m: M, r: R) {}").unwrap().contains("async"));
        assert!(fault("", "fn f<T>(m: M, r: R) {}").unwrap().contains("generic"));
        assert!(
            fault("", "fn f(m: M) {}")
                .unwrap()
                .contains("fn(message: Message")
        );
    }
}
