// The certificate that a plugin makes for itself at each start.
import 'reflect-metadata'; // What @peculiar/x509 is built on wants it to be there first.

import {
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  KeyUsageFlags,
  KeyUsagesExtension,
  PemConverter,
  SubjectAlternativeNameExtension,
  X509CertificateGenerator,
} from '@peculiar/x509';

export interface Identity {
  // PEM, for the TLS library.
  certificate: Buffer;
  privateKey: Buffer;
  // The DER of the certificate in base64 without padding, for the handshake.
  announced: string;
}

const minute = 60_000;
const year = 365 * 24 * 60 * minute;

// newIdentity makes a certificate that the host takes: it expects the name
// "localhost" and trusts exactly the certificate of the handshake.
export async function newIdentity(): Promise<Identity> {
  const signingAlgorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
  const keys = await crypto.subtle.generateKey(signingAlgorithm, true, ['sign', 'verify']);
  const now = Date.now();
  const certificate = await X509CertificateGenerator.createSelfSigned({
    name: 'CN=localhost',
    notBefore: new Date(now - minute),
    notAfter: new Date(now + 10 * year), // Longer than any process lives.
    keys,
    signingAlgorithm,
    extensions: [
      new SubjectAlternativeNameExtension([{ type: 'dns', value: 'localhost' }]),
      new KeyUsagesExtension(KeyUsageFlags.digitalSignature, true),
      new ExtendedKeyUsageExtension([ExtendedKeyUsage.serverAuth, ExtendedKeyUsage.clientAuth]),
    ],
  });
  const privateKey = await crypto.subtle.exportKey('pkcs8', keys.privateKey);
  return {
    certificate: Buffer.from(certificate.toString('pem')),
    privateKey: Buffer.from(PemConverter.encode(privateKey, 'PRIVATE KEY')),
    announced: Buffer.from(certificate.rawData).toString('base64').replace(/=+$/, ''),
  };
}
