//! What it listens for, and what it says. In a pattern `*` is any run of words
//! and `@name` a word of a family; `{1}` in an answer is what the first of these
//! held, said the other way round. An answer whose gap is empty is not given.

/// What to do about certain words.
pub(crate) struct Rule {
    /// Any of these words in a clause brings the rule up.
    pub(crate) words: &'static [&'static str],
    /// The most promising rule is tried first.
    pub(crate) rank: u8,
    /// Patterns for the clause, each with its answers.
    pub(crate) patterns: &'static [(&'static str, &'static [&'static str])],
}

/// Words that patterns treat as one.
#[rustfmt::skip]
pub(crate) const FAMILIES: &[(&str, &[&str])] = &[
    ("all", &["everybody", "everyone", "nobody", "always", "never"]),
    ("dreamt", &["dreamt", "dreamed", "dream"]),
    ("high", &["happy", "glad", "cheerful", "proud", "excited", "calm", "better", "grateful"]),
    ("kin", &[
        "mother", "mum", "mom", "father", "dad", "parents", "sister", "brother", "wife", "husband",
        "son", "daughter", "family", "grandmother", "grandfather", "aunt", "uncle", "cousin",
    ]),
    ("low", &[
        "sad", "unhappy", "depressed", "miserable", "lonely", "tired", "exhausted", "anxious",
        "afraid", "worried", "angry", "lost", "sick", "stressed", "bored",
    ]),
    ("think", &["think", "believe", "suppose", "guess", "suspect"]),
    ("want", &["want", "need", "desire", "crave"]),
];

/// To somebody who said nothing.
#[rustfmt::skip]
pub(crate) const SILENCE: &[&str] = &[
    "Take your time.",
    "I am listening.",
    "Silence can say a lot. What does yours say?",
];

/// To what was not understood.
#[rustfmt::skip]
pub(crate) const AGAIN: &[&str] = &[
    "Tell me more about that.",
    "I am not sure I follow. Could you put it another way?",
    "And what does that mean to you?",
    "Go on.",
    "How long has this been on your mind?",
    "What makes you bring this up now?",
];

/// The rules, the most eager first; the ranks decide, the order is for readers.
#[rustfmt::skip]
pub(crate) const RULES: &[Rule] = &[
    Rule { rank: 50, words: &["computer", "computers", "machine", "machines", "robot", "plugin"], patterns: &[
        ("*", &[
            "Do machines worry you?",
            "Is it me that you have in mind?",
            "What do you think machines have to do with it?",
            "Would it be easier to say this to a person?",
        ]),
    ] },
    Rule { rank: 30, words: &["dream", "dreamt", "dreamed", "nightmare"], patterns: &[
        ("* i @dreamt of *", &[
            "What does it remind you of, {3}?",
            "Had you thought of {3} before you slept?",
        ]),
        ("* i @dreamt *", &[
            "You dreamt {3}? What did you feel?",
            "And when you woke, were you glad that it was a dream?",
        ]),
        ("*", &["Do you often dream?", "What stayed with you when you woke?"]),
    ] },
    Rule { rank: 15, words: &["remember"], patterns: &[
        ("* i remember *", &[
            "What else comes to mind when you think of {2}?",
            "Why does it come back to you now?",
        ]),
        ("* do you remember *", &[
            "What about {2} should I have kept in mind?",
            "Did you think I would forget {2}?",
        ]),
    ] },
    Rule { rank: 14, words: &["why"], patterns: &[
        ("why do not you *", &[
            "Do you think that I do not {1}?",
            "Perhaps I will {1} in good time. Would that help?",
        ]),
        ("why cannot i *", &[
            "Do you think that you should be able to {1}?",
            "When could you last {1}?",
        ]),
    ] },
    Rule { rank: 13, words: &["everybody", "everyone", "nobody", "always", "never"], patterns: &[
        ("* @all *", &[
            "Really {2}?",
            "Can you think of one case where it was otherwise?",
            "When you say \"{2}\", what do you have before your eyes?",
        ]),
    ] },
    Rule { rank: 12, words: &["if"], patterns: &[
        ("* if *", &[
            "And what would follow if {2}?",
            "How often do you ask yourself that?",
        ]),
    ] },
    Rule { rank: 11, words: &["because"], patterns: &[
        ("* because of *", &[
            "What else is there, apart from {2}?",
            "How would it be without {2}?",
        ]),
        ("* because *", &[
            "Is that the only reason, that {2}?",
            "If it were not that {2}, what would be different?",
        ]),
    ] },
    Rule { rank: 10, words: &["my"], patterns: &[
        ("* my @kin *", &[
            "Your {2} {3}?",
            "Tell me more about your {2}.",
            "Who else in your life comes to mind when you speak of your {2}?",
        ]),
        ("* i @want my *", &[
            "What would you do with your {3}?",
            "Who has your {3} now?",
        ]),
        ("my *", &[
            "Your {1}?",
            "How is that for you?",
        ]),
    ] },
    Rule { rank: 9, words: &["i"], patterns: &[
        ("* i @want *", &[
            "What would change if you had {3}?",
            "Suppose you never got {3}. What then?",
            "Who else knows that you {2} {3}?",
        ]),
        ("* i am @low *", &[
            "I am sorry to hear that you are {2}.",
            "What was the day like when you were last not {2}?",
            "Does talking about it make you less {2}?",
        ]),
        ("* i feel @low *", &[
            "When did you begin to feel {2}?",
            "Do you often feel {2}?",
        ]),
        ("* i am @high *", &[
            "What made you {2}?",
            "How do others notice that you are {2}?",
        ]),
        ("* i feel *", &[
            "What is it like to feel {2}?",
            "When do you usually feel {2}?",
            "What do you do when you feel {2}?",
        ]),
        ("* i am *", &[
            "How long have you been {2}?",
            "Do you like being {2}?",
            "Is it because you are {2} that you came to me?",
        ]),
        ("* i was *", &[
            "Were you really {2}?",
            "What does it tell you now, that you were {2}?",
        ]),
        ("* i cannot *", &[
            "What would it take for you to {2}?",
            "Have you tried to {2}?",
            "Perhaps you do not want to {2}?",
        ]),
        ("* i do not *", &[
            "Why do you not {2}?",
            "Would you like to {2}?",
            "What if you did {2}?",
        ]),
        ("* i @think you *", &[
            "What makes you think that I {3}?",
            "Does it please you to think that I {3}?",
        ]),
        ("* i @think *", &[
            "Do you doubt that {3}?",
            "What if it were not so, that {3}?",
        ]),
        ("* i have *", &[
            "Since when have you {2}?",
            "What does it mean to you that you have {2}?",
        ]),
        ("* i * you", &[
            "Perhaps in your imagination we {2} each other.",
            "Is there anybody else whom you {2}?",
            "Why do you {2} me?",
        ]),
        ("* i *", &[
            "You {2}?",
            "Can you say more about why you {2}?",
            "What goes through your mind when you say that you {2}?",
        ]),
    ] },
    Rule { rank: 8, words: &["bye", "goodbye", "farewell"], patterns: &[
        ("*", &[
            "Goodbye. Look after yourself.",
            "Until next time, then. What will you do first?",
        ]),
    ] },
    Rule { rank: 7, words: &["you"], patterns: &[
        ("* are you *", &[
            "Why would it matter whether I am {2}?",
            "Would you rather I were not {2}?",
            "Perhaps I am {2} only when you are here.",
        ]),
        ("* you are *", &[
            "What makes you think that I am {2}?",
            "Does it please you to believe that I am {2}?",
            "Are you sometimes {2} yourself?",
        ]),
        ("* can you *", &[
            "You believe that I can {2}, then?",
            "And if I could not {2}?",
        ]),
        ("* do you *", &[
            "We were speaking of you. Do you {2}?",
            "Why do you ask whether I {2}?",
        ]),
        ("* you do not *", &[
            "Why do you think that I do not {2}?",
            "Would you like me to {2}?",
        ]),
        ("* you * me", &[
            "Why do you think that I {2} you?",
            "Does somebody else {2} you?",
            "What would you say if I did {2} you?",
        ]),
        ("* you *", &[
            "We were speaking of you, not of me.",
            "Oh, I {2}?",
        ]),
    ] },
    Rule { rank: 6, words: &["sorry", "apologise", "apologize"], patterns: &[
        ("*", &[
            "There is nothing to forgive.",
            "What would happen if you were not sorry?",
        ]),
    ] },
    Rule { rank: 5, words: &["why"], patterns: &[
        ("*", &["What do you think yourself?", "What answer would please you most?"]),
    ] },
    Rule { rank: 4, words: &["thanks", "thank"], patterns: &[
        ("*", &["You did the work.", "You are welcome. Was there more?"]),
    ] },
    Rule { rank: 4, words: &["mother", "mum", "mom", "father", "dad", "parents", "sister", "brother", "family"], patterns: &[
        ("* @kin *", &[
            "How do you get on with your {2}?",
            "What would your {2} say to that?",
        ]),
    ] },
    Rule { rank: 3, words: &["what", "how", "who", "when", "where"], patterns: &[
        ("*", &[
            "Why do you ask?",
            "What would you like the answer to be?",
            "Whom else have you asked?",
        ]),
    ] },
    Rule { rank: 2, words: &["perhaps", "maybe", "possibly", "probably"], patterns: &[
        ("*", &["You do not sound certain.", "What would make you certain?"]),
    ] },
    Rule { rank: 2, words: &["yes", "yeah", "sure", "certainly"], patterns: &[
        ("*", &["You are quite sure.", "I see. Go on.", "And why is that?"]),
    ] },
    Rule { rank: 2, words: &["no", "nope"], patterns: &[
        ("*", &["Why not?", "Is that a no for today, or for good?", "You sound determined."]),
    ] },
    Rule { rank: 1, words: &["hello", "hi", "hey", "greetings"], patterns: &[
        ("*", &[
            "Hello. What would you like to talk about?",
            "Good to see you. How are things?",
            "Hello. What brings you here?",
        ]),
    ] },
];
