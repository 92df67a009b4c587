//! Who buys.

use super::calendar::{DAYS, Day};
use super::random::{Random, Weights};

const CUSTOMERS: usize = 3000;
/// Those who were there on the first day.
const FIRST: usize = 240;

pub(super) struct Customer {
    pub(super) name: String,
    pub(super) email: String,
    pub(super) city: &'static str,
    pub(super) country: &'static str,
    pub(super) created: Day,
}

const GIVEN: [&str; 64] = [
    "Ada", "Amara", "Anton", "Aya", "Beatriz", "Bruno", "Camille", "Carlos", "Clara", "Dario", "Diego",
    "Edda", "Elena", "Elias", "Emil", "Esther", "Farah", "Felix", "Finn", "Freya", "Gabriel", "Greta",
    "Hana", "Hugo", "Ida", "Imani", "Ines", "Ivan", "Jana", "Jonas", "Julia", "Kaito", "Karim", "Katya",
    "Lars", "Leila", "Leo", "Lina", "Luca", "Maja", "Marek", "Mateo", "Maya", "Mina", "Nadia", "Nils",
    "Noor", "Nora", "Olga", "Omar", "Oskar", "Paula", "Pedro", "Petra", "Rafael", "Rosa", "Samir", "Selma",
    "Sofia", "Tariq", "Theo", "Vera", "Yuki", "Zoe",
];
/// The two halves of a made-up family name.
const FAMILY: ([&str; 24], [&str; 12]) = (
    [
        "Alder", "Amber", "Birch", "Bram", "Cinder", "Copper", "Dapple", "Ember", "Fallow", "Fern", "Gorse",
        "Harrow", "Hazel", "Larch", "Linden", "Mallow", "Marl", "Nettle", "Osier", "Quill", "Rowan",
        "Sorrel", "Tansy", "Thistle",
    ],
    [
        "beck", "bourne", "combe", "crest", "dell", "fold", "garth", "holt", "mere", "rigg", "shaw", "wyke",
    ],
);
/// Countries, how much of the trade is theirs, and cities of each, the larger
/// first.
const PLACES: [(&str, u32, [&str; 4]); 14] = [
    ("Germany", 22, ["Berlin", "Hamburg", "Munich", "Leipzig"]),
    ("France", 15, ["Paris", "Lyon", "Toulouse", "Nantes"]),
    (
        "United Kingdom",
        13,
        ["London", "Manchester", "Bristol", "Glasgow"],
    ),
    (
        "Netherlands",
        9,
        ["Amsterdam", "Rotterdam", "Utrecht", "Groningen"],
    ),
    ("Spain", 8, ["Madrid", "Barcelona", "Valencia", "Bilbao"]),
    ("Italy", 7, ["Rome", "Milan", "Turin", "Bologna"]),
    ("Austria", 5, ["Vienna", "Graz", "Linz", "Salzburg"]),
    ("Sweden", 4, ["Stockholm", "Gothenburg", "Uppsala", "Lund"]),
    ("Poland", 4, ["Warsaw", "Krakow", "Gdansk", "Poznan"]),
    ("Switzerland", 3, ["Zurich", "Geneva", "Basel", "Bern"]),
    ("United States", 4, ["New York", "Chicago", "Seattle", "Boston"]),
    ("Canada", 2, ["Toronto", "Montreal", "Vancouver", "Ottawa"]),
    ("Brazil", 2, ["Sao Paulo", "Rio de Janeiro", "Curitiba", "Recife"]),
    ("Japan", 2, ["Tokyo", "Osaka", "Kyoto", "Sapporo"]),
];

/// In the order in which they came; no two have the same name.
pub(super) fn customers() -> Vec<Customer> {
    let mut random = Random::seeded(1);
    let mut names: Vec<(&str, String)> = GIVEN.into_iter().flat_map(family_names).collect();
    random.shuffle(&mut names);
    names.truncate(CUSTOMERS);
    let mut days: Vec<Day> = (FIRST..names.len()).map(|_| Day(random.below(DAYS))).collect();
    days.resize(names.len(), Day(0));
    days.sort_unstable();
    let countries = Weights::new(PLACES.map(|(_, share, _)| share));
    let mut customers = Vec::with_capacity(names.len());
    for ((given, family), created) in names.into_iter().zip(days) {
        let place = PLACES.get(countries.draw(PLACES.len(), &mut random));
        let (country, _, cities) = place.copied().unwrap_or_default();
        // The lower of two draws: the first city is the likeliest.
        let city = random.below(4).min(random.below(4)) as usize;
        let domain = random.pick(&["example.com", "example.net", "example.org"]);
        customers.push(Customer {
            name: format!("{given} {family}"),
            email: format!("{given}.{family}@{domain}").to_lowercase(),
            city: cities.get(city).copied().unwrap_or_default(),
            country,
            created,
        });
    }
    customers
}

fn family_names(given: &'static str) -> impl Iterator<Item = (&'static str, String)> {
    let (heads, tails) = FAMILY;
    heads.into_iter().flat_map(move |head| {
        let of_head = move |tail| (given, format!("{head}{tail}"));
        tails.into_iter().map(of_head)
    })
}
