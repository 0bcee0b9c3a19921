//! What gRPC reflection says of the Flight service: `arrow-flight` ships no descriptors, so they are built here from the
//! names and numbers of Arrow's `Flight.proto`.

use prost_types::field_descriptor_proto::{Label, Type};
use prost_types::{
    DescriptorProto, EnumDescriptorProto, EnumValueDescriptorProto, FieldDescriptorProto, FileDescriptorProto,
    FileDescriptorSet, MethodDescriptorProto, OneofDescriptorProto, ServiceDescriptorProto,
};
use tonic_reflection::server::{Builder, Error};

const PACKAGE: &str = "arrow.flight.protocol";
const TIMESTAMP: &str = "google/protobuf/timestamp.proto";

/// How often a field is there.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Times {
    /// Once.
    One,
    /// Any number of times.
    Many,
    /// Once, or explicitly not.
    Perhaps,
}

use Times::{Many, One, Perhaps};

/// Name, number, type, how often. A type that is none of protobuf's own is a message or enumeration.
type Fields = &'static [(&'static str, i32, &'static str, Times)];

const MESSAGES: &[(&str, Fields)] = &[
    ("HandshakeRequest", &[("protocol_version", 1, "uint64", One), ("payload", 2, "bytes", One)]),
    ("HandshakeResponse", &[("protocol_version", 1, "uint64", One), ("payload", 2, "bytes", One)]),
    ("BasicAuth", &[("username", 2, "string", One), ("password", 3, "string", One)]),
    ("Empty", &[]),
    ("ActionType", &[("type", 1, "string", One), ("description", 2, "string", One)]),
    ("Criteria", &[("expression", 1, "bytes", One)]),
    ("Action", &[("type", 1, "string", One), ("body", 2, "bytes", One)]),
    ("CancelFlightInfoRequest", &[("info", 1, "FlightInfo", One)]),
    ("RenewFlightEndpointRequest", &[("endpoint", 1, "FlightEndpoint", One)]),
    ("Result", &[("body", 1, "bytes", One)]),
    ("CancelFlightInfoResult", &[("status", 1, "CancelStatus", One)]),
    ("SchemaResult", &[("schema", 1, "bytes", One)]),
    (
        "FlightDescriptor",
        &[("type", 1, "FlightDescriptor.DescriptorType", One), ("cmd", 2, "bytes", One), ("path", 3, "string", Many)],
    ),
    (
        "FlightInfo",
        &[
            ("schema", 1, "bytes", One),
            ("flight_descriptor", 2, "FlightDescriptor", One),
            ("endpoint", 3, "FlightEndpoint", Many),
            ("total_records", 4, "int64", One),
            ("total_bytes", 5, "int64", One),
            ("ordered", 6, "bool", One),
            ("app_metadata", 7, "bytes", One),
        ],
    ),
    (
        "PollInfo",
        &[
            ("info", 1, "FlightInfo", One),
            ("flight_descriptor", 2, "FlightDescriptor", One),
            ("progress", 3, "double", Perhaps),
            ("expiration_time", 4, "google.protobuf.Timestamp", One),
        ],
    ),
    (
        "FlightEndpoint",
        &[
            ("ticket", 1, "Ticket", One),
            ("location", 2, "Location", Many),
            ("expiration_time", 3, "google.protobuf.Timestamp", One),
            ("app_metadata", 4, "bytes", One),
        ],
    ),
    ("Location", &[("uri", 1, "string", One)]),
    ("Ticket", &[("ticket", 1, "bytes", One)]),
    (
        "FlightData",
        &[
            ("flight_descriptor", 1, "FlightDescriptor", One),
            ("data_header", 2, "bytes", One),
            ("app_metadata", 3, "bytes", One),
            ("data_body", 1000, "bytes", One),
        ],
    ),
    ("PutResult", &[("app_metadata", 1, "bytes", One)]),
];

const CANCEL_STATUS: &[&str] = &[
    "CANCEL_STATUS_UNSPECIFIED",
    "CANCEL_STATUS_CANCELLED",
    "CANCEL_STATUS_CANCELLING",
    "CANCEL_STATUS_NOT_CANCELLABLE",
];
const DESCRIPTOR_TYPE: &[&str] = &["UNKNOWN", "PATH", "CMD"];

/// Name, request, response, and which of the two are streams.
const METHODS: &[(&str, &str, &str, [bool; 2])] = &[
    ("Handshake", "HandshakeRequest", "HandshakeResponse", [true, true]),
    ("ListFlights", "Criteria", "FlightInfo", [false, true]),
    ("GetFlightInfo", "FlightDescriptor", "FlightInfo", [false, false]),
    ("PollFlightInfo", "FlightDescriptor", "PollInfo", [false, false]),
    ("GetSchema", "FlightDescriptor", "SchemaResult", [false, false]),
    ("DoGet", "Ticket", "FlightData", [false, true]),
    ("DoPut", "FlightData", "PutResult", [true, true]),
    ("DoExchange", "FlightData", "FlightData", [true, true]),
    ("DoAction", "Action", "Result", [false, true]),
    ("ListActions", "Empty", "ActionType", [false, true]),
];

/// Describes the Flight, health and reflection services, to whoever asks: it is the same for all gateways.
pub(crate) fn builder<'a>() -> Builder<'a> {
    Builder::configure()
        .register_file_descriptor_set(FileDescriptorSet { file: vec![timestamp(), flight()] })
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
}

/// Why there is no such service.
pub(crate) type Unreflected = Error;

fn flight() -> FileDescriptorProto {
    let mut messages: Vec<_> = MESSAGES.iter().map(|(name, fields)| message(name, fields)).collect();
    if let Some(descriptor) = messages.iter_mut().find(|message| message.name() == "FlightDescriptor") {
        descriptor.enum_type.push(enumeration("DescriptorType", DESCRIPTOR_TYPE));
    }
    let methods = METHODS.iter().map(|(name, input, output, [client, server])| MethodDescriptorProto {
        name: Some((*name).to_owned()),
        input_type: Some(format!(".{PACKAGE}.{input}")),
        output_type: Some(format!(".{PACKAGE}.{output}")),
        client_streaming: Some(*client),
        server_streaming: Some(*server),
        ..Default::default()
    });
    FileDescriptorProto {
        name: Some("Flight.proto".to_owned()),
        package: Some(PACKAGE.to_owned()),
        dependency: vec![TIMESTAMP.to_owned()],
        message_type: messages,
        enum_type: vec![enumeration("CancelStatus", CANCEL_STATUS)],
        service: vec![ServiceDescriptorProto {
            name: Some("FlightService".to_owned()),
            method: methods.collect(),
            ..Default::default()
        }],
        syntax: Some("proto3".to_owned()),
        ..Default::default()
    }
}

fn timestamp() -> FileDescriptorProto {
    FileDescriptorProto {
        name: Some(TIMESTAMP.to_owned()),
        package: Some("google.protobuf".to_owned()),
        message_type: vec![message("Timestamp", &[("seconds", 1, "int64", One), ("nanos", 2, "int32", One)])],
        syntax: Some("proto3".to_owned()),
        ..Default::default()
    }
}

fn message(name: &str, fields: &[(&str, i32, &str, Times)]) -> DescriptorProto {
    let mut oneofs = Vec::new();
    let fields = fields.iter().map(|(name, number, of, times)| {
        let (kind, type_name) = match *of {
            "uint64" => (Type::Uint64, None),
            "int64" => (Type::Int64, None),
            "int32" => (Type::Int32, None),
            "bool" => (Type::Bool, None),
            "double" => (Type::Double, None),
            "string" => (Type::String, None),
            "bytes" => (Type::Bytes, None),
            "CancelStatus" | "FlightDescriptor.DescriptorType" => (Type::Enum, Some(format!(".{PACKAGE}.{of}"))),
            "google.protobuf.Timestamp" => (Type::Message, Some(format!(".{of}"))),
            _ => (Type::Message, Some(format!(".{PACKAGE}.{of}"))),
        };
        // A field that may be explicitly absent is the only one of a group made for it.
        let oneof_index = (*times == Perhaps).then(|| {
            oneofs.push(OneofDescriptorProto { name: Some(format!("_{name}")), ..Default::default() });
            i32::try_from(oneofs.len() - 1).unwrap_or(0)
        });
        FieldDescriptorProto {
            name: Some((*name).to_owned()),
            number: Some(*number),
            label: Some(if *times == Many { Label::Repeated } else { Label::Optional } as i32),
            r#type: Some(kind as i32),
            type_name,
            oneof_index,
            proto3_optional: (*times == Perhaps).then_some(true),
            ..Default::default()
        }
    });
    let field = fields.collect();
    DescriptorProto { name: Some(name.to_owned()), field, oneof_decl: oneofs, ..Default::default() }
}

fn enumeration(name: &str, values: &[&str]) -> EnumDescriptorProto {
    let values = values.iter().zip(0..).map(|(name, number)| EnumValueDescriptorProto {
        name: Some((*name).to_owned()),
        number: Some(number),
        options: None,
    });
    EnumDescriptorProto { name: Some(name.to_owned()), value: values.collect(), ..Default::default() }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use arrow_flight::{
        Action, FlightData, FlightDescriptor, FlightEndpoint, FlightInfo, HandshakeRequest, Location, PollInfo,
        PutResult, SchemaResult, Ticket,
    };
    use prost::Message;
    use prost::encoding::decode_key;
    use prost::encoding::{DecodeContext, skip_field};
    use prost_types::Timestamp;

    use super::flight;

    /// The numbers of the fields that a message is encoded with.
    fn numbers(message: &impl Message) -> BTreeSet<i32> {
        let bytes = message.encode_to_vec();
        let mut rest = bytes.as_slice();
        let mut numbers = BTreeSet::new();
        while !rest.is_empty() {
            let (number, wire_type) = decode_key(&mut rest).expect("a key");
            skip_field(wire_type, number, &mut rest, DecodeContext::default()).expect("a value");
            numbers.insert(i32::try_from(number).expect("a small number"));
        }
        numbers
    }

    #[test]
    fn says_what_the_library_encodes() {
        let some = || "x".to_owned();
        let bytes = || bytes::Bytes::from_static(b"x");
        let time = Some(Timestamp { seconds: 1, nanos: 1 });
        let descriptor = FlightDescriptor { r#type: 2, cmd: bytes(), path: vec![some()] };
        let endpoint = FlightEndpoint {
            ticket: Some(Ticket { ticket: bytes() }),
            location: vec![Location { uri: some() }],
            expiration_time: time,
            app_metadata: bytes(),
        };
        let info = FlightInfo {
            schema: bytes(),
            flight_descriptor: Some(descriptor.clone()),
            endpoint: vec![endpoint.clone()],
            total_records: 1,
            total_bytes: 1,
            ordered: true,
            app_metadata: bytes(),
        };
        let poll = PollInfo {
            info: Some(info.clone()),
            flight_descriptor: Some(descriptor.clone()),
            progress: Some(1.0),
            expiration_time: time,
        };
        let data = FlightData {
            flight_descriptor: Some(descriptor.clone()),
            data_header: bytes(),
            app_metadata: bytes(),
            data_body: bytes(),
        };
        let action = Action { r#type: some(), body: bytes() };
        let handshake = HandshakeRequest { protocol_version: 1, payload: bytes() };
        for (name, encoded) in [
            ("FlightDescriptor", numbers(&descriptor)),
            ("FlightEndpoint", numbers(&endpoint)),
            ("FlightInfo", numbers(&info)),
            ("PollInfo", numbers(&poll)),
            ("FlightData", numbers(&data)),
            ("Action", numbers(&action)),
            ("HandshakeRequest", numbers(&handshake)),
            ("SchemaResult", numbers(&SchemaResult { schema: bytes() })),
            ("PutResult", numbers(&PutResult { app_metadata: bytes() })),
        ] {
            let file = flight();
            let message = file.message_type.iter().find(|message| message.name() == name).expect("described");
            let described = message.field.iter().map(|field| field.number()).collect::<BTreeSet<_>>();
            assert_eq!(described, encoded, "{name}");
        }
    }
}
