// How a plugin and the host that started it find each other.
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { writeSync } from 'node:fs';

import { protocolVersion } from './protocol.js';

const cookie = 'e2b8a3b6-5a0c-4a2f-9a36-7f0a3f6b1c9d';

// refusal is why this process cannot be a plugin, or undefined if it can.
export function refusal(env = process.env): string | undefined {
  if (env['BATON_PLUGIN_COOKIE'] !== cookie) {
    return 'This program is a plugin. baton-host starts it: see README.md.';
  }
  const versions = (env['PLUGIN_PROTOCOL_VERSIONS'] ?? '').split(',');
  if (!versions.includes(String(protocolVersion))) {
    return `This plugin speaks version ${protocolVersion} of the plugin protocol, and the host ${versions.join(', ')}.`;
  }
  if (!env['PLUGIN_CLIENT_CERT']) {
    return 'The host gave no certificate (PLUGIN_CLIENT_CERT), and this plugin serves nobody it cannot recognize.';
  }
  return undefined;
}

// hostCertificate is the one certificate that may connect, in PEM.
export function hostCertificate(env = process.env): Buffer {
  return Buffer.from(env['PLUGIN_CLIENT_CERT'] ?? '');
}

// socketPath is where to listen: in a directory that only this user can enter.
export function socketPath(env = process.env): string {
  return join(env['PLUGIN_UNIX_SOCKET_DIR'] ?? tmpdir(), `plugin${process.pid}`);
}

// shakeHands tells the host where to connect and whom to expect. It is all that
// this process ever writes to standard output.
export function shakeHands(socket: string, announcedCertificate: string): void {
  const coreProtocolVersion = 1;
  const line = [coreProtocolVersion, protocolVersion, 'unix', socket, 'grpc', announcedCertificate];
  writeSync(process.stdout.fd, `${line.join('|')}\n`);
}
