// baton.plugin.v1.PluginService: describe, configure, stop.
import { status } from '@grpc/grpc-js';

import type { ConfigureRequest__Output } from '../gen/baton/plugin/v1/ConfigureRequest.js';
import type { ConfigureResponse } from '../gen/baton/plugin/v1/ConfigureResponse.js';
import type { PluginServiceHandlers } from '../gen/baton/plugin/v1/PluginService.js';
import { unary } from './calls.js';
import { ConfigurationError, finding, read } from './configuration.js';
import type { App } from './connector.js';
import { CallError } from './errors.js';
import type { Gate } from './gate.js';
import { setLevel } from './log.js';

export function pluginService(app: App, gate: Gate): PluginServiceHandlers {
  return {
    Describe: unary(async () => ({ manifest: app.manifest })),
    Configure: unary(async (request) => configure(app, gate, request)),
    Stop: unary(async (_request, { deadline }) => {
      await gate.stop(deadline);
      return {};
    }),
  };
}

// configure answers what is wrong with a configuration; only a call out of order
// is an error.
function configure(app: App, gate: Gate, request: ConfigureRequest__Output): ConfigureResponse {
  if (gate.isOpen) {
    throw new CallError(
      status.FAILED_PRECONDITION,
      'the plugin is configured already: a process takes one configuration',
    );
  }
  setLevel(request.host?.log_level ?? '');
  const { configuration, findings } = read(app.manifest.configuration ?? {}, request);
  if (findings.length) return { diagnostics: findings };
  try {
    if (!gate.open(app.connect(configuration))) {
      throw new CallError(status.UNAVAILABLE, 'the plugin is stopping');
    }
  } catch (error) {
    if (!(error instanceof ConfigurationError)) throw error;
    return { diagnostics: [finding(error.field, error.message)] };
  }
  return {};
}
