// An OpenID provider (the certified `oidc-provider`) for one test: on a free port of this machine until its input ends.
//
// It prints {"issuer", "key"} as one line of JSON when it answers, and again after each command on its input:
//   rotate ALG    signs with a new key from now on, beside the one before
//   withdraw      publishes the newest key only
//   away, back    answers nobody, or everybody again
// Anybody logs in, under any name; the groups of a user or client are what its name says after each `+`: ana+analysts.

import { generateKeyPair } from "node:crypto";
import { createServer } from "node:http";
import { createInterface } from "node:readline";
import { promisify } from "node:util";
import Provider from "oidc-provider";

const AUDIENCE = "meshgate";
const TOKEN_EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange";
const KINDS = {
  RS256: ["rsa", { modulusLength: 2048 }],
  PS256: ["rsa", { modulusLength: 2048 }],
  ES256: ["ec", { namedCurve: "P-256" }],
  ES384: ["ec", { namedCurve: "P-384" }],
  EdDSA: ["ed25519", {}],
};
// Whatever the library says goes elsewhere than the answers.
for (const level of ["log", "info", "warn"]) console[level] = console.error;

const clients = JSON.parse(process.argv[2]);
const lifeSeconds = Number(process.argv[3]);

let keys = [];
let handler = (_, response) => response.destroy();
let away = false;
const server = createServer((request, response) => (away ? response.destroy() : handler(request, response)));
await new Promise((listening) => server.listen(0, "127.0.0.1", listening));
const issuer = `http://127.0.0.1:${server.address().port}`;

async function newKey(alg) {
  const { privateKey } = await promisify(generateKeyPair)(...KINDS[alg]);
  return { ...privateKey.export({ format: "jwk" }), alg, use: "sig", kid: `key-${Date.now()}-${keys.length}` };
}

function resourceServer(audience) {
  return { scope: "read", audience, accessTokenTTL: lifeSeconds, accessTokenFormat: "jwt", jwt: { sign: { alg: keys[0].alg } } };
}

// A provider's keys are fixed when it is made: a rotation makes a new one at the same address.
function serve() {
  const alg = keys[0].alg;
  const provider = new Provider(issuer, {
    clients: clients.map((client) => ({ redirect_uris: [], response_types: [], ...client })),
    clientDefaults: { grant_types: ["client_credentials"], id_token_signed_response_alg: alg },
    jwks: { keys },
    cookies: { keys: ["for tests"] },
    pkce: { required: () => false },
    enabledJWA: { idTokenSigningAlgValues: Object.keys(KINDS) },
    ttl: { ClientCredentials: lifeSeconds, AccessToken: lifeSeconds, AuthorizationCode: 60, Grant: 600, Interaction: 600, Session: 600 },
    features: {
      clientCredentials: { enabled: true },
      devInteractions: { enabled: true },
      resourceIndicators: {
        enabled: true,
        defaultResource: () => `urn:${AUDIENCE}`,
        useGrantedResource: () => true,
        getResourceServerInfo: (_, indicator) => resourceServer(indicator.replace(/^urn:/, "")),
      },
    },
    findAccount: (_, name) => ({ accountId: name, claims: () => ({ sub: name }) }),
    extraTokenClaims: (_, token) => {
      const [name, ...groups] = (token.accountId ?? token.clientId).split("+");
      return { groups, preferred_username: name, region: "eu" };
    },
  });
  provider.registerGrantType(TOKEN_EXCHANGE, (ctx) => exchange(provider, ctx), ["subject_token", "subject_token_type", "requested_token_type", "scope"]);
  handler = provider.callback();
}

// RFC 8693: an identity token of a user for an access token in the user's name.
async function exchange(provider, ctx) {
  const { client, params } = ctx.oidc;
  const { payload } = await provider.IdToken.validate(params.subject_token, client);
  const token = new provider.AccessToken({ accountId: payload.sub, client, grantId: "exchange", gty: "token_exchange", scope: "read" });
  token.resourceServer = new provider.ResourceServer(`urn:${AUDIENCE}`, resourceServer(AUDIENCE));
  const access_token = await token.save();
  ctx.body = { access_token, issued_token_type: "urn:ietf:params:oauth:token-type:access_token", token_type: "Bearer", expires_in: token.expiration };
}

function tell() {
  process.stdout.write(`${JSON.stringify({ issuer, key: keys[0].kid })}\n`);
}

async function obey(command) {
  const [verb, alg] = command.split(" ");
  if (verb === "rotate") keys = [await newKey(alg), ...keys];
  if (verb === "withdraw") keys = keys.slice(0, 1);
  if (verb === "away") away = true;
  if (verb === "back") away = false;
  if (verb !== "away" && verb !== "back") serve();
  tell();
}

await obey("rotate RS256");
for await (const command of createInterface({ input: process.stdin })) await obey(command);
process.exit(0);
