//! Which delete files are in force for which data files.

use std::collections::HashMap;
use std::sync::Arc;

use iceberg::metadata_columns::RESERVED_FIELD_ID_DELETE_FILE_PATH;
use iceberg::spec::{
    DataContentType, DataFileBuilder, DataFileFormat, Datum, FormatVersion, Literal, ManifestEntry, ManifestStatus,
    NestedField, PrimitiveType, Schema, SortOrder, Struct, TableMetadata, TableMetadataBuilder, Transform, Type,
    UnboundPartitionSpec,
};
use meshgate_table::{DataFile, DomainStores, Error, Grant, StoreOptions};

use super::{Index, Live};

/// Without partitions, then by `region`, then by `day`.
const NONE: i32 = 0;
const BY_REGION: i32 = 1;
const BY_DAY: i32 = 2;

const DATA: &str = "file:///lake/t/data.parquet";

fn metadata() -> Arc<TableMetadata> {
    let field = |id, name: &str, of| Arc::new(NestedField::optional(id, name, Type::Primitive(of)));
    let inner = NestedField::optional(5, "inner", Type::Primitive(PrimitiveType::Int));
    let nested = Type::Struct(iceberg::spec::StructType::new(vec![Arc::new(inner)]));
    let schema = |id| {
        let fields = vec![
            field(1, "region", PrimitiveType::String),
            field(2, "day", PrimitiveType::Long),
            Arc::new(NestedField::optional(3, "more", nested.clone())),
        ];
        let extra = (id == 0).then(|| field(4, "dropped", PrimitiveType::Int));
        Schema::builder().with_schema_id(id).with_fields(fields.into_iter().chain(extra)).build().unwrap()
    };
    let spec = |source, name: &str| {
        let spec = UnboundPartitionSpec::builder().add_partition_field(source, name.to_owned(), Transform::Identity);
        spec.unwrap().build()
    };
    let none = UnboundPartitionSpec::builder().build();
    let (sort, place) = (SortOrder::unsorted_order(), "file:///lake/t".to_owned());
    let builder = TableMetadataBuilder::new(schema(0), none, sort, place, FormatVersion::V3, HashMap::new()).unwrap();
    let builder = builder.add_partition_spec(spec(1, "region_part")).unwrap();
    let builder = builder.add_partition_spec(spec(2, "day_part")).unwrap().add_current_schema(schema(1)).unwrap();
    Arc::new(builder.build().unwrap().metadata)
}

fn stores() -> Arc<DomainStores> {
    let grant = Grant { prefix_url: "file:///lake/".to_owned(), credentials: None };
    DomainStores::new("test", vec![grant], Vec::new(), StoreOptions::default()).unwrap()
}

fn live(sequence: i64, spec: i32, partition: Option<Literal>, change: impl Fn(&mut DataFileBuilder)) -> Live {
    let mut file = DataFileBuilder::default();
    let partition = if spec == NONE { Struct::empty() } else { Struct::from_iter([partition]) };
    file.content(DataContentType::Data)
        .file_path(DATA.to_owned())
        .file_format(DataFileFormat::Parquet)
        .partition(partition)
        .partition_spec_id(spec)
        .record_count(10)
        .file_size_in_bytes(100);
    change(&mut file);
    let entry = ManifestEntry::builder().status(ManifestStatus::Added).data_file(file.build().unwrap()).build();
    let identity = match spec {
        BY_REGION => HashMap::from([(1, 0)]),
        BY_DAY => HashMap::from([(2, 0)]),
        _ => HashMap::new(),
    };
    Live { entry: Arc::new(entry), sequence, spec, identity: Arc::new(identity) }
}

fn positions(sequence: i64, spec: i32, partition: Option<Literal>) -> Live {
    live(sequence, spec, partition, |file| {
        file.content(DataContentType::PositionDeletes).file_path("file:///lake/t/positions.parquet".to_owned());
    })
}

fn equality(sequence: i64, spec: i32, partition: Option<Literal>, ids: &[i32]) -> Live {
    live(sequence, spec, partition, |file| {
        file.content(DataContentType::EqualityDeletes).equality_ids(Some(ids.to_vec()));
        file.file_path("file:///lake/t/equality.parquet".to_owned());
    })
}

fn vector(sequence: i64, of: &str, rows: u64) -> Live {
    live(sequence, NONE, None, |file| {
        file.content(DataContentType::PositionDeletes)
            .file_format(DataFileFormat::Puffin)
            .file_path("file:///lake/t/v.puffin".to_owned())
            .referenced_data_file(Some(of.to_owned()))
            .content_offset(Some(4))
            .content_size_in_bytes(Some(40))
            .record_count(rows);
    })
}

/// How many files of each kind are in force: vectors, positional, groups of equality deletes.
fn in_force(deletes: &[Live], data: &Live) -> Result<(usize, usize, usize), Error> {
    let index = Index::new(deletes, i64::MIN, &metadata(), &stores())?;
    let file = DataFile::new(&stores().locate_literal(DATA)?, 100, Some(10));
    let Some(found) = index.find(data, &file)? else { return Ok((0, 0, 0)) };
    let groups = found.equality.as_ref().map_or(0, |compared| compared.groups());
    Ok((usize::from(found.vector.is_some()), found.positional.len(), groups))
}

fn eu() -> Option<Literal> {
    Some(Literal::string("EU"))
}

#[test]
fn sequence_numbers_tell_what_is_older() {
    let data = |sequence| live(sequence, NONE, None, |_| ());
    for (deleted, added, by_position, by_value) in [(5, 4, 1, 1), (5, 5, 1, 0), (5, 6, 0, 0), (0, 0, 1, 0)] {
        let of = |delete: Live| in_force(&[delete], &data(added)).unwrap();
        assert_eq!(of(positions(deleted, NONE, None)), (0, by_position, 0), "{deleted} {added}");
        assert_eq!(of(vector(deleted, DATA, 3)), (by_position, 0, 0), "{deleted} {added}");
        assert_eq!(of(equality(deleted, NONE, None, &[2])), (0, 0, by_value), "{deleted} {added}");
    }
}

#[test]
fn partitions_bound_deletes() {
    let us = || Some(Literal::string("US"));
    let data = live(1, BY_REGION, eu(), |_| ());
    for (delete, by_position, by_value) in [
        ((BY_REGION, eu()), 1, 1),
        ((BY_REGION, us()), 0, 0),
        ((BY_REGION, None), 0, 0),
        // The same value, of another spec.
        ((BY_DAY, eu()), 0, 0),
        // Without partitions: equality deletes are in force everywhere, positional ones are not.
        ((NONE, None), 0, 1),
    ] {
        let (spec, partition) = delete;
        let found = in_force(&[positions(2, spec, partition.clone())], &data).unwrap();
        assert_eq!(found, (0, by_position, 0), "{spec} {partition:?}");
        let found = in_force(&[equality(2, spec, partition.clone(), &[2])], &data).unwrap();
        assert_eq!(found, (0, 0, by_value), "{spec} {partition:?}");
    }
    // NULL is a partition like any other.
    let nowhere = live(1, BY_REGION, None, |_| ());
    assert_eq!(in_force(&[positions(2, BY_REGION, None)], &nowhere).unwrap(), (0, 1, 0));
    // A value of a type that was widened since.
    let (old, new) = (live(1, BY_DAY, Some(Literal::int(7)), |_| ()), positions(2, BY_DAY, Some(Literal::long(7))));
    assert_eq!(in_force(&[new], &old).unwrap(), (0, 1, 0));
}

#[test]
fn named_data_files_need_no_partition() {
    let data = live(1, BY_REGION, eu(), |_| ());
    let named = |path: &str| {
        live(2, NONE, None, |file| {
            file.content(DataContentType::PositionDeletes).referenced_data_file(Some(path.to_owned()));
        })
    };
    assert_eq!(in_force(&[named(DATA)], &data).unwrap(), (0, 1, 0));
    assert_eq!(in_force(&[named("file:///lake/t/other.parquet")], &data).unwrap(), (0, 0, 0));
    // Bounds of the paths name a file as well, but not in another partition.
    let within = |first: &str, last: &str| {
        let bound = |path: &str| HashMap::from([(RESERVED_FIELD_ID_DELETE_FILE_PATH, Datum::string(path))]);
        live(2, BY_REGION, eu(), |file| {
            file.content(DataContentType::PositionDeletes).lower_bounds(bound(first)).upper_bounds(bound(last));
        })
    };
    for (first, last, found) in [(DATA, DATA, 1), ("file:///a", "file:///z", 1), ("file:///m", "file:///z", 0)] {
        assert_eq!(in_force(&[within(first, last)], &data).unwrap(), (0, found, 0), "{first} {last}");
    }
}

#[test]
fn vectors_replace_positional_deletes_of_their_file() {
    let data = live(1, NONE, None, |_| ());
    let older = || positions(2, NONE, None);
    assert_eq!(in_force(&[older(), vector(3, DATA, 3)], &data).unwrap(), (1, 0, 0));
    assert_eq!(in_force(&[older(), vector(3, "file:///lake/t/other.parquet", 3)], &data).unwrap(), (0, 1, 0));
    // Not equality deletes.
    let both = [older(), vector(3, DATA, 3), equality(2, NONE, None, &[2])];
    assert_eq!(in_force(&both, &data).unwrap(), (1, 0, 1));
    let two = in_force(&[vector(3, DATA, 3), vector(4, DATA, 3)], &data);
    assert!(matches!(two, Err(Error::Malformed { .. })), "{two:?}");
}

/// How many rows are deleted is told by nothing but a vector alone.
#[test]
fn counts_are_told_by_vectors_only() {
    let data = live(1, NONE, None, |_| ());
    let file = DataFile::new(&stores().locate_literal(DATA).unwrap(), 100, Some(10));
    let told = |deletes: &[Live]| {
        let index = Index::new(deletes, i64::MIN, &metadata(), &stores()).unwrap();
        index.of(&data, &file).unwrap().expect("deletes").rows()
    };
    assert_eq!(told(&[vector(3, DATA, 3)]), Some(3));
    assert_eq!(told(&[vector(3, DATA, 3), equality(2, NONE, None, &[2])]), None);
    assert_eq!(told(&[positions(2, NONE, None)]), None);
}

/// What may be kept for one set of deletes is not taken for another.
#[test]
fn ids_tell_deletes_apart() {
    let data = |sequence| live(sequence, NONE, None, |_| ());
    let file = DataFile::new(&stores().locate_literal(DATA).unwrap(), 100, Some(10));
    let id = |deletes: &[Live], sequence| {
        let index = Index::new(deletes, i64::MIN, &metadata(), &stores()).unwrap();
        index.of(&data(sequence), &file).unwrap().expect("deletes").id().to_owned()
    };
    let ids = [
        id(&[vector(9, DATA, 3)], 1),
        id(&[vector(9, DATA, 4)], 1),
        id(&[positions(9, NONE, None)], 1),
        id(&[positions(9, NONE, None), equality(8, NONE, None, &[2])], 1),
        id(&[equality(8, NONE, None, &[2])], 1),
        id(&[equality(8, NONE, None, &[2])], 2),
        id(&[equality(9, NONE, None, &[2])], 1),
        id(&[equality(8, NONE, None, &[1])], 1),
        id(&[equality(8, NONE, None, &[1]), equality(8, NONE, None, &[2])], 1),
    ];
    for (at, id) in ids.iter().enumerate() {
        assert!(!ids[at + 1..].contains(id), "{at}");
    }
}

#[test]
fn bounds_rule_equality_deletes_out() {
    let bound = |file: &mut DataFileBuilder, min: i64, max: i64, nulls: u64| {
        file.lower_bounds(HashMap::from([(2, Datum::long(min))]))
            .upper_bounds(HashMap::from([(2, Datum::long(max))]))
            .null_value_counts(HashMap::from([(2, nulls)]));
    };
    let data = |min, max, nulls| live(1, NONE, None, |file| bound(file, min, max, nulls));
    let delete = |min, max, nulls| {
        live(2, NONE, None, |file| {
            file.content(DataContentType::EqualityDeletes).equality_ids(Some(vec![2]));
            bound(file, min, max, nulls);
        })
    };
    for (one, other, found) in [
        ((10, 20, 0), (20, 30, 0), 1),
        ((10, 20, 0), (0, 10, 0), 1),
        ((10, 20, 0), (21, 30, 0), 0),
        ((10, 20, 0), (0, 9, 5), 0),
        ((10, 20, 1), (0, 9, 5), 1),
    ] {
        let found_here = in_force(&[delete(other.0, other.1, other.2)], &data(one.0, one.1, one.2)).unwrap();
        assert_eq!(found_here, (0, 0, found), "{one:?} {other:?}");
    }
    // Nothing is known of a file without bounds.
    assert_eq!(in_force(&[delete(0, 1, 0)], &live(1, NONE, None, |_| ())).unwrap(), (0, 0, 1));
    // The value of a partition is a bound, too.
    let day = |day| live(1, BY_DAY, Some(Literal::long(day)), |_| ());
    assert_eq!(in_force(&[delete(0, 5, 0)], &day(5)).unwrap(), (0, 0, 1));
    assert_eq!(in_force(&[delete(0, 5, 0)], &day(6)).unwrap(), (0, 0, 0));
}

#[test]
fn columns_of_equality_deletes_are_those_of_any_schema() {
    let data = live(1, NONE, None, |_| ());
    assert_eq!(in_force(&[equality(2, NONE, None, &[4])], &data).unwrap(), (0, 0, 1), "a dropped column");
    let sets = [equality(2, NONE, None, &[2]), equality(2, NONE, None, &[2, 1]), equality(2, NONE, None, &[1, 2])];
    assert_eq!(in_force(&sets, &data).unwrap(), (0, 0, 2), "one group for each set");
    for (ids, unsupported) in [(&[][..], false), (&[99], false), (&[3], true), (&[5], true)] {
        match in_force(&[equality(2, NONE, None, ids)], &data) {
            Err(Error::UnsupportedFeature { feature }) => {
                assert!(unsupported && feature.contains("nested"), "{ids:?}: {feature}");
            }
            Err(Error::Malformed { .. }) => assert!(!unsupported, "{ids:?}"),
            other => panic!("{ids:?}: {other:?}"),
        }
    }
}

#[test]
fn vectors_have_a_place() {
    let data = live(1, NONE, None, |_| ());
    let changed = |change: &dyn Fn(&mut DataFileBuilder)| {
        live(2, NONE, None, |file| {
            file.content(DataContentType::PositionDeletes)
                .file_format(DataFileFormat::Puffin)
                .referenced_data_file(Some(DATA.to_owned()))
                .content_offset(Some(4))
                .content_size_in_bytes(Some(40));
            change(file);
        })
    };
    assert_eq!(in_force(&[changed(&|_| ())], &data).unwrap(), (1, 0, 0));
    let wrong: [&dyn Fn(&mut DataFileBuilder); 9] = [
        &|file| _ = file.content_offset(None),
        &|file| _ = file.content_size_in_bytes(None),
        &|file| _ = file.referenced_data_file(None),
        &|file| _ = file.content_offset(Some(-4)),
        &|file| _ = file.content_size_in_bytes(Some(-40)),
        &|file| _ = file.content_size_in_bytes(Some(7)),
        &|file| _ = file.content_size_in_bytes(Some(0)),
        &|file| _ = file.content_size_in_bytes(Some(i64::MAX)),
        &|file| _ = file.content_size_in_bytes(Some((64 << 20) + 1)),
    ];
    for (at, change) in wrong.iter().enumerate() {
        let found = in_force(&[changed(change)], &data);
        assert!(matches!(found, Err(Error::Malformed { .. })), "{at}: {found:?}");
    }
    let outside = in_force(&[changed(&|file| _ = file.file_path("file:///etc/v.puffin".to_owned()))], &data);
    assert!(matches!(outside, Err(Error::OutsideStorage { .. })), "{outside:?}");
}
