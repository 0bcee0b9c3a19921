//! Hostile `authorization` headers: nobody comes in with what nobody was given.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use meshgate_fuzzing::{Counting, Fuzz};
use meshgate_model::{Failure, Fault};

use super::House;
use crate::{Authentication, Credential};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[test]
fn fuzz_credential() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let house = House::new(|_| ());
    let token = runtime.block_on(async {
        house.user("ben", "p:w").await;
        house.token(&[], None).await.secret.expose().to_owned()
    });
    let basic = |text: &str| format!("Basic {}", STANDARD.encode(text));
    let inputs = [
        format!("Bearer {token}"),
        format!("bearer   {token}  "),
        basic(&format!("token:{token}")),
        basic("ben:p:w"),
        basic("nobody:x"),
        basic(":"),
        "Bearer None".to_owned(),
        "Bearer mgf_AAAA".to_owned(),
    ];
    let words = ["Bearer ", "Basic ", "mg_", "mgf_", "token:", "=", "-", "_", "+", "/", "None", "\t"];
    Fuzz::text("credential").all(inputs).words(words).inputs(10_000).run(|input| {
        let header = String::from_utf8_lossy(input);
        let credential = match Credential::from_header(&header) {
            Ok(credential) => credential,
            Err(error) if error.fault() == Fault::Unauthenticated || error.fault() == Fault::Invalid => {
                return Ok(error.to_string());
            }
            Err(error) => return Err(format!("{error:?}")),
        };
        let (by_token, by_password) = match &credential {
            Credential::Anonymous | Credential::Certificate(_) => (false, false),
            Credential::Bearer(given) => (given.expose() == token, false),
            Credential::Basic { user, password } => {
                (user == "token" && password.expose() == token, user == "ben" && password.expose() == "p:w")
            }
        };
        match runtime.block_on(house.enter(credential)) {
            Ok(principal) if by_token && principal.authentication() == Authentication::Token => Ok("ana".to_owned()),
            Ok(principal) if by_password && principal.name() == "ben" => Ok("ben".to_owned()),
            Ok(principal) => Err(format!("{} came in", principal.name())),
            Err(error) if by_token => Err(format!("the token is refused: {error:?}")),
            // Whoever guesses has to wait, with the right password as well.
            Err(error) if matches!(error.fault(), Fault::Unauthenticated | Fault::Limited) => Ok(error.to_string()),
            Err(error) => Err(format!("{error:?}")),
        }
    });
}
