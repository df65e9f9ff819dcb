// A real OpenID Connect provider for tests: `node server.mjs PORT KEYS`, on 127.0.0.1, its keys kept in the file KEYS.
//
// It obeys lines of JSON on stdin and answers each with one on stdout; when stdin ends, so does it:
//   {"op": "rotate", "keep": 1}   sign with new keys; so many older generations stay published
//   {"op": "publish"}             publish new keys, and sign with them only after the next {"op": "promote"}
//   {"op": "promote"}
//   {"op": "requests"}            how often its discovery document and its JWK Set were asked for
//   {"op": "tell", "uri": "…"}    tell that address of logouts (Back-Channel Logout 1.0), of `desk` with the session

import { generateKeyPairSync, randomUUID } from 'node:crypto';
import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { createInterface } from 'node:readline';

import { Provider } from 'oidc-provider';

const SCOPES = ['ai', 'models', 'chat.completions', 'completions', 'embeddings'];
const LIFETIME_S = 3600;
const DISCOVERY = '/.well-known/openid-configuration';
const JWKS = '/jwks';
const JOB = 'repo:acme/widgets:ref:refs/heads/main';
const REDIRECT = 'https://app.example/callback';

const [port, file] = process.argv.slice(2);
const issuer = `http://127.0.0.1:${port}`;
const requests = { discovery: 0, jwks: 0 };
// Generations of keys, those that sign first; `pending` is the one that is published and does not sign yet.
let generations = existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')) : [makeKeys()];
let pending;
let answer;
let logoutUri;

function makeKeys() {
  const made = [
    { alg: 'ES256', ...generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ format: 'jwk' }) },
    { alg: 'RS256', ...generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey.export({ format: 'jwk' }) },
  ];
  return made.map((jwk) => ({ kid: randomUUID(), use: 'sig', ...jwk }));
}

function client(name, grants, additions) {
  return {
    client_id: name,
    client_secret: `secret-of-${name}`,
    grant_types: grants,
    redirect_uris: [],
    response_types: [],
    ...additions,
  };
}

// A client whose name begins with rs256 gets tokens signed so; all others get ES256.
function resource(_, indicator, { clientId }) {
  return {
    audience: indicator,
    scope: SCOPES.join(' '),
    accessTokenFormat: 'jwt',
    accessTokenTTL: LIFETIME_S,
    jwt: { sign: { alg: clientId.startsWith('rs256') ? 'RS256' : 'ES256' } },
  };
}

// What a CI system signs for a job: no access token, and nothing of scopes or of an OAuth client. The tokens of a client
// that is told of sessions name theirs, as its ID tokens do.
function describe(_, { clientId, sid }, token) {
  if (sid !== undefined) token.payload.sid = sid;
  if (clientId !== 'ci') return;
  const { scope, client_id, ...claims } = token.payload;
  token.header = { typ: 'JWT' };
  token.payload = { ...claims, sub: JOB, repository: 'acme/widgets', run_id: '42' };
}

// Whoever logs in has granted everything: what people click is not what is tested.
async function grant({ oidc }) {
  const made = new oidc.provider.Grant({ accountId: oidc.session.accountId, clientId: oidc.client.clientId });
  made.addOIDCScope('openid');
  Object.keys(oidc.resourceServers ?? {}).forEach((indicator) => made.addResourceScope(indicator, SCOPES.join(' ')));
  await made.save();
  return made;
}

function serve() {
  writeFileSync(`${file}.new`, JSON.stringify(generations), { mode: 0o600 });
  renameSync(`${file}.new`, file);
  const told = logoutUri === undefined ? {} : { backchannel_logout_uri: logoutUri };
  const people = { redirect_uris: [REDIRECT], response_types: ['code'], ...told };
  const provider = new Provider(issuer, {
    jwks: { keys: [...generations.flat(), ...(pending ?? [])] },
    clients: [
      client('service', ['client_credentials']),
      client('rs256-service', ['client_credentials']),
      client('ci', ['client_credentials']),
      client('app', ['authorization_code'], people),
      client('desk', ['authorization_code'], { ...people, ...(logoutUri && { backchannel_logout_session_required: true }) }),
    ],
    formats: { customizers: { jwt: describe } },
    scopes: ['openid'],
    features: {
      clientCredentials: { enabled: true },
      backchannelLogout: { enabled: true },
      devInteractions: { enabled: process.argv[4] !== 'unattended' },
      resourceIndicators: { enabled: true, getResourceServerInfo: resource, useGrantedResource: () => true },
    },
    findAccount: (_, sub) => ({ accountId: sub, claims: () => ({ sub }) }),
    loadExistingGrant: grant,
    // Its own guard lets it tell no address of this machine, which is where a gateway under test is.
    fetch: (url, { dispatcher, ...options }) => globalThis.fetch(url, options),
    ttl: { ClientCredentials: LIFETIME_S, AccessToken: LIFETIME_S, IdToken: LIFETIME_S },
    cookies: { keys: [randomUUID()] },
  });
  answer = provider.callback();
}

const operations = {
  rotate({ keep }) {
    generations = [makeKeys(), ...generations].slice(0, keep + 1);
    pending = undefined;
    serve();
  },
  publish() {
    pending = makeKeys();
    serve();
  },
  promote() {
    generations = [pending, ...generations];
    pending = undefined;
    serve();
  },
  requests() {},
  tell({ uri }) {
    logoutUri = uri;
    serve();
  },
};

serve();
const server = createServer((request, response) => {
  if (request.url === DISCOVERY) requests.discovery += 1;
  if (request.url === JWKS) requests.jwks += 1;
  answer(request, response);
});
server.listen(Number(port), '127.0.0.1', () => {
  console.log(JSON.stringify({ ready: issuer }));
  if (process.argv[4] === 'unattended') return;
  createInterface({ input: process.stdin })
    .on('line', (line) => {
      const order = JSON.parse(line);
      operations[order.op](order);
      console.log(JSON.stringify({ requests, kid: generations[0][0].kid, pending: pending?.[0].kid ?? '' }));
    })
    .on('close', () => process.exit(0));
});
