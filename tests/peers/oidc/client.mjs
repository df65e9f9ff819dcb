// An OAuth client of a certified library, oauth4webapi: takes what it knows as JSON on stdin, goes through every grant
// that it is asked for against the authorization server, and prints what came of each as JSON.

import * as oauth from "oauth4webapi";

const insecure = { [oauth.allowInsecureRequests]: true };

async function read() {
  let text = "";
  for await (const piece of process.stdin) text += piece;
  return JSON.parse(text);
}

async function authentication({ method, secret, key }) {
  if (method === "client_secret_basic") return oauth.ClientSecretBasic(secret);
  if (method === "client_secret_post") return oauth.ClientSecretPost(secret);
  if (method === "none") return oauth.None();
  const algorithm = { name: "ECDSA", namedCurve: "P-256" };
  return oauth.PrivateKeyJwt({ key: await crypto.subtle.importKey("jwk", key, algorithm, false, ["sign"]), kid: key.kid });
}

// What a token says, by the library's own verification of an access token of RFC 9068.
async function verified(server, token, audience) {
  const request = new Request(audience, { headers: { authorization: `Bearer ${token}` } });
  return await oauth.validateJwtAccessToken(server, request, audience, insecure);
}

// The library's holder of a key, one for all steps; it remembers the nonces that it is handed.
let holder;
async function proving(client) {
  holder ??= oauth.DPoP(client, await oauth.generateKeyPair("ES256"));
  return { ...insecure, DPoP: holder };
}

// Once more when a nonce is asked for, as RFC 9449 s8 has it.
async function withNonce(ask) {
  try {
    return await ask();
  } catch (error) {
    if (!oauth.isDPoPNonceError(error)) throw error;
    return await ask();
  }
}

const steps = {
  async bound(server, client, auth, { parameters }) {
    const options = await proving(client);
    return await withNonce(async () => {
      const answer = await oauth.clientCredentialsGrantRequest(server, client, auth, parameters, options);
      return await oauth.processClientCredentialsResponse(server, client, answer);
    });
  },
  async bound_grant(server, client, auth, { type, parameters }) {
    const options = await proving(client);
    return await withNonce(async () => {
      const answer = await oauth.genericTokenEndpointRequest(server, client, auth, type, parameters, options);
      return await oauth.processGenericTokenEndpointResponse(server, client, answer);
    });
  },
  async bound_refresh(server, client, auth, { token }) {
    const options = await proving(client);
    return await withNonce(async () => {
      const answer = await oauth.refreshTokenGrantRequest(server, client, auth, token, options);
      return await oauth.processRefreshTokenResponse(server, client, answer);
    });
  },
  async call(server, client, auth, { token, url, body }) {
    const options = await proving(client);
    const headers = new Headers({ "content-type": "application/json" });
    return await withNonce(async () => {
      const answer = await oauth.protectedResourceRequest(token, "POST", new URL(url), headers, body, options);
      return { status: answer.status, body: await answer.json() };
    });
  },
  async client_credentials(server, client, auth, { parameters }) {
    const answer = await oauth.clientCredentialsGrantRequest(server, client, auth, parameters, insecure);
    return await oauth.processClientCredentialsResponse(server, client, answer);
  },
  async grant(server, client, auth, { type, parameters }) {
    const answer = await oauth.genericTokenEndpointRequest(server, client, auth, type, parameters, insecure);
    return await oauth.processGenericTokenEndpointResponse(server, client, answer);
  },
  async refresh(server, client, auth, { token }) {
    const answer = await oauth.refreshTokenGrantRequest(server, client, auth, token, insecure);
    return await oauth.processRefreshTokenResponse(server, client, answer);
  },
  async introspect(server, client, auth, { token }) {
    const answer = await oauth.introspectionRequest(server, client, auth, token, insecure);
    return await oauth.processIntrospectionResponse(server, client, answer);
  },
  async revoke(server, client, auth, { token }) {
    await oauth.processRevocationResponse(await oauth.revocationRequest(server, client, auth, token, insecure));
    return {};
  },
  async verify(server, client, auth, { token, audience }) {
    return await verified(server, token, audience);
  },
};

// A parameter "$NAME.member" stands for a member of what the step NAME gave.
function filled(value, given) {
  if (typeof value === "string" && value.startsWith("$")) {
    const [name, member] = value.slice(1).split(".");
    return given[name][member];
  }
  if (value !== null && typeof value === "object") {
    return Object.fromEntries(Object.entries(value).map(([name, one]) => [name, filled(one, given)]));
  }
  return value;
}

const story = await read();
const issuer = new URL(story.issuer);
const found = {};
for (const algorithm of ["oauth2", "oidc"]) {
  const answer = await oauth.discoveryRequest(issuer, { algorithm, ...insecure });
  found[algorithm] = await oauth.processDiscoveryResponse(issuer, answer);
}
const resource = await oauth.processResourceDiscoveryResponse(
  issuer,
  await oauth.resourceDiscoveryRequest(issuer, insecure),
);
const client = { client_id: story.client.id };
const auth = await authentication(story.client);
const given = {};
for (const step of story.steps) {
  try {
    given[step.name] = await steps[step.do](found.oauth2, client, auth, filled(step.with, given));
  } catch (error) {
    given[step.name] = { refused: error.error ?? error.code ?? error.message, status: error.status ?? 0 };
  }
}
process.stdout.write(JSON.stringify({ metadata: found.oauth2, openid: found.oidc, resource, given }));
