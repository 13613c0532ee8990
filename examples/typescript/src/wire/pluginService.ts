// baton.plugin.v1.PluginService: describe, configure, stop.
import type { ConfigureRequest__Output } from '../gen/baton/plugin/v1/ConfigureRequest.js';
import type { ConfigureResponse } from '../gen/baton/plugin/v1/ConfigureResponse.js';
import type { Diagnostic } from '../gen/baton/plugin/v1/Diagnostic.js';
import type { PluginServiceHandlers } from '../gen/baton/plugin/v1/PluginService.js';
import { unary } from './calls.js';
import { ConfigurationError, read } from './configuration.js';
import type { App } from './connector.js';
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
  const diagnostics: Diagnostic[] = [];
  try {
    gate.open(() => {
      setLevel(request.host?.log_level ?? '');
      return app.connect(read(app.manifest.configuration ?? {}, request));
    });
  } catch (error) {
    if (!(error instanceof ConfigurationError)) throw error;
    diagnostics.push(...error.diagnostics);
  }
  return { diagnostics };
}
