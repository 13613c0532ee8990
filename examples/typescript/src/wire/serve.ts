// Serves an app to the host that started this process. It is the whole of main.
import { Server, ServerCredentials } from '@grpc/grpc-js';
import { HealthImplementation } from 'grpc-health-check';

import type { GRPCControllerHandlers } from '../gen/plugin/GRPCController.js';
import { newIdentity } from './certificate.js';
import { assertKnown } from './configuration.js';
import type { App } from './connector.js';
import { addConnectorServices } from './connectorServices.js';
import { Gate } from './gate.js';
import { hostCertificate, refusal, shakeHands, socketPath } from './handshake.js';
import { followHost } from './lifeline.js';
import { keepOffStandardOutput } from './log.js';
import { pluginService } from './pluginService.js';
import { maxMessageBytes, services } from './protocol.js';

export async function serve(app: App): Promise<void> {
  keepOffStandardOutput();
  const reason = refusal();
  if (reason) {
    process.stderr.write(`${reason}\n`);
    process.exitCode = 1;
    return;
  }
  followHost();
  assertKnown(app.manifest.configuration ?? {});

  const server = new Server({
    'grpc.max_receive_message_length': maxMessageBytes,
    'grpc.max_send_message_length': maxMessageBytes,
  });
  const gate = new Gate();
  server.addService(services.plugin, pluginService(app, gate));
  server.addService(services.controller, controller(server));
  new HealthImplementation({ plugin: 'SERVING' }).addToServer(server);
  addConnectorServices(server, gate);

  const identity = await newIdentity();
  const socket = socketPath();
  await listen(server, socket, identity);
  shakeHands(socket, identity.announced);
}

function listen(
  server: Server,
  socket: string,
  identity: { certificate: Buffer; privateKey: Buffer },
): Promise<void> {
  const credentials = ServerCredentials.createSsl(
    hostCertificate(),
    [{ cert_chain: identity.certificate, private_key: identity.privateKey }],
    true, // Nobody but the host.
  );
  return new Promise((resolve, reject) => {
    server.bindAsync(`unix:${socket}`, credentials, (error) => (error ? reject(error) : resolve()));
  });
}

// controller is the service by which the host says that it has nothing more to
// ask. A process that stays for more than two seconds is killed.
function controller(server: Server): GRPCControllerHandlers {
  return {
    Shutdown: (_call, callback) => {
      callback(null, {});
      server.tryShutdown(() => process.exit(0));
    },
  };
}
