// node oidc-provider on a free loopback port. Prints its address once it listens. A client gets access tokens
// for a resource `https://models.example.com/ALG`, signed with that algorithm, or for `.../elsewhere`.
import { generateKeyPairSync } from 'node:crypto';
import { createServer } from 'node:http';
import { createRequire } from 'node:module';

// Installed in the working directory, which is not where this file is.
const require = createRequire(process.cwd() + '/');
const { default: Provider } = await import(require.resolve('oidc-provider'));

const made = (type, options, more) => {
  const { privateKey } = generateKeyPairSync(type, options);
  return { ...privateKey.export({ format: 'jwk' }), ...more };
};
const keys = [
  made('rsa', { modulusLength: 2048 }, { kid: 'rsa' }),
  made('ec', { namedCurve: 'P-256' }, { kid: 'ec' }),
  made('ed25519', {}, { kid: 'ed' }),
];
const server = createServer();
server.listen(0, '127.0.0.1', () => {
  const issuer = `http://127.0.0.1:${server.address().port}`;
  const provider = new Provider(issuer, {
    jwks: { keys },
    clients: [{
      client_id: 'nightly', client_secret: process.env.CLIENT_SECRET, redirect_uris: [],
      response_types: [], grant_types: ['client_credentials'],
    }],
    scopes: ['predict', 'explain'],
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      resourceIndicators: {
        enabled: true,
        getResourceServerInfo: (_, resource) => {
          const word = resource.slice(resource.lastIndexOf('/') + 1);
          return {
            scope: 'predict explain', accessTokenFormat: 'jwt',
            audience: word === 'elsewhere' ? word : 'models',
            jwt: { sign: { alg: word === 'elsewhere' ? 'RS256' : word } },
          };
        },
      },
    },
  });
  server.on('request', provider.callback());
  console.log(issuer);
});
