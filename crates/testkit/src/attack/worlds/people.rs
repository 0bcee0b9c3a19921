//! The people of twin worlds and their orders, as rows.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, Date32Array, Decimal128Array, Float64Array, Int64Array, ListBuilder, RecordBatch,
    StringArray, StringBuilder, StructArray, TimestampMicrosecondArray,
};
use arrow::buffer::NullBuffer;
use arrow::datatypes::{DataType, Field};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::{Secrets, VISIBLE};
use crate::attack::canary;

/// A row.
#[derive(Clone)]
pub(super) struct Person {
    pub(super) id: i64,
    pub(super) region: Option<String>,
    team: String,
    salary: Option<i64>,
    score: f64,
    note: Option<String>,
    seen: i64,
    price: i128,
    flag: Option<bool>,
    mail: String,
    code: String,
    bonus: Option<i64>,
    pin: i64,
    birth: i32,
    label: String,
    words: Option<Vec<String>>,
    city: String,
    zip: String,
    secret: String,
}

/// Days from 1970 to the first of January of a year.
fn new_year(year: i32) -> i32 {
    let before = |year: i32| year * 365 + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    before(year - 1) - before(1969)
}

fn visible(index: usize, raw: &mut StdRng) -> Person {
    let n = i64::try_from(index).expect("a small number");
    let raw_number: u64 = raw.random();
    let mut letters = |count: usize| (0..count).map(|_| char::from(raw.random_range(b'a'..=b'z'))).collect::<String>();
    let mail = format!("{}{:03}@{}.org", canary::TEXT, raw_number % 1000, letters(2));
    let year = 1960 + i32::try_from(index % 40).expect("a small number");
    Person {
        id: n * 10,
        region: Some("EU".to_owned()),
        team: format!("T{}", n % 5),
        salary: (n % 11 != 0).then_some(1000 + 37 * n),
        score: f64::from(i32::try_from(n).expect("a small number")) * 0.5,
        note: (n % 13 != 0).then(|| (n % 40).to_string()),
        seen: 1_600_000_000_000_000 + n * 3_600_000_000,
        price: i128::from(n) * 125,
        flag: (n % 7 != 0).then_some(n % 2 == 0),
        mail,
        code: format!("{}{:04}-{n:04}", canary::TEXT, raw_number % 10_000),
        bonus: Some(canary::number(raw_number)),
        pin: canary::number(raw_number + 1),
        birth: new_year(year) + raw.random_range(0..365),
        label: format!("a label that is long enough to need a buffer of its own {n}"),
        words: (n % 9 != 0).then(|| (0..n % 4).map(|word| format!("w{word}")).collect()),
        city: format!("C{}", n % 6),
        zip: canary::text("zip", raw.random()),
        secret: canary::text("column", raw.random()),
    }
}

fn hidden(index: usize, secrets: Secrets, random: &mut StdRng) -> Person {
    let n = u64::try_from(index).expect("a small number");
    // Among the visible ids, never one of them; or before them all.
    let place = i64::try_from(index % VISIBLE).expect("a small number") * 10;
    let round = i64::try_from(index / VISIBLE).expect("a small number");
    let salaries = [5000, 7777, canary::number(n), i64::MAX, 0];
    Person {
        id: if secrets.clustered { -1 - i64::try_from(index).expect("a small number") } else { place + 1 + round },
        region: [Some("US".to_owned()), Some("APAC".to_owned()), None, Some(canary::text("partition", n % 3))]
            [random.random_range(0..4)]
        .clone(),
        team: format!("T{}", random.random_range(0..9)),
        salary: Some(salaries[random.random_range(0..salaries.len())]),
        score: [f64::NAN, 1e300, -1.0][random.random_range(0..3)],
        note: Some(canary::text("row", n ^ secrets.values)),
        seen: random.random_range(0..2_000_000_000_000_000),
        price: i128::from(random.random_range(0..99_999_999)),
        flag: Some(random.random()),
        mail: canary::text("mail", n),
        code: canary::text("code", n),
        bonus: Some(canary::number(n)),
        pin: canary::number(n + 1000),
        birth: random.random_range(-10_000..20_000),
        label: canary::text("label", n ^ secrets.values),
        words: Some(vec![canary::text("word", n), "w1".to_owned()]),
        city: canary::text("city", n),
        zip: canary::text("zip", n),
        secret: canary::text("secret", n),
    }
}

/// Everybody, in the order of storage.
pub(super) fn people(secrets: Secrets) -> Vec<Person> {
    let mut raw = StdRng::seed_from_u64(secrets.raw);
    let mut random = StdRng::seed_from_u64(secrets.values);
    let visible = (0..VISIBLE).map(|index| visible(index, &mut raw));
    let mut all: Vec<_> = visible.chain((0..secrets.rows).map(|index| hidden(index, secrets, &mut random))).collect();
    all.sort_by_key(|person| person.id);
    all
}

/// People as a table has them.
pub(super) fn people_batch(people: &[Person], with_secret: bool) -> RecordBatch {
    let texts =
        |of: &dyn Fn(&Person) -> &str| Arc::new(StringArray::from_iter_values(people.iter().map(of))) as ArrayRef;
    let ints =
        |of: &dyn Fn(&Person) -> Option<i64>| Arc::new(people.iter().map(of).collect::<Int64Array>()) as ArrayRef;
    let mut words = ListBuilder::new(StringBuilder::new());
    for person in people {
        match &person.words {
            Some(list) => words.append_value(list.iter().map(Some)),
            None => words.append_null(),
        }
    }
    let part = |name: &str| Arc::new(Field::new(name, DataType::Utf8, true));
    let address = StructArray::new(
        vec![part("city"), part("zip")].into(),
        vec![texts(&|person| &person.city), texts(&|person| &person.zip)],
        None::<NullBuffer>,
    );
    let prices = people.iter().map(|person| Some(person.price)).collect::<Decimal128Array>();
    let seen = TimestampMicrosecondArray::from_iter_values(people.iter().map(|person| person.seen));
    let mut columns: Vec<(&str, ArrayRef)> = vec![
        ("id", ints(&|person| Some(person.id))),
        ("region", Arc::new(people.iter().map(|person| person.region.as_deref()).collect::<StringArray>())),
        ("team", texts(&|person| &person.team)),
        ("salary", ints(&|person| person.salary)),
        ("score", Arc::new(Float64Array::from_iter_values(people.iter().map(|person| person.score)))),
        ("note", Arc::new(people.iter().map(|person| person.note.as_deref()).collect::<StringArray>())),
        ("seen", Arc::new(seen.with_timezone("UTC"))),
        ("price", Arc::new(prices.with_precision_and_scale(12, 2).expect("it fits"))),
        ("flag", Arc::new(people.iter().map(|person| person.flag).collect::<BooleanArray>())),
        ("mail", texts(&|person| &person.mail)),
        ("code", texts(&|person| &person.code)),
        ("bonus", ints(&|person| person.bonus)),
        ("pin", ints(&|person| Some(person.pin))),
        ("birth", Arc::new(Date32Array::from_iter_values(people.iter().map(|person| person.birth)))),
        ("label", texts(&|person| &person.label)),
        ("words", Arc::new(words.finish())),
        ("address", Arc::new(address)),
    ];
    if with_secret {
        columns.push(("secret", texts(&|person| &person.secret)));
    }
    RecordBatch::try_from_iter(columns).expect("columns of one length")
}

/// Three orders of each visible person, two of each hidden one.
pub(super) fn orders_batch(people: &[Person]) -> RecordBatch {
    let mut rows = Vec::new();
    for person in people {
        let seen = person.region.as_deref() == Some("EU");
        for number in 0..if seen { 3 } else { 2 } {
            let units = if seen { (person.id / 10 + number) % 17 } else { canary::number(number.unsigned_abs()) };
            let id = person.id * 10 + number;
            let status = if seen {
                "open".to_owned()
            } else {
                canary::text("order", person.id.unsigned_abs() * 10 + number.unsigned_abs())
            };
            rows.push((id, person.id, units, status));
        }
    }
    let ints = |of: fn(&(i64, i64, i64, String)) -> i64| {
        Arc::new(Int64Array::from_iter_values(rows.iter().map(of))) as ArrayRef
    };
    let columns: [(&str, ArrayRef); 4] = [
        ("id", ints(|row| row.0)),
        ("person", ints(|row| row.1)),
        ("units", ints(|row| row.2)),
        ("status", Arc::new(StringArray::from_iter_values(rows.iter().map(|row| row.3.as_str())))),
    ];
    RecordBatch::try_from_iter(columns).expect("columns of one length")
}

/// Rows of the reader's own that were deleted; others in each world.
pub(super) fn deleted(secrets: Secrets) -> Vec<Person> {
    let mut raw = StdRng::seed_from_u64(secrets.deleted);
    let gone = |index: usize| {
        let number = secrets.deleted * 1000 + u64::try_from(index).expect("a small number");
        let text = || canary::text("deleted", number);
        let (id, note) = (canary::number(number), Some("not a number".to_owned()));
        Person {
            id,
            label: text(),
            team: text(),
            city: "C1".to_owned(),
            note,
            salary: Some(5000),
            ..visible(index, &mut raw)
        }
    };
    (0..4 + usize::try_from(secrets.deleted).expect("a small number")).map(gone).collect()
}

/// People as the reader is shown them.
pub(super) fn masked(mut people: Vec<Person>) -> Vec<Person> {
    for person in &mut people {
        person.mail = person.mail.chars().map(letter).collect();
        let cut = person.code.len() - 4;
        person.code = person.code[..cut].chars().map(letter).collect::<String>() + &person.code[cut..];
        person.bonus = None;
        person.pin = 0;
        let year = 1960 + i32::try_from(person.id / 10 % 40).expect("a small number");
        person.birth = new_year(year);
        person.zip.clear();
    }
    people
}

/// What `mask-alphanum` makes of a character.
fn letter(character: char) -> char {
    match character {
        '(' | ')' | ',' | '.' | '-' | '@' => character,
        digit if digit.is_ascii_digit() => 'n',
        _ => 'x',
    }
}
