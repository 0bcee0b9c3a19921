//! Every field of schema objects, properties, relationships and quality checks.

use crate::shape::{Field, Kind, Shape, may, must};
use crate::yaml::Node;

use super::fields::{CONTEXT, CUSTOM, CUSTOM_OURS, DEFINITIONS, ID, TAGS, V31, V32};

/// What schema objects and properties share.
static ELEMENT: &[Field] = &[
    ID,
    may("physicalType", Kind::Text),
    may("physicalName", Kind::Text),
    may("description", Kind::Text),
    may("businessName", Kind::Text),
    may("deprecated", Kind::Bool).since(V32),
    may("synonyms", Kind::List(&SYNONYM)).since(V32),
    DEFINITIONS,
    TAGS,
    may("quality", Kind::PickList(quality)),
];

pub(super) static OBJECT: Shape = Shape {
    what: "a schema object",
    fields: &[
        ELEMENT,
        &[
            must("name", Kind::Text),
            may("logicalType", Kind::Word(&[("object", 0), ("blob", V32)])),
            may("dataGranularityDescription", Kind::Text),
            may("properties", Kind::PickList(property)),
            may("relationships", Kind::List(&OBJECT_RELATIONSHIP)).since(V31),
            may("context", Kind::TextOrObject(&CONTEXT)).since(V32),
            CUSTOM_OURS,
        ],
    ],
};

static LOGICAL_TYPES: &[(&str, u16)] = &[
    ("string", 0),
    ("date", 0),
    ("timestamp", V31),
    ("time", V31),
    ("number", 0),
    ("integer", 0),
    ("object", 0),
    ("array", 0),
    ("boolean", 0),
    ("map", V32),
    ("vector", V32),
];

/// What all properties share, whatever their logical type.
static PROPERTY: &[Field] = &[
    may("primaryKey", Kind::Bool),
    may("primaryKeyPosition", Kind::Integer),
    may("logicalType", Kind::Word(LOGICAL_TYPES)),
    may("required", Kind::Bool),
    may("unique", Kind::Bool),
    may("semanticType", Kind::Word(&[("column", 0), ("measure", 0), ("dimension", 0)])).since(V32),
    may("partitioned", Kind::Bool),
    may("partitionKeyPosition", Kind::Integer),
    may("classification", Kind::Text),
    may("encryptedName", Kind::Text),
    may("transformSourceObjects", Kind::Texts),
    may("transformLogic", Kind::Text),
    may("transformDescription", Kind::Text),
    may("examples", Kind::Anys),
    may("enum", Kind::List(&ENUM_VALUE)).since(V32),
    may("criticalDataElement", Kind::Bool),
    may("relationships", Kind::List(&PROPERTY_RELATIONSHIP)).since(V31),
    CUSTOM,
];

const NAMED: &[Field] = &[must("name", Kind::Text)];
const UNNAMED: &[Field] = &[may("name", Kind::Text)];
const FIELDS: &[Field] = &[may("properties", Kind::PickList(property))];
const ITEMS: &[Field] = &[may("items", Kind::Pick(item))];
const MAP: &[Field] = &[must("map", Kind::Object(&MAP_ENTRY)).since(V32)];

static MAP_ENTRY: Shape =
    Shape { what: "a map", fields: &[&[must("key", Kind::Pick(item)), must("value", Kind::Pick(item))]] };

macro_rules! property_shapes {
    ($($logical_type:pat => $what:literal, $options:expr, $more:expr;)*) => {
        /// The shape of a property is told by its logical type.
        fn property(node: &Node) -> &'static Shape {
            match node.text("logicalType").unwrap_or_default() {
                $($logical_type => {
                    static SHAPE: Shape = Shape { what: $what, fields: &[ELEMENT, PROPERTY, NAMED, $options, $more] };
                    &SHAPE
                })*
            }
        }

        /// The element of an array, the key or value of a map: a property without a name.
        fn item(node: &Node) -> &'static Shape {
            match node.text("logicalType").unwrap_or_default() {
                $($logical_type => {
                    static SHAPE: Shape =
                        Shape { what: $what, fields: &[ELEMENT, PROPERTY, UNNAMED, FIELDS, $options, $more] };
                    &SHAPE
                })*
            }
        }
    };
}

property_shapes! {
    "string" => "a string property", &[may(OPTIONS, Kind::Object(&STRING_OPTIONS))], &[];
    "date" | "timestamp" | "time" => "a date or time property", &[may(OPTIONS, Kind::Object(&TIME_OPTIONS))], &[];
    "integer" => "an integer property", &[may(OPTIONS, Kind::Object(&INTEGER_OPTIONS))], &[];
    "number" => "a number property", &[may(OPTIONS, Kind::Object(&NUMBER_OPTIONS))], &[];
    "object" => "an object property", &[may(OPTIONS, Kind::Object(&OBJECT_OPTIONS))], FIELDS;
    "array" => "an array property", &[may(OPTIONS, Kind::Object(&ARRAY_OPTIONS))], ITEMS;
    "map" => "a map property", &[may(OPTIONS, Kind::Any)], MAP;
    "vector" => "a vector property", &[must(OPTIONS, Kind::Object(&VECTOR_OPTIONS))], &[];
    "boolean" => "a boolean property", &[may(OPTIONS, Kind::Any)], &[];
    _ => "a property", &[may(OPTIONS, Kind::Any), may("items", Kind::Pick(item))], FIELDS;
}

const OPTIONS: &str = "logicalTypeOptions";

static STRING_OPTIONS: Shape = Shape {
    what: "the options of a string",
    fields: &[&[
        may("minLength", Kind::Integer),
        may("maxLength", Kind::Integer),
        may("pattern", Kind::Text),
        may("format", Kind::Text),
    ]],
};

/// The exclusive bounds were booleans in v3.0.
const BOUNDS: &[Field] = &[
    may("maximum", Kind::Scalar),
    may("minimum", Kind::Scalar),
    may("exclusiveMaximum", Kind::Scalar),
    may("exclusiveMinimum", Kind::Scalar),
];

static TIME_OPTIONS: Shape = Shape {
    what: "the options of a date or time",
    fields: &[
        BOUNDS,
        &[
            may("format", Kind::Text),
            may("timezone", Kind::Bool).since(V31),
            may("defaultTimezone", Kind::Text).since(V31),
        ],
    ],
};

static INTEGER_OPTIONS: Shape = Shape {
    what: "the options of an integer",
    fields: &[
        BOUNDS,
        &[
            may("multipleOf", Kind::Number),
            may(
                "format",
                Kind::Word(&[
                    ("i8", 0),
                    ("i16", 0),
                    ("i32", 0),
                    ("i64", 0),
                    ("i128", 0),
                    ("u8", 0),
                    ("u16", 0),
                    ("u32", 0),
                    ("u64", 0),
                    ("u128", 0),
                ]),
            ),
        ],
    ],
};

static NUMBER_OPTIONS: Shape = Shape {
    what: "the options of a number",
    fields: &[BOUNDS, &[may("multipleOf", Kind::Number), may("format", Kind::Word(&[("f32", 0), ("f64", 0)]))]],
};

static OBJECT_OPTIONS: Shape = Shape {
    what: "the options of an object",
    fields: &[&[
        may("maxProperties", Kind::Integer),
        may("minProperties", Kind::Integer),
        may("required", Kind::Texts),
    ]],
};

static ARRAY_OPTIONS: Shape = Shape {
    what: "the options of an array",
    fields: &[&[may("maxItems", Kind::Integer), may("minItems", Kind::Integer), may("uniqueItems", Kind::Bool)]],
};

static VECTOR_OPTIONS: Shape = Shape {
    what: "the options of a vector",
    fields: &[&[
        must("dimensions", Kind::Integer),
        may(
            "elementType",
            Kind::Word(&[
                ("bfloat16", 0),
                ("binary", 0),
                ("float16", 0),
                ("float32", 0),
                ("float64", 0),
                ("int8", 0),
                ("uint8", 0),
            ]),
        ),
        may(
            "distanceMetric",
            Kind::Word(&[("cosine", 0), ("dotProduct", 0), ("euclidean", 0), ("hamming", 0), ("manhattan", 0)]),
        ),
        may("embeddingModel", Kind::Text),
        may("embeddingModelVersion", Kind::Text),
        may("normalized", Kind::Bool),
    ]],
};

static ENUM_VALUE: Shape = Shape {
    what: "a value of an enum",
    fields: &[&[
        must("value", Kind::Scalar),
        may("label", Kind::Text),
        ID,
        may("description", Kind::Text),
        CUSTOM,
        DEFINITIONS,
        TAGS,
    ]],
};

static SYNONYM: Shape = Shape {
    what: "a synonym",
    fields: &[&[
        ID,
        must("synonym", Kind::Text),
        may("description", Kind::Text),
        may("locale", Kind::Text),
        may("source", Kind::Text),
        may("status", Kind::Text),
        CUSTOM,
    ]],
};

const RELATIONSHIP: &[Field] = &[
    may("id", Kind::Text).since(V32),
    may("type", Kind::Word(&[("foreignKey", 0)])),
    must("to", Kind::TextOrTexts),
    CUSTOM,
];

static OBJECT_RELATIONSHIP: Shape =
    Shape { what: "a relationship of a schema object", fields: &[RELATIONSHIP, &[must("from", Kind::TextOrTexts)]] };

static PROPERTY_RELATIONSHIP: Shape = Shape { what: "a relationship of a property", fields: &[RELATIONSHIP] };

/// What all quality checks share.
static QUALITY: &[Field] = &[
    ID,
    DEFINITIONS,
    may("businessImpact", Kind::Text),
    CUSTOM,
    may("description", Kind::Text),
    may(
        "dimension",
        Kind::Word(&[
            ("accuracy", 0),
            ("completeness", 0),
            ("conformity", 0),
            ("consistency", 0),
            ("coverage", 0),
            ("timeliness", 0),
            ("uniqueness", 0),
        ]),
    ),
    may("method", Kind::Text),
    may("name", Kind::Text),
    may("schedule", Kind::Text),
    may("scheduler", Kind::Text),
    may("severity", Kind::Text),
    TAGS,
    may("type", Kind::Word(&[("text", 0), ("library", 0), ("sql", 0), ("custom", 0)])),
    may("unit", Kind::Text),
];

const OPERATORS: &[Field] = &[
    may("mustBe", Kind::Any),
    may("mustNotBe", Kind::Any),
    may("mustBeGreaterThan", Kind::Number),
    may("mustBeGreaterOrEqualTo", Kind::Number),
    may("mustBeLessThan", Kind::Number),
    may("mustBeLessOrEqualTo", Kind::Number),
    may("mustBeBetween", Kind::Range),
    may("mustNotBeBetween", Kind::Range),
];

/// A quality check is of the library unless it says otherwise; `rule` was the name of `metric` in v3.0.
fn quality(node: &Node) -> &'static Shape {
    static TEXT: Shape = Shape { what: "a quality check in words", fields: &[QUALITY] };
    static RULE: Shape = Shape {
        what: "a library check",
        fields: &[QUALITY, OPERATORS, &[must("rule", Kind::Text), may("arguments", Kind::Mapping).since(V31)]],
    };
    static LIBRARY: Shape = Shape {
        what: "a library check",
        fields: &[
            QUALITY,
            OPERATORS,
            &[
                must(
                    "metric",
                    Kind::Word(&[
                        ("nullValues", 0),
                        ("missingValues", 0),
                        ("invalidValues", 0),
                        ("duplicateValues", 0),
                        ("rowCount", 0),
                    ]),
                )
                .since(V31),
                may("rule", Kind::Text),
                may("arguments", Kind::Mapping).since(V31),
            ],
        ],
    };
    static SQL: Shape = Shape { what: "an SQL check", fields: &[QUALITY, OPERATORS, &[must("query", Kind::Text)]] };
    static CUSTOM: Shape = Shape {
        what: "a custom check",
        fields: &[QUALITY, &[must("engine", Kind::Text), must("implementation", Kind::TextOrAny)]],
    };
    match node.text("type") {
        Some("text") => &TEXT,
        Some("sql") => &SQL,
        Some("custom") => &CUSTOM,
        _ if node.get("rule").is_some() && node.get("metric").is_none() => &RULE,
        _ => &LIBRARY,
    }
}
