//! What to say where nothing can write an answer: what is missing, and the lines
//! that bring it.

/// No model is granted.
pub(crate) fn no_model() -> String {
    format!(
        "I can only talk through a language model, and none is granted to me. \
         This is what is needed:\n\n{}",
        lines("main")
    )
}

/// The model is one that repeats.
pub(crate) fn no_writer(model: &str) -> String {
    format!(
        "I can only talk through a language model that writes, and `{model}` is of the provider \
         `offline`, which only repeats from documents or rows that it is given. \
         This is what is needed:\n\n{}```",
        server(model)
    )
}

/// A model that writes, with the fence open.
fn server(model: &str) -> String {
    format!(
        "In segue.toml, any server that speaks the OpenAI protocol:\n\
         ```toml\n\
         [llm.{model}]\n\
         provider = \"openai\"\n\
         base_url = \"https://llm.example.com/v1\"\n\
         api_key = \"env:LLM_KEY\"\n\
         model = \"the model's name there\"\n"
    )
}

/// Everything, from the model to the grant.
fn lines(model: &str) -> String {
    format!(
        "{}\n\
         [plugins.max_grants]\n\
         llm = [\"{model}\"]\n\
         session = [\"history\"]\n\
         ```\n\
         In the .toml beside this plugin (chat.toml):\n\
         ```toml\n\
         [grants]\n\
         llm = [\"{model}\"]\n\
         session = [\"history\"]\n\
         ```",
        server(model)
    )
}
