//! Hostile tokens: whatever was changed in one, nobody comes in with it, unless it still is the token.

use meshgate_fuzzing::Fuzz;
use meshgate_model::{Failure, Fault};
use serde_json::json;

use super::{House, but, claims};

#[test]
fn fuzz_jwt() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let house = House::new(|_| ());
    let genuine = house.signer.sign(&claims());
    let others = [
        house.signer.sign(&but("aud", json!("other"))),
        house.signer.sign(&but("exp", json!("x"))),
        house.signer.sign_text(r#"{"alg":"none"}"#, "{}"),
    ];
    let words = [".", "eyJ", "=", "-", "_", "bm9uZQ", "e30", "W10"];
    Fuzz::text("jwt").all([genuine.clone()]).all(others).words(words).inputs(10_000).run(|input| {
        let token = String::from_utf8_lossy(input);
        match runtime.block_on(house.enter(&token)) {
            Ok(_) if token == genuine => Ok("ana".to_owned()),
            Ok(principal) => Err(format!("{} came in", principal.name())),
            Err(error) if token == genuine => Err(format!("the token is refused: {error:?}")),
            Err(error) if error.fault() == Fault::Unauthenticated => Ok(error.to_string()),
            Err(error) => Err(format!("{error:?}")),
        }
    });
}

/// Claims that the issuer did sign: read without a panic, and to nobody whose name is not in them.
#[test]
fn fuzz_claims() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let house = House::new(|issuer| {
        issuer.groups_claim = "/a/groups".to_owned();
        issuer.attributes = [("clearance".to_owned(), "clearance".to_owned())].into();
    });
    let inputs = [
        claims(),
        but("a", json!({"groups": ["x", "y"]})),
        but("clearance", json!(5)),
        but("clearance", json!(["5", 1.5, true])),
        but("_claim_names", json!({"/a/groups": "x"})),
        but("aud", json!(["a", "meshgate"])),
    ];
    let words =
        ["\"exp\":", "1e308", "-0.0", "null", "[[[[", "\"sub\":", "\\u0000", "\\ud800", "{\"a\":", "1900000000"];
    let inputs = inputs.map(|claims| claims.to_string());
    Fuzz::text("claims").all(inputs).words(words).inputs(10_000).run(|input| {
        let claims = String::from_utf8_lossy(input);
        let token = house.signer.sign_text(&house.signer.header().to_string(), &claims);
        match runtime.block_on(house.enter(&token)) {
            Ok(principal) if principal.name().chars().any(char::is_control) => Err("a control character".to_owned()),
            Ok(principal) => Ok(principal.name().to_owned()),
            Err(error) if error.fault() == Fault::Unauthenticated => Ok(error.to_string()),
            Err(error) => Err(format!("{error:?}")),
        }
    });
}
