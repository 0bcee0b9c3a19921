//! Twin worlds in small: two arrays that differ only in what is hidden become the same bytes, and no byte of a hidden
//! value is left.

use std::sync::Arc;

use arrow::array::{
    ArrayData, BooleanArray, Decimal128Array, FixedSizeBinaryArray, FixedSizeListArray, Int32Array, Int64Array,
    LargeListArray, ListArray, ListViewArray, MapArray, RunArray, StringArray, StringViewArray, StructArray,
    UInt32Array, UnionArray,
};
use arrow::buffer::{Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow::compute::{cast, concat, filter, nullif};
use arrow::datatypes::{DataType, Field, Fields, Int32Type, UnionFields};
use proptest::prelude::{Just, Strategy, any, prop_oneof};
use proptest::{prop_assert, prop_assert_eq, proptest};

use super::*;

/// In the bytes of every hidden value.
const CANARY: &[u8; 8] = b"\x5e\xc2e7CaNy";

/// A row: hidden in one of the two worlds, or visible with some content.
#[derive(Debug, Clone, Copy)]
struct Row {
    number: i64,
    /// The world, if the row is hidden.
    hidden: Option<u8>,
}

impl Row {
    fn text(self) -> String {
        match self.hidden {
            // Lengths differ between the worlds, and some fit into a view.
            Some(world) => {
                format!("{}{}", "e7CaNy", "~".repeat(usize::from(world) * 13 + (self.number as usize * 7) % 20))
            }
            None => "v".repeat(self.number as usize % 23) + &self.number.to_string(),
        }
    }

    fn integer(self) -> i64 {
        match self.hidden {
            Some(world) => i64::from_le_bytes(*CANARY) ^ (i64::from(world) << 8),
            None => self.number,
        }
    }

    fn children(self) -> usize {
        (self.number as usize + usize::from(self.hidden.unwrap_or(0))) % 3
    }
}

/// An array of a type with a value for each row.
fn array(data_type: &DataType, rows: &[Row]) -> ArrayRef {
    let repeated = || -> Vec<Row> { rows.iter().flat_map(|row| vec![*row; row.children()]).collect() };
    let lengths = || rows.iter().map(|row| row.children());
    match data_type {
        DataType::Boolean => Arc::new(rows.iter().map(|row| Some(row.integer() & 256 == 0)).collect::<BooleanArray>()),
        DataType::Int64 => Arc::new(rows.iter().map(|row| Some(row.integer())).collect::<Int64Array>()),
        DataType::Decimal128(..) => {
            Arc::new(rows.iter().map(|row| Some(i128::from(row.integer()))).collect::<Decimal128Array>())
        }
        DataType::FixedSizeBinary(8) => {
            let bytes: Vec<u8> = rows.iter().flat_map(|row| row.integer().to_le_bytes()).collect();
            Arc::new(FixedSizeBinaryArray::try_new(8, Buffer::from_vec(bytes), None).unwrap())
        }
        DataType::Struct(fields) => {
            let children = fields.iter().map(|field| array(field.data_type(), rows)).collect();
            Arc::new(StructArray::new(fields.clone(), children, None))
        }
        DataType::List(field) => {
            let values = array(field.data_type(), &repeated());
            Arc::new(ListArray::new(Arc::clone(field), OffsetBuffer::from_lengths(lengths()), values, None))
        }
        DataType::LargeList(field) => {
            let values = array(field.data_type(), &repeated());
            Arc::new(LargeListArray::new(Arc::clone(field), OffsetBuffer::from_lengths(lengths()), values, None))
        }
        DataType::ListView(field) => {
            let values = array(field.data_type(), &repeated());
            let offsets = OffsetBuffer::<i32>::from_lengths(lengths());
            let sizes = lengths().map(|len| len as i32).collect::<ScalarBuffer<_>>();
            let starts = offsets[..rows.len()].iter().copied().collect::<ScalarBuffer<_>>();
            Arc::new(ListViewArray::new(Arc::clone(field), starts, sizes, values, None))
        }
        DataType::FixedSizeList(field, 2) => {
            let twice: Vec<Row> = rows.iter().flat_map(|row| [*row; 2]).collect();
            Arc::new(FixedSizeListArray::new(Arc::clone(field), 2, array(field.data_type(), &twice), None))
        }
        DataType::Map(field, _) => {
            let entries = array(field.data_type(), &repeated()).as_struct().clone();
            Arc::new(MapArray::new(Arc::clone(field), OffsetBuffer::from_lengths(lengths()), entries, None, false))
        }
        texts => cast(&rows.iter().map(|row| Some(row.text())).collect::<StringArray>(), texts).unwrap(),
    }
}

/// All bytes that the array would show to a wire, in order.
fn bytes(data: &ArrayData) -> Vec<Vec<u8>> {
    let nulls = data.nulls().map(|nulls| nulls.buffer().as_slice().to_vec()).unwrap_or_default();
    let shape = [data.len(), data.offset(), data.null_count()].map(|n| n as u8).to_vec();
    let own = data.buffers().iter().map(|buffer| buffer.as_slice().to_vec());
    [shape, nulls].into_iter().chain(own).chain(data.child_data().iter().flat_map(bytes)).collect()
}

fn has_canary(array: &ArrayRef) -> bool {
    // The part that texts share with numbers.
    bytes(&array.to_data()).iter().any(|buffer| buffer.windows(4).any(|window| window == &CANARY[4..]))
}

fn types() -> impl Strategy<Value = DataType> {
    let leaf = prop_oneof![
        Just(DataType::Boolean),
        Just(DataType::Int64),
        Just(DataType::Decimal128(38, 10)),
        Just(DataType::FixedSizeBinary(8)),
        Just(DataType::Utf8),
        Just(DataType::LargeUtf8),
        Just(DataType::Utf8View),
        Just(DataType::Binary),
        Just(DataType::LargeBinary),
        Just(DataType::BinaryView),
        Just(DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8))),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        let item = |nullable| move |item| Arc::new(Field::new("item", item, nullable));
        prop_oneof![
            proptest::collection::vec((inner.clone(), any::<bool>()), 1..4).prop_map(|types| {
                let field =
                    |(at, (field, nullable)): (usize, (DataType, bool))| Field::new(at.to_string(), field, nullable);
                DataType::Struct(types.into_iter().enumerate().map(field).collect())
            }),
            inner.clone().prop_map(item(true)).prop_map(DataType::List),
            inner.clone().prop_map(item(false)).prop_map(DataType::LargeList),
            inner.clone().prop_map(item(true)).prop_map(DataType::ListView),
            inner.clone().prop_map(item(false)).prop_map(|item| DataType::FixedSizeList(item, 2)),
            inner.prop_map(|value| {
                let fields = vec![Field::new("key", DataType::Utf8View, false), Field::new("value", value, true)];
                DataType::Map(Arc::new(Field::new("entries", DataType::Struct(fields.into()), false)), false)
            }),
        ]
    })
}

/// How rows come to be hidden.
#[derive(Debug, Clone, Copy)]
enum Hiding {
    Filter,
    Null,
    NullBeneathAStruct,
    NullBeneathAFixedSizeList,
    NullBeneathAList,
    Slice,
    FilterThenSlice,
}

fn hide(how: Hiding, array: &ArrayRef, hidden: &[bool]) -> ArrayRef {
    let visible: BooleanArray = hidden.iter().map(|hidden| Some(!hidden)).collect();
    let nulls = Some(NullBuffer::from(visible.values().clone()));
    let field = Arc::new(Field::new("x", array.data_type().clone(), true));
    match how {
        Hiding::Filter => filter(array, &visible).unwrap(),
        Hiding::Null => nullif(array, &hidden.iter().copied().map(Some).collect()).unwrap(),
        Hiding::NullBeneathAStruct => {
            Arc::new(StructArray::new(Fields::from(vec![field]), vec![Arc::clone(array)], nulls))
        }
        Hiding::NullBeneathAFixedSizeList => {
            let twice = concat(&[array, array]).unwrap();
            let pairs = nulls.map(|nulls| {
                NullBuffer::from_iter(
                    (0..nulls.len())
                        .map(|at| nulls.is_valid(2 * at % nulls.len()) && nulls.is_valid((2 * at + 1) % nulls.len())),
                )
            });
            Arc::new(FixedSizeListArray::new(field, 2, twice, pairs))
        }
        Hiding::NullBeneathAList => {
            let offsets = OffsetBuffer::from_lengths(vec![1; array.len()]);
            Arc::new(ListArray::new(field, offsets, Arc::clone(array), nulls))
        }
        Hiding::Slice => {
            let first = hidden.iter().position(|hidden| !hidden).unwrap_or(0);
            let len = hidden[first..].iter().take_while(|hidden| !**hidden).count();
            array.slice(first, len)
        }
        Hiding::FilterThenSlice => {
            let shown = filter(array, &visible).unwrap();
            shown.slice(shown.len() / 3, shown.len() / 2)
        }
    }
}

proptest! {
    #[test]
    fn what_is_hidden_leaves_no_trace(
        data_type in types(),
        hidden in proptest::collection::vec(any::<bool>(), 1..40),
        how in prop_oneof![
            Just(Hiding::Filter), Just(Hiding::Null), Just(Hiding::NullBeneathAStruct), Just(Hiding::NullBeneathAList),
            Just(Hiding::NullBeneathAFixedSizeList), Just(Hiding::Slice), Just(Hiding::FilterThenSlice),
        ],
    ) {
        let world = |world: u8| {
            let row = |(number, hidden): (usize, &bool)| Row { number: number as i64, hidden: hidden.then_some(world) };
            let rows: Vec<_> = hidden.iter().enumerate().map(row).collect();
            hide(how, &array(&data_type, &rows), &hidden)
        };
        let (one, other) = (world(0), world(1));
        let compacted = compact(&one);
        compacted.to_data().validate_full().unwrap();
        prop_assert_eq!(&compacted, &one);
        prop_assert_eq!(bytes(&compacted.to_data()), bytes(&compact(&other).to_data()));
        prop_assert!(!has_canary(&compacted));
        let again = compact(&compacted);
        prop_assert_eq!(bytes(&again.to_data()), bytes(&compacted.to_data()));
        // No list view is worth a test of its compactness.
        let cheap = format!("{:?}", one.data_type()).contains("ListView") || tighten(&compacted).is_none();
        prop_assert!(cheap, "compact arrays are left alone");
    }
}

#[test]
fn the_canaries_would_be_found() {
    let rows = [true, false, true, false].map(|hidden| Row { number: 3, hidden: hidden.then_some(1) });
    for data_type in [DataType::Int64, DataType::Utf8, DataType::Utf8View] {
        let array = array(&data_type, &rows);
        assert!(has_canary(&hide(Hiding::Null, &array, &[true, false, true, false])), "{data_type}");
        assert!(!has_canary(&compact(&hide(Hiding::Null, &array, &[true, false, true, false]))), "{data_type}");
    }
}

#[test]
fn views_that_share_bytes_do_not_cover_for_those_that_hide() {
    let long = ["visible visible visible", "hidden! hidden! hidden!"];
    let pair = StringViewArray::from(long.to_vec());
    let twice = filter(
        &arrow::compute::take(&pair, &UInt32Array::from(vec![0, 1, 0]), None).unwrap(),
        &BooleanArray::from(vec![true, false, true]),
    )
    .unwrap();
    let compacted = compact(&twice);
    assert_eq!(&compacted, &twice);
    assert_eq!(compacted.as_string_view().data_buffers().len(), 1);
    assert_eq!(compacted.as_string_view().data_buffers()[0].as_slice(), long[0].repeat(2).as_bytes());
}

#[test]
fn long_values_that_views_share_are_not_multiplied() {
    let long = StringViewArray::from(vec!["x".repeat(1 << 20)]);
    let many = arrow::compute::take(&long, &UInt32Array::from(vec![0; 100]), None).unwrap();
    let compacted = compact(&many);
    assert_eq!(&compacted, &many);
    assert!(compacted.as_string_view().data_buffers().iter().map(Buffer::len).sum::<usize>() < 2 << 20);
}

#[test]
fn runs_and_unions() {
    let ends = Int32Array::from(vec![2, 4, 6]);
    let runs =
        RunArray::<Int32Type>::try_new(&ends, &StringArray::from(vec!["e7CaNy one", "shown", "e7CaNy two"])).unwrap();
    let sliced: ArrayRef = Arc::new(runs.slice(3, 1));
    assert!(has_canary(&sliced));
    let compacted = compact(&sliced);
    assert!(!has_canary(&compacted));
    assert_eq!((compacted.len(), compacted.as_run::<Int32Type>().values().len()), (1, 1));
    assert_eq!(compact(&(Arc::new(runs.slice(3, 0)) as ArrayRef)).len(), 0);

    let fields = UnionFields::try_new(
        vec![0, 1],
        vec![Field::new("t", DataType::Utf8, true), Field::new("n", DataType::Int32, true)],
    )
    .unwrap();
    let texts: ArrayRef = Arc::new(StringArray::from(vec!["shown", "e7CaNy", "e7CaNy"]));
    let numbers: ArrayRef = Arc::new(Int32Array::from(vec![1, 2, 3]));
    let ids = ScalarBuffer::from(vec![0_i8, 1, 0]);
    let sparse: ArrayRef = Arc::new(
        UnionArray::try_new(fields.clone(), ids.clone(), None, vec![Arc::clone(&texts), Arc::clone(&numbers)]).unwrap(),
    );
    let offsets = Some(ScalarBuffer::from(vec![0_i32, 1, 2]));
    let dense: ArrayRef = Arc::new(UnionArray::try_new(fields, ids, offsets, vec![texts, numbers]).unwrap());
    for union in [sparse, dense] {
        let shown = compact(&union.slice(0, 2));
        assert!(!has_canary(&shown) && has_canary(&union));
        assert_eq!(shown.as_union().value(0).as_string::<i32>().value(0), "shown");
        assert_eq!(shown.as_union().value(1).as_primitive::<Int32Type>().value(0), 2);
    }
}
